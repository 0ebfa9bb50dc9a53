#!/usr/bin/env bash
# Sets everything up and runs all checks and tests. Arguments go to pytest: bash launch/test.sh tests/test_prior.py -k cache
set -euo pipefail
cd "$(dirname "$0")/.."
bash launch/setup.sh dev
bin=${VENV:-.venv}/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/python" -m pytest -q -n "${WORKERS:-2}" --dist loadfile --no-loadscope-reorder \
  --max-worker-restart 0 "$@"
