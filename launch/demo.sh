#!/usr/bin/env bash
# From a fresh clone to new songs on one small machine: sets everything up, and samples two songs
# with the small model that comes with the project, whose first sound is there within two minutes.
#   bash launch/demo.sh [--out DIR]
#   bash launch/demo.sh --train [--songs DIR] [--out DIR]
# --train trains every stage of a tiny three-level model first, on the songs of a procedural band or
# of DIR: about ten minutes on two cores. Run it again and it goes on where it stopped.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
songs="" out="$here/demo" train=""
while [ $# -gt 0 ]; do
  case "$1" in
    --train) train=yes; shift ;;
    --songs) songs=$(realpath "${2:?--songs needs a folder}") train=yes; shift 2 ;;
    --out) out=$(realpath -m "${2:?--out needs a folder}"); shift 2 ;;
    -h | --help) sed -n '2,7p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown argument $1 (known: --train, --songs DIR, --out DIR)" >&2; exit 2 ;;
  esac
done
if [ -n "$songs" ] && [ ! -e "$songs" ]; then
  echo "demo.sh: there is no folder $songs" >&2
  exit 2
fi
cd "$here"
if [ -n "$train" ]; then
  bash launch/setup.sh train
  exec "${VENV:-.venv}/bin/python" launch/demo.py --train --out "$out" ${songs:+--songs "$songs"}
fi
began=$(date +%s)
bash launch/setup.sh ""
exec "${VENV:-.venv}/bin/python" launch/demo.py --out "$out" --began "$began"
