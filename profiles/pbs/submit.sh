#!/usr/bin/env bash
# Submit one job to PBS Pro or OpenPBS:
#   submit.sh QUEUE TASKS CORES_PER_TASK MEMORY_MB MINUTES GPUS SCRIPT
# Prints the number of the job, as qsub does.
set -euo pipefail
queue=$1 tasks=$2 cores=$3 memory=$4 minutes=$5 gpus=$6 script=$7
mkdir -p .snakemake/pbs
select="select=1:ncpus=$((tasks * cores)):mpiprocs=$tasks:mem=${memory}mb"
if [ "$gpus" -gt 0 ]; then select+=":ngpus=$gpus"; fi
# -V: the job sees the environment of Snakemake; walltime counts in seconds.
exec qsub -V -N polymorphkd -q "$queue" -l "$select" -l "walltime=$((minutes * 60))" \
    -j oe -o "$PWD/.snakemake/pbs/" "$script"
