"""A dataset that is being made: what of, in how many files, and which of them are there.

Which songs there are is noted before anything is written, and each shard is a run of them: so a
shard is the same whoever writes it and whenever. All that could stop the work is looked for here,
before it begins. What a record is, and how shards are written, is known to `shards`.
"""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jukebox_jax.audio import manifest
from jukebox_jax.audio.song import Song, SongError

INDEX = "songs.jsonl"
"""Beside the records: a row for each song, in their order."""

COMPLETE = "dataset_info.json"
"""TFDS's own description of a dataset, which is written last."""

MAKING = ".making"
"""The folder of what is needed until then."""

_SONGS = 64  # of a shard, unless told otherwise
_MOST = 1024  # shards, unless told otherwise
_SPARE = 64 << 20  # bytes to leave free


@dataclasses.dataclass(frozen=True)
class Making:
    """A dataset that is being made, and the share of one process.

    Attributes:
      folder: where its files lie.
      name: what they begin with.
      features: from TFDS's module of features to the features of a record.
      songs: all that it is made of, in order.
      shards: how many files hold its records.
      process: (this process, processes); of n processes each writes every n-th shard.
      description: for people.
    """

    folder: pathlib.Path
    name: str
    features: Callable[[Any], Mapping[str, Any]]
    songs: tuple[Song, ...]
    shards: int
    process: tuple[int, int] = (0, 1)
    description: str = ""

    def file(self, shard: int) -> pathlib.Path:
        """The file of a shard, named as TFDS does."""
        return self.folder / f"{self.name}-train.array_record-{shard:05d}-of-{self.shards:05d}"

    def of(self, shard: int) -> tuple[Song, ...]:
        """The songs of a shard."""
        first, last = (len(self.songs) * n // self.shards for n in (shard, shard + 1))
        return self.songs[first:last]

    def missing(self) -> list[int]:
        """The shards that are nowhere yet."""
        return [shard for shard in range(self.shards) if not self.file(shard).exists()]


def is_complete(folder: str | os.PathLike) -> bool:
    """Whether a dataset has all it needs to be read."""
    return (pathlib.Path(folder) / COMPLETE).is_file()


def begin(
    folder: str | os.PathLike,
    name: str,
    features: Callable[[Any], Mapping[str, Any]],
    find: Callable[[], Sequence[Song]],
    notes: Mapping[str, Any],
    *,
    file: str,
    bytes_a_second: float,
    shards: int | None = None,
    process: tuple[int, int] = (0, 1),
    description: str = "",
) -> Making:
    """Begins a dataset, or goes on with one that was begun.

    Args:
      folder: where its files lie; made if missing.
      name: see `Making`.
      features: see `Making`.
      find: finds the songs; asked only at the very first start.
      notes: what the dataset is made of and how, as JSON's types; written beside it.
      file: the name of the file of notes.
      bytes_a_second: of a song's records, about.
      shards: files; by default one for each 64 songs, 1024 at most.
      process: see `Making`.
      description: see `Making`.

    Raises:
      SongError: something else lies there, or was begun there, or there is no room for it, or
        what `find` raises.
      OSError: the folder cannot be written to.
    """
    folder = pathlib.Path(folder).absolute()
    index, processes = process
    if not 0 <= index < processes:
        raise SongError(f"process {index} of {processes}: count from 0 to {processes - 1}")
    if shards is not None and shards < 1:
        raise SongError(f"shards={shards}: 1 or more")
    making, noted = folder / MAKING, folder / file
    wanted = {**notes} if shards is None else {**notes, "shards": shards}
    if noted.exists():
        _check_same(noted, wanted)
    elif folder.is_dir() and any(one.name != MAKING for one in folder.iterdir()):
        raise SongError(f"{folder}: holds something else; give a new folder")
    if is_complete(folder):
        return Making(folder, name, features, (), int(read_notes(noted)["shards"]), process)
    _check_writable(making)
    if not (making / INDEX).exists():
        rows = [row(one) for one in find()]
        _write_once(making / INDEX, lambda part: manifest.write(part, rows))
    songs = tuple(
        Song(row["path"], row["samples"], manifest.labels(row["labels"], folder), row["rate"])
        for _, row in manifest.read(making / INDEX)
    )
    chosen = {"shards": min(_MOST, math.ceil(len(songs) / _SONGS)), **wanted}
    _write_once(noted, lambda part: part.write_text(json.dumps(chosen, indent=2) + "\n"))
    _check_same(noted, wanted)
    made = Making(
        folder, name, features, songs, int(read_notes(noted)["shards"]), process, description
    )
    _check_room(made, bytes_a_second)
    return made


def read_notes(file: pathlib.Path) -> dict[str, Any]:
    """What is noted beside a dataset.

    Raises:
      SongError: it cannot be read.
    """
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise SongError(f"{file}: cannot be read ({type(error).__name__})") from None


def row(song: Song, rate: int | None = None) -> dict[str, Any]:
    """A song in an index; counted at a rate of choice, by default its own."""
    samples = song.samples if rate is None else song.length(rate)
    return {
        "path": song.path,
        "samples": samples,
        "rate": rate or song.rate,
        "labels": dict(song.labels),
    }


def seconds(song: Song) -> float:
    """How long a song plays."""
    return song.samples / song.rate


def _check_same(noted: pathlib.Path, wanted: Mapping[str, Any]) -> None:
    found = read_notes(noted)
    for key, value in wanted.items():
        if found.get(key) != value:
            raise SongError(
                f"{noted.parent}: was begun with {key} = {found.get(key)!r}, not {value!r}; set it "
                "to that, or give a new folder"
            )


def _check_writable(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot be written to ({error.strerror}); give another folder",
            str(folder),
        ) from None


def _check_room(made: Making, bytes_a_second: float) -> None:
    whole = sum(seconds(one) for shard in made.missing() for one in made.of(shard))
    needed, free = whole * bytes_a_second, shutil.disk_usage(made.folder).free
    if needed + _SPARE > free:
        raise SongError(
            f"{made.folder}: {whole / 3600:.1f} hours need about {needed / 1e9:.2f} GB, but "
            f"{free / 1e9:.2f} GB are free; make room or give another folder"
        )


def _write_once(file: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file whole, unless another process has: then theirs stays."""
    if file.exists():
        return
    part = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        write(part)
        try:
            os.link(part, file)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
