"""Sampled recordings to be measured: drawn on the spot, or read from the folder of a session."""

import dataclasses
import math
import os
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation.progress import Pace
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import compose, request, session, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import Settings


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Sampled recordings.

    Attributes:
      songs: what was asked for.
      codes: of all levels, finest first, i32[songs, length], of those below `level` none.
      level: the finest that was sampled.
      audio: f32[songs, samples, 1], decoded from that level's codes.
      settings: how codes were drawn.
    """

    songs: tuple[Song, ...]
    codes: tuple[np.ndarray, ...]
    level: int
    audio: np.ndarray
    settings: Settings

    def borders(self, jukebox: Jukebox, level: int) -> np.ndarray:
        """Samples at which a level's windows after the first begin to be new, i64[count]."""
        if level >= len(jukebox.priors) or jukebox.priors[level] is None:
            return np.zeros(0, np.int64)
        step = plans.level_of(jukebox, level, self.audio.shape[1], self.settings)
        laid = windows.windows(step.total, step.context, step.hop)
        first = [window.start + window.known for window in laid[1:]]
        return np.array(first, np.int64) * jukebox.hops[level]


def apart(
    songs: Sequence[Song], codes: Sequence[np.ndarray]
) -> list[tuple[Song, Sequence[np.ndarray]]]:
    """Each song with its own codes of all levels, i32[1, length]."""
    return [
        (song, [level[index : index + 1] for level in codes]) for index, song in enumerate(songs)
    ]


def sample(jukebox: Jukebox, songs: Sequence[Song], seconds: float, settings: Settings) -> Drawn:
    """Samples recordings, with a line now and then of what is left.

    Args:
      jukebox: the stages; from the top down, all levels with a prior are sampled.
      songs: what is asked for.
      seconds: of each recording.
      settings: how codes are drawn.

    Raises:
      ValueError: there is no prior of the top level, or what `compose.sample` raises.
    """
    top = len(jukebox.hops) - 1
    if len(jukebox.priors) <= top or jukebox.priors[top] is None:
        raise ValueError(f"there is no prior of the top level, {top}, to sample songs with")
    level = top
    while level and jukebox.priors[level - 1] is not None:
        level -= 1
    samples = int(seconds * jukebox.rate)
    total = sum(samples // jukebox.hops[one] for one in range(level, top + 1))
    pace = Pace(f"sampling {len(songs)} songs", total)

    def on_window(at: int, codes: np.ndarray) -> None:
        above = sum(samples // jukebox.hops[one] for one in range(at + 1, top + 1))
        pace.reach(above + float(np.mean(plans.filled(codes))))

    recording = compose.sample(
        jukebox, songs, seconds, settings=settings, on_window=on_window, progress=False
    )
    return Drawn(tuple(songs), recording.codes, level, recording.audio[level], settings)


def read(jukebox: Jukebox, folder: str | os.PathLike, most: int) -> Drawn:
    """The recordings of a session, decoded anew from its codes.

    Args:
      jukebox: the stages that sampled them.
      folder: of `launch/sample.py` or `launch/take.py`.
      most: read so many songs, at most.

    Raises:
      ValueError: it holds no session, not yet any codes, or those of other stages.
    """
    said = session.settings(folder)
    if (said.get("rate"), tuple(said.get("hops") or ())) != (jukebox.rate, jukebox.hops):
        raise ValueError(
            f"{folder} was sampled at {said.get('rate')} Hz with hops {said.get('hops')}, but "
            f"the stages have {jukebox.rate} Hz and hops {list(jukebox.hops)}: give its own stages"
        )
    found = request.read_codes(os.fspath(folder))
    level = min(found)
    codes = tuple(
        np.asarray(found.get(one, np.zeros((len(found[level]), 0), np.int32)))[:most]
        for one in range(len(jukebox.hops))
    )
    songs = tuple(Song("", 0, labels, jukebox.rate) for labels in said["songs"])[:most]
    fractions = tuple(np.atleast_1d(said["config"].get("hop_fraction") or ()).tolist()) or None
    if fractions is not None and len(fractions) == 1:
        fractions = fractions * len(jukebox.hops)
    settings = Settings(hop_fraction=fractions, allow_unknown=True)
    audio = compose.decode(jukebox, codes[level], level)
    length = math.floor(min(audio.shape[1], said.get("samples") or audio.shape[1]))
    return Drawn(songs, codes, level, audio[:, :length], settings)
