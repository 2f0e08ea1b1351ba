#!/usr/bin/env bash
# Submit one job to LSF:
#   submit.sh QUEUE TASKS CORES_PER_TASK MEMORY_MB MINUTES GPUS SCRIPT
# Prints the number of the job alone.
set -euo pipefail
queue=$1 cores=$(($2 * $3)) memory=$4 minutes=$5 gpus=$6 script=$7
mkdir -p .snakemake/lsf
options=(-J polymorphkd -q "$queue" -n "$cores" -R "span[hosts=1]" -M "${memory}MB" -W "$minutes")
if [ "$gpus" -gt 0 ]; then options+=(-gpu "num=$gpus"); fi
bsub "${options[@]}" -o "$PWD/.snakemake/lsf/%J.log" "$script" |
    sed -n 's/^Job <\([0-9]*\)>.*/\1/p'
