"""Figures with their uncertainty: a value, a 95 % interval, and how they are shown and kept.

Intervals come from drawing whole songs anew, since words and codes of one song are not
independent. Nothing here knows what is measured.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """A statistic of values that come in songs, with its interval if there are two or more.

    Args:
      measure: see `Figure`, as the others.
      name: see there.
      songs: for each song its values, f64[any]; what is no number does not count, nor do songs
        without any.
      statistic: from all values together to a number.
      unit: see there.
      note: see there.
    """
    groups = [np.asarray(one, np.float64).ravel() for one in songs]
    groups = [one[np.isfinite(one)] for one in groups]
    groups = [one for one in groups if len(one)]
    if not groups:
        return Figure(measure, name, math.nan, unit, note=note)
    low, high = interval(groups, statistic) if len(groups) > 1 else (None, None)
    value = float(statistic(np.concatenate(groups)))
    return Figure(measure, name, value, unit, low, high, len(groups), note)


def of_share(
    measure: str, name: str, right: int, total: int, *, songs: int = 0, note: str = ""
) -> Figure:
    """How often something was so, in %, with Wilson's 95 % interval.

    Args:
      measure: see `Figure`, as the others.
      name: see there.
      right: how often it was so.
      total: how often it could have been.
      songs: see there; by default `total`.
      note: see there.
    """
    if not total:
        return Figure(measure, name, math.nan, "%", note=note)
    share, square = right / total, 1.96**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    spread = share * (1 - share) / total + square / (4 * total**2)
    reach = 1.96 * math.sqrt(spread) / (1 + square / total)
    low, high = 100 * max(middle - reach, 0.0), 100 * min(middle + reach, 1.0)
    return Figure(measure, name, 100 * share, "%", low, high, songs or total, note)


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
    if statistic is np.mean:  # of which sums and counts say as much as the values
        sums, counts = (np.array([one(group) for group in groups]) for one in (np.sum, np.size))
        low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
        return float(low), float(high)
    found = [statistic(np.concatenate([groups[index] for index in row])) for row in drawn]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def table(figures: Iterable[Figure]) -> list[str]:
    """Figures as lines to be shown."""
    rows = [("measure", "figure", "value", "95 % interval", "songs", "note")]
    for one in figures:
        between = "" if one.low is None else f"{number(one.low)} to {number(one.high or 0.0)}"
        value = f"{number(one.value)} {one.unit}".rstrip()
        rows.append((one.measure, one.name, value, between, str(one.songs or ""), one.note))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return [
        "  ".join(
            [cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[5]]
        ).rstrip()
        for row in rows
    ]


def write(
    path: str | os.PathLike,
    figures: Iterable[Figure],
    about: dict[str, Any],
    refused: Mapping[str, str] | None = None,
) -> None:
    """Writes figures as JSON: {"about": {...}, "figures": [{...}, ...]}, whole or not at all.

    A value that is not a number is null.

    Args:
      path: the file.
      figures: see `Figure`.
      about: how they came about, of JSON's types.
      refused: measures that could not be taken, and why; written beside the figures, if given.
    """
    rows = [dataclasses.asdict(one) for one in figures]
    for row in rows:
        row["value"] = row["value"] if math.isfinite(row["value"]) else None
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = {"about": about, "figures": rows} | ({"refused": refused} if refused else {})
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    with files.whole(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def number(value: float) -> str:
    """A value as it is shown: three figures, or "-" where there is none."""
    return (
        "-" if not math.isfinite(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    )
