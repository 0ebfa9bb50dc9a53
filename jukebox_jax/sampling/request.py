"""What a config of a recording session asks for: its stages loaded, its songs and prompts read.

A config's keys are the fields of `Request`, so that a mistyped one fails by name before anything
is loaded. Files are read here; what they say is checked against the stages in `plan`.
"""

import dataclasses
import json
import math
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from jukebox_jax.audio import manifest, song, wave
from jukebox_jax.audio.song import Song, SongError
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import vocabulary
from jukebox_jax.sampling import compose
from jukebox_jax.sampling.plan import UNKNOWN
from jukebox_jax.sampling.settings import DEFAULTS, Settings

_SECONDS = 20.0  # of a recording of which nothing is said


@dataclasses.dataclass(frozen=True)
class Request:
    """A recording session as a config says it, with plain values.

    Attributes:
      vqvae: the VQ-VAE's directory.
      priors: the priors' directories, finest level first; "-" or "" for a level without one.
      songs: a list's file, or rows of labels; () for a song of which nothing is known.
      seconds: of each recording; None for as long as the codes that are given, or 20 s without
        any, or 20 s more than the prompt.
      samples: the same in audio samples, where it is not None.
      levels: which to sample; None for all that follow from what is given.
      codes: a former run's codes.npz, or its folder; "" for none.
      prompt: sound files to go on from, one for all songs or one for each.
      prompt_seconds: of each prompt; None for all of it.
      align: also find when each word is sung.
      weights: how priors are held, see `Jukebox.load`; "" as they were saved.
      save_seconds: how long to wait between two writings of what is unfinished.
      settings: how codes are drawn.
    """

    vqvae: str
    priors: tuple[str, ...]
    songs: str | tuple[Mapping[str, Any], ...] = ()
    seconds: float | None = None
    samples: float | None = None
    levels: tuple[int, ...] | None = None
    codes: str = ""
    prompt: tuple[str, ...] = ()
    prompt_seconds: float | None = None
    align: bool = False
    weights: str = ""
    save_seconds: float = 30.0
    settings: Settings = DEFAULTS


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What `compose.sample` takes, read from files."""

    jukebox: Jukebox
    songs: tuple[Song, ...]
    seconds: float | None
    codes: tuple[np.ndarray | None, ...]
    levels: tuple[int, ...] | None
    settings: Settings
    forced: tuple[np.ndarray | None, ...] | None = None


def read(config: Mapping[str, Any]) -> Request:
    """Reads a config; no file is opened.

    Args:
      config: a ConfigDict or a mapping, with the keys of configs/sample.py.

    Raises:
      ValueError: a key that is unknown or missing, or a value of the wrong kind.
    """
    given = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    own = [field.name for field in dataclasses.fields(Settings)]
    known = [field.name for field in dataclasses.fields(Request) if field.name != "settings"]
    known += own
    for key in given:
        if key not in known:
            raise ValueError(f"config.{key}: no such key; {vocabulary.hint(key, known)}")
    if not given.get("vqvae"):
        raise ValueError("config.vqvae is empty: give the directory of a trained VQ-VAE")
    if given.get("prompt") and given.get("codes"):
        raise ValueError("config.prompt and config.codes are both given: go on from one of them")
    settings = {name: _tuple(given[name]) for name in own if name in given}
    if settings.get("hop_fraction") == ():
        settings["hop_fraction"] = None
    try:
        return Request(
            vqvae=str(given["vqvae"]),
            priors=_names(given.get("priors", ())),
            songs=_songs(given.get("songs", ())),
            seconds=_number(given, "seconds"),
            samples=_number(given, "samples"),
            levels=_levels(given.get("levels", ())),
            codes=str(given.get("codes", "")),
            prompt=_names(given.get("prompt", ())),
            prompt_seconds=_number(given, "prompt_seconds"),
            align=bool(given.get("align", False)),
            weights=str(given.get("weights", "")),
            save_seconds=float(given.get("save_seconds", 30.0)),
            settings=Settings(**settings),
        )
    except TypeError as error:
        raise ValueError(f"config: {error}") from None


def load(request: Request) -> Arguments:
    """Loads the stages and reads the songs, codes and prompts.

    Raises:
      CheckpointError: a directory holds no whole stage.
      SongError: the songs cannot be read.
      AudioError: a prompt cannot be read.
      ValueError: anything else that does not fit.
    """
    songs = _read_songs(request.songs)
    saved = read_codes(request.codes) if request.codes else {}
    jukebox = Jukebox.load(
        vqvae=request.vqvae,
        priors=tuple(name if name.strip("- ") else None for name in request.priors),
        weights=request.weights or None,
    )
    codes: tuple[np.ndarray | None, ...] = tuple(
        saved.pop(level, None) for level in range(len(jukebox.hops))
    )
    if saved:
        raise ValueError(
            f"{request.codes} holds codes of level {max(saved)}, but the VQ-VAE has "
            f"{len(jukebox.hops)} levels: they are another model's"
        )
    seconds = request.seconds
    if request.samples is not None:
        seconds = request.samples / jukebox.rate
    if request.prompt:
        codes = _prime(request, jukebox)
        seconds = seconds or codes[-1].shape[1] * jukebox.hops[-1] / jukebox.rate + _SECONDS
    elif all(array is None for array in codes):
        seconds = seconds or _SECONDS
    if not songs:
        rows = max((array.shape[0] for array in codes if array is not None), default=1)
        songs = (Song("", 0, {}, jukebox.rate),) * rows
    begun, forced = _around_gaps(codes)
    return Arguments(jukebox, songs, seconds, begun, request.levels, request.settings, forced)


def _around_gaps(codes: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Codes up to the first that is unknown, and where there are more behind it, all as forced."""
    begun, forced = [], []
    for array in codes:
        known = np.zeros((1, 0), np.int32) if array is None else array
        behind = np.logical_or.accumulate(known == UNKNOWN, axis=1)
        gaps = bool((behind & (known != UNKNOWN)).any())
        begun.append(np.where(behind, UNKNOWN, known) if gaps else array)
        forced.append(array if gaps else None)
    return tuple(begun), tuple(forced) if any(one is not None for one in forced) else None


def read_codes(path: str | pathlib.Path) -> dict[int, np.ndarray]:
    """Codes by level, from a codes.npz or the folder that holds one.

    Raises:
      ValueError: no such file, or not of this kind.
    """
    file = pathlib.Path(path)
    file = file / "codes.npz" if file.is_dir() else file
    try:
        with np.load(file) as arrays:
            found = {int(name.removeprefix("codes_")): arrays[name] for name in arrays}
        for level, array in found.items():
            if array.ndim != 2 or array.dtype.kind not in "iu":
                raise ValueError(f"level {level}: {array.dtype} of shape {array.shape}")
        return found
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file of codes") from None
    except (OSError, ValueError, zipfile.BadZipFile, TypeError, EOFError) as error:
        reason = str(error).split("\n")[0].partition(" If you trust")[0] or "it is empty"
        raise ValueError(f"{file}: holds no codes_0, codes_1, ... ({reason})") from None


def _read_songs(source: str | tuple[Mapping[str, Any], ...]) -> tuple[Song, ...]:
    if isinstance(source, str):
        return song.read_songs(source)
    songs = []
    for index, row in enumerate(source):
        try:
            songs.append(Song("", 0, manifest.labels(row, pathlib.Path())))
        except SongError as error:
            raise SongError(f"config.songs, song {index}: {error}") from None
    return tuple(songs)


def _prime(request: Request, jukebox: Jukebox) -> tuple[np.ndarray, ...]:
    """The codes of each prompt, finest level first; each is encoded whole, and by itself."""
    sounds = [wave.mono(wave.load(path, jukebox.rate)) for path in request.prompt]
    lengths = sorted({len(sound) for sound in sounds})
    if len(lengths) > 1 and request.prompt_seconds is None:
        raise ValueError(
            f"prompts are {lengths[0] / jukebox.rate:.2f} to {lengths[-1] / jukebox.rate:.2f} s "
            "long: say with config.prompt_seconds how much of each to go on from"
        )
    primed = [compose.prime(jukebox, sound[None], request.prompt_seconds) for sound in sounds]
    return tuple(np.concatenate(codes) for codes in zip(*primed, strict=True))


def _songs(value: Any) -> str | tuple[Mapping[str, Any], ...]:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"config.songs: not JSON ({error.msg} at {error.colno})") from None
    if isinstance(value, Mapping):
        value = (value,)
    if isinstance(value, str):
        return value or ()
    if not all(isinstance(row, Mapping) for row in value):
        raise ValueError("config.songs: give a .jsonl or .csv file, or [{...}, ...] with labels")
    return tuple(dict(row) for row in value)


def _number(given: Mapping[str, Any], name: str) -> float | None:
    """A number of which 0 means that nothing is said."""
    value = given.get(name)
    if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise ValueError(f"config.{name} = {value!r}: give a number")
    return value or None


def _names(value: Any) -> tuple[str, ...]:
    """Paths, given as a tuple or with commas between them."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()
    return tuple("" if part is None else str(part) for part in value)


def _levels(value: Any) -> tuple[int, ...] | None:
    levels = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(level, int) for level in levels):
        raise ValueError(f"config.levels = {value!r}: give whole numbers, 0 for the finest")
    return levels or None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value
