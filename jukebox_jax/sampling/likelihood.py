"""How well a prior predicts codes that there are: bits a code, under any labels.

Windows lie as in sampling, and each code counts once, in the first window that holds it. What is
compared with what is known elsewhere.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.sampling import conditions, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import DEFAULTS, Settings


def bits(
    jukebox: Jukebox,
    level: int,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    settings: Settings = DEFAULTS,
) -> np.ndarray:
    """The mean cross-entropy of each recording's codes at one level, in bits a code.

    Args:
      jukebox: the stages; the prior of that level is used.
      level: which one.
      songs: one a recording; their labels are what the prior is conditioned on.
      codes: of all levels, finest first, i32[songs, length], complete at that level and above.
      settings: as in sampling; hop_fraction, batch and allow_unknown are read.

    Returns:
      f64[songs].

    Raises:
      LabelError: a label that the prior cannot take.
      ValueError: the level has no prior, or its codes are not complete.
    """
    stage = jukebox.priors[level] if level < len(jukebox.priors) else None
    if stage is None:
        raise ValueError(f"level {level} has no prior: load it")
    music = np.asarray(codes[level])
    if not music.size or (music == plans.UNKNOWN).any():
        raise ValueError(f"the codes of level {level} are not complete: sample them first")
    step, plan = plans.laid_out(jukebox, level, songs, music.shape[1], settings)
    params = jax.device_put(stage.weights)
    total = np.zeros(len(songs))
    for group in windows.groups([0] * len(songs), settings.batch):
        rows, counted = np.array(group), 0
        for start in windows.starts(step.total, step.context, step.hop):
            conditioned = conditions.conditioned(
                step, stage, params, songs, plan, codes, rows, start, settings.allow_unknown
            )
            length = min(step.context, step.total - start)
            window = np.zeros((len(rows), step.context), np.int32)
            window[:, :length] = music[rows, start : start + length]
            found = np.asarray(_bits(stage.model, params, window, conditioned))
            total[rows] = total[rows] + found[:, counted - start : length].sum(axis=1)
            counted = start + length
    return total / step.total


@functools.partial(jax.jit, static_argnames="model")
def _bits(model: Any, params: Any, codes: jax.Array, conditioned: Any) -> jax.Array:
    """Bits of each code, f32[batch, context]."""
    logits = prior.logits(model, params, codes, conditioned)[..., -model.bins :]
    found = jnp.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
    return (jax.nn.logsumexp(logits, axis=-1) - found) / jnp.log(2.0)
