"""The runs of a studio: session folders side by side, and what each of them holds so far.

All that is known of a run is read from its folder, so that it is there again after the studio was
closed, whoever wrote it. Nothing is sampled here.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from jukebox_jax.sampling import request, session, tree

WORDS: Mapping[str, str] = {
    "pick": "upsampled",
    "branch": "branched",
    "excerpt": "part",
    "replace": "mended",
    "truncate": "cut",
    "splice": "spliced",
    "upsample": "upsampled",
}
"""What a run is called that an operation of `takes` made."""

_NAME = re.compile(r"(\d{3,}) .+")


@dataclasses.dataclass(frozen=True)
class Run:
    """A session's folder.

    Attributes:
      name: of the folder.
      folder: its path.
      songs: for each, its labels and seed.
      seconds: length of each.
      rate: audio samples a second.
      complete: levels of which all codes are there, top first.
      wanted: levels that the run is to have in the end, top first.
      begun: whether there is something of a level that is not complete.
      parent: name of the run that it was made from, "" for none.
      operation: how, see `takes.OPERATIONS`.
      trouble: why it cannot be read; "" if it can.
    """

    name: str
    folder: pathlib.Path
    songs: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    rate: int = 0
    complete: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()
    begun: bool = False
    parent: str = ""
    operation: str = ""
    trouble: str = ""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be drawn."""
        return not self.trouble and set(self.wanted) <= set(self.complete)

    @property
    def state(self) -> str:
        """In a few words what there is of it."""
        if self.trouble:
            return "cannot be read"
        if self.finished:
            return f"finished to level {min(self.complete, default=0)}"
        if self.complete:
            return f"unfinished, level {min(self.complete)} is there"
        return "unfinished" if self.begun else "not begun"

    @property
    def label(self) -> str:
        """One line for a list of runs."""
        count = f"{len(self.songs)} song{'s' * (len(self.songs) != 1)} of {self.seconds:.1f} s"
        parts = [self.name, *([count] if self.songs else []), self.state]
        return " · ".join(parts)


def listed(home: str | os.PathLike) -> tuple[Run, ...]:
    """All runs of a studio, the newest first."""
    home = pathlib.Path(home)
    if not home.is_dir():
        return ()
    folders = [one for one in home.iterdir() if (one / session.SETTINGS).is_file()]
    return tuple(read(one) for one in sorted(folders, key=lambda one: one.name, reverse=True))


def read(folder: str | os.PathLike) -> Run:
    """What a session's folder holds; one that cannot be read says why."""
    folder = pathlib.Path(folder)
    try:
        said = session.settings(folder)
        config, hops, rate = said["config"], list(said["hops"]), int(said["rate"])
        there = folder / session.CODES
        complete = set(request.read_codes(there)) if there.exists() else set()
        given = {*complete, *_given(config)}
        wanted = request.read({**config, "codes": ""}).levels
        priors = request.read({**config, "codes": ""}).priors
        record = folder / tree.TAKE
        take = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
        return Run(
            name=folder.name,
            folder=folder,
            songs=tuple(said["songs"]),
            seconds=int(said["samples"]) / rate,
            rate=rate,
            complete=tuple(sorted(complete, reverse=True)),
            wanted=tuple(sorted(wanted, reverse=True))
            if wanted is not None
            else _downwards(priors, len(hops), max(given, default=len(hops) - 1)),
            begun=(folder / session.UNFINISHED).exists(),
            parent=pathlib.PurePath(take["parents"][0]).name if take else "",
            operation=str(take.get("operation", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return Run(folder.name, folder, trouble=session.line_of(error))


def sounds(run: Run) -> dict[int, dict[int, pathlib.Path]]:
    """The sound files that there are: by level, top first, by song."""
    found: dict[int, dict[int, pathlib.Path]] = {}
    for file in run.folder.glob("level_*/item_*.wav"):
        level, song = file.parent.name.removeprefix("level_"), file.stem.removeprefix("item_")
        if level.isdigit() and song.isdigit() and int(song) < len(run.songs):
            found.setdefault(int(level), {})[int(song)] = file
    return {
        level: dict(sorted(items.items())) for level, items in sorted(found.items(), reverse=True)
    }


def scores(run: Run) -> list[dict[str, Any]]:
    """What was measured of its songs, best first; [] where nothing was, or of older codes."""
    file = run.folder / tree.SCORES
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return [row for row in rows if 0 <= int(row["song"]) < len(run.songs)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def new(home: str | os.PathLike, operation: str = "") -> pathlib.Path:
    """The folder of a run that is to be made: the next number, and what it is."""
    home = pathlib.Path(home)
    names = [one.name for one in home.iterdir()] if home.is_dir() else []
    numbers = [int(found[1]) for name in names if (found := _NAME.fullmatch(name))]
    word = WORDS.get(operation, operation) or "candidates"
    return home / f"{max(numbers, default=0) + 1:03d} {word}"


def clock(seconds: float) -> str:
    """A duration as people write it, "" where it is not known."""
    if not math.isfinite(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _given(config: Mapping[str, Any]) -> set[int]:
    """Levels of which a run was given codes."""
    codes = str(config.get("codes") or "")
    return set(request.read_codes(codes)) if codes else set()


def _downwards(priors: tuple[str, ...], levels: int, first: int) -> tuple[int, ...]:
    """From a level down to the first without a prior."""
    found: list[int] = []
    for level in range(min(first, levels - 1), -1, -1):
        if level >= len(priors) or not priors[level].strip("- "):
            if found or level != first:
                break
            continue
        found.append(level)
    return tuple(found)
