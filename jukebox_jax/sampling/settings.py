"""How codes are drawn, as a user says it and as one level needs it.

A setting that may differ from level to level is one value or one a level, finest first; here it
becomes that of one level, checked. How codes are drawn may also change over time. Nothing here
knows of songs or of codes.
"""

import dataclasses
import math
import numbers
from typing import Any

import numpy as np

from jukebox_jax.prior import schedule, timeline

COURSES = ("temperature", "top_k", "top_p", "guidance")
"""The settings that may change over time, and from song to song."""

HELD = ("top_k", "top_p")
"""Those that are never joined by lines: on their way to 0, which is off, they would be strict."""

LEAST_TEMPERATURE = 1e-6
"""Logits divided by less are too far apart for float32; it is that of the most probable codes."""

Course = Any
"""A number, or numbers over time as `timeline.points` reads them: [[second, number], ...] or
{"schedule": [[second, number], ...]}, in seconds of the recording."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How codes are drawn. What may differ from level to level is one value, or one a level.

    The first four may change over time: instead of a number there may be [[second, number], ...],
    joined by straight lines (for top_k and top_p each number holds until the next), or
    {"schedule": [[second, number], ...]}, each of which holds. A song may have its own, as labels
    of these names, see `steering`.

    Attributes:
      temperature: divides the logits; above 0. One value, or a tuple, finest level first.
      top_k: draw among so many most probable codes; 0 for all. The same.
      top_p: draw among the fewest codes of more than this probability; 0 for all. The same.
      guidance: how much more than by themselves labels are followed: 1 for as they are, 0 for
        not at all. Other numbers cost a second pass beside the first, for priors that were
        trained with label dropout. The same.
      guide_lyrics: guidance takes the lyrics for a label too; priors never see a song without its
        lyrics in training, but for those songs that have none.
      hop_fraction: codes from one window to the next, as a part of the context. The same; None
        for an eighth at the top and a half below. A smaller one is slower and gives each code a
        longer past.
      seed: song i has the seed `seed + i`, unless its labels hold one.
      batch: songs sampled side by side.
      chunk: codes drawn between two looks from outside, for progress.
      allow_unknown: missing and unknown labels are no error; nothing is known then.
      approximate_pieces: cuts a level into so many pieces that are sampled side by side, one
        value or one a level. With more than 1 codes are no longer those of the exact sampler:
        each piece but the first begins without a past and draws one of its own, which is then
        thrown away. `compose.sample` logs what that costs in bits a code.
      approximate_overlap: the length of that past, as a part of the context.
    """

    temperature: Course | tuple[Course, ...] = 0.99
    top_k: Course | tuple[Course, ...] = 0
    top_p: Course | tuple[Course, ...] = 0.0
    guidance: Course | tuple[Course, ...] = 1.0
    guide_lyrics: bool = False
    hop_fraction: float | tuple[float, ...] | None = None
    seed: int = 0
    batch: int = 16
    chunk: int = 256
    allow_unknown: bool = False
    approximate_pieces: int | tuple[int, ...] = 1
    approximate_overlap: float = 0.25

    def __post_init__(self) -> None:
        """Checks what does not depend on a level."""
        if not 0 <= self.approximate_overlap < 1:
            raise ValueError(
                f"approximate_overlap={self.approximate_overlap}: give a part of the context, "
                "from 0 to below 1"
            )
        for name in ("batch", "chunk"):
            value = getattr(self, name)
            if not (isinstance(value, (int, np.integer)) and value >= 1):
                raise ValueError(f"{name}={value!r}: give a whole number, 1 or more")


DEFAULTS = Settings()


@dataclasses.dataclass(frozen=True)
class Level:
    """How one level is sampled; lengths are in its codes.

    Attributes:
      level: which one.
      total: codes of the level.
      context: codes of a window.
      hop: codes from one window to the next.
      factor: codes for each code above; 0 where the prior does not read those.
      samples: audio samples a code.
      temperature: see `Settings`, as the next three; a number, or numbers over time.
      top_k: see there.
      top_p: see there.
      guidance: see there.
      pieces: into how many the level is cut; 1 for the exact sampler.
      overlap: codes that a piece draws to its left for a past.
    """

    level: int
    total: int
    context: int
    hop: int
    factor: int
    samples: int
    temperature: Course
    top_k: Course
    top_p: Course
    guidance: Course = 1.0
    pieces: int = 1
    overlap: int = 0


def at(
    settings: Settings,
    level: int,
    *,
    levels: int,
    total: int,
    context: int,
    factor: int,
    samples: int,
) -> Level:
    """One level's numbers.

    Args:
      settings: of all levels.
      level: which one.
      levels: how many there are.
      total: see `Level`, as the others.
      context: see there.
      factor: see there.
      samples: see there.

    Raises:
      ValueError: a number out of range, or windows that would not lie on whole codes above.
    """
    fractions = settings.hop_fraction
    if fractions is None:
        fractions = (0.5,) * (levels - 1) + (0.125,)
    fraction = _one("hop_fraction", fractions, level, levels)
    courses = {
        name: course(name, _one(name, getattr(settings, name), level, levels), f"at level {level}")
        for name in COURSES
    }
    pieces = _one("approximate_pieces", settings.approximate_pieces, level, levels)
    if not (isinstance(pieces, int) and pieces >= 1):
        raise ValueError(
            f"approximate_pieces={pieces} at level {level}: give a whole number, 1 for exact codes"
        )
    hop = int(fraction * context) if 0 < fraction <= 1 else 0
    if not hop:
        raise ValueError(
            f"hop_fraction={fraction} at level {level}: give a part of the context, from one code "
            f"({1 / context:.2g}) to 1"
        )
    if factor and hop % factor:
        fit = math.ceil(max(factor, hop - hop % factor) / context * 1e6) / 1e6
        raise ValueError(
            f"hop_fraction={fraction} at level {level} steps by {hop} codes, which are not whole "
            f"codes of the level above (one for {factor}): give {fit:g}"
        )
    return Level(
        level=level,
        total=total,
        context=context,
        hop=hop,
        factor=factor,
        samples=samples,
        **courses,
        pieces=pieces,
        overlap=int(settings.approximate_overlap * context),
    )


def course(name: str, value: Course, where: str) -> Course:
    """One of `COURSES` as it is, checked; a number as float, top_k as int.

    Args:
      name: the setting's.
      value: a number, or numbers over time.
      where: of which level or song, for messages.

    Raises:
      ValueError: a number out of range, or a value that cannot be read.
    """
    single = isinstance(value, numbers.Real)
    for number in [value] if single else _numbers(name, value, where).tolist():
        shown = f"{name}={number} {where}"
        if name == "temperature" and not LEAST_TEMPERATURE <= number < math.inf:
            raise ValueError(
                f"{shown}: give a number above 0, of {LEAST_TEMPERATURE:g} or more, or top_k=1 for "
                "the most probable codes"
            )
        if name == "top_k" and not (0 <= number < 2**31 and number == int(number)):
            raise ValueError(f"{shown}: give a whole number, 0 for all codes")
        if name == "top_p" and not 0 <= number <= 1:
            raise ValueError(f"{shown}: give a number from 0 (off) to 1")
        if name == "guidance" and not 0 <= number < math.inf:
            raise ValueError(f"{shown}: give a number from 0 on, 1 for none")
    if single:
        return int(value) if name == "top_k" else float(value)
    return value


def later(name: str, value: Any, seconds: float) -> Any:
    """One of `COURSES`, of all levels or of one, of the part of a recording from a time on."""
    if not _is_course(value):
        several = isinstance(value, (list, tuple))
        return type(value)(later(name, one, seconds) for one in value) if several else value
    times, values, held = timeline.points(value)
    if held or name in HELD:
        now = values[timeline.latest(times, np.array(seconds))]
    else:
        now = np.interp(seconds, times, values)
    behind = zip((times - seconds).tolist(), values.tolist(), strict=True)
    pairs = [[0.0, float(now)], *([second, number] for second, number in behind if second > 0)]
    return {schedule.KEY: pairs} if held else pairs


def _numbers(name: str, value: Course, where: str) -> np.ndarray:
    try:
        return timeline.points(value)[1]
    except ValueError as error:
        raise ValueError(f"{name} {where}: {error}") from None


def _is_course(value: Any) -> bool:
    """Whether a value that is no number tells numbers over time."""
    if schedule.is_schedule(value):
        return True
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(
            isinstance(pair, (list, tuple))
            and len(pair) == 2
            and all(isinstance(number, (int, float)) for number in pair)
            for pair in value
        )
    )


def _one(name: str, value: Any, level: int, levels: int) -> Any:
    """A setting's value at a level: the only one, or one of as many as there are levels."""
    may_change = name in COURSES

    def fits(one: Any) -> bool:
        return isinstance(one, numbers.Real) or (may_change and _is_course(one))

    values = tuple(value) if isinstance(value, (list, tuple)) and not fits(value) else (value,)
    if len(values) not in (1, levels) or not all(map(fits, values)):
        over_time = ", or [[second, number], ...]" if may_change else ""
        raise ValueError(
            f"{name}={value!r}: give one number, or one for each of {levels} levels, finest first"
            f"{over_time}"
        )
    return values[0] if len(values) == 1 else values[level]
