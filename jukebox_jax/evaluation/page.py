"""Figures as one HTML page that needs nothing else: tables, and intervals drawn in SVG."""

import html
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jukebox_jax.audio import files
from jukebox_jax.evaluation.figures import Figure, number

_STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em; color: #222 }
h2 { margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; width: 100%; font-size: 14px }
th, td { text-align: left; padding: .25em .8em .25em 0; vertical-align: top }
tr + tr td { border-top: 1px solid #eee }
td { overflow-wrap: anywhere }
td:first-child { min-width: 6em }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
svg { display: block; width: 100%; min-width: 40em; height: auto; margin: .5em 0 1.5em }
.note { color: #777 }
"""
_WIDTH, _ROW, _LEFT, _RIGHT = 900, 22, 380, 90  # of a drawing, in its own units


def write(
    path: str | os.PathLike,
    figures: Iterable[Figure],
    about: Mapping[str, Any],
    refused: Mapping[str, str] | None = None,
) -> None:
    """Writes the page, whole or not at all.

    Args:
      path: the file.
      figures: in the order in which they are shown, those of a measure side by side.
      about: how they came about.
      refused: measures that could not be taken, and why.
    """
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(file) as unfinished:
        unfinished.write_text(render(figures, about, refused or {}), encoding="utf-8")


def render(figures: Iterable[Figure], about: Mapping[str, Any], refused: Mapping[str, str]) -> str:
    """The page's text; arguments are those of `write`."""
    told = _table([(name, str(value)) for name, value in about.items() if value not in ("", None)])
    parts = ["<h1>Evaluation</h1>", told]
    for measure, group in itertools.groupby(figures, key=lambda one: one.measure):
        parts += [f"<h2>{_text(measure)}</h2>", *_measure(list(group))]
    if refused:
        parts += ["<h2>not measured</h2>", _table(list(refused.items()))]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _measure(figures: Sequence[Figure]) -> list[str]:
    rows = ["<tr><th>figure</th><th>value</th><th>95 % interval</th><th>songs</th></tr>"]
    for one in figures:
        between = "" if one.low is None else f"{number(one.low)} to {number(one.high or 0.0)}"
        note = f'<br><span class="note">{_text(one.note)}</span>' if one.note else ""
        rows.append(
            f"<tr><td>{_text(one.name)}{note}</td>"
            f'<td class="number">{number(one.value)} {_text(one.unit)}</td>'
            f'<td class="number">{between}</td><td>{one.songs or ""}</td></tr>'
        )
    alike: dict[str, list[Figure]] = {}
    for one in figures:
        if one.low is not None and math.isfinite(one.value):
            alike.setdefault(one.unit, []).append(one)
    drawn = [_wide(drawing(some)) for some in alike.values() if len(some) > 1]
    return [_wide(f"<table>{''.join(rows)}</table>"), *drawn]


def drawing(figures: Sequence[Figure]) -> str:
    """Values and intervals of one unit on one scale, as SVG.

    Args:
      figures: one at least, with intervals, their values finite.
    """
    ends = [end for one in figures for end in (one.low or 0.0, one.high or 0.0, one.value)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = (_WIDTH - _LEFT - _RIGHT) / ((high - low) or 1.0)

    def at(value: float) -> str:
        return f"{_LEFT + (value - low) * scale:.1f}"

    height = _ROW * (len(figures) + 1)
    parts = [
        f'<line x1="{at(0)}" x2="{at(0)}" y1="4" y2="{height - _ROW}" stroke="#bbb"/>',
        f'<text x="{at(0)}" y="{height - 8}" text-anchor="middle" fill="#777">'
        f"0 {_text(figures[0].unit)}</text>",
    ]
    for row, one in enumerate(figures):
        y = _ROW * row + 14
        parts += [
            f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{_text(one.name)}</text>',
            f'<line x1="{at(one.low or 0.0)}" x2="{at(one.high or 0.0)}" y1="{y}" y2="{y}" '
            'stroke="#79a" stroke-width="4"/>',
            f'<circle cx="{at(one.value)}" cy="{y}" r="4.5" fill="#245"/>',
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 4}">{number(one.value)}</text>',
        ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" font-size="13" font-family="sans-serif">'
        f"{''.join(parts)}</svg>"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in rows)
    return _wide(f"<table>{''.join(cells)}</table>")


def _wide(part: str) -> str:
    """A part that is moved sideways where the window is narrower."""
    return f'<div class="wide">{part}</div>'


def _text(value: str) -> str:
    return html.escape(value)
