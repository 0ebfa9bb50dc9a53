"""Lists of songs: folders of sound, one JSON object a line, or a CSV table with a header.

A row is a dictionary: where the song is, and its labels (artist, genre, lyrics and whatever
further signals there are). This file knows how rows are spelt and says on which line one is
wrong. It opens no sound.
"""

import csv
import io
import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from jukebox_jax.audio import files

log = logging.getLogger(__name__)

NAMES = ("manifest.jsonl", "manifest.csv")
"""What the list inside a folder of songs is called."""

EXTENSIONS = frozenset(
    ".wav .wave .w64 .rf64 .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .caf "
    ".m4a .mp4 .aac .alac .wma .ape .wv".split()
)
"""What counts as sound in a folder without a list; what of it cannot be read is reported."""

_TIMED = ("lyrics", "lyrics_times")  # signals that may be a list of [seconds, text]


class SongError(ValueError):
    """A source without usable songs; its message is one line and names the file, and the line."""


Row = tuple[str, Mapping[str, Any] | str]
"""A file, and its labels or why it has none."""


def read(path: str | os.PathLike) -> list[tuple[int, dict[str, Any]]]:
    """Reads the rows of a .jsonl or .csv file.

    Empty lines are passed over, as are empty cells of a table, whose values are strings.

    Returns:
      (line number, row) pairs.

    Raises:
      SongError: no such file, another extension, or a line that is not a row.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise SongError(f"{path}: a list of songs is a .jsonl or a .csv file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SongError(f"{path}: cannot be read ({reason})") from None
    rows = _table(path, text) if path.suffix.lower() == ".csv" else _objects(path, text)
    if not rows:
        raise SongError(f"{path}: lists no songs; write one row for each")
    return rows


def rows(path: pathlib.Path) -> list[Row]:
    """The files of a folder or of a list, with their labels.

    Args:
      path: a folder, with a list inside or else with sound in it and below; or a list, which
        paths in it are relative to.

    Raises:
      SongError: it is missing or empty, or a line of the list cannot be read.
    """
    if path.is_dir():
        inside = listed(path)
        if inside is None:
            sounds = _sounds(path)
            if not sounds:
                raise SongError(
                    f"{path}: holds no sound; put wav, flac, ogg, mp3 or aiff files there"
                )
            return [(_shown(file), _nameless(file) or {}) for file in sounds]
        hidden = path / NAMES[1]
        if inside != hidden and hidden.is_file():
            log.warning("%s: is not read, since %s lies beside it", hidden, inside.name)
        path = inside
    elif not path.exists():
        raise SongError(f"{path}: no such folder or list of songs")
    found: list[Row] = []
    seen: set[str] = set()
    for number, row in read(path):
        if not isinstance(row.get("path"), str):
            raise SongError(
                f"{path}:{number}: has no path; give the song's file, relative to the list"
            )
        file = os.path.normpath(path.parent / row["path"])
        try:
            known: Mapping[str, Any] | str = labels(row, path.parent)
        except SongError as error:
            known = f"{file}: {error}"
        found.append((file, f"{file}: is listed twice" if file in seen else known))
        seen.add(file)
    return found


def listed(folder: pathlib.Path) -> pathlib.Path | None:
    """The list inside a folder of songs; None where there is none, or no folder."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def unlisted(folder: pathlib.Path, rows: Iterable[Row]) -> int:
    """How many files of sound in a folder and below are not in its list."""
    known = {file for file, _ in rows}
    return sum(os.path.normpath(_shown(file)) not in known for file in _sounds(folder))


def labels(row: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """A row's labels: all of it but the path.

    `lyrics_file` is replaced by `lyrics`, the text of that file. Timed lyrics, given as
    [[seconds, text], ...] (in a table: as the JSON of that) under `lyrics` or `lyrics_times`,
    become a list of (seconds, text) pairs; they are the `lyrics` too where there are no others.
    Schedules over time and objects with start, end and text stay as they are.

    Args:
      row: a row of a list.
      folder: what a lyrics file's path is relative to.

    Raises:
      SongError: a lyrics file that cannot be read, or lyrics that are neither text nor pairs.
    """
    found = {key: value for key, value in row.items() if key not in ("path", "lyrics_file")}
    file = row.get("lyrics_file")
    if file and "lyrics" not in found:
        try:
            found["lyrics"] = (folder / str(file)).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise SongError(f"lyrics_file {folder / str(file)}: {reason}") from None
    for name in _TIMED:
        if name in found and not (name == "lyrics" and _is_plain(found[name])):
            found[name] = _pairs(name, found[name])
    if "lyrics_times" in found:
        found.setdefault("lyrics", found["lyrics_times"])
    return found


def write(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as JSON lines; the file appears whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows]
    with files.whole(path) as unfinished:
        unfinished.write_text("".join(lines), encoding="utf-8")


def _objects(path: pathlib.Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SongError(
                f"{path}:{number}: not JSON ({error.msg} at column {error.colno}): {line[:60]}"
            ) from None
        if not isinstance(row, dict):
            raise SongError(f"{path}:{number}: {line[:60]} is not an object; write {{...}}")
        rows.append((number, row))
    return rows


_CELL = 1 << 28  # characters of a cell of a table, at most


def _table(path: pathlib.Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(_CELL)
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    rows: list[tuple[int, dict[str, Any]]] = []
    while True:
        first = table.line_num + 1
        try:
            cells = next(table, None)
        except csv.Error as error:
            raise SongError(
                f"{path}:{first}: the row that begins here is no CSV ({error}); close its quotes, "
                "and double those inside a cell"
            ) from None
        if cells is None:
            return rows
        if header is None:
            header = [name.strip() for name in cells]
            continue
        if len(cells) > len(header):
            raise SongError(
                f"{path}:{first}: more cells than the header's {len(header)} columns; quote a cell "
                "that holds a comma"
            )
        row = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        for name, cell in row.items():
            if name not in _TIMED and ("\n" in cell or "\r" in cell):
                raise SongError(
                    f"{path}:{first}: {name} goes over several lines ({cell[:40]!r}); close the "
                    "quotes of each cell, and keep all but lyrics on one line"
                )
        if cells:
            rows.append((first, row))


def _is_plain(value: Any) -> bool:
    """Text of any form, or the objects of a schedule or of subtitles, which others read."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping) or (
        isinstance(value, str) and not value.lstrip().startswith("[[")
    )


def _pairs(name: str, value: Any) -> list[tuple[float, str]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise SongError(f"{name}: neither text nor [[seconds, text], ...]") from None
    try:
        return [(float(seconds), str(text)) for seconds, text in value]
    except (TypeError, ValueError):
        shown = repr(value)[:60]
        raise SongError(f"{name}: {shown} is not [[seconds, text], ...]") from None


def _shown(file: pathlib.Path) -> str:
    """A path as text that can be written, whatever bytes the file system has for it."""
    return os.fsencode(file).decode("utf-8", "replace")


def _nameless(file: pathlib.Path) -> str | None:
    """Why a file cannot be named in a list, if it cannot."""
    shown = _shown(file)
    return None if shown == str(file) else f"{shown}: its name is not UTF-8; rename it"


def _sounds(folder: pathlib.Path) -> list[pathlib.Path]:
    """All sound in a folder and below; links are followed, but never in a circle."""
    found, visited = [], set()
    for here, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        below[:] = sorted(n for n in below if not n.startswith(".")) if real not in visited else []
        files = names if real not in visited else []
        visited.add(real)
        found += [pathlib.Path(here, name) for name in files if not name.startswith(".")]
    return sorted(file for file in found if file.suffix.lower() in EXTENSIONS)
