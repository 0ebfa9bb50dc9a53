"""What is measured: a set of stages, songs they were not trained on, and how much to sample."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import drawn, fresh
from jukebox_jax.evaluation.drawn import Drawn
from jukebox_jax.evaluation.progress import Pace
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import heard
from jukebox_jax.sampling.settings import Settings

_GRID = 4.0  # seconds: lengths of songs as they are encoded
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
      session: a folder of sampled songs to measure in place of new ones; "" for none.
      embeddings: two files of features, of songs that exist and of sampled ones; () for none.
      learn: songs of the procedural band that classifiers learn from.
    """

    jukebox: Jukebox
    songs: tuple[Song, ...]
    seconds: float | None = None
    samples: int = 16
    sampled_seconds: float = 6.0
    settings: Settings = _FRESH
    session: str = ""
    embeddings: tuple[str, ...] = ()
    learn: int = 144

    @functools.cached_property
    def known(self) -> Sequence[tuple[Song, tuple[np.ndarray, ...]]]:
        """The songs with their codes of all levels, i32[1, length], finest first."""
        songs = heard.listen(self.jukebox, self.songs, self.seconds, grid=_GRID)
        pace, found = Pace("encoding songs", len(self.songs)), []
        for one in songs:
            found.append(one)
            pace.reach(len(found))
        return tuple(found)

    @functools.cached_property
    def requests(self) -> tuple[Song, ...]:
        """What new songs are asked for: `samples` of them.

        Where the songs are the procedural band's, each artist and each genre in turn, as often as
        the others, with labels of songs that it has never played; else the songs' own labels.

        Raises:
          ValueError: there are no songs to take labels of.
        """
        if not self.songs:
            raise ValueError("there are no songs whose labels could be asked for: give --songs")
        bases = list(self.songs)
        if fresh.plays(self.songs):
            length = fresh.seconds(self.songs)
            told = fresh.labels(self.samples, length, fresh.ASK)
            rate = self.jukebox.rate
            bases = [Song("", round(one["total_seconds"] * rate), one, rate) for one in told]
        repeated = itertools.islice(itertools.cycle(bases), self.samples)
        return tuple(self.asked(song, index) for index, song in enumerate(repeated))

    @functools.cached_property
    def drawn(self) -> Drawn:
        """Sampled songs: those of the session, or new ones.

        Raises:
          ValueError: the session does not fit the stages, or there is nothing to sample with.
        """
        if self.session:
            return drawn.read(self.jukebox, self.session, self.samples)
        return drawn.sample(self.jukebox, self.requests, self.sampled_seconds, self.settings)

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
