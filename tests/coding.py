"""Songs, a VQ-VAE that nobody trained, and their codes: what tests of codes share."""

import pathlib

import jax
import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.audio import song, wave
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE

RATE = 8000
ONE = jax.devices()[:1]
MODEL = VQVAE(
    downs=(2, 1), strides=(2, 2), multipliers=(1, 1), bins=16, code_width=4, width=4, depth=1
)


def sound(samples: int, seed: int, channels: int = 1) -> np.ndarray:
    """f32[samples, channels] of a few tones and a little noise."""
    rng, seconds = np.random.default_rng(seed), np.arange(samples) / RATE
    tones = [np.sin(2 * np.pi * pitch * seconds) for pitch in rng.uniform(60, 1500, 3)]
    noise = 0.05 * rng.standard_normal((samples, channels))
    return (0.2 * sum(tones)[:, None] + noise).astype(np.float32)


def songs(folder: pathlib.Path, lengths: list[int], **labels) -> pathlib.Path:
    """A folder of songs of these lengths, every other one in stereo."""
    rows = []
    for number, samples in enumerate(lengths):
        wave.save(folder / f"{number}.flac", sound(samples, number, 1 + number % 2), RATE)
        lyrics = [[0.0, "la"], [0.25, f"la {number}"]]
        known = {"artist": "AB"[number % 2], "genre": "x,y", "lyrics": lyrics, **labels}
        rows.append({"path": f"{number}.flac", **known})
    song.manifest.write(folder / "manifest.jsonl", rows)
    return folder


def stage(folder: pathlib.Path, seed: int = 0) -> pathlib.Path:
    """The stage of a VQ-VAE whose parameters are random and whose codebooks fit some sound."""
    key = jax.random.key(seed)
    params = vqvae.init(MODEL, key)
    books = vqvae.start(MODEL, params, np.stack([sound(4096, n) for n in range(90, 94)]), key)
    model = {
        "downs": [2, 1],
        "strides": [2, 2],
        "multipliers": [1, 1],
        "bins": 16,
        "code_width": 4,
        "width": 4,
        "depth": 1,
    }
    config = {"stage": {"kind": "vqvae", "rate": RATE}, "model": model}
    parts = {"params": jax.device_get(params), "codebooks": jax.device_get(books)}
    checkpoint.save_stage(folder, config, parts)
    return folder
