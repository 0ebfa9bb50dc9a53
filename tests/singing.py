"""A tiny VQ-VAE and a top prior that reads lyrics, with random parameters, and songs to go with."""

import functools
import pathlib
from typing import Any

import jax
import numpy as np

from jukebox_jax import checkpoint, models
from jukebox_jax.audio import manifest, wave
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook

RATE, HOP, CONTEXT = 4000, 16, 32
TEXTS = ("la le la", "ole lale", "al el o", "lo la lo")
SECONDS = 0.25  # of a song: two windows
VQVAE = {
    "stage": {"kind": "vqvae", "rate": RATE},
    "model": {"downs": [4], "strides": [2], "multipliers": [1], "bins": 8, "code_width": 4}
    | {"width": 4, "depth": 1},
}
PRIOR = {
    "stage": {"kind": "prior", "rate": RATE, "level": 0, "vqvae": ""},
    "model": {"context": CONTEXT, "block": 8, "bins": 8, "width": 16, "heads": 2}
    | {"layout": [[["memory", "row"], 1]]},
    "signals": {
        "lyrics": {"kind": "lyrics", "tokens": 8, "size": 12, "width": 8, "block": 4, "rate": RATE}
        | {"layout": [[["row"], 1]]}
    },
}
JOINT = {  # lyrics in one sequence and one vocabulary with the codes
    **PRIOR,
    "model": {**PRIOR["model"], "layout": [[["prefix", "dense"], 1]]},
    "signals": {"lyrics": {"kind": "lyrics_prefix", "tokens": 8, "size": 12, "rate": RATE}},
}


@functools.cache
def jukebox(joint: bool = False) -> Jukebox:
    """Both stages."""
    config = JOINT if joint else PRIOR
    codec, model = models.build(VQVAE), models.build(config)
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(8, 4)).astype(np.float32)
    books = (Codebook(codes, codes, np.ones(8, np.float32)),)
    weights = vqvae.Weights(_random(vqvae.abstract(codec)), books)
    words = {"lyrics": Alphabet.build(TEXTS, most=11)}
    return Jukebox(
        Stage(codec, weights, VQVAE),
        (Stage(model, _random(prior.abstract(model)), config, words),),
    )


def save(folder: pathlib.Path, joint: bool = False) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes both as directories of stages."""
    box = jukebox(joint)
    parts = {"params": box.vqvae.weights.params, "codebooks": box.vqvae.weights.codebooks}
    checkpoint.save_stage(folder / "vqvae", VQVAE, parts)
    (top,) = box.priors
    assert top is not None
    names = {name: words.to_json() for name, words in top.vocabularies.items()}
    checkpoint.save_stage(folder / "prior", top.config, {"params": top.weights}, names)
    return folder / "vqvae", folder / "prior"


def songs(folder: pathlib.Path) -> pathlib.Path:
    """Writes songs of noise with lyrics, each character of which has a time."""
    rng, rows = np.random.default_rng(1), []
    for number, text in enumerate(TEXTS):
        wave.save(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, int(SECONDS * RATE)), RATE)
        times = [[SECONDS * place / len(text), one] for place, one in enumerate(text)]
        rows.append({"path": f"{number}.wav", "lyrics": text, "lyrics_times": times})
    manifest.write(folder / "manifest.jsonl", rows)
    return folder


def _random(shapes: Any) -> Any:
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), shapes)
