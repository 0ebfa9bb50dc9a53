"""A recording session on disk: what was asked for, and what there is of it so far.

A session's folder holds settings.json (the whole config, every song with its seed, versions),
codes.npz (codes_0, codes_1, ...: i32[songs, length] of each level that is complete),
level_{n}/item_{i}.wav, timings.json, the codes of a prompt in given.npz, and the times of words if
asked for. It needs its stages beside it, and no other file. While a level is at work
its codes are kept in unfinished.npz, and the state of the windows that are being filled in
state.npz, so that the same request in the same folder goes on at the code where it was. Each file
of codes or sound appears whole or not at all.
"""

import dataclasses
import json
import logging
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jukebox_jax.audio import files, wave
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import alignment, attended, compose, cost, remarks, request, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling import record as records
from jukebox_jax.sampling.compose import Progress, Recording
from jukebox_jax.sampling.request import Arguments, Request
from jukebox_jax.sampling.states import States
from jukebox_jax.sampling.timings import TIMINGS, Timings

log = logging.getLogger(__name__)

SETTINGS, CODES, UNFINISHED = "settings.json", "codes.npz", "unfinished.npz"
STATE = "state.npz"
"""The decoding state of the windows that are being filled."""
SCORES = "scores.json"
"""What `tree.score` finds of the songs."""
TAKE, GIVEN = "take.json", "given.npz"
"""How `tree` made the folder, and the codes that it began with: a take's, or a prompt's."""
PAGE = "index.html"
"""The page to listen to it all."""


class Stopped(Exception):
    """A session was told to stop; its folder goes on with `resume`."""


def run(
    config: Mapping[str, Any],
    out: str | os.PathLike,
    *,
    overwrite: bool = False,
    on_progress: Callable[[Progress], bool] | None = None,
) -> Recording:
    """Samples what a config asks for into a folder, or goes on where that stopped.

    Args:
      config: a ConfigDict or a mapping, with the keys of configs/sample.py.
      out: the folder; made if missing.
      overwrite: begin anew, whatever session the folder holds.
      on_progress: called after each chunk of codes; whether to go on. With it, what there is of a
        level is written in the middle of windows too, to be heard meanwhile.

    Raises:
      ValueError: the folder holds another session or files of somebody else's, or the request
        cannot be met; in its kinds LabelError, SongError, AudioError and CheckpointError.
      Stopped: `on_progress` said so; what was drawn is written.
      OSError: the folder cannot be written.
    """
    return _run(config, request.read(config), pathlib.Path(out), overwrite, on_progress)


def _run(
    config: Mapping[str, Any],
    wanted: Request,
    folder: pathlib.Path,
    overwrite: bool,
    on_progress: Callable[[Progress], bool] | None,
) -> Recording:
    """As `run`: `config` is what the record says, `wanted` where it is read from."""
    asked = request.load(wanted)
    if wanted.align:
        attended.level_with_lyrics(asked.jukebox)
    planned = _plan(asked)
    cost.check(cost.memory(asked.jukebox, asked.songs, planned, asked.settings), cost.available())
    record = records.make(config, asked, planned, folder)
    codes = list(asked.codes)
    goes_on = _goes_on(folder, record, wanted, overwrite)
    done = _saved(folder / CODES) if goes_on else {}
    if goes_on:
        found = {**_saved(folder / UNFINISHED), **done}
        for level, array in found.items():
            codes[level] = _to_go_on_from(asked, planned, level, array)
        log.info("%s: going on with what is there of levels %s", folder, sorted(found))
    elif wanted.prompt:
        given = {level: one for level, one in enumerate(asked.codes) if one is not None}
        write_codes(folder / GIVEN, given)
    timings = Timings(folder, goes_on, codes)
    write_text(folder / SETTINGS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    states = States(folder / STATE, wanted.save_seconds)
    whole: dict[int, np.ndarray] = {}  # a level's codes at the end of its latest window
    written = [time.monotonic()]

    def keep(level: int, codes: np.ndarray, heard: np.ndarray) -> None:
        write_codes(folder / UNFINISHED, {level: codes})
        _write_sounds(folder, asked.jukebox, level, heard, asked.settings.batch)
        written[0] = time.monotonic()

    def on_window(level: int, codes: np.ndarray) -> None:
        timings.window(level)
        whole[level] = codes
        if time.monotonic() - written[0] > wanted.save_seconds:
            keep(level, codes, codes)

    def on_drawn(progress: Progress) -> None:
        if on_progress is None:
            return
        goes_on = on_progress(progress)
        if not goes_on or time.monotonic() - written[0] > wanted.save_seconds:
            level, heard = progress.level, progress.codes
            keep(level, _settled(asked, level, heard, whole.get(level, codes[level])), heard)
        if not goes_on:
            raise Stopped(f"stopped; go on with --resume {folder}")

    def on_level(level: int, codes: np.ndarray, audio: np.ndarray) -> None:
        if level not in done or not np.array_equal(done[level], codes):
            done[level] = codes
            write_codes(folder / CODES, done)
            (folder / UNFINISHED).unlink(missing_ok=True)
            states.clear()
        for index, sound in enumerate(audio):
            wave.save(_sound(folder, level, index), sound, asked.jukebox.rate)
        timings.level(level, codes)
        log.info("level %d: %s", level, folder / f"level_{level}")

    recording = compose.sample(
        asked.jukebox,
        asked.songs,
        asked.seconds,
        codes=codes,
        levels=asked.levels,
        settings=asked.settings,
        forced=asked.forced,
        on_window=on_window,
        on_level=on_level,
        on_drawn=on_drawn,
        states=states,
    )
    (folder / UNFINISHED).unlink(missing_ok=True)
    states.clear()
    if wanted.align:
        _write_lyrics(folder, asked, recording)
    return recording


def resume(
    folder: str | os.PathLike, *, on_progress: Callable[[Progress], bool] | None = None
) -> Recording:
    """Goes on with the session that a folder holds; nothing else is needed.

    Args:
      folder: the session's.
      on_progress: see `run`.

    Raises:
      ValueError: it holds none, or what it was made from has changed.
      Stopped: see `run`.
      OSError: the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    wanted = request.read(recorded(folder))
    return _run(settings(folder)["config"], wanted, folder, False, on_progress)


def settings(folder: str | os.PathLike) -> dict[str, Any]:
    """What settings.json of a session's folder says, with paths of the folder's own files whole.

    Raises:
      ValueError: it holds no session.
    """
    said = _read(pathlib.Path(folder))
    if (codes := str(said["config"].get("codes") or "")).startswith("./"):
        said["config"]["codes"] = str(pathlib.Path(folder) / codes)
    return said


def _read(folder: pathlib.Path) -> dict[str, Any]:
    file = folder / SETTINGS
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        config = dict(said["config"])
        said = {**said, "config": config, "songs": [dict(song) for song in said["songs"]]}
        said |= {"samples": int(said["samples"]), "rate": int(said["rate"])}
        said["hops"] = [int(hop) for hop in said["hops"]]
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no session: there is no {SETTINGS}") from None
    except KeyError as error:
        raise ValueError(f"{file}: cannot be read (it does not say {error})") from None
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{file}: cannot be read ({line_of(error)})") from None
    return said


def recorded(folder: str | os.PathLike) -> dict[str, Any]:
    """A config that asks for what a session's folder does, of nothing else than its stages.

    Raises:
      ValueError: it holds no session.
    """
    folder = pathlib.Path(folder)
    said = settings(folder)
    config = {**said["config"], "songs": said["songs"], "samples": said["samples"], "seconds": 0.0}
    if config.get("prompt") and (folder / GIVEN).exists():
        config |= {"prompt": "", "prompt_seconds": 0.0, "codes": str(folder / GIVEN)}
    return config


def line_of(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def prepare(config: Mapping[str, Any], out: str | os.PathLike) -> None:
    """Writes what a session is to do, checked, without drawing a code; `resume` does the rest.

    Raises:
      ValueError: see `run`.
    """
    folder, wanted = pathlib.Path(out), request.read(config)
    asked = request.load(wanted)
    record = records.make(config, asked, _plan(asked), folder)
    _goes_on(folder, record, wanted, False)
    write_text(folder / SETTINGS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def plan(config: Mapping[str, Any], folder: str | os.PathLike | None = None) -> str:
    """What a session would take, as a table; a few codes of each level are drawn to time them.

    Args:
      config: as for `run`.
      folder: of a session of it, of which only what is missing counts.

    Raises:
      ValueError: see `run`; also where a level cannot fit into the device's memory.
    """
    asked = request.load(request.read(config))
    if folder is not None:
        found = {
            **_saved(pathlib.Path(folder) / UNFINISHED),
            **_saved(pathlib.Path(folder) / CODES),
        }
        there = tuple(found.get(level, array) for level, array in enumerate(asked.codes))
        asked = dataclasses.replace(asked, codes=there)
    planned = _plan(asked)
    remarks.tell(asked.jukebox, asked.songs, planned)
    costs = cost.memory(asked.jukebox, asked.songs, planned, asked.settings)
    cost.check(costs, cost.available())
    times = cost.calibrate(asked.jukebox, asked.songs, planned, asked.settings)
    return cost.table(planned, asked.jukebox.rate, costs, times)


def _plan(asked: Arguments) -> plans.Plan:
    return plans.plan(
        asked.jukebox,
        asked.songs,
        asked.seconds,
        codes=asked.codes,
        levels=asked.levels,
        settings=asked.settings,
        forced=asked.forced,
    )


def _to_go_on_from(
    asked: Arguments, planned: plans.Plan, level: int, found: np.ndarray
) -> np.ndarray:
    """What of the codes on disk an interrupted level goes on from, see `windows.lasting`."""
    step = next((one for one in planned.levels if one.level == level and one.pieces > 1), None)
    if step is None:
        return found
    given, found = asked.codes[level], found.copy()
    before = (0,) if given is None else plans.filled(given)
    for song, filled in enumerate(plans.filled(found)):
        begun = before[song % len(before)]
        kept = windows.lasting(step.total, step.hop, begun, filled, pieces=step.pieces)
        found[song, kept:] = plans.UNKNOWN
    return found


def _settled(
    asked: Arguments, level: int, drawn: np.ndarray, whole: np.ndarray | None
) -> np.ndarray:
    """The codes to go on from, of those drawn in the middle of a window.

    A model that draws lyric tokens among codes reads them within their window, where the codes have
    0 in their place: its windows are drawn whole, or go on from the decoding state.
    """
    stage = asked.jukebox.priors[level]
    if stage is None or not stage.model.shift:
        return drawn
    return np.zeros((len(drawn), 0), np.int32) if whole is None else whole


def _sound(folder: pathlib.Path, level: int, song: int) -> pathlib.Path:
    return folder / f"level_{level}" / f"item_{song}.wav"


def _write_sounds(
    folder: pathlib.Path, jukebox: Jukebox, level: int, codes: np.ndarray, batch: int
) -> None:
    """The sound of what is known so far of each song, where it will lie when it is complete."""
    known = plans.filled(codes)
    songs = [song for song, count in enumerate(known) if count]
    for count in sorted({known[song] for song in songs}):
        alike = [song for song in songs if known[song] == count]
        sounds = compose.decode(jukebox, codes[alike, :count], level, batch=batch)
        for song, sound in zip(alike, sounds, strict=True):
            wave.save(_sound(folder, level, song), sound, jukebox.rate)


def _write_lyrics(folder: pathlib.Path, asked: Arguments, recording: Recording) -> None:
    level = attended.level_with_lyrics(asked.jukebox)
    found = alignment.align(asked.jukebox, asked.songs, recording.codes, settings=asked.settings)
    for index, lyric in enumerate(found):
        for extension in alignment.FORMATS:
            alignment.write(folder / f"level_{level}" / f"item_{index}{extension}", lyric)


def _goes_on(
    folder: pathlib.Path, record: Mapping[str, Any], wanted: Request, overwrite: bool
) -> bool:
    """Whether the folder holds this very session; makes it ready for a new one otherwise.

    Raises:
      ValueError: it holds another session, which is not to be replaced, or other files under the
        names of ours; or what is to be replaced is asked for itself.
    """
    sounds = [*folder.glob("level_*/item_*.*"), folder / PAGE]
    own = [folder / name for name in (CODES, UNFINISHED, STATE, TIMINGS, SCORES)]
    if overwrite:
        told = (*wanted.prompt, wanted.codes, wanted.songs if isinstance(wanted.songs, str) else "")
        inputs = {pathlib.Path(name).resolve() for name in told if name}
        held = [folder / name for name in (GIVEN, TAKE)]
        for old in (*held, *own, *sounds):
            if old.resolve() in inputs or (old.name == CODES and folder.resolve() in inputs):
                raise ValueError(
                    f"{old} is to be overwritten, but is asked for: copy it elsewhere, or give "
                    "another --out"
                )
        for old in (*held, *own, *sounds):
            old.unlink(missing_ok=True)
    elif (folder / SETTINGS).exists():
        changed = records.changed(_read(folder), record)
        if changed:
            raise ValueError(
                f"{folder} holds another session ({'; '.join(changed[:3])}): give another --out, "
                "or --overwrite to begin anew"
            )
        return True
    elif foreign := [old.name for old in (*own, *sounds) if old.exists()]:
        raise ValueError(
            f"{folder} holds no session, but {foreign[0]}, which one would write over: give "
            "another --out, or --overwrite"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return False


def _saved(file: pathlib.Path) -> dict[int, np.ndarray]:
    return request.read_codes(file) if file.exists() else {}


def write_codes(file: pathlib.Path, codes: Mapping[int, np.ndarray]) -> None:
    """Writes codes by level; the file appears whole or not at all."""
    arrays: dict[str, Any] = {f"codes_{level}": array for level, array in sorted(codes.items())}
    with files.whole(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, **arrays)


def write_text(file: pathlib.Path, text: str) -> None:
    """Writes text; the file appears whole or not at all."""
    with files.whole(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
