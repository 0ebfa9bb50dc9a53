"""Songs as codes: a dataset of them, and windows read from it as from sound.

A VQ-VAE has made the codes once, of each song as a whole, for every level. A record holds a
stretch of one song, so that a window is read in the same time whatever the song's length. Songs
keep the path, the length and the labels that they had as sound: they are shuffled, held out and
described by the same functions, and only what is read of a window differs. Who made the codes is
known as a name of its weights; how, is not known here.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jukebox_jax.audio import dataset, making, manifest, wave, windows
from jukebox_jax.audio.song import Song, SongError, Span

NOTES = "codes.json"
"""Beside the records: whose codes they are. It marks a folder as one of codes."""

NAME = "codes"
"""What the files of a dataset of codes begin with."""

STRETCH = 8192
"""Codes of the top level in a record, but for a song's last."""


@dataclasses.dataclass(frozen=True)
class Codes:
    """A dataset of codes.

    Attributes:
      folder: where it lies.
      rate: audio samples a second of the sound that was encoded.
      hops: audio samples a code, finest level first.
      bins: of each codebook.
      vqvae: the name of the weights that made them.
      songs: in order; their paths and lengths are those of the sound.
      records: for each song by its path, its first record.
    """

    folder: str
    rate: int
    hops: tuple[int, ...]
    bins: int
    vqvae: str
    songs: tuple[Song, ...]
    records: Mapping[str, int] = dataclasses.field(repr=False)

    def load(self, song: Song, level: int, start: int, length: int) -> np.ndarray:
        """Codes of a stretch of a song.

        Args:
          song: one of `songs`.
          level: whose codes, 0 the finest.
          start: the first, counted in this level's codes.
          length: how many.

        Returns:
          i32[length].

        Raises:
          AudioError: the song ends before, or its records cannot be read.
        """
        whole = song.length(self.rate) // self.hops[-1] * (self.hops[-1] // self.hops[level])
        if start < 0 or length < 0 or start + length > whole:
            raise wave.AudioError(
                f"{song.path}: has {whole} codes of level {level}, but {length} from {start} were "
                "asked for"
            )
        size = STRETCH * (self.hops[-1] // self.hops[level])
        first, last = start // size, max(start, start + length - 1) // size
        numbers = [self.records[song.path] + n for n in range(first, last + 1)]
        try:
            parts = [_record(self.folder, number)[f"codes_{level}"] for number in numbers]
        except Exception as error:  # readers of records have no error of their own
            line = " ".join(f"{type(error).__name__}: {error}".split())
            raise wave.AudioError(f"{self.folder}: {song.path} cannot be read ({line})") from None
        begin = start - first * size
        return np.concatenate(parts)[begin : begin + length].astype(np.int32)

    def reader(self, level: int, context: int, *, above: bool) -> windows.Reader:
        """What is read of a prior's window in place of sound.

        Windows begin on codes of the top level, so that those of all levels begin together.

        Args:
          level: whose codes the prior models.
          context: how many it sees at once.
          above: whether it sees the codes of the level above as well.

        Returns:
          A reader of codes i32[context] and, where wanted, above i32[context / pace].
        """
        levels = {"codes": level, **({"above": level + 1} if above else {})}
        lengths = {
            name: context * self.hops[level] // self.hops[one] for name, one in levels.items()
        }

        def read(song: Song, span: Span, left: float) -> dict[str, np.ndarray]:
            return {
                name: self.load(song, one, span.start // self.hops[one], lengths[name])
                for name, one in levels.items()
            }

        arrays = {name: ((length,), np.dtype(np.int32)) for name, length in lengths.items()}
        return windows.Reader(arrays, read, grid=self.hops[-1])


def are_in(source: str | os.PathLike) -> bool:
    """Whether a source is a dataset of codes, finished or not."""
    name = os.fspath(source)
    return bool(name) and (pathlib.Path(name) / NOTES).is_file()


def features(levels: int, bins: int, kinds: Any) -> dict[str, Any]:
    """The features of a record, for TFDS.

    Args:
      levels: how many.
      bins: of each codebook.
      kinds: TFDS's module of features.
    """
    dtype = np.uint16 if bins <= 1 << 16 else np.int32
    codes = {
        f"codes_{level}": kinds.Tensor(
            shape=(None,), dtype=dtype, encoding="bytes", doc=f"level {level}, 0 the finest"
        )
        for level in range(levels)
    }
    return codes | {
        "path": kinds.Text(doc="the song"),
        "start": kinds.Scalar(dtype=np.int64, doc="first audio sample, at `rate`"),
        "samples": kinds.Scalar(dtype=np.int64, doc="audio samples of the whole song, at `rate`"),
        "rate": kinds.Scalar(dtype=np.int32, doc="audio samples a second"),
        "labels": kinds.Text(doc="JSON, by signal name; lyrics with their times"),
    }


@functools.lru_cache(maxsize=8)
def read(folder: str) -> Codes:
    """Opens a dataset of codes.

    Raises:
      SongError: it is not finished, or its files cannot be read.
    """
    where = pathlib.Path(folder)
    notes = making.read_notes(where / NOTES)
    if not making.is_complete(where):
        raise SongError(
            f"{folder}: its codes are not finished; run the same launch/encode.py again, which "
            "goes on"
        )
    rows = [row for _, row in manifest.read(where / making.INDEX)]
    try:
        songs = tuple(
            Song(row["path"], row["samples"], manifest.labels(row["labels"], where), row["rate"])
            for row in rows
        )
        return Codes(
            folder=os.fspath(folder),
            rate=int(notes["rate"]),
            hops=tuple(notes["hops"]),
            bins=int(notes["bins"]),
            vqvae=str(notes["vqvae"]),
            songs=songs,
            records={row["path"]: row["record"] for row in rows},
        )
    except (KeyError, TypeError) as error:
        raise SongError(f"{folder}: holds no codes of this release ({error!r})") from None


@functools.lru_cache(maxsize=32)
def _record(folder: str, number: int) -> Mapping[str, Any]:
    return dataset.records(folder)[number]
