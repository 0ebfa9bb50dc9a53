"""How what changes during a song is written, and what of it holds when.

Values over time come as one value for all of the song, as a list with times, as a schedule, or as
the JSON of either in a table's cell. Here they become plain lists and arrays, and whatever cannot
be read is refused in one line. What the values mean is left to `curves`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import schedule
from jukebox_jax.prior.vocabulary import LabelError

_CURVE = 'a number, [[second, number], ...] or {"schedule": [[second, number], ...]}'
_TRACK = 'a name, [[second, name], ...] or {"schedule": [[second, name], ...]}'
_EVENTS = '[name, ...], {name: [[start, end], ...]} or {"schedule": [[second, [name, ...]], ...]}'


def seconds(span: Span, length: int, rate: int) -> np.ndarray:
    """When each of `length` codes of a span begins, f64[length] in seconds of the song."""
    return (span.start + np.arange(length) * (span.length / length)) / rate


def latest(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Which of ascending times was the latest at each of some moments; before all, the first."""
    return np.maximum(np.searchsorted(times, at, side="right") - 1, 0)


def is_missing(value: Any) -> bool:
    """Whether a label says nothing at all."""
    return value is None or (isinstance(value, str) and not value.strip())


def points(value: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """Reads a curve.

    Returns:
      Ascending seconds; the number at each, NaN for None; and whether each number holds until the
      next, as those of a schedule, or is joined to it by a straight line.

    Raises:
      LabelError: a value of another form, out of order, or not finite.
    """
    if held := schedule.is_schedule(value):
        pairs: Any = schedule.entries(value)
    else:
        pairs = _parsed(value, ("[",), _CURVE)
        if isinstance(pairs, (int, float, str, np.number)):
            pairs = [(0.0, pairs)]
    try:
        if held:
            pairs = [(second, math.nan if item is None else float(item)) for second, item in pairs]
        table = np.array(pairs, np.float64)
        if table.ndim != 2 or table.shape[1] != 2:
            raise ValueError
    except (TypeError, ValueError):
        raise _refused(value, _CURVE) from None
    if np.isinf(table).any() or not (held or np.isfinite(table).all()):
        raise LabelError(f"{_shown(value)} holds a number that is not finite: give another")
    _check_order(table[:, 0])
    return table[:, 0], table[:, 1], held


def steps(value: Any) -> list[tuple[float, Any]]:
    """Reads a track: (second, name) of each name, in order; None for the unknown.

    Raises:
      LabelError: a value of another form, or out of order.
    """
    if schedule.is_schedule(value):
        pairs: Any = schedule.entries(value)
    else:
        pairs = _parsed(value, ("[[",), _TRACK)
        if isinstance(pairs, (str, int, float)):
            pairs = [(0.0, pairs)]
    if not isinstance(pairs, (list, tuple)):
        raise _refused(value, _TRACK)
    try:
        found = [(float(second), name) for second, name in pairs]
    except (TypeError, ValueError):
        raise _refused(value, _TRACK) from None
    if not all(name is None or isinstance(name, (str, int, float)) for _, name in found):
        raise _refused(value, _TRACK)
    _check_order([second for second, _ in found])
    return found


def intervals(value: Any) -> list[tuple[Any, float, float]]:
    """Reads sets of names: (name, start, end) of all that holds at some time; None: unknown.

    Raises:
      LabelError: a value of another form, or an end before its start.
    """
    if schedule.is_schedule(value):
        entries = schedule.entries(value)
        ends = [second for second, _ in entries[1:]] + [math.inf]
        starts = [-math.inf, *ends[:-1]]
        return [
            (word, start, end)
            for (_, item), start, end in zip(entries, starts, ends, strict=True)
            for word in ([None] if item is None else _words(item))
        ]
    parsed = _parsed(value, ("[", "{"), _EVENTS)
    if not isinstance(parsed, Mapping):
        return [(word, -math.inf, math.inf) for word in _words(parsed)]
    found = []
    for word, spans in parsed.items():
        try:
            pairs = [(float(start), float(end)) for start, end in spans]
        except (TypeError, ValueError):
            raise _refused({word: spans}, _EVENTS) from None
        for start, end in pairs:
            if not start <= end:
                raise LabelError(f"{word!r} ends at {end:g} s, before it starts at {start:g} s")
        found += [(word, start, end) for start, end in pairs]
    return found


def _parsed(value: Any, opening: tuple[str, ...], form: str) -> Any:
    """A value, or what the JSON in a table's cell says."""
    if not (isinstance(value, str) and value.lstrip().startswith(opening)):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise _refused(value, form) from None


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
        raise _refused(value, _EVENTS)
    return list(value)


def _check_order(times: Sequence[float] | np.ndarray) -> None:
    found = np.asarray(times, np.float64)
    wrong = found[~(np.isfinite(found) & (found >= 0))]
    if wrong.size:
        raise LabelError(f"a value at {wrong[0]:g} s: give seconds from 0 on")
    back = np.flatnonzero(np.diff(found) < 0)
    if back.size:
        before, after = found[back[0]], found[back[0] + 1]
        raise LabelError(f"values go from {before:g} s back to {after:g} s: sort them")


def _refused(value: Any, form: str) -> LabelError:
    return LabelError(f"{_shown(value)} cannot be read; write {form}")


def _shown(value: Any) -> str:
    return str(value)[:60].replace("\n", " ")
