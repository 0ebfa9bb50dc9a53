#!/usr/bin/env bash
# Makes .venv with the project and the extras given, pinned by launch/constraints.txt.
#   bash launch/setup.sh [EXTRAS]      for example: bash launch/setup.sh train; "" to sample only
# PYTHON chooses the interpreter (3.11 to 3.13), VENV the folder. Does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1-train}
venv=${VENV:-.venv}
python=${PYTHON:-python3}

"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"Python {sys.version.split()[0]} at {sys.executable}: 3.11 to 3.13 is needed; set PYTHON=/path/to/python3.11")
PY
stamp="[$extras] $(cat pyproject.toml launch/constraints.txt | cksum) $("$python" -V 2>&1)"
if [ -x "$venv/bin/python" ] && grep -qxF "$stamp" "$venv/.jukebox_jax" 2>/dev/null; then
  exit 0
fi
echo "Setting up $venv with [$extras]: one to three minutes, 1 to 3 GB ..."
# Debian's python has no ensurepip and refuses system installs: a venv without pip, filled from outside, needs neither.
[ -x "$venv/bin/python" ] || "$python" -m venv --without-pip "$venv"
if ! "$python" -m pip --version >/dev/null 2>&1; then
  echo "pip is missing for $python: apt-get install python3-pip" >&2
  exit 1
fi
"$python" -m pip --python "$venv/bin/python" install --quiet --no-warn-script-location \
  -c launch/constraints.txt -e ".${extras:+[$extras]}"
echo "$stamp" >> "$venv/.jukebox_jax"
