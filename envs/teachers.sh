#!/usr/bin/env bash
# Build the optional environment of the teachers dpa, mace-deepmd and nequip:
#   envs/teachers.sh PYTHON FOLDER
# Plain pip and PyPI only, about 5 GB with the CUDA build of PyTorch. On a machine without a GPU,
# point PIP_EXTRA_INDEX_URL to PyTorch's CPU wheels to save most of it.
set -euo pipefail
python=$1 folder=$2
command -v "$python" >/dev/null || {
    echo "make env-teachers: $python is missing; install Python 3.11 or name it by PYTHON=..." >&2
    exit 1
}
log=$folder/build.log
echo "building $folder from requirements-teachers.txt (about 5 GB; some minutes) ..."
"$python" -m venv "$folder"
install() {
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" \
        >>"$log" 2>&1 || {
        tail -n 25 "$log" >&2
        echo "make env-teachers: failed; see $log" >&2
        exit 1
    }
}
install --requirement requirements-teachers.txt
install --no-deps deepmd-gnn==0.2.0
"$folder/bin/python" -m pip check --quiet --disable-pip-version-check
echo "done; set teacher.kind to dpa, mace-deepmd or nequip"
