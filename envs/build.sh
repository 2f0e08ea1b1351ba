#!/usr/bin/env bash
# Build the virtual environment from the lock file: envs/build.sh PYTHON FOLDER
# Plain pip and PyPI only. PIP_INDEX_URL and PIP_EXTRA_INDEX_URL work as always; on a machine
# without a GPU, point PIP_EXTRA_INDEX_URL to PyTorch's CPU wheels to save several GB.
set -euo pipefail
python=$1 folder=$2
for tool in "$python" g++; do
    command -v "$tool" >/dev/null || {
        echo "make env: $tool is missing; install Python 3.11 (with headers and venv) and g++" >&2
        exit 1
    }
done
"$python" - <<'PY'
import pathlib, sys, sysconfig
if sys.version_info[:2] != (3, 11):
    sys.exit(f"make env: Python 3.11 is needed, this is {sys.version.split()[0]}; "
             "name another with `make env PYTHON=...`")
if not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
    sys.exit("make env: the Python headers are missing (Debian: python3.11-dev); GPAW needs them")
PY
started=$SECONDS
log=$folder/build.log
echo "building $folder from requirements.lock (about 3 GB; some minutes) ..."
"$python" -m venv "$folder"
export GPAW_CONFIG="$PWD/envs/gpaw/siteconfig.py"
install() {
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" \
        >>"$log" 2>&1 || { tail -n 25 "$log" >&2; echo "make env: failed; see $log" >&2; exit 1; }
}
install --requirement requirements.lock
install --no-deps --editable .
"$folder/bin/python" -m pip check --quiet --disable-pip-version-check
echo "done in $((SECONDS - started)) s"
