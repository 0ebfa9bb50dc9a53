"""How codes are drawn, as a user says it and as one level needs it.

A setting that may differ from level to level is one number or one a level, finest first; here it
becomes the number of one level, checked. Nothing here knows of songs or of codes.
"""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """How codes are drawn. What may differ from level to level is one number, or one a level.

    Attributes:
      temperature: divides the logits; above 0. One number, or a tuple, finest level first.
      top_k: draw among so many most probable codes; 0 for all. The same.
      top_p: draw among the fewest codes of more than this probability; 0 for all. The same.
      hop_fraction: codes from one window to the next, as a part of the context. The same; None
        for an eighth at the top and a half below. A smaller one is slower and gives each code a
        longer past.
      seed: song i has the seed `seed + i`, unless its labels hold one.
      batch: songs sampled side by side.
      chunk: codes drawn between two looks from outside, for progress.
      allow_unknown: missing and unknown labels are no error; nothing is known then.
    """

    temperature: float | tuple[float, ...] = 0.99
    top_k: int | tuple[int, ...] = 0
    top_p: float | tuple[float, ...] = 0.0
    hop_fraction: float | tuple[float, ...] | None = None
    seed: int = 0
    batch: int = 16
    chunk: int = 256
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        """Checks what does not depend on a level."""
        if self.batch < 1 or self.chunk < 1:
            raise ValueError(f"batch={self.batch}, chunk={self.chunk}: give 1 or more")


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
      temperature: see `Settings`, as the next two.
      top_k: see there.
      top_p: see there.
    """

    level: int
    total: int
    context: int
    hop: int
    factor: int
    samples: int
    temperature: float
    top_k: int
    top_p: float


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
    temperature = _one("temperature", settings.temperature, level, levels)
    top_k = _one("top_k", settings.top_k, level, levels)
    top_p = _one("top_p", settings.top_p, level, levels)
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature={temperature} at level {level}: give a number above 0, or top_k=1 for "
            "the most probable codes"
        )
    if not (0 <= top_k < math.inf and top_k == int(top_k)):
        raise ValueError(f"top_k={top_k} at level {level}: give a whole number, 0 for all codes")
    if not 0 <= top_p <= 1:
        raise ValueError(f"top_p={top_p} at level {level}: give a number from 0 (off) to 1")
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
        temperature=float(temperature),
        top_k=int(top_k),
        top_p=float(top_p),
    )


def _one(name: str, value: Any, level: int, levels: int) -> Any:
    """A setting's value at a level: the only one, or one of as many as there are levels."""
    values = (value,) if isinstance(value, (int, float)) else tuple(value)
    if len(values) not in (1, levels) or not all(isinstance(v, (int, float)) for v in values):
        raise ValueError(
            f"{name}={values}: give one number, or one for each of {levels} levels, finest first"
        )
    return values[0] if len(values) == 1 else values[level]
