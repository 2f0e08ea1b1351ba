#!/usr/bin/env bash
# Install Slurm for tests/slurm where that can be done: as root, with apt-get, in bounded time.
# Ends with 0 where Slurm is there afterwards, else with 1 and a line that says why it is not.
set -u
programs=(slurmctld slurmd munged sbatch)
limit=${SLURM_INSTALL_SECONDS:-300}

missing() {
    local name
    for name in "${programs[@]}"; do command -v "$name" >/dev/null || echo "$name"; done
}
refuse() {
    echo "Slurm is not installed and cannot be: $1" >&2
    exit 1
}
apt() {
    timeout --kill-after=10 "$limit" apt-get -qq -o DPkg::Lock::Timeout=60 \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@" \
        >"$log" 2>&1
    local status=$?
    if [ $status = 124 ] || [ $status = 137 ]; then echo "not done after $limit s" >>"$log"; fi
    return $status
}

[ -z "$(missing)" ] && exit 0
[ "$(id -u)" = 0 ] || refuse "this is not root"
command -v apt-get >/dev/null || refuse "there is no apt-get here"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# Packages must not start the daemons they bring: the tests start and end their own.
policy=${SLURM_POLICY_FILE:-/usr/sbin/policy-rc.d}
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f "$policy" "$log"' EXIT
else
    trap 'rm -f "$log"' EXIT
fi
echo "installing slurm-wlm and munge for the tests on a real Slurm (at most $limit s a step)"
packages=(--no-install-recommends slurm-wlm munge)
# What may hang is the network; a started installation is not cut off by it.
apt update || refuse "apt-get update: $(tail -n 1 "$log")"
apt install --yes --download-only "${packages[@]}" || refuse "download: $(tail -n 1 "$log")"
apt install --yes "${packages[@]}" || refuse "apt-get install: $(tail -n 1 "$log")"
[ -z "$(missing)" ] || refuse "the packages brought no $(echo $(missing))"
