"""What windows of one level are conditioned on, embedded: labels of their place, codes above.

Songs side by side may stand at different places. For guidance the same windows follow a second
time, without their labels. Nothing here knows how codes are drawn.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Stage
from jukebox_jax.prior import conditioning, mixture, prior
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import Level

_condition = jax.jit(prior.condition, static_argnames="model")


def conditioned(
    step: Level,
    stage: Stage,
    params: Any,
    songs: Sequence[Song],
    plan: Plan,
    held: Sequence[np.ndarray],
    rows: Sequence[int] | np.ndarray,
    starts: int | Sequence[int] | np.ndarray,
    allow_unknown: bool = False,
    *,
    guided: bool = False,
    guide_lyrics: bool = False,
) -> Conditioning:
    """What windows of one level are conditioned on, embedded.

    Args:
      step: the level.
      stage: its prior.
      params: the prior's parameters.
      songs: all of a recording.
      plan: where they stand in time.
      held: the codes of all levels, finest first; those above are read.
      rows: the songs that are sampled side by side.
      starts: the first code of each one's window, or of all.
      allow_unknown: see `Settings`.
      guided: the same windows follow once more without labels, 2 * batch in all.
      guide_lyrics: and without lyrics.
    """
    places = np.broadcast_to(np.asarray(starts), (len(rows),)).tolist()
    labels = [
        plans.labels(plan, step, stage, songs, int(row), start, allow_unknown)
        for row, start in zip(rows, places, strict=True)
    ]
    batched = {name: mixture.stack([one[name] for one in labels]) for name in labels[0]}
    above = None
    if step.factor:
        count = step.context // step.factor
        firsts = [start // step.factor for start in places]
        codes = held[step.level + 1]
        above = np.stack(
            [codes[row, first : first + count] for row, first in zip(rows, firsts, strict=True)]
        )
    if guided:
        bare = conditioning.without(stage.model.signals, batched, guide_lyrics)
        batched = jax.tree.map(lambda *both: np.concatenate(both), batched, bare)
        above = None if above is None else np.tile(above, (2, 1))
    return _condition(stage.model, params, batched, above)
