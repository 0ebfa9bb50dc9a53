"""What other types of weights cost: bytes held, and bits a code on given sound.

The same windows of codes are read by a prior as it was saved and with its weights held in other
types. Nothing is sampled: cross-entropy tells of differences that the ear needs hours for.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax import models
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.conditioning import Codes
from jukebox_jax.vqvae import vqvae

_bits = jax.jit(prior.bits, static_argnames="model")


def compare(
    jukebox: Jukebox,
    level: int,
    sounds: Iterable[tuple[np.ndarray, Mapping[str, Any]]],
    types: Sequence[str] = ("float32", "bfloat16", "int8"),
) -> dict[str, tuple[int, float]]:
    """Bytes of weights, and bits a code on the first window of each sound, by type.

    Args:
      jukebox: the stages, weights as they were saved.
      level: whose prior.
      sounds: (f32[samples, 1], labels) of each; one that is shorter than a window does not count.
      types: see `models.held_as`.

    Returns:
      For each type (bytes, bits a code).

    Raises:
      ValueError: no prior of that level, an unknown type, or no sound that is long enough.
    """
    stage = jukebox.priors[level] if 0 <= level < len(jukebox.priors) else None
    if stage is None:
        raise ValueError(f"no prior of level {level} is loaded")
    held = {name: models.held_as(stage, name) for name in types}
    windows = [_window(jukebox, level, *sound) for sound in sounds]
    read = [window for window in windows if window is not None]
    if not read:
        least = stage.model.context * jukebox.hops[level] / jukebox.rate
        raise ValueError(f"no sound fills a window of level {level}: give some of {least:.2f} s")
    found = {}
    for name, one in held.items():
        params = jax.device_put(prior.unstack(one.model, one.weights))
        compute = functools.partial(_bits, one.model, params)
        bits = float(np.mean([float(compute(*window)) for window in read]))
        found[name] = sum(leaf.nbytes for leaf in jax.tree.leaves(params)), bits
        del params, compute
    return found


def _window(
    jukebox: Jukebox, level: int, audio: np.ndarray, labels: Mapping[str, Any]
) -> tuple[Any, Any, Any] | None:
    """Codes, labels and codes above of a sound's first window, with the axis of songs."""
    stage, hop = jukebox.priors[level], jukebox.hops[level]
    assert stage is not None
    context = stage.model.context
    length = context * hop + -(context * hop) % jukebox.hops[-1]
    if len(audio) < length:
        return None
    signal = next((one for _, one in stage.model.signals if isinstance(one, Codes)), None)
    levels = (level, level + 1) if signal else (level,)
    vq = jukebox.vqvae
    codes = vqvae.encode_long(vq.model, vq.weights, audio[None, :length], levels=levels)
    described = conditioning.encode(
        stage.model.signals,
        stage.vocabularies,
        Song("", len(audio), labels, jukebox.rate),
        Span(0, context * hop, len(audio)),
        context,
        allow_unknown=True,
        rate=jukebox.rate,
    )
    above = codes[1][:, : context // signal.factor] if signal else None
    return codes[0][:, :context], {name: one[None] for name, one in described.items()}, above
