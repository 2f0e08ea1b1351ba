#!/usr/bin/env bash
# State of a PBS job for Snakemake: running, success or failed.
# Needs the server's job history (qmgr: set server job_history_enable = True).
if ! answer=$(qstat -x -f "$1" 2>&1); then
    # A server that does not answer says nothing about the job.
    case $answer in *"Unknown Job"*) echo failed ;; *) echo running ;; esac
    exit 0
fi
state=$(sed -n 's/^ *job_state = //p' <<<"$answer")
status=$(sed -n 's/^ *[Ee]xit_status = //p' <<<"$answer")
case "$state $status" in
    "F 0" | "C 0") echo success ;;
    F* | C* | X*) echo failed ;;
    *) echo running ;;
esac
