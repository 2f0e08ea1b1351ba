#!/usr/bin/env bash
# Snakemake runs this once after it has made the environment of label.yaml.
set -euo pipefail
config=$(mktemp --suffix=.py)
trap 'rm -f "$config"' EXIT
cat > "$config" <<'PY'
mpi = False
noblas = True
nolibxc = True
libraries = []
compiler = "g++"
PY
GPAW_CONFIG=$config pip install gpaw==26.7.0 gpaw-data==1.2.1
