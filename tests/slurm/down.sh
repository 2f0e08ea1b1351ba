#!/usr/bin/env bash
# End the Slurm that tests/slurm/up.sh started in FOLDER: tests/slurm/down.sh FOLDER
folder=$1
export SLURM_CONF=$folder/slurm.conf
timeout 5 scancel --user root 2>/dev/null
for daemon in slurmd slurmctld munged; do
    file=$folder/run/$daemon.pid
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null
    for _ in $(seq 40); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.25
    done
    kill -9 "$pid" 2>/dev/null
    rm -f "$file"
done
for name in slurm.conf gres.conf cgroup.conf; do
    if [ "$(readlink "/etc/slurm/$name")" = "$folder/$name" ]; then rm -f "/etc/slurm/$name"; fi
done
