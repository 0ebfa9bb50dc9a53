"""How surprised priors are by songs they were not trained on: bits a code, and bits a second.

Codes are read in windows side by side, as in training; by genre, by place in the window, which
tells what a longer past is worth, and by place in the song.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import figures, progress
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.sampling import price, windows

_PARTS = 4  # of a window
_THIRDS = ("first third", "second third", "last third")
_GENRES = 12  # at most so many are listed, the most common first


def bits(subject: Subject) -> list[Figure]:
    """Bits of the codes of each level that has a prior.

    Raises:
      ValueError: there is no prior, or no song is as long as a window.
    """
    box = subject.jukebox
    levels = [level for level, stage in enumerate(box.priors) if stage is not None]
    if not levels:
        raise ValueError("there is no prior whose bits could be counted: give --priors")
    found: list[Figure] = []
    refused = []
    for level in levels:
        told, costs = _costs(subject, level)
        if costs:
            found += _of_level(subject, level, told, costs)
        else:
            refused.append(str(level))
    if refused and not found:
        raise ValueError(f"no song is as long as a window of level {', '.join(refused)}")
    return found


def _costs(subject: Subject, level: int) -> tuple[list[Song], list[np.ndarray]]:
    """The songs that are long enough, and the bits of their codes, f32[length] each."""
    box, stage = subject.jukebox, subject.jukebox.priors[level]
    assert stage is not None
    settings = dataclasses.replace(subject.settings, hop_fraction=1.0, batch=1)
    songs, found = [], []
    for song, codes in progress.follow(subject.known, f"bits of level {level}"):
        if codes[level].shape[1] >= stage.model.context:
            cost = price.bits(box, [song], codes, level, settings=settings)
            songs.append(song)
            found.append(cost[0])
    return songs, found


def _of_level(
    subject: Subject, level: int, songs: Sequence[Song], costs: Sequence[np.ndarray]
) -> list[Figure]:
    box, stage = subject.jukebox, subject.jukebox.priors[level]
    second = box.rate / box.hops[level]
    assert stage is not None
    context, most = stage.model.context, math.log2(stage.model.bins)

    def figure(
        name: str, values: Sequence[np.ndarray], unit: str = "bits a code", note: str = ""
    ) -> Figure:
        title = f"level {level}: {name}"
        return figures.of_songs("bits", title, values, unit=unit, note=note)

    window = context / second
    note = f"an even guess costs {most:.3g}; windows of {context} codes, {window:.3g} s"
    found = [
        figure("a code", costs, note=note),
        figure("a second", [second * one for one in costs], unit="bits a second of music"),
    ]
    genres: dict[str, list[np.ndarray]] = {}
    for song, cost in zip(songs, costs, strict=True):
        named = song.labels.get("genre")
        if isinstance(named, str) and named:
            genres.setdefault(named, []).append(cost)
    if len(genres) > 1:
        common = sorted(genres, key=lambda name: -len(genres[name]))[:_GENRES]
        found += [figure(f"genre {name}", genres[name]) for name in sorted(common)]
    places = [_places(len(cost), context) for cost in costs]
    for part in range(_PARTS):
        low, high = part * context // _PARTS, (part + 1) * context // _PARTS
        chosen = [
            cost[(place >= low) & (place < high)] for cost, place in zip(costs, places, strict=True)
        ]
        found.append(figure(f"window, quarter {part + 1}", chosen))
    for third, name in enumerate(_THIRDS):
        chosen = [cost[len(cost) * third // 3 : len(cost) * (third + 1) // 3] for cost in costs]
        found.append(figure(f"song, {name}", chosen))
    return found


def _places(total: int, context: int) -> np.ndarray:
    """The place in its window of each code, i64[total], for windows side by side."""
    places = np.zeros(total, np.int64)
    for window in windows.windows(total, context, context):
        own = np.arange(window.known, window.until)
        places[window.start + own] = own
    return places
