"""The features of many files: read, computed, kept one by one, and put into one file.

While a run is at work each song's features lie in a folder beside the result, with what was asked
for, so that the same command goes on where it stopped. The result is an NPZ file, written without
holding it in memory, or a prepared TFDS dataset. A file that proves unreadable is left out.
"""

import hashlib
import json
import logging
import os
import pathlib
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.analysis import features
from jukebox_jax.analysis.features import Plan
from jukebox_jax.audio import files, wave
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage

log = logging.getLogger(__name__)

_EVERY = 15.0  # seconds between two lines of progress
_SETTINGS = "settings.json"


def load(vqvae: str | os.PathLike, prior: str | os.PathLike, layers: Sequence[int] = ()) -> Jukebox:
    """A VQ-VAE and one prior of it, of which only some layers are held.

    Args:
      vqvae: the VQ-VAE's directory.
      prior: the prior's directory; its config says of which level it is.
      layers: those that are wanted, counted from 1; () for all.

    Raises:
      CheckpointError: a directory holds no whole stage.
      ValueError: one is of another kind, they do not belong together, or there are no such layers.
    """
    for path, kind in ((vqvae, "vqvae"), (prior, "prior")):
        found = (checkpoint.read_json(path, checkpoint.CONFIG).get("stage") or {}).get("kind")
        if found != kind:
            raise ValueError(f"--{kind}={path} is a {found}, not a {kind}")
    sound = Stage.load(str(vqvae))
    config = checkpoint.read_json(prior, checkpoint.CONFIG)
    level = int(config.get("stage", {}).get("level", len(sound.model.downs) - 1))
    return Jukebox(sound, (None,) * level + (Stage.load(str(prior), layers=layers or None),))


def extract(
    plan: Plan,
    songs: Sequence[Song],
    out: str | os.PathLike,
    *,
    asked: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> pathlib.Path:
    """Computes the features of songs and writes them, or goes on where that stopped.

    The NPZ file holds `paths`, `seconds` of each song, `rows` of each song, and for each layer
    `layer_{k}`: f32[rows of all songs together, width]; with pool="mean" each song has one row.

    Args:
      plan: what `features.prepare` gave.
      songs: of `song.find`.
      out: a file that ends in .npz, or "tfds:NAME@FOLDER" for a dataset.
      asked: what the run may go on with if it is the same: plain values, as those of a command.
      overwrite: replace what is there.

    Returns:
      The file, or the dataset's folder.

    Raises:
      ValueError: there is a result already, or the beginnings of another; no song can be read.
    """
    target = str(out)
    name, _, folder = target.removeprefix("tfds:").partition("@")
    prepared = target.startswith("tfds:")
    file = pathlib.Path(folder or ".") / name if prepared else pathlib.Path(target)
    if not prepared and file.suffix != ".npz":
        raise ValueError(f"out = {target!r}: give a file that ends in .npz, or tfds:NAME@FOLDER")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} is there already: give another name, or --overwrite")
    parts = file.with_name(file.name + ".parts")
    said = json.dumps(
        {"layers": plan.layers, "pool": plan.pool, "level": plan.level, **(asked or {})}
    )
    if overwrite and parts.exists():
        shutil.rmtree(parts)
    elif parts.exists() and (parts / _SETTINGS).read_text() != said:
        raise ValueError(
            f"{parts} holds the beginnings of other features: use the same settings, another name, "
            "or --overwrite"
        )
    parts.mkdir(parents=True, exist_ok=True)
    (parts / _SETTINGS).write_text(said)
    _compute(plan, [one for one in songs if not (parts / _name(one)).exists()], parts)
    done = [one for one in songs if (parts / _name(one)).exists()]
    if not done:
        raise ValueError("no song could be read: see the lines above")
    if overwrite and file.is_dir():
        shutil.rmtree(file)
    if prepared:
        from jukebox_jax.audio import dataset

        records = (_record(parts, one) for one in done)
        dataset.write(records, folder or ".", name=name, description=f"Features: {said}")
    else:
        _write(file, parts, done, said)
    shutil.rmtree(parts)
    log.info("%s: features of %d songs", file, len(done))
    return file


def _compute(plan: Plan, songs: Sequence[Song], parts: pathlib.Path) -> None:
    rate = plan.jukebox.rate
    total, begun, told = sum(one.samples / one.rate for one in songs), time.monotonic(), 0.0
    reading: list[Song] = []

    def sounds() -> Iterator[tuple[np.ndarray, Mapping[str, Any]]]:
        for one in songs:
            try:
                sound = wave.mono(_read(one, rate), name=one.path)
            except wave.AudioError as error:
                log.warning("%s; left out", error)
                continue
            reading.append(one)
            yield sound, one.labels

    finished = 0.0
    for count, found in enumerate(features.stream(plan, sounds())):
        one = reading[count]
        arrays: dict[str, Any] = {f"layer_{layer}": array for layer, array in found.items()}
        part = parts / _name(one)
        unfinished = part.with_name("unfinished")
        with unfinished.open("wb") as stream:
            np.savez(stream, **arrays)
        os.replace(unfinished, part)
        finished += one.samples / one.rate
        took = time.monotonic() - begun
        if took - told > _EVERY:
            told = took
            left = took / finished * (total - finished)
            log.info(
                "%d of %d songs, %.2f s of sound a second, %d:%02d left",
                count + 1,
                len(songs),
                finished / took,
                *divmod(round(left), 60),
            )


def _read(one: Song, rate: int) -> np.ndarray:
    if one.path.startswith("tfds:"):
        from jukebox_jax.audio import dataset

        return dataset.load(one, rate)
    return wave.load(one.path, rate)


def _name(one: Song) -> str:
    """The file that keeps a song's features; another one if the song has changed."""
    return (
        hashlib.sha256(f"{one.path}\n{one.samples}\n{one.rate}".encode()).hexdigest()[:24] + ".npz"
    )


def _record(parts: pathlib.Path, one: Song) -> dict[str, Any]:
    with np.load(parts / _name(one)) as arrays:
        found = {name: np.atleast_2d(arrays[name]) for name in arrays}
    return {"path": one.path, "seconds": one.samples / one.rate, **found}


def _write(file: pathlib.Path, parts: pathlib.Path, songs: Sequence[Song], said: str) -> None:
    """All songs' features as one NPZ file, an array at a time and of it a song at a time."""
    shapes = [
        {key: value.shape for key, value in _record(parts, one).items() if key.startswith("layer")}
        for one in songs
    ]
    rows = [next(iter(one.values()))[0] for one in shapes]
    small = {
        "paths": np.array([one.path for one in songs]),
        "seconds": np.array([one.samples / one.rate for one in songs]),
        "rows": np.array(rows, np.int64),
        "settings": np.array(said),
    }
    with (
        files.whole(file) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
        for name, (_, width) in shapes[0].items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                header = {"descr": "<f4", "fortran_order": False, "shape": (sum(rows), width)}
                np.lib.format.write_array_header_1_0(stream, header)
                for one in songs:
                    stream.write(np.asarray(_record(parts, one)[name], "<f4").tobytes())
