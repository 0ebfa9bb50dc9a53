"""What a recording asks for, checked before its first code is drawn.

From a loaded set of stages, songs, a length and codes that there are already, to a plan: which
levels are sampled, how many codes each has, where every song stands in time. Whatever can be
wrong is found here, and told in one line with the remedy. Nothing is computed on a device.
"""

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.conditioning import Codes, LabelError
from jukebox_jax.sampling import settings as settings_
from jukebox_jax.sampling import steering
from jukebox_jax.sampling.settings import Level, Settings

log = logging.getLogger(__name__)

_MOST = 2**31 - 1  # codes of a level
UNKNOWN = -1
"""Stands for a code that is not known yet, behind those that are."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recording that can be sampled.

    Attributes:
      samples: its length in audio samples, whole codes at every level.
      levels: the levels to sample, top first. They may be longer than the recording, since a
        prior that reads the codes above needs a full window; the rest is cut off in the end.
      given: for each level, finest first, the codes that there are: i32[songs, length], where
        `UNKNOWN` may follow what is known.
      starts: for each song, where in it the recording begins, in samples.
      totals: for each song, its whole length in samples.
      seeds: for each song, the seed of its noise.
      forced: for each level, finest first, codes that are not drawn but taken, i32[songs, length]
        with `UNKNOWN` wherever one is drawn; () for none at all.
    """

    samples: int
    levels: tuple[Level, ...]
    given: tuple[np.ndarray, ...]
    starts: tuple[int, ...]
    totals: tuple[int, ...]
    seeds: tuple[int, ...]
    forced: tuple[np.ndarray, ...] = ()


def plan(
    jukebox: Jukebox,
    songs: Sequence[Song],
    seconds: float | None = None,
    *,
    codes: Sequence[Any] | None = None,
    levels: Sequence[int] | None = None,
    settings: Settings = settings_.DEFAULTS,
    forced: Sequence[Any] | None = None,
) -> Plan:
    """Checks everything and lays it out; arguments as in `compose.sample`.

    Raises:
      LabelError: a label that a level's prior cannot take.
      ValueError: anything else that stands against it, in one line.
    """
    if not songs:
        raise ValueError("no songs to sample: give at least one")
    given = _given(jukebox, len(songs), codes)
    taken = _given(jukebox, len(songs), forced, gaps=True)
    samples = _samples(jukebox, seconds, given)
    given = tuple(
        array[:, : samples // hop] for array, hop in zip(given, jukebox.hops, strict=True)
    )
    wanted = _levels(jukebox, samples, given, levels)
    length, wanted = _full_windows(jukebox, samples, given, wanted)
    checked = tuple(level_of(jukebox, level, length, settings) for level in wanted)
    for step in checked:
        _check_above(jukebox, step, length, given, wanted)
    starts, totals = times(jukebox.rate, songs, samples)
    for level, array in enumerate(taken):
        if (array != UNKNOWN).any() and level not in wanted:
            raise ValueError(f"codes of level {level} are forced, but it is not to be sampled")
    made = Plan(samples, checked, given, starts, totals, seeds(songs, settings.seed), taken)
    for index, song in enumerate(songs):
        wrong = [level for level in steering.per_level(song) if not 0 <= level < len(given)]
        if wrong:
            raise LabelError(
                f"song {index} has labels for level {wrong[0]}: the VQ-VAE has levels 0 to "
                f"{len(given) - 1}"
            )
    for step in checked:
        stage = jukebox.priors[step.level]
        steering.drawing(step, _model(jukebox, step.level), songs, jukebox.rate)
        for index in range(len(songs)):
            labels(made, step, stage, songs, index, 0, settings.allow_unknown)
    if length > samples:
        longest = length / jukebox.rate
        log.warning(
            "a recording of %.2f s is shorter than a window of a level below the top: %.2f s are "
            "sampled and the rest is cut off",
            samples / jukebox.rate,
            longest,
        )
    return made


def labels(
    plan: Plan,
    step: Level,
    stage: Stage | None,
    songs: Sequence[Song],
    index: int,
    start: int,
    allow_unknown: bool = False,
) -> dict[str, Any]:
    """The labels of one song's window, whose first code is `start`, without the batch axis.

    Of a mixture of labels (see `prior.mixture`) it is a `Mixture`, otherwise an array.

    Raises:
      LabelError: a label that the prior cannot take.
    """
    assert stage is not None  # the plan has only levels with a prior
    span = Span(
        start=plan.starts[index] + start * step.samples,
        length=step.context * step.samples,
        total=plan.totals[index],
    )
    try:
        return conditioning.encode(
            stage.model.signals,
            stage.vocabularies,
            steering.at_level(songs[index], step.level),
            span,
            step.context,
            allow_unknown=allow_unknown,
            rate=int(stage.config["stage"].get("rate", 44100)),
            mixtures=True,
        )
    except LabelError as error:
        where = f"song {index}" if len(songs) > 1 else "the song"
        raise LabelError(f"level {step.level}, {where}: {error}") from None


def level_of(jukebox: Jukebox, level: int, length: int, settings: Settings) -> Level:
    """One level's numbers, for a recording of `length` samples.

    Raises:
      ValueError: a setting that does not fit the level.
    """
    signal, hops = _codes_signal(jukebox, level), jukebox.hops
    return settings_.at(
        settings,
        level,
        levels=len(hops),
        total=length // hops[level],
        context=_model(jukebox, level).context,
        factor=signal.factor if signal else 0,
        samples=hops[level],
    )


def laid_out(
    jukebox: Jukebox, level: int, songs: Sequence[Song], total: int, settings: Settings
) -> tuple[Level, Plan]:
    """One level of recordings whose codes there are already, as if it was to be sampled.

    Args:
      jukebox: the stages.
      level: which one.
      songs: one a recording.
      total: codes of that level.
      settings: as in sampling.

    Raises:
      ValueError: a setting that does not fit the level, or a song's times.
    """
    length = total * jukebox.hops[level]
    step = level_of(jukebox, level, length, settings)
    starts, totals = times(jukebox.rate, songs, length)
    return step, Plan(length, (step,), (), starts, totals, ())


def filled(codes: np.ndarray) -> tuple[int, ...]:
    """For each song, how many codes of i32[songs, length] are known."""
    return tuple(int(count) for count in (codes != UNKNOWN).sum(axis=1))


def times(
    rate: int, songs: Sequence[Song], samples: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where in each song the recording begins, and how long each song is, in samples.

    Raises:
      ValueError: a label that is no number of seconds, or a beginning behind the end.
    """
    starts, totals = [], []
    for index, song in enumerate(songs):
        start = round(_seconds(song, index, "start_seconds", 0.0) * rate)
        total = round(_seconds(song, index, "total_seconds", 0.0) * rate)
        total = total or song.length(rate) or start + samples
        if start >= total:
            raise ValueError(
                f"song {index} is to begin at {start / rate:.2f} s, but is {total / rate:.2f} s "
                "long: give an earlier start_seconds or more total_seconds"
            )
        starts.append(start)
        totals.append(total)
    return tuple(starts), tuple(totals)


def seeds(songs: Sequence[Song], seed: int) -> tuple[int, ...]:
    """Each song's seed: that of its labels, or else `seed` and its place in the list.

    Raises:
      ValueError: a seed that is no whole number of 32 bits.
    """
    found = []
    for index, song in enumerate(songs):
        own = song.labels.get("seed")
        value = seed + index if own is None else own
        if not isinstance(value, (int, np.integer)) or not 0 <= value < 1 << 32:
            raise ValueError(f"seed={value!r} of song {index}: give a number from 0 to 2**32 - 1")
        found.append(int(value))
    return tuple(found)


def _given(
    jukebox: Jukebox, songs: int, codes: Sequence[Any] | None, gaps: bool = False
) -> tuple[np.ndarray, ...]:
    """The codes that there are, one array a level, empty where there are none."""
    count, bins = len(jukebox.hops), jukebox.vqvae.model.bins
    if codes is None:
        codes = [None] * count
    if len(codes) != count:
        raise ValueError(f"codes of {len(codes)} levels are given, the VQ-VAE has {count}")
    found = []
    for level, value in enumerate(codes):
        array = np.zeros((songs, 0), np.int32) if value is None else np.asarray(value)
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"codes of level {level} are {array.dtype}{list(array.shape)}: give whole numbers "
                "[songs, length]"
            )
        if array.shape[0] not in (1, songs):
            raise ValueError(
                f"codes of level {level} are those of {array.shape[0]} songs, but {songs} are "
                "asked for: give one row a song, or one row for all"
            )
        missing = array == UNKNOWN
        if ((array < 0) & ~missing).any() or (array >= bins).any():
            worst = int(array.max() if (array >= bins).any() else array.min())
            raise ValueError(
                f"codes of level {level} hold {worst}, but the VQ-VAE has {bins} codes: they are "
                "another model's"
            )
        if not gaps and (missing[:, :-1] & ~missing[:, 1:]).any():
            raise ValueError(
                f"codes of level {level} have a gap: what is known must come first, or be forced"
            )
        found.append(np.broadcast_to(array, (songs, array.shape[1])).astype(np.int32))
    return tuple(found)


def _samples(jukebox: Jukebox, seconds: float | None, given: tuple[np.ndarray, ...]) -> int:
    """The recording's length, whole codes of the top level."""
    hops, rate = jukebox.hops, jukebox.rate
    if seconds is None:
        longest = [array.shape[1] * hop for array, hop in zip(given, hops, strict=True)]
        if not max(longest):
            raise ValueError("seconds is missing: say how long the recording is, or give codes")
        samples = max(longest)
    else:
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"seconds={seconds}: give a number above 0")
        if seconds * rate >= _MOST * hops[0]:
            raise ValueError(f"seconds={seconds}: {_MOST * hops[0] / rate:.0f} at most")
        samples = math.floor(seconds * rate + 1e-6)
    if samples < hops[-1]:
        raise ValueError(
            f"a recording of {samples} samples is shorter than one code of the top level, "
            f"{hops[-1]} samples: give {hops[-1] / rate:.4f} seconds or more"
        )
    return samples - samples % hops[-1]


def _levels(
    jukebox: Jukebox,
    samples: int,
    given: tuple[np.ndarray, ...],
    levels: Sequence[int] | None,
) -> tuple[int, ...]:
    """The levels that may be sampled, top first."""
    count, priors = len(jukebox.hops), jukebox.priors
    have = [level < len(priors) and priors[level] is not None for level in range(count)]
    if levels is not None:
        for level in levels:
            if not 0 <= level < count:
                raise ValueError(f"levels={tuple(levels)}: the VQ-VAE has levels 0 to {count - 1}")
            if not have[level]:
                raise ValueError(f"level {level} is to be sampled, but its prior is missing")
        return tuple(sorted(set(levels), reverse=True))
    begun = [level for level in range(count) if given[level].size]
    found = []
    for level in range(max(begun, default=count - 1), -1, -1):
        if have[level]:
            found.append(level)
        elif not _complete(given[level], samples // jukebox.hops[level]):
            if level == max(begun, default=count - 1):
                raise ValueError(
                    f"level {level} comes first, but its prior is missing: load it, or give the "
                    "level's codes"
                )
            break
    return tuple(found)


def _full_windows(
    jukebox: Jukebox, samples: int, given: tuple[np.ndarray, ...], wanted: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """How many samples are sampled, and which of the levels then are not complete."""
    hops = jukebox.hops
    short = [level for level in wanted if not _complete(given[level], samples // hops[level])]
    windows = [
        _model(jukebox, level).context * hops[level]
        for level in short
        if _codes_signal(jukebox, level)
    ]
    length = max([samples, *windows])
    length += -length % hops[-1]
    needed = tuple(
        level
        for level in wanted
        if level >= min(short, default=len(hops))
        and not _complete(given[level], length // hops[level])
    )
    return length, needed


def _check_above(
    jukebox: Jukebox,
    step: Level,
    length: int,
    given: tuple[np.ndarray, ...],
    wanted: tuple[int, ...],
) -> None:
    """Refuses a prior that reads codes which do not fit, or will not be there."""
    if not step.factor:
        return
    above, hops = step.level + 1, jukebox.hops
    if above == len(hops):
        raise ValueError(
            f"the prior of level {step.level} reads codes of a level above, but this is the top "
            "of the VQ-VAE: they were not trained together"
        )
    if step.factor * hops[step.level] != hops[above]:
        raise ValueError(
            f"the prior of level {step.level} reads one code above for {step.factor} of its own, "
            f"but the VQ-VAE has one for {hops[above] // hops[step.level]}: they were not "
            "trained together"
        )
    needed = length // hops[above]
    if above not in wanted and not _complete(given[above], needed):
        raise ValueError(
            f"level {step.level} reads {needed} codes of level {above} "
            f"({length / jukebox.rate:.2f} s), but only {min(filled(given[above]))} are given: "
            f"sample level {above} too (with its prior), or give its codes"
        )


def _seconds(song: Song, index: int, name: str, default: float) -> float:
    value = song.labels.get(name, default)
    if not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}={value!r} of song {index}: give a number of seconds")
    return float(value)


def _complete(codes: np.ndarray, length: int) -> bool:
    return min(filled(codes[:, :length])) == length


def _model(jukebox: Jukebox, level: int) -> Any:
    stage = jukebox.priors[level]
    assert stage is not None
    return stage.model


def _codes_signal(jukebox: Jukebox, level: int) -> Codes | None:
    signals = _model(jukebox, level).signals
    return next((signal for _, signal in signals if isinstance(signal, Codes)), None)
