#!/usr/bin/env bash
# Repeats the figures of signals and lyrics in the README on songs of the procedural band: trains the
# tiny stages that they need and measures them, and what else there is to measure of them. About two
# hours on two CPU cores. (The ablations are repeated by launch/ablate.py.)
#   bash launch/figures.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-figures}
bash launch/setup.sh train
python=${VENV:-.venv}/bin/python
songs=band:songs=200,seconds=12
train() {  # NAME CONFIG SONGS MORE...
  "$python" launch/train.py --config "configs/$2" --workdir "$out/$1" --config.stage.rate=8000 \
    --config.data.source="$3" --config.data.held_out=0.1 "${@:4}"
}
vqvae() {  # NAME SONGS MORE...
  train "$1" vqvae.py:tiny "$2" --config.model.downs="(7,)" --config.model.strides="(2,)" \
    --config.model.multipliers="(1,)" --config.model.width=32 --config.model.code_width=32 "${@:3}"
}
prior() {  # NAME SIZE SONGS VQVAE MORE...
  train "$1" "prior.py:$2" "$3" --config.stage.vqvae="$out/$4" --config.stage.level=0 \
    --config.signals.timing.rate=8000 "${@:5}"
}

vqvae vqvae "$songs" --config.model.bins=256 --config.run.steps=500 --config.optimizer.decay=150
prior signals tiny_signals "$songs" vqvae --config.model.bins=256 --config.run.steps=400 \
  --config.optimizer.decay=150 --config.signals.dynamics.rate=8000 \
  --config.signals.tempo.rate=8000 --config.signals.activity.rate=8000
"$python" launch/evaluate.py --vqvae "$out/vqvae" --priors "$out/signals" \
  --measures reconstruction,bits,samples,labels,signals \
  --json "$out/signals.json" --page "$out/signals.html"

vqvae vqvae_voice "$songs,singer=8" --config.run.steps=300 --config.optimizer.decay=100
prior lyrics tiny_lyrics "$songs,singer=8" vqvae_voice --config.run.steps=2200 \
  --config.model.layout="((('dense','memory'),3),)" --config.signals.lyrics.rate=8000 \
  --config.signals.lyrics.layout="((('dense',),2),)" --config.optimizer.decay=500 \
  --config.optimizer.warmup=50 --config.optimizer.average_decay=0.99
"$python" launch/align.py --vqvae "$out/vqvae_voice" --prior "$out/lyrics"
"$python" launch/evaluate.py --vqvae "$out/vqvae_voice" --priors "$out/lyrics" \
  --measures reconstruction,bits,samples,labels,alignment,lyrics \
  --json "$out/lyrics.json" --page "$out/lyrics.html"
