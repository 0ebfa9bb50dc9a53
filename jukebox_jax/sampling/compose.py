"""Windows into a level, levels into a recording.

Plain Python between compiled calls. Levels go from the top down; each is filled window by window,
each window conditioned on the codes above and on the labels of its own place in the song. Only the
level at work has its weights on the device. Ancestral, primed, continued and upsampled sampling are
one function: they differ in the codes that it starts from.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.sampling import generate, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import DEFAULTS, Level
from jukebox_jax.sampling.settings import Settings as Settings
from jukebox_jax.vqvae import vqvae

log = logging.getLogger(__name__)

_condition = jax.jit(prior.condition, static_argnames="model")


@dataclasses.dataclass(frozen=True)
class Recording:
    """What was sampled, one array a level, finest first.

    Attributes:
      codes: i32[songs, length]; of a level that was not sampled, what was given.
      audio: f32[songs, samples, 1], decoded from that level's codes alone; empty ([songs, 0, 1])
        where the level is not complete.
    """

    codes: tuple[np.ndarray, ...]
    audio: tuple[np.ndarray, ...]


def sample(
    jukebox: Jukebox,
    songs: Sequence[Song],
    seconds: float | None = None,
    *,
    codes: Sequence[Any] | None = None,
    levels: Sequence[int] | None = None,
    settings: Settings = DEFAULTS,
    on_window: Callable[[int, np.ndarray], None] | None = None,
    on_level: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
    progress: bool = True,
) -> Recording:
    """Samples a recording of each song, level by level.

    The codes of a song depend on its labels, its seed and the settings alone: not on the songs
    beside it, on `batch` or on `chunk`, and a recording that was interrupted goes on as if it had
    not been. (In float32: a product of other shape may differ in its last bit, which
    decides between codes whose noise falls within that bit.)

    Args:
      jukebox: the stages.
      songs: one a recording. Of their labels are read what the priors are conditioned on, and
        total_seconds (the whole song's length, by default the recording's end), start_seconds
        (where in the song the recording begins, by default 0) and seed.
      seconds: length of the recording, cut to whole codes of the top level; one code is
        enough. By default as long as the codes that are given. Where a level below the top has
        fewer codes than its prior's context, a full window is sampled and then cut.
      codes: codes that there are already, one i32[songs or 1, length] or None a level, finest
        first. Each level goes on where they end; `plan.UNKNOWN` may fill up what is not known,
        and what lies beyond the recording is left out. See `prime` for those of given sound.
      levels: which levels to sample; by default all from the highest of which codes are given
        (from the top, where none are) down to the first without a prior.
      settings: how codes are drawn.
      on_window: called with a level and its codes so far, i32[songs, length] with
        `plan.UNKNOWN` behind what is known, after each window.
      on_level: called with a level, its codes and its audio as soon as it is complete.
      progress: show a bar a level, if there is a terminal to show it on.

    Raises:
      LabelError: a label that a level's prior cannot take.
      ValueError: anything else that stands against it; before the first code is drawn.
    """
    songs = tuple(songs)
    plan = plans.plan(jukebox, songs, seconds, codes=codes, levels=levels, settings=settings)
    run = _Run(jukebox, songs, plan, settings, on_window, progress)
    steps = {step.level: step for step in plan.levels}
    held, audio = list(plan.given), [np.zeros((len(songs), 0, 1), np.float32)] * len(plan.given)
    for level in reversed(range(len(held))):
        if level in steps:
            held[level] = _fill(run, steps[level], held)
        length = plan.samples // jukebox.hops[level]
        complete = held[level][:, :length]
        if min(plans.filled(complete)) == length:
            audio[level] = decode(jukebox, complete, level, batch=settings.batch)
            if on_level is not None:
                on_level(level, complete, audio[level])
    cut = (array[:, : plan.samples // hop] for array, hop in zip(held, jukebox.hops, strict=True))
    return Recording(codes=tuple(cut), audio=tuple(audio))


def prime(
    jukebox: Jukebox, audio: np.ndarray, seconds: float | None = None
) -> tuple[np.ndarray, ...]:
    """The codes of given sound, for `sample` to go on from.

    Args:
      jukebox: the stages.
      audio: f32[songs, samples, 1], encoded whole, up to the last whole code of the top level.
      seconds: how much of the codes is kept; by default all.

    Returns:
      One i32[songs, length] a level, finest first, all of the same duration.

    Raises:
      ValueError: the sound is shorter than what is to be kept, or than one code.
    """
    top = jukebox.hops[-1]
    length = audio.shape[1] - audio.shape[1] % top
    kept = length if seconds is None else int(seconds * jukebox.rate + 1e-6)
    if kept > audio.shape[1] or kept < top:
        raise ValueError(
            f"{kept / jukebox.rate:.3f} s of a prompt of {audio.shape[1] / jukebox.rate:.3f} s: "
            f"give a part of it, of {top / jukebox.rate:.4f} s or more"
        )
    kept = min(kept - kept % top, length)
    stage = jukebox.vqvae
    codes = vqvae.encode_long(stage.model, stage.weights, audio[:, :length])
    return tuple(array[:, : kept // hop] for array, hop in zip(codes, jukebox.hops, strict=True))


def decode(jukebox: Jukebox, codes: np.ndarray, level: int, *, batch: int = 16) -> np.ndarray:
    """The sound of one level's codes.

    Args:
      jukebox: the stages; the VQ-VAE is used.
      codes: i32[songs, length].
      level: whose they are.
      batch: songs decoded side by side.

    Returns:
      f32[songs, samples, 1].
    """
    stage = jukebox.vqvae
    groups = [codes[first : first + batch] for first in range(0, len(codes), batch)]
    return np.concatenate(
        [vqvae.decode_long(stage.model, stage.weights, group, level) for group in groups]
    )


@dataclasses.dataclass(frozen=True)
class _Run:
    """What all levels of one recording share."""

    jukebox: Jukebox
    songs: tuple[Song, ...]
    plan: Plan
    settings: Settings
    on_window: Callable[[int, np.ndarray], None] | None
    progress: bool


def _fill(run: _Run, step: Level, held: Sequence[np.ndarray]) -> np.ndarray:
    """All codes of one level, i32[songs, step.total], given those of all levels so far."""
    import tqdm

    stage = run.jukebox.priors[step.level]
    assert stage is not None  # the plan has only levels with a prior
    params = jax.device_put(prior.unstack(stage.model, stage.weights))
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), step.level))(
        np.array(run.plan.seeds, np.uint32)
    )
    codes = np.full((len(run.songs), step.total), plans.UNKNOWN, np.int32)
    codes[:, : held[step.level].shape[1]] = held[step.level]
    known = plans.filled(codes)
    missing, begun = codes.size - sum(known), time.monotonic()
    laid = {
        filled: windows.windows(step.total, step.context, step.hop, filled) for filled in set(known)
    }
    # As far as any of the windows knows, so that one compilation serves them all.
    most = max((window.known for found in laid.values() for window in found), default=0)
    read = generate.reading(stage.model, most)
    with tqdm.tqdm(
        total=missing,
        desc=f"level {step.level}",
        unit=" codes",
        disable=None if run.progress else True,
    ) as bar:
        for group in windows.groups(known, run.settings.batch):
            rows = np.array(group)
            for window in laid[known[group[0]]]:
                conditioning = conditioned(
                    step,
                    stage,
                    params,
                    run.songs,
                    run.plan,
                    held,
                    rows,
                    window.start,
                    run.settings.allow_unknown,
                )
                here = np.arange(window.start, window.start + window.until)
                past = np.zeros((len(rows), step.context), np.int32)
                past[:, : window.until] = codes[rows[:, None], here]
                state = generate.begin(
                    stage.model, params, past, window.known, conditioning, read=read
                )
                for position in range(window.known, window.until, run.settings.chunk):
                    end = min(position + run.settings.chunk, window.until)
                    state = generate.advance(
                        stage.model,
                        params,
                        state,
                        end,
                        conditioning,
                        keys[rows],
                        start=window.start,
                        temperature=step.temperature,
                        top_k=step.top_k or None,
                        top_p=step.top_p or None,
                    )
                    state.position.block_until_ready()
                    bar.update((end - position) * len(set(group)))
                # What a model drew of its lyric vocabulary is code 0 once its window is full.
                drawn = np.maximum(np.asarray(state.window), 0)[:, window.known : window.until]
                codes[rows[:, None], here[window.known :]] = drawn
                if run.on_window is not None:
                    length = run.plan.samples // step.samples
                    run.on_window(step.level, codes[:, :length])
    took = time.monotonic() - begun
    log.info(
        "level %d: %d codes in %.1f s, %.0f a second", step.level, missing, took, missing / took
    )
    return codes


def conditioned(
    step: Level,
    stage: Stage,
    params: Any,
    songs: Sequence[Song],
    plan: Plan,
    held: Sequence[np.ndarray],
    rows: np.ndarray,
    start: int,
    allow_unknown: bool = False,
) -> Conditioning:
    """What a window of one level is conditioned on, embedded.

    Args:
      step: the level.
      stage: its prior.
      params: the prior's parameters.
      songs: all of a recording.
      plan: where they stand in time.
      held: the codes of all levels, finest first; those above are read.
      rows: the songs that are sampled side by side.
      start: the window's first code.
      allow_unknown: see `Settings`.
    """
    labels = [plans.labels(plan, step, stage, songs, row, start, allow_unknown) for row in rows]
    batched = {name: np.stack([one[name] for one in labels]) for name in labels[0]}
    above = None
    if step.factor:
        first = start // step.factor
        above = held[step.level + 1][rows, first : first + step.context // step.factor]
    return _condition(stage.model, params, batched, above)
