#!/usr/bin/env bash
# Submit one job to PBS Pro or OpenPBS: submit.sh QUEUE CORES MEMORY_MB MINUTES GPUS SCRIPT
# Prints the number of the job, as qsub does.
set -euo pipefail
queue=$1 cores=$2 memory=$3 minutes=$4 gpus=$5 script=$6
mkdir -p .snakemake/pbs
select="select=1:ncpus=$cores:mem=${memory}mb"
if [ "$gpus" -gt 0 ]; then select+=":ngpus=$gpus"; fi
# -V: the job sees the environment of Snakemake; walltime counts in seconds.
exec qsub -V -N polymorphkd -q "$queue" -l "$select" -l "walltime=$((minutes * 60))" \
    -j oe -o "$PWD/.snakemake/pbs/" "$script"
