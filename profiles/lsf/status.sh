#!/usr/bin/env bash
# State of an LSF job for Snakemake: running, success or failed.
if ! state=$(bjobs -noheader -o stat "$1" 2>/dev/null); then
    # A server that does not answer says nothing about the job.
    echo running
    exit 0
fi
case $state in
    DONE) echo success ;;
    EXIT | ZOMBI | "") echo failed ;;
    *) echo running ;;
esac
