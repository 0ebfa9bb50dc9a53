#!/usr/bin/env bash
# Trains the small model in jukebox_jax/shipped again, from nothing: songs of the procedural band,
# the VQ-VAE, their codes, the priors of both levels, and what is published of them.
#   bash launch/shipped.sh OUT
# Two to three hours on two quiet CPU cores. Run it again and it goes on where it stopped; OUT/published then
# holds what jukebox_jax/shipped holds.
set -euo pipefail
out=$(realpath -m "${1:?give the folder in which to train}")
cd "$(dirname "$0")/.."
bash launch/setup.sh train
python="${VENV:-.venv}/bin/python"
learnt="band:songs=192,seconds=40"  # by the VQ-VAE
songs="band:songs=576,seconds=40"
"$python" launch/train.py --config configs/vqvae.py:band --workdir "$out/vqvae"
"$python" launch/encode.py --vqvae "$out/vqvae" --songs "$songs,rate=16000" --out "$out/codes"
"$python" launch/train.py --config configs/prior.py:band --workdir "$out/level_1" \
  --config.stage.vqvae="$out/vqvae" --config.data.source="$out/codes"
"$python" launch/train.py --config configs/upsampler.py:band,level=0 --workdir "$out/level_0" \
  --config.stage.vqvae="$out/vqvae" --config.data.source="$out/codes"
for stage in vqvae level_1 level_0; do
  [ "$stage" = vqvae ] && source="$learnt" || source="$songs"
  [ -e "$out/published/$stage/config.json" ] || "$python" launch/publish.py "$out/$stage" \
    --out "$out/published/$stage" --notes jukebox_jax/shipped/NOTES.md --source "$source"
done
