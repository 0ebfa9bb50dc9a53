"""The two nouns that everything shares, a song and a span of it, and where songs are found.

A source is a folder, a list of songs, a prepared TFDS dataset or the procedural band. Each file is
measured before it is trusted, and one bad file never stops the others. Lengths and labels are
known here; sound is not held, and windows are chosen elsewhere. No TensorFlow, no JAX.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import logging
import math
import os
import pathlib
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import manifest, wave
from jukebox_jax.audio.manifest import SongError as SongError

log = logging.getLogger(__name__)

_EVERY = 30.0  # seconds between two lines of progress
_STALE = 3600.0  # seconds without a new song after which whoever rendered them is gone
_BAND = {"songs": 24, "seconds": 20.0, "seed": 0, "singer": 1.0}


@dataclasses.dataclass(frozen=True)
class Song:
    """A song.

    Attributes:
      path: its file, or the name of its record; "" for a song that is yet to be sampled.
      samples: its length, in samples at `rate`.
      labels: what is known about it, by signal name: artist, genre, lyrics, ...
      rate: samples a second of the file.
      name: its path below the source that it was found in, where that has folders.
    """

    path: str
    samples: int
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rate: int = 44100
    name: str = dataclasses.field(default="", compare=False)

    def length(self, rate: int) -> int:
        """Samples at another rate, rounded down."""
        return self.samples * rate // self.rate


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a song, in samples at the model's rate.

    Attributes:
      start: its first sample.
      length: its samples.
      total: samples of the whole song.
    """

    start: int
    length: int
    total: int


@dataclasses.dataclass(frozen=True)
class Survey:
    """What was found in a source.

    Attributes:
      songs: the songs to use, in the order of their list or of their paths.
      left_out: (path, reason) of those that are not used.
      source: where was looked.
      unlisted: how many files of sound there are that the folder's list does not name.
    """

    songs: tuple[Song, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    source: str = ""
    unlisted: int = 0

    def report(self, show: int = 5) -> str:
        """A few lines: what is kept, what is left out and why.

        Args:
          show: how many of the unreadable are named.
        """
        minutes = sum(song.samples / song.rate for song in self.songs) / 60
        lines = [f"{self.source}: {len(self.songs)} songs, {minutes:.1f} minutes"]
        if self.left_out:
            kinds = Counter(_kind(reason) for _, reason in self.left_out)
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            lines.append(f"left out {len(self.left_out)}: {counts}")
        bad = [reason for _, reason in self.left_out if _kind(reason) == "unreadable"]
        lines += [f"  {reason}" for reason in bad[:show]]
        if len(bad) > show:
            lines.append(f"  and {len(bad) - show} more that cannot be read")
        if self.unlisted:
            lines.append(f"{self.unlisted} files in the folder are not in its list")
        return "\n".join(lines)


def survey(
    source: str | os.PathLike,
    *,
    rate: int,
    minimum_seconds: float = 0.0,
    maximum_seconds: float = math.inf,
    check: bool = False,
    threads: int = 8,
) -> Survey:
    """Finds and measures the songs of a source.

    Args:
      source: a folder (with a manifest.jsonl or manifest.csv inside, or else all sound in it and
        below, without labels), such a list itself (paths in it are relative to it), a folder of
        codes that launch/encode.py made, whose songs are those that were encoded,
        "tfds:NAME[:CONFIG][/SPLIT][@DATA_DIR]" for a prepared dataset, or
        "band:songs=24,seconds=20,seed=0,rate=22050" for the procedural band; singer=4 makes its
        voices four times as loud.
      rate: the model's samples a second; the band plays at it unless told otherwise, and so is
        a dataset taken to that does not state its own.
      minimum_seconds: shorter songs are left out.
      maximum_seconds: songs of this length or longer are left out.
      check: decode every file to the end, to find damage in its middle.
      threads: files measured at a time.

    Raises:
      SongError: the source is missing or of no known kind, or its list cannot be read.
    """
    name = os.fspath(source)
    if not name:
        raise SongError(
            "source is empty; give a folder, a .jsonl or .csv list, tfds:... or band:..."
        )
    from jukebox_jax.audio import codes, making

    left_out: list[tuple[str, str]] = []
    found: Sequence[Song]
    below, unlisted = name, 0
    if codes.are_in(name):
        found = codes.read(name).songs
        below = str(making.read_notes(pathlib.Path(name) / codes.NOTES).get("source", name))
    elif name.startswith("tfds:"):
        from jukebox_jax.audio import dataset

        found = dataset.songs(name, rate=rate)
    elif "://" in name:
        raise SongError(
            f"{name}: songs are read from folders; mount the bucket, or pack the songs with "
            "launch/pack.py and give tfds:NAME@BUCKET"
        )
    else:
        place = _band(name, rate) if name.startswith("band:") else pathlib.Path(name)
        rows = manifest.rows(place)
        if manifest.listed(place):
            unlisted = manifest.unlisted(place, rows)
        found = _measure(rows, left_out, check, threads)
    songs = []
    for song in found:
        seconds = song.samples / song.rate
        if seconds < minimum_seconds:
            left_out.append((song.path, f"too short: {seconds:.2f} s"))
        elif seconds >= maximum_seconds:
            left_out.append((song.path, f"too long: {seconds:.2f} s"))
        else:
            songs.append(dataclasses.replace(song, name=_below(below, song.path)))
    return Survey(tuple(songs), tuple(left_out), name, unlisted)


def find(
    source: str | os.PathLike,
    *,
    rate: int,
    minimum_seconds: float = 0.0,
    maximum_seconds: float = math.inf,
    check: bool = False,
    threads: int = 8,
) -> tuple[Song, ...]:
    """The songs of a source; what was found is logged. Arguments are those of `survey`.

    Raises:
      SongError: what `survey` raises, or no song is left.
    """
    found = survey(
        source,
        rate=rate,
        minimum_seconds=minimum_seconds,
        maximum_seconds=maximum_seconds,
        check=check,
        threads=threads,
    )
    if not found.songs:
        why = found.report(show=1).split("\n")[1:]
        raise SongError(f"{source}: no song to use" + (f"; {'; '.join(why)}" if why else ""))
    log.info("%s", found.report())
    return found.songs


def split(songs: Sequence[Song], held_out: float) -> tuple[tuple[Song, ...], tuple[Song, ...]]:
    """Divides songs into those to train on and those held out, the same way every time.

    The songs whose names have the smallest hashes are held out, so that neither their order nor
    the place of the collection matters. What is added to a collection changes no other song's
    place among the hashes: with a number, none that was trained on is ever held out later; with a
    fraction, more are held out as there are more. Both sides get a song where there are two.

    Args:
      songs: all of them.
      held_out: a fraction below 1, or a number of songs; 0 for none.

    Raises:
      SongError: a number that is negative or not whole.
    """
    if held_out < 0 or (held_out >= 1 and held_out != int(held_out)):
        raise SongError(f"held_out={held_out}: give a fraction below 1, or a number of songs")
    wanted = int(held_out) if held_out >= 1 else round(held_out * len(songs))
    wanted = min(max(wanted, 1 if held_out else 0), max(len(songs) - 1, 0))

    def drawn(index: int) -> tuple[bytes, int]:
        name = "/" + (songs[index].name or os.path.basename(songs[index].path))
        return hashlib.sha256(name.encode("utf-8", "replace")).digest(), index

    chosen = set(sorted(range(len(songs)), key=drawn)[:wanted])
    train = tuple(song for index, song in enumerate(songs) if index not in chosen)
    return train, tuple(song for index, song in enumerate(songs) if index in chosen)


def read_songs(path: str | os.PathLike, *, rate: int = 44100) -> tuple[Song, ...]:
    """Reads which songs to sample.

    Args:
      path: JSON lines (or a CSV table) with labels, `total_seconds` (the length of the whole
        song, of which a part may be sampled) and what else a sampler reads, as `start_seconds`
        and `seed`. All of it stays in the labels.
      rate: samples a second to count `samples` at; 0 samples where no total is given.

    Raises:
      SongError: the file or one of its lines cannot be read.
    """
    songs = []
    for number, row in manifest.read(path):
        try:
            labels = manifest.labels(row, pathlib.Path(path).parent)
            for key in ("total_seconds", "start_seconds"):
                if key in labels:
                    labels[key] = _seconds(key, labels[key])
            if "seed" in labels:
                labels["seed"] = _seed(labels["seed"])
        except ValueError as error:
            raise SongError(f"{path}:{number}: {error}") from None
        samples = int(labels.get("total_seconds", 0.0) * rate)
        songs.append(Song("", samples, labels, rate))
    return tuple(songs)


def _seed(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise SongError(f"seed is {value!r}: give a whole number") from None


def write_manifest(path: str | os.PathLike, songs: Iterable[Song]) -> None:
    """Writes songs as a list that `survey` reads; paths below its folder become relative."""
    folder = pathlib.Path(path).absolute().parent
    rows = []
    for song in songs:
        file = pathlib.Path(song.path).absolute()
        inside = file.is_relative_to(folder)
        rows.append({"path": str(file.relative_to(folder) if inside else file), **song.labels})
    manifest.write(path, rows)


def _below(source: str, path: str) -> str:
    """A song's path below a folder, or that of a list; "" for a source that is neither."""
    if source.startswith(("tfds:", "band:")):
        return ""
    is_list = source.lower().endswith((".jsonl", ".csv"))
    return os.path.relpath(path, (os.path.dirname(source) if is_list else source) or ".")


def _measure(
    rows: Sequence[manifest.Row], left_out: list[tuple[str, str]], check: bool, threads: int
) -> list[Song]:
    """Probes all files; those that fail are added to `left_out`."""
    import tqdm

    def one(row: manifest.Row) -> Song | str:
        path, labels = row
        if isinstance(labels, str):
            return labels
        try:
            probed = wave.probe(path, check=check)
        except wave.AudioError as error:
            return str(error)
        except Exception as error:  # whatever a codec does, one file never stops the others
            return f"{path}: {type(error).__name__}: {error}".replace("\n", " ")
        return Song(path, probed.samples, labels, probed.rate)

    songs = []
    with concurrent.futures.ThreadPoolExecutor(max(1, threads)) as pool:
        measured = pool.map(one, rows)
        bar = tqdm.tqdm(measured, "measuring songs", len(rows), delay=3, leave=False, disable=None)
        for (path, _), outcome in zip(rows, bar, strict=True):
            if isinstance(outcome, Song):
                songs.append(outcome)
            else:
                left_out.append((path, outcome))
    return songs


def _band(source: str, rate: int) -> pathlib.Path:
    """The folder that holds the band's songs, rendered on first use."""
    from jukebox_jax.audio import band

    settings: dict[str, Any] = dict(_BAND, rate=rate)
    for part in filter(None, source.removeprefix("band:").split(",")):
        key, _, value = part.partition("=")
        if key not in settings or not re.fullmatch(r"\d+(\.\d+)?", value):
            known = ", ".join(settings)
            raise SongError(f"{source}: {part!r} is no setting of the band; KEY=NUMBER of {known}")
        settings[key] = float(value) if key in ("seconds", "singer") else int(float(value))
    code = sorted(pathlib.Path(str(band.__file__)).parent.glob("*.py"))
    style = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()[:8]
    name = "-".join(f"{key}{value:g}" for key, value in settings.items())
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = home / "jukebox_jax" / "band" / f"{name}-{style}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for half in folder.parent.glob(".songs*"):  # of those that were killed
        with contextlib.suppress(FileNotFoundError):  # another process may clear away too
            if time.time() - half.stat().st_mtime > _STALE:
                shutil.rmtree(half, ignore_errors=True)
    log.info("rendering the band's songs into %s", folder)
    unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        band.write(
            unfinished,
            settings["songs"],
            seconds=settings["seconds"],
            seed=settings["seed"],
            rate=settings["rate"],
            save=_told(settings["songs"]),
            singer=settings["singer"],
        )
        unfinished.chmod(0o755)
        os.rename(unfinished, folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was first, with the same songs
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _told(count: int) -> Callable[[pathlib.Path, np.ndarray, int], None]:
    """`wave.save` for so many songs, with a line in the log twice a minute."""
    began = said = time.monotonic()
    done = 0

    def save(path: pathlib.Path, audio: np.ndarray, rate: int) -> None:
        nonlocal said, done
        wave.save(path, audio, rate)
        done += 1
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            left = round((said - began) / done * (count - done))
            log.info("rendered %d of %d songs, %d:%02d left", done, count, *divmod(left, 60))

    return save


def _kind(reason: str) -> str:
    head = reason.partition(":")[0]
    return head if head in ("too short", "too long") else "unreadable"


def _seconds(key: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{key}={value!r} is not a number of seconds")
    return seconds
