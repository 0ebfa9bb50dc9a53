"""Figures with their uncertainty: a value, a 95 % interval, and how they are shown and kept.

Intervals come from drawing whole songs anew, since words and codes of one song are not
independent. Nothing here knows what is measured.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import files

DRAWS = 2000
"""How often songs are drawn anew."""

Statistic = Callable[[np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
      measure: which measure found it.
      name: what it is, in a few words.
      value: the figure; not a number where there was nothing to measure.
      unit: of the value; "" for a plain number.
      low: where its 95 % interval begins; None where it has none.
      high: where that ends.
      songs: how many songs it comes from.
      note: what else a reader must know, on one line.
    """

    measure: str
    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    songs: int = 0
    note: str = ""


def of_songs(
    measure: str,
    name: str,
    songs: Sequence[np.ndarray],
    *,
    statistic: Statistic = np.mean,
    unit: str = "",
    note: str = "",
) -> Figure:
    """A statistic of values that come in songs, with its interval.

    Args:
      measure: see `Figure`, as the others.
      name: see there.
      songs: for each song its values, f64[any]; songs without any do not count.
      statistic: from all values together to a number.
      unit: see there.
      note: see there.
    """
    groups = [np.asarray(one, np.float64).ravel() for one in songs]
    groups = [one for one in groups if len(one)]
    if not groups:
        return Figure(measure, name, math.nan, unit, note=note)
    low, high = interval(groups, statistic)
    value = float(statistic(np.concatenate(groups)))
    return Figure(measure, name, value, unit, low, high, len(groups), note)


def interval(
    groups: Sequence[np.ndarray], statistic: Statistic, *, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a statistic, by drawing whole groups anew.

    Args:
      groups: at least one, none of them empty.
      statistic: from the values of all groups together to a number.
      seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(DRAWS, len(groups)))
    found = [statistic(np.concatenate([groups[index] for index in row])) for row in drawn]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def table(figures: Iterable[Figure]) -> list[str]:
    """Figures as lines to be shown."""
    rows = [("measure", "figure", "value", "95 % interval", "songs", "note")]
    for one in figures:
        between = "" if one.low is None else f"{_number(one.low)} to {_number(one.high or 0.0)}"
        value = f"{_number(one.value)} {one.unit}".rstrip()
        rows.append((one.measure, one.name, value, between, str(one.songs or ""), one.note))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return [
        "  ".join(
            [cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[5]]
        ).rstrip()
        for row in rows
    ]


def write(path: str | os.PathLike, figures: Iterable[Figure], about: dict[str, Any]) -> None:
    """Writes figures as JSON: {"about": {...}, "figures": [{...}, ...]}, whole or not at all.

    A value that is not a number is null.

    Args:
      path: the file.
      figures: see `Figure`.
      about: how they came about, of JSON's types.
    """
    rows = [dataclasses.asdict(one) for one in figures]
    for row in rows:
        row["value"] = row["value"] if math.isfinite(row["value"]) else None
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "figures": rows}, indent=1, ensure_ascii=False) + "\n"
    with files.whole(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _number(value: float) -> str:
    return (
        "-" if not math.isfinite(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    )
