"""Sounds as vectors whose distributions can be compared: of codes, of a prior, or a user's own."""

import os
from collections.abc import Iterable, Sequence

import numpy as np

from jukebox_jax.analysis import features
from jukebox_jax.models import Jukebox
from jukebox_jax.vqvae import vqvae

SECONDS = 1.0
"""Of a sound that a vector stands for."""


def of_codes(jukebox: Jukebox, sounds: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Mean and deviation of the top level's code vectors, over each second.

    Args:
      jukebox: the stages; the VQ-VAE is used.
      sounds: f32[samples, 1] each, of a second at least.

    Returns:
      For each sound f64[seconds, 2 * code_width].
    """
    codec, level, hop = jukebox.vqvae, len(jukebox.hops) - 1, jukebox.hops[-1]
    vectors = np.asarray(codec.weights.codebooks[level].codes, np.float64)
    size = max(1, round(SECONDS * jukebox.rate / hop))
    found = []
    for sound in sounds:
        length = len(sound) - len(sound) % hop
        (codes,) = vqvae.encode_long(
            codec.model, codec.weights, sound[None, :length], levels=(level,)
        )
        count = max(1, codes.shape[1] // size)
        seconds = vectors[codes[0, : count * size]].reshape(count, -1, vectors.shape[1])
        found.append(np.concatenate([seconds.mean(axis=1), seconds.std(axis=1)], axis=1))
    return found


def of_prior(jukebox: Jukebox, sounds: Iterable[np.ndarray]) -> list[np.ndarray]:
    """What the middle layer of the highest prior makes of each second, knowing no labels.

    Args:
      jukebox: the stages.
      sounds: f32[samples, 1] each.

    Returns:
      For each sound f64[seconds, width].

    Raises:
      ValueError: there is no prior.
    """
    plan = features.prepare(jukebox, pool=SECONDS)
    found = []
    for one in features.stream(plan, ((sound, None) for sound in sounds)):
        (rows,) = one.values()
        found.append(np.asarray(rows, np.float64))
    return found


def load(path: str | os.PathLike) -> list[np.ndarray]:
    """Vectors of a file: those of `launch/features.py`, or one array of any name.

    Args:
      path: an NPZ file. Of several layers the first is taken; `rows`, where it is there, says
        how many rows each song has.

    Returns:
      For each song f64[rows, width].

    Raises:
      ValueError: it cannot be read, or holds no array [rows, width].
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: is no file of features ({str(error).splitlines()[0]})") from None
    flat = [name for name, array in held.items() if array.ndim == 2 and array.dtype.kind == "f"]
    if not flat:
        raise ValueError(f"{path}: holds no array [rows, width] among {', '.join(held) or 'none'}")
    array = np.asarray(held[flat[0]], np.float64)
    rows = held.get("rows")
    if rows is None or int(np.sum(rows)) != len(array):
        return list(array[:, None])
    return np.split(array, np.cumsum(rows)[:-1])


def count(songs: Sequence[np.ndarray]) -> int:
    """How many vectors songs have together."""
    return sum(len(one) for one in songs)
