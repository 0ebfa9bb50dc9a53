"""What codes cost under their prior: bits a code, by the windows of the exact sampler.

It is how surprised the prior is by a recording, whoever made it, and so what sampling out of order
has spoilt: codes behind a seam cost more than others. Codes are read, never drawn.
"""

import logging
from collections.abc import Sequence

import jax
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.sampling import conditions, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import DEFAULTS, Level, Settings

log = logging.getLogger(__name__)


def bits(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    level: int,
    *,
    settings: Settings = DEFAULTS,
) -> np.ndarray:
    """The bits of each code of one level, given those before it in its window.

    Args:
      jukebox: the stages.
      songs: what was asked for.
      codes: of all levels, finest first, as in `compose.Recording`; the level and the one above
        it are read. Of a recording that is shorter than a window, where there is one above, give
        what lies behind it too.
      level: whose codes.
      settings: as in sampling; hop_fraction, batch and allow_unknown are read.

    Returns:
      f32[songs, length]. Neither temperature nor filters nor guidance count.

    Raises:
      ValueError: the level has no prior, or codes are missing.
    """
    if level >= len(jukebox.priors) or jukebox.priors[level] is None:
        raise ValueError(f"level {level} has no prior to tell what its codes cost")
    step, plan = plans.laid_out(jukebox, level, songs, codes[level].shape[1], settings)
    return of_plan(jukebox, songs, plan, step, codes, settings)


def tell(
    jukebox: Jukebox,
    songs: Sequence[Song],
    plan: Plan,
    step: Level,
    codes: Sequence[np.ndarray],
    settings: Settings,
) -> None:
    """Logs what pieces of a level that were sampled side by side cost, where there were any."""
    behind = behind_seams(step)
    if not behind.any():
        return
    cost = of_plan(jukebox, songs, plan, step, codes, settings)
    log.warning(
        "level %d is approximate, in %d pieces: %.3f bits a code under the exact windows, %.3f "
        "just behind seams and %.3f elsewhere",
        step.level,
        step.pieces,
        cost.mean(),
        cost[:, behind].mean(),
        cost[:, ~behind].mean(),
    )


def of_plan(
    jukebox: Jukebox,
    songs: Sequence[Song],
    plan: Plan,
    step: Level,
    held: Sequence[np.ndarray],
    settings: Settings,
) -> np.ndarray:
    """As `bits`, of a recording that is laid out already.

    Args:
      jukebox: the stages.
      songs: all of the recording.
      plan: where they stand in time.
      step: the level.
      held: i32[songs, length] of all levels, finest first.
      settings: as in `bits`.

    Raises:
      ValueError: codes are missing.
    """
    stage, codes = jukebox.priors[step.level], held[step.level]
    assert stage is not None  # the level was chosen for it
    count = step.total // step.factor if step.factor else 0
    short = step.factor and (
        step.total < step.context
        or held[step.level + 1].shape[1] < count
        or (held[step.level + 1][:, :count] == plans.UNKNOWN).any()
    )
    if short or not codes.size or (codes == plans.UNKNOWN).any():
        raise ValueError(
            f"the codes of level {step.level}, or those above, are not complete: sample them first"
        )
    params = jax.device_put(stage.weights)
    found = np.zeros(codes.shape, np.float32)
    for group in windows.groups([0] * len(songs), settings.batch):
        rows = np.array(group)
        for window in windows.windows(step.total, step.context, step.hop):
            conditioning = conditions.conditioned(
                step,
                stage,
                params,
                songs,
                plan,
                held,
                rows,
                window.start,
                settings.allow_unknown,
            )
            read = np.zeros((len(rows), step.context), np.int32)
            read[:, : window.until] = codes[rows, window.start : window.start + window.until]
            cost = np.asarray(_bits(stage.model, params, read, conditioning))
            new = slice(window.start + window.known, window.start + window.until)
            found[rows, new] = cost[:, window.known : window.until]
    return found


def behind_seams(step: Level) -> np.ndarray:
    """Which codes stand in the first eighth of a window behind a seam, bool[step.total].

    Seams are where the pieces begin that an approximate sampler cuts a level into.
    """
    found = np.zeros(step.total, bool)
    laid = windows.lanes(
        step.total,
        step.context,
        step.hop,
        pieces=step.pieces,
        overlap=step.overlap,
    )
    for lane in laid[1:]:
        found[lane.kept : lane.kept + max(step.context // 8, 1)] = True
    return found


_bits = jax.jit(prior.bits_of_each, static_argnames="model")
