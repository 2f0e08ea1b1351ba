#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: tests/slurm/up.sh FOLDER
# Everything lies in FOLDER, but for links in /etc/slurm.  No systemd, cgroups or database.
# Needs root and Debian's slurm-wlm and munge.  tests/slurm/down.sh FOLDER ends it.
set -euo pipefail
folder=$1
node=$(hostname -s)
mkdir -p "$folder"/{state,spool,log,run}
chmod 755 "$folder" "$folder/run"
[ -s "$folder/munge.key" ] || (umask 077; head -c 128 /dev/urandom >"$folder/munge.key")
cat >"$folder/slurm.conf" <<CONF
# Written by tests/slurm/up.sh
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-16917}
SlurmdPort=${SLURMD_PORT:-16918}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.sock
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Without cgroups the memory of a job is measured every two seconds.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobs.txt
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# The node may claim more cores and memory than the machine has: test jobs mostly sleep.
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=7200
SlurmctldTimeout=60
SlurmdTimeout=60
KillWait=5
InactiveLimit=0
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=2
DefMemPerCPU=512
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=${SLURM_FAKE_CPUS:-8} RealMemory=24000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=$node Default=YES MaxTime=7-0 DefaultTime=00:10:00 State=UP
PartitionName=gpu Nodes=$node MaxTime=7-0 DefaultTime=00:10:00 State=UP
CONF
echo "NodeName=$node Name=gpu File=/dev/tty[0-1]" >"$folder/gres.conf"
echo "CgroupAutomount=no" >"$folder/cgroup.conf"
# Snakemake's plugin drops SLURM_CONF inside jobs: the default path must lead here, too.
mkdir -p /etc/slurm
for name in slurm.conf gres.conf cgroup.conf; do
    if [ -e "/etc/slurm/$name" ] && [ ! -L "/etc/slurm/$name" ]; then
        echo "/etc/slurm/$name: this machine has a Slurm of its own" >&2
        exit 1
    fi
    ln -sfn "$folder/$name" "/etc/slurm/$name"
done
export SLURM_CONF=$folder/slurm.conf
munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.sock" \
    --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" \
    --seed-file="$folder/run/munge.seed"
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF" -N "$node"
for _ in $(seq 20); do
    if timeout 2 sinfo --noheader --format=%T 2>/dev/null | grep -qE 'idle|mixed|alloc'; then exit 0; fi
    sleep 0.5
done
echo "Slurm did not come up:" >&2
grep -hE "error|fatal" "$folder"/log/*.log | tail -n 3 >&2
exit 1
