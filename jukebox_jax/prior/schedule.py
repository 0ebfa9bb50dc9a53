"""Labels that change in the course of a song: a verse in one style, the chorus in another.

Any label may be given as {"schedule": [[seconds, value], ...]}: each value holds from its second
on until the next begins, the first also before it begins. This file knows which value holds when;
what a value means is left to whoever reads it.
"""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from jukebox_jax.audio.song import Span
from jukebox_jax.prior.vocabulary import LabelError

KEY = "schedule"
_FORM = f'{{"{KEY}": [[seconds, value], ...]}}'


def is_schedule(value: Any) -> bool:
    """Whether a label's value is a schedule, or the JSON of one (as in a table's cell)."""
    if isinstance(value, str):
        return value.lstrip().startswith("{") and f'"{KEY}"' in value
    return isinstance(value, Mapping) and KEY in value


def entries(value: Any) -> tuple[tuple[float, Any], ...]:
    """The (seconds, value) of a schedule.

    Raises:
      LabelError: it is empty, of another form, out of order, or holds another schedule.
    """
    shown = str(value)[:60]
    try:
        if isinstance(value, str):
            value = json.loads(value)
        if set(value) != {KEY} or isinstance(value[KEY], (str, Mapping)):
            raise ValueError
        found = tuple((float(seconds), item) for seconds, item in value[KEY])
    except (TypeError, ValueError):
        raise LabelError(f"{shown} is no schedule; write {_FORM}") from None
    if not found:
        raise LabelError(f"{shown} is an empty schedule; write {_FORM}")
    for seconds, item in found:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise LabelError(f"a schedule at {seconds} s: {shown}; give seconds from 0 on")
        if is_schedule(item):
            raise LabelError(f"a schedule at {seconds:g} s holds another schedule: {shown}")
    for (before, _), (seconds, _) in pairwise(found):
        if seconds <= before:
            raise LabelError(
                f"a schedule goes from {before:g} s to {seconds:g} s: {shown}; sort it"
            )
    return found


def at(value: Any, span: Span, rate: int) -> Any:
    """The value that holds in the middle of a span; one that is no schedule as it is.

    Args:
      value: a label's value.
      span: a stretch of the song, in samples.
      rate: samples a second.

    Raises:
      LabelError: a schedule that cannot be read.
    """
    if not is_schedule(value):
        return value
    found = entries(value)
    middle = (span.start + span.length / 2) / rate
    return next((item for seconds, item in reversed(found) if seconds <= middle), found[0][1])


def values(value: Any) -> tuple[Any, ...]:
    """All that a label says in the course of a song, as for collecting a vocabulary."""
    return tuple(item for _, item in entries(value)) if is_schedule(value) else (value,)
