"""What is measured: a set of stages, songs they were not trained on, and how much to sample."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import heard
from jukebox_jax.sampling.settings import Settings

_FRESH = Settings(allow_unknown=True)


@dataclasses.dataclass(frozen=True)
class Subject:
    """What all measures are given.

    Attributes:
      jukebox: the stages.
      songs: with files and labels, best such as were held out.
      seconds: of each song that is heard, from its beginning; None for all of it.
      samples: how many songs are sampled where a measure samples.
      sampled_seconds: how long each of these is.
      settings: how codes are drawn.
    """

    jukebox: Jukebox
    songs: tuple[Song, ...]
    seconds: float | None = None
    samples: int = 16
    sampled_seconds: float = 6.0
    settings: Settings = _FRESH

    @functools.cached_property
    def known(self) -> Sequence[tuple[Song, tuple[np.ndarray, ...]]]:
        """The songs with their codes of all levels, i32[1, length], finest first."""
        return tuple(heard.listen(self.jukebox, self.songs, self.seconds))

    def asked(self, song: Song, index: int) -> Song:
        """A new song with another's labels, whose noise is that of an index.

        It is as long as the other, of which its first seconds are sampled.
        """
        labels = {
            **song.labels,
            "total_seconds": max(song.samples / song.rate, self.sampled_seconds),
            "seed": self.settings.seed + index,
        }
        labels.pop("start_seconds", None)
        return Song("", 0, labels, self.jukebox.rate)
