"""The tree of takes on disk: a session's folder in, another session's folder out.

A node is a folder of `session` with take.json beside its settings: the operation, its arguments,
the folders that it was made from and the fingerprints of the codes that it began with, which lie
in given.npz. From that record any node can be made again. Folders are never changed by what is
derived from them.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import manifest
from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import request, scores, session, takes
from jukebox_jax.sampling.compose import Progress, Recording
from jukebox_jax.sampling.scores import Scores
from jukebox_jax.sampling.takes import Take

TAKE, GIVEN, SCORES = session.TAKE, session.GIVEN, session.SCORES

_OWN = ("songs", "samples", "codes", "prompt", "prompt_seconds")
"""Keys of a config that a take has of its own."""


def read(folder: str | os.PathLike) -> Take:
    """What a session's folder holds; of a level at work what there is of it is left out.

    Raises:
      ValueError: it holds no session, or none of its levels is complete yet.
    """
    folder = pathlib.Path(folder)
    settings = session.settings(folder)
    if not (folder / session.CODES).exists():
        raise ValueError(f"{folder}: no level is complete yet; go on with --resume {folder}")
    return Take(
        codes=request.read_codes(folder),
        songs=tuple(settings["songs"]),
        samples=int(settings["samples"]),
        rate=int(settings["rate"]),
        hops=tuple(settings["hops"]),
    )


def derive(
    out: str | os.PathLike,
    operation: str,
    parents: Sequence[str | os.PathLike],
    arguments: Mapping[str, Any],
    *,
    changes: Mapping[str, Any] | None = None,
    sample: bool = True,
    on_progress: Callable[[Progress], bool] | None = None,
) -> Recording | None:
    """Makes a new node and draws what it lacks.

    Args:
      out: its folder, which must not hold a session.
      operation: one of `takes.OPERATIONS`.
      parents: folders of the takes that it is made from.
      arguments: of the operation; besides, for any of them, `songs`, the numbers of those songs
        of the parents that are taken first.
      changes: keys of the config that differ from the first parent's, as another temperature.
      sample: draw the missing codes at once; otherwise `session.resume` of the folder does.
      on_progress: see `session.run`.

    Raises:
      ValueError: an operation that is unknown or cannot be, or a folder that holds a session.
      OSError: the folder cannot be written.
    """
    out = pathlib.Path(out)
    _refuse_session(out)
    changes = dict(changes or {})
    for key in changes:
        if key in _OWN or key == "seed":
            raise ValueError(
                f"{key} cannot be set of a take: it has songs with seeds, a length and codes of "
                "its own"
            )
    before = [read(parent) for parent in parents]
    take = _apply(operation, before, arguments)
    config = session.settings(parents[0])["config"]
    if operation == "excerpt":
        config |= takes.courses(config, takes.moment(before[0], arguments["start"]))
    config = {
        **config,
        "songs": [dict(song) for song in take.songs],
        "samples": take.samples,
        "seconds": 0.0,
        "prompt": "",
        "prompt_seconds": 0.0,
        "codes": str(out / GIVEN),
        "levels": (),
        **changes,
    }
    if changes.get("seconds"):
        config["samples"] = 0
    request.read(config)  # a mistyped change fails before anything is written
    record = {
        "operation": operation,
        "parents": [os.path.relpath(parent, out) for parent in parents],
        "arguments": dict(arguments),
        "changes": changes,
        "given": takes.fingerprint(take.codes),
    }
    out.mkdir(parents=True, exist_ok=True)
    session.write_codes(out / GIVEN, take.codes)
    session.write_text(out / TAKE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    try:
        if not sample:
            session.prepare(config, out)
            return None
        return session.run(config, out, on_progress=on_progress)
    except BaseException:
        if not (out / session.SETTINGS).exists():  # nothing that could be gone on with
            (out / TAKE).unlink(missing_ok=True)
            (out / GIVEN).unlink(missing_ok=True)
            if not any(out.iterdir()):
                out.rmdir()
        raise


def score(folder: str | os.PathLike, level: int | None = None) -> tuple[Scores, ...]:
    """Measures a session's songs and writes scores.json beside them, best first.

    Args:
      folder: the session.
      level: at which level; by default the lowest that is complete.

    Raises:
      ValueError: the folder holds no session, or the level is not complete.
      OSError: the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    take, said = read(folder), session.settings(folder)
    level = min(take.codes) if level is None else level
    config = {**said["config"], "songs": said["songs"], "codes": "", "prompt": ""}
    asked = request.load(request.read(config))
    songs = tuple(Song("", 0, manifest.labels(row, folder), take.rate) for row in take.songs)
    codes = [take.codes.get(number) for number in range(len(take.hops))]
    if not 0 <= level < len(codes):
        raise ValueError(f"level={level}: there are levels 0 to {len(codes) - 1}")
    found = scores.score(asked.jukebox, songs, codes, level, settings=asked.settings)
    rows = [
        {"song": index, "level": level, **dataclasses.asdict(found[index])}
        for index in scores.rank(found)
    ]
    for row in rows:  # JSON knows no other number for what was not measured
        row.update({key: None for key, value in row.items() if value != value})
    session.write_text(folder / SCORES, json.dumps(rows, indent=1) + "\n")
    return found


def rebuild(folder: str | os.PathLike, out: str | os.PathLike) -> dict[str, str]:
    """Makes a node again from its record, in another folder, and holds it against the first.

    Args:
      folder: the node.
      out: where to make it again.

    Returns:
      The fingerprint of each level's codes, the same in both folders.

    Raises:
      ValueError: a parent is gone or has changed, or the codes differ; the first difference is
        named.
    """
    folder, out = pathlib.Path(folder), pathlib.Path(out)
    _refuse_session(out)
    before = read(folder)
    if (folder / TAKE).exists():
        record = json.loads((folder / TAKE).read_text(encoding="utf-8"))
        parents = [folder / parent for parent in record["parents"]]
        take = _apply(record["operation"], [read(one) for one in parents], record["arguments"])
        if takes.fingerprint(take.codes) != record["given"]:
            raise ValueError(f"{folder}: what it was made from ({parents[0]}) has changed since")
        derive(out, record["operation"], parents, record["arguments"], changes=record["changes"])
    else:
        session.run(session.recorded(folder), out)
    after = read(out)
    for level, array in sorted(before.codes.items(), reverse=True):
        again = after.codes.get(level)
        if again is None or again.shape != array.shape:
            raise ValueError(f"level {level} has other codes than {folder} when made again")
        if (again != array).any():
            song, place = (int(one) for one in np.argwhere(again != array)[0])
            raise ValueError(
                f"level {level} of song {song} differs from code {place} on when made again: "
                f"{array[song, place]} was drawn before, {again[song, place]} now"
            )
    return takes.fingerprint(after.codes)


def _refuse_session(out: pathlib.Path) -> None:
    if (out / session.SETTINGS).exists():
        raise ValueError(f"{out} holds a session: give another --out")


def _apply(operation: str, parents: Sequence[Take], arguments: Mapping[str, Any]) -> Take:
    if operation not in takes.OPERATIONS:
        raise ValueError(f"{operation!r}: no such operation; known: {', '.join(takes.OPERATIONS)}")
    wanted = 2 if operation == "splice" else 1
    if len(parents) != wanted:
        raise ValueError(f"{operation} takes {wanted} folder(s) of takes, {len(parents)} given")
    arguments = dict(arguments)
    if operation != "pick" and (songs := arguments.pop("songs", None)) is not None:
        parents = [takes.pick(parent, songs) for parent in parents]
    empty = [name for name, value in arguments.items() if value is None]
    if empty:
        raise ValueError(f"{operation}: {empty[0]} is empty: give it a value")
    try:
        return takes.OPERATIONS[operation](*parents, **arguments)
    except TypeError as error:
        said = str(error)
        raise ValueError(f"{operation}: {said.partition('() ')[2] or said}") from None
