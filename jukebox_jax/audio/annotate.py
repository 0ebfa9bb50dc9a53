"""Measured labels written into a list of songs, so that measuring happens once.

Labels that are there already, whoever wrote them, are left as they are, as is everything else in a
row. What is measured, and how, stands in `measure`; how rows are spelt, in `manifest`.
"""

import concurrent.futures
import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jukebox_jax.audio import manifest, measure, wave
from jukebox_jax.audio.manifest import SongError
from jukebox_jax.audio.song import Song

log = logging.getLogger(__name__)

_EVERY = 60.0  # seconds between two writings of an unfinished list

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
      songs: how many the list has.
      measured: in how many a label was added.
      unreadable: how many files could not be read; their rows are kept as they were.
    """

    songs: int
    measured: int
    unreadable: int


def annotate(
    source: str | os.PathLike,
    names: Sequence[str],
    out: str | os.PathLike | None = None,
    *,
    threads: int = 4,
) -> Report:
    """Measures what songs are not labelled with, and writes it into a list.

    The list is written whole every minute and at the end, so the same call goes on where it was
    stopped.

    Args:
      source: a folder, with a manifest.jsonl or manifest.csv inside or without, or such a list.
      names: labels, of `measure.MEASURES`.
      out: the list to write, a .jsonl; by default manifest.jsonl in the folder. One that is there
        already keeps all its rows and labels, before those of the source.
      threads: files measured at a time.

    Raises:
      SongError: no songs, a list that cannot be read, or another kind of list to write; or `out`
        is missing where a manifest.jsonl would hide the list that is there.
      ValueError: no label, or one that is not measured.
    """
    import tqdm

    source, names = pathlib.Path(source), tuple(names)
    unknown = [name for name in names if name not in measure.MEASURES]
    if unknown or not names:
        known = ", ".join(measure.MEASURES)
        raise ValueError(f"labels {','.join(unknown) or 'are missing'}: measured are {known}")
    folder = source if source.is_dir() else source.parent
    target = folder / manifest.NAMES[0] if out is None else pathlib.Path(out)
    if target.suffix.lower() != ".jsonl":
        raise SongError(f"{target}: measured labels are written as .jsonl")
    listed = manifest.listed(source) or source
    if out is None and listed.is_file() and listed.resolve() != target.resolve():
        raise SongError(
            f"{listed}: say with --out=LIST.jsonl where the labels go, so that no list hides it"
        )
    rows = _merged(_listed(source), _listed(target) if target.is_file() else {}, target.parent)
    measured, unreadable, written = 0, 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max(1, threads)) as pool:
        paths = list(rows)
        found = pool.map(lambda path: _filled(path, rows[path], names), paths)
        bar = tqdm.tqdm(found, "measuring labels", len(paths), unit=" songs", disable=None)
        for path, labels in zip(paths, bar, strict=True):
            if labels is None:
                unreadable += 1
            elif labels:
                rows[path] |= labels
                measured += 1
            if time.monotonic() - written > _EVERY:
                manifest.write(target, rows.values())
                written = time.monotonic()
    manifest.write(target, rows.values())
    return Report(len(rows), measured, unreadable)


def _listed(source: pathlib.Path) -> dict[str, Row]:
    """The rows of a folder or a list by their file; of a file's rows the first holds.

    What the first does not say the others add, in their order.
    """
    found: dict[str, Row] = {}
    path = manifest.listed(source) or source
    if path.is_dir():
        for file, labels in manifest.rows(path):
            if isinstance(labels, str):
                log.warning("%s; left out", labels)
            else:
                found[file] = dict(labels)
        return found
    if not path.exists():
        raise SongError(f"{path}: no such folder or list of songs")
    for number, row in manifest.read(path):
        if not isinstance(row.get("path"), str):
            raise SongError(f"{path}:{number}: has no path; give the song's file")
        if isinstance(row.get("lyrics_file"), str):
            row = {**row, "lyrics_file": os.path.normpath(path.parent / row["lyrics_file"])}
        file = os.path.normpath(path.parent / row["path"])
        found[file] = {**row, **found.get(file, {})}
    return found


def _merged(
    rows: Mapping[str, Row], earlier: Mapping[str, Row], folder: pathlib.Path
) -> dict[str, Row]:
    """All rows of both, with paths relative to a folder; labels of the earlier ones hold."""
    absolute = {os.path.abspath(path): row for path, row in rows.items()}
    for path, row in earlier.items():
        absolute[os.path.abspath(path)] = {**absolute.get(os.path.abspath(path), {}), **row}
    found = {}
    for path, row in absolute.items():
        places = {"path": _relative(path, folder)}
        if isinstance(row.get("lyrics_file"), str):
            places["lyrics_file"] = _relative(row["lyrics_file"], folder)
        found[path] = {**row, **places}
    return found


def _relative(path: str, folder: pathlib.Path) -> str:
    """A path below a folder without it, another one in full."""
    full = pathlib.Path(os.path.abspath(path))
    inside = full.is_relative_to(os.path.abspath(folder))
    return str(full.relative_to(os.path.abspath(folder)) if inside else full)


def _filled(path: str, row: Row, names: tuple[str, ...]) -> dict[str, Any] | None:
    """What was measured of a file that its row does not have; None if it cannot be read."""
    if all(row.get(name) is not None for name in names):
        return {}
    try:
        probed = wave.probe(path)
    except wave.AudioError as error:
        log.warning("%s; left as it is", error)
        return None
    try:
        found = measure.hear(Song(path, probed.samples, row, probed.rate), names)
    except wave.AudioError:  # which the log has
        return None
    return {name: found[name] for name in names if name in found}
