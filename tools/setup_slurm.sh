#!/bin/sh
# Installs Slurm and munge for tests/slurm, as root on Debian and Ubuntu; elsewhere it says so and is no error: the
# tests are skipped then. Nothing is configured or started: the tests bring a cluster of their own.
set -eu
missing=""
for name in slurmctld slurmd munged sbatch; do
    PATH="$PATH:/usr/sbin" command -v "$name" >/dev/null 2>&1 || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "setup-slurm: missing$missing; only root on Debian or Ubuntu can install them: tests/slurm will be skipped"
    exit 0
fi
log=$(mktemp)
echo "setup-slurm: installing slurm-wlm and munge"
apt-get update >"$log" 2>&1 </dev/null || true
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge >>"$log" 2>&1 </dev/null || {
    tail -n 5 "$log" >&2
    echo "setup-slurm: not installed: tests/slurm will be skipped"
}
rm -f "$log"
