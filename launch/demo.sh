#!/usr/bin/env bash
# From songs to a new song on one small machine: sets everything up, trains every stage of a tiny
# three-level model, and samples new songs. At most twelve minutes on two cores.
#   bash launch/demo.sh [--songs DIR] [--out DIR]
# Without --songs a procedural band composes the songs. Run it again and it goes on where it stopped.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
songs="" out="$here/demo"
while [ $# -gt 0 ]; do
  case "$1" in
    --songs) songs=$(realpath "${2:?--songs needs a folder}"); shift 2 ;;
    --out) out=$(realpath -m "${2:?--out needs a folder}"); shift 2 ;;
    -h | --help) sed -n '2,6p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown argument $1 (known: --songs DIR, --out DIR)" >&2; exit 2 ;;
  esac
done
if [ -n "$songs" ] && [ ! -e "$songs" ]; then
  echo "demo.sh: there is no folder $songs" >&2
  exit 2
fi
cd "$here"
bash launch/setup.sh train
exec "${VENV:-.venv}/bin/python" launch/demo.py --out "$out" ${songs:+--songs "$songs"}
