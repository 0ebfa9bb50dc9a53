"""A recording session on disk: what was asked for, and what there is of it so far.

A session's folder holds settings.json (the whole config, every song with its seed, versions),
codes.npz (codes_0, codes_1, ...: i32[songs, length] of each level that is complete),
level_{n}/item_{i}.wav, timings.json, and the times of words if asked for. While a level is at work
its codes are kept in unfinished.npz, and the state of the windows that are being filled in
state.npz, so that the same request in the same folder goes on at the code where it was. Each file
of codes or sound appears whole or not at all.
"""

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
from jukebox_jax.sampling import alignment, attended, compose, cost, request
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling import record as records
from jukebox_jax.sampling.compose import Progress, Recording
from jukebox_jax.sampling.request import Arguments
from jukebox_jax.sampling.states import States
from jukebox_jax.sampling.timings import TIMINGS, Timings

log = logging.getLogger(__name__)

SETTINGS, CODES, UNFINISHED = "settings.json", "codes.npz", "unfinished.npz"
STATE = "state.npz"
"""The decoding state of the windows that are being filled."""
SCORES = "scores.json"
"""What `tree.score` finds of the songs."""


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
      ValueError: the folder holds another session, or the request cannot be met; in its
        kinds LabelError, SongError, AudioError and CheckpointError.
      Stopped: `on_progress` said so; what was drawn is written.
      OSError: the folder cannot be written.
    """
    folder = pathlib.Path(out)
    wanted = request.read(config)
    asked = request.load(wanted)
    if wanted.align:
        attended.level_with_lyrics(asked.jukebox)
    planned = _plan(asked)
    cost.check(cost.memory(asked.jukebox, asked.songs, planned, asked.settings), cost.available())
    record = records.make(config, asked, planned, folder)
    codes = list(asked.codes)
    goes_on = _goes_on(folder, record, overwrite)
    if goes_on:
        found = {**_saved(folder / UNFINISHED), **_saved(folder / CODES)}
        for level, array in found.items():
            codes[level] = array
        log.info("%s: going on with what is there of levels %s", folder, sorted(found))
    timings = Timings(folder, goes_on, codes)
    write_text(folder / SETTINGS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    states = States(folder / STATE, wanted.save_seconds)
    done: dict[int, np.ndarray] = {}
    windows: dict[int, np.ndarray] = {}  # a level's codes at the end of its latest window
    written = [time.monotonic()]

    def keep(level: int, codes: np.ndarray, heard: np.ndarray) -> None:
        write_codes(folder / UNFINISHED, {level: codes})
        _write_sounds(folder, asked.jukebox, level, heard, asked.settings.batch)
        written[0] = time.monotonic()

    def on_window(level: int, codes: np.ndarray) -> None:
        timings.window(level)
        windows[level] = codes
        if time.monotonic() - written[0] > wanted.save_seconds:
            keep(level, codes, codes)

    def on_drawn(progress: Progress) -> None:
        if on_progress is None:
            return
        goes_on = on_progress(progress)
        if not goes_on or time.monotonic() - written[0] > wanted.save_seconds:
            level, heard = progress.level, progress.codes
            keep(level, _lasting(asked, level, heard, windows.get(level, codes[level])), heard)
        if not goes_on:
            raise Stopped(f"stopped; go on with --resume {folder}")

    def on_level(level: int, codes: np.ndarray, audio: np.ndarray) -> None:
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
    return run(settings(folder)["config"], folder, on_progress=on_progress)


def settings(folder: str | os.PathLike) -> dict[str, Any]:
    """What settings.json of a session's folder says, with paths of the folder's own files whole.

    Raises:
      ValueError: it holds no session.
    """
    file = pathlib.Path(folder) / SETTINGS
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        config = said["config"]
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no session: there is no {SETTINGS}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: cannot be read ({line_of(error)})") from None
    if (codes := str(config.get("codes") or "")).startswith("./"):
        config["codes"] = str(file.parent / codes)
    return said


def line_of(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def prepare(config: Mapping[str, Any], out: str | os.PathLike) -> None:
    """Writes what a session is to do, checked, without drawing a code; `resume` does the rest.

    Raises:
      ValueError: see `run`.
    """
    folder = pathlib.Path(out)
    asked = request.load(request.read(config))
    record = records.make(config, asked, _plan(asked), folder)
    _goes_on(folder, record, False)
    write_text(folder / SETTINGS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def plan(config: Mapping[str, Any]) -> str:
    """What a session would take, as a table; a few codes of each level are drawn to time them.

    Args:
      config: as for `run`.

    Raises:
      ValueError: see `run`; also where a level cannot fit into the device's memory.
    """
    asked = request.load(request.read(config))
    planned = _plan(asked)
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


def _lasting(
    asked: Arguments, level: int, drawn: np.ndarray, windows: np.ndarray | None
) -> np.ndarray:
    """The codes to go on from, of those drawn in the middle of a window.

    A model that draws lyric tokens among codes reads them within their window, where the codes have
    0 in their place: its windows are drawn whole, or go on from the decoding state.
    """
    stage = asked.jukebox.priors[level]
    if stage is None or not stage.model.shift:
        return drawn
    return np.zeros((len(drawn), 0), np.int32) if windows is None else windows


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


def _goes_on(folder: pathlib.Path, record: Mapping[str, Any], overwrite: bool) -> bool:
    """Whether the folder holds this very session; makes it ready for a new one otherwise.

    Raises:
      ValueError: it holds another session, which is not to be replaced.
    """
    file = folder / SETTINGS
    if overwrite:
        for old in (
            folder / CODES,
            folder / UNFINISHED,
            folder / STATE,
            folder / TIMINGS,
            folder / SCORES,
            *folder.glob("level_*/item_*.*"),
        ):
            old.unlink(missing_ok=True)
    elif file.exists() or (folder / CODES).exists():
        try:
            before = json.loads(file.read_text())
        except (OSError, ValueError):
            before = {}
        changed = records.changed(before, record)
        if changed:
            raise ValueError(
                f"{folder} holds another session ({'; '.join(changed[:3])}): give another --out, "
                "or --overwrite to begin anew"
            )
        return True
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
