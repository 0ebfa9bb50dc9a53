"""Windows into a level, levels into a recording.

Plain Python between compiled calls. `sample` goes from the top level down, each filled window by
window, each window conditioned on the codes above and on the labels of its own place in the song;
only the level at work has its weights on the device. Ancestral, primed, continued and upsampled
sampling are one function: they differ in the codes that it starts from. `stream` draws the same
codes in another order, all levels at once, and hands them over as they come.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import generate, price, remarks, scheduler
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.scheduler import Chunk, Work
from jukebox_jax.sampling.settings import DEFAULTS, Level
from jukebox_jax.sampling.settings import Settings as Settings
from jukebox_jax.sampling.states import States
from jukebox_jax.vqvae import vqvae

log = logging.getLogger(__name__)


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


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a level is.

    Attributes:
      level: which one.
      drawn: codes of all songs that were drawn in this call.
      missing: codes that this call is to draw of the level.
      codes: what there is of it, i32[songs, length], with `plan.UNKNOWN` behind what is known.
    """

    level: int
    drawn: int
    missing: int
    codes: np.ndarray


def sample(
    jukebox: Jukebox,
    songs: Sequence[Song],
    seconds: float | None = None,
    *,
    codes: Sequence[Any] | None = None,
    levels: Sequence[int] | None = None,
    settings: Settings = DEFAULTS,
    forced: Sequence[Any] | None = None,
    hook: generate.Hook | None = None,
    on_window: Callable[[int, np.ndarray], None] | None = None,
    on_level: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
    on_drawn: Callable[[Progress], None] | None = None,
    states: States | None = None,
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
      forced: codes that are taken instead of drawn wherever they are not `plan.UNKNOWN`, one
        i32[songs or 1, length] or None a level, finest first: what lies between them is drawn
        around them, from the left.
      hook: changes logits before a code is drawn, see `generate.Hook`.
      on_window: called with a level and its codes so far, i32[songs, length] with
        `plan.UNKNOWN` behind what is known, after each window.
      on_level: called with a level, its codes and its audio as soon as it is complete.
      on_drawn: called after each `settings.chunk` codes at the latest, before the window that they
        complete is told of.
      states: where half-filled windows are kept and found, so that an interrupted run goes on at
        the code where it was.
      progress: show a bar a level, if there is a terminal to show it on.

    Raises:
      LabelError: a label that a level's prior cannot take.
      ValueError: anything else that stands against it; before the first code is drawn.
    """
    songs = tuple(songs)
    plan = plans.plan(
        jukebox, songs, seconds, codes=codes, levels=levels, settings=settings, forced=forced
    )
    remarks.tell(jukebox, songs, plan)
    work = Work(jukebox, songs, plan, settings, hook, states)
    steps = {step.level: step for step in plan.levels}
    held, audio = list(plan.given), [np.zeros((len(songs), 0, 1), np.float32)] * len(plan.given)
    for level in reversed(range(len(held))):
        if level in steps:
            _fill(work, steps[level], held, on_window, on_drawn, progress)
        length = plan.samples // jukebox.hops[level]
        complete = held[level][:, :length]
        if min(plans.filled(complete)) == length:
            audio[level] = decode(jukebox, complete, level, batch=settings.batch)
            if on_level is not None:
                on_level(level, complete, audio[level])
    cut = (array[:, : plan.samples // hop] for array, hop in zip(held, jukebox.hops, strict=True))
    return Recording(codes=tuple(cut), audio=tuple(audio))


def stream(
    jukebox: Jukebox,
    songs: Sequence[Song],
    seconds: float | None = None,
    *,
    codes: Sequence[Any] | None = None,
    levels: Sequence[int] | None = None,
    settings: Settings = DEFAULTS,
    forced: Sequence[Any] | None = None,
    hook: generate.Hook | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Iterator[Chunk]:
    """The codes that `sample` draws, as soon as each is there.

    A window of a lower level begins when the codes above it exist, so that the finest level's
    first codes come long before the top level is finished. All levels that are sampled have their
    weights on their devices, from their first window to their last: as much memory as they have
    together where one device serves them all. With several devices, levels and batches of songs
    are drawn on them at the same time.

    Args:
      jukebox: as in `sample`, and so are the others.
      songs: see there.
      seconds: see there.
      codes: see there.
      levels: see there.
      settings: see there.
      forced: see there.
      hook: see there.
      devices: what to draw on; by default all that this process has, or where the weights lie if
        the jukebox was loaded onto a mesh.

    Yields:
      Chunks of at most settings.chunk codes. Of each song and level they come in order, and
      together make up what is missing (with approximate_pieces, each piece in its own order).

    Raises:
      LabelError: as in `sample`, and at the call, not at the first chunk.
      ValueError: the same.
    """
    songs = tuple(songs)
    plan = plans.plan(
        jukebox, songs, seconds, codes=codes, levels=levels, settings=settings, forced=forced
    )
    remarks.tell(jukebox, songs, plan)
    work = Work(jukebox, songs, plan, settings, hook)
    places: Sequence[Any] = devices if devices is not None else _devices(jukebox)
    return _stream(work, places)


def _stream(work: Work, devices: Sequence[Any]) -> Iterator[Chunk]:
    held = list(work.plan.given)
    for step in work.plan.levels:
        stage = work.jukebox.priors[step.level]
        assert stage is not None  # the plan has only levels with a prior
        size = sum(leaf.size for leaf in jax.tree.leaves(stage.weights))
        size *= jax.numpy.dtype(stage.model.dtype).itemsize
        log.info("level %d: %.2f GB of weights on each of its devices", step.level, size / 1e9)
    for drawn in scheduler.run(work, work.plan.levels, held, devices):
        wanted = work.plan.samples // work.jukebox.hops[drawn.level]
        for chunk in drawn.chunks:
            if chunk.start < wanted:
                yield dataclasses.replace(chunk, codes=chunk.codes[: wanted - chunk.start])
    for step in work.plan.levels:
        price.tell(work.jukebox, work.songs, work.plan, step, held, work.settings)


def _devices(jukebox: Jukebox) -> Sequence[Any]:
    """All devices, or wherever arrays are if somebody has placed them."""
    for stage in jukebox.priors:
        if stage is not None and any(
            isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(stage.weights)
        ):
            return (None,)
    return jax.local_devices()


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


def _fill(
    work: Work,
    step: Level,
    held: list[np.ndarray],
    on_window: Callable[[int, np.ndarray], None] | None,
    on_drawn: Callable[[Progress], None] | None,
    progress: bool,
) -> None:
    """All codes of one level, i32[songs, step.total], into `held`, given those of all so far."""
    import tqdm

    missing = len(work.songs) * step.total - sum(plans.filled(held[step.level]))
    length, begun, fresh = work.plan.samples // step.samples, time.monotonic(), 0
    with tqdm.tqdm(
        total=missing,
        desc=f"level {step.level}",
        unit=" codes",
        disable=None if progress else True,
    ) as bar:
        for drawn in scheduler.run(work, (step,), held):
            bar.update(sum(len(chunk.codes) for chunk in drawn.chunks))
            if on_drawn is not None:
                fresh += sum(len(chunk.codes) for chunk in drawn.chunks)
                on_drawn(Progress(step.level, fresh, missing, _begun(held[step.level], length)))
            if drawn.full and on_window is not None:
                on_window(step.level, _begun(held[step.level], length))
    took = time.monotonic() - begun
    log.info(
        "level %d: %d codes in %.1f s, %.0f a second", step.level, missing, took, missing / took
    )
    price.tell(work.jukebox, work.songs, work.plan, step, held, work.settings)


def _begun(codes: np.ndarray, length: int) -> np.ndarray:
    """Codes up to the first of each song that is unknown, cut to a length."""
    codes = codes[:, :length]
    behind = np.logical_or.accumulate(codes == plans.UNKNOWN, axis=1)
    return np.where(behind, plans.UNKNOWN, codes)
