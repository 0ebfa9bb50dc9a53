"""Songs of the procedural band that no stage can have heard, with all their labels.

The band composes without end, so what is measured on it need not be taken from the few songs that
were held out: collections of seeds that nobody trains on serve as well, and are as many as wanted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import band, wave
from jukebox_jax.audio.song import Song

LEARN, TEST, ASK = 7001, 7002, 7003
"""Seeds of collections: to learn from, to test on, and to ask for new songs like them."""


def plays(songs: Sequence[Song]) -> bool:
    """Whether songs are the band's, by the names of their artists and genres."""
    return bool(songs) and all(
        song.labels.get("artist") in band.ARTISTS and song.labels.get("genre") in band.GENRES
        for song in songs
    )


def seconds(songs: Sequence[Song]) -> float:
    """How long songs of a collection were asked to be: the mean of these, in seconds."""
    return float(np.mean([song.samples / song.rate for song in songs]))


def singer(config: Mapping[str, Any]) -> float:
    """How much louder than usual voices are in what a stage was trained on."""
    found = re.search(r"singer=([\d.]+)", str((config.get("data") or {}).get("source", "")))
    return float(found[1]) if found else 1.0


def labels(count: int, length: float, seed: int) -> list[dict[str, Any]]:
    """Labels of the first songs of a collection, in which each artist plays each genre in turn.

    Args:
      count: how many songs.
      length: about how long songs are, in seconds.
      seed: of the collection.
    """
    scores = (band.song(index, seconds=length, seed=seed) for index in range(count))
    return [band.labels(score) | {"total_seconds": score.seconds} for score in scores]


def sounds(
    count: int, length: float, seed: int, rate: int, loud: float = 1.0
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """The first songs of a collection, (f32[samples, 1], labels), one at a time.

    Args:
      count: how many songs.
      length: about how long songs are, in seconds.
      seed: of the collection.
      rate: samples a second.
      loud: how much louder than usual the voice is, a factor.
    """
    for index in range(count):
        score = band.song(index, seconds=length, seed=seed)
        yield wave.mono(band.render(score, rate, loud)), band.labels(score)
