"""Songs as records of a prepared TFDS dataset: packing them, and reading slices back.

Knows TensorFlow Datasets, as `shards`, which writes, does. A packed record holds a whole song
as 16-bit samples with its labels as JSON, in array_record files that any record can be read from
at once. Any other prepared dataset with an `audio` feature is read as well.
"""

import dataclasses
import functools
import itertools
import json
import logging
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jukebox_jax.audio import making, manifest, shards, song, wave
from jukebox_jax.audio.song import Song, SongError

log = logging.getLogger(__name__)

INDEX = making.INDEX
"""Beside the records of a packed dataset: length and labels of each, in their order."""

_SOURCE = re.compile(
    r"tfds:(?P<name>[^:/@]+)(:(?P<config>[^/@]+))?(/(?P<split>[^@]+))?(@(?P<folder>.+))?"
)


def pack(
    source: str | os.PathLike,
    data_dir: str | os.PathLike,
    *,
    name: str = "songs",
    rate: int = 44100,
    minimum_seconds: float = 0.0,
    maximum_seconds: float = math.inf,
    files: int | None = None,
    process: tuple[int, int] = (0, 1),
) -> str | None:
    """Packs the songs of a source into a prepared TFDS dataset, with one split, "train".

    A song that proves unreadable is logged and left out. The same call goes on where an earlier
    one stopped, and several processes may share the work, see `shards`.

    Args:
      source: as for `song.survey`.
      data_dir: the folder of prepared datasets to put it in.
      name: the dataset's name: small letters, digits and underscores.
      rate: samples a second to store.
      minimum_seconds: shorter songs are left out.
      maximum_seconds: songs of this length or longer are left out.
      files: how many files hold the records; by default one for each 64 songs.
      process: (this process, processes).

    Returns:
      The source that reads it back, for `song.survey`; None while other processes are at work.

    Raises:
      SongError: no songs, a name that TFDS does not take, or something else has that name.
      OSError: the folder cannot be written to.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SongError(f"name={name!r}: use small letters, digits and underscores")
    folder = pathlib.Path(data_dir).absolute()
    made = making.begin(
        folder / name / "1.0.0",
        name,
        lambda kinds: {
            "audio": kinds.Tensor(
                shape=(None, None), dtype=np.int16, encoding="bytes", doc="[samples, channels]"
            ),
            "rate": kinds.Scalar(dtype=np.int32),
            "path": kinds.Text(),
            "labels": kinds.Text(doc="JSON, by signal name"),
        },
        lambda: song.find(
            source, rate=rate, minimum_seconds=minimum_seconds, maximum_seconds=maximum_seconds
        ),
        {"source": os.fspath(source), "rate": rate},
        file="packed.json",
        bytes_a_second=4 * rate,
        shards=files,
        process=process,
        description="Songs: 16-bit samples and labels.",
    )
    finished = shards.write(made, functools.partial(_records, rate), rate=rate)
    return f"tfds:{name}/train@{folder}" if finished else None


def write(
    records: Iterable[Mapping[str, Any]],
    data_dir: str | os.PathLike,
    *,
    name: str,
    description: str,
) -> pathlib.Path:
    """Writes records of texts, numbers and arrays as a prepared dataset with one split, "train".

    Args:
      records: all with the names and kinds of the first; of arrays only the first axis varies.
      data_dir: the folder of prepared datasets to put it in.
      name: the dataset's name: small letters, digits and underscores.
      description: what TFDS tells of it.

    Returns:
      The dataset's folder.

    Raises:
      SongError: a name that TFDS does not take, one that is there already, or no records.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SongError(f"name={name!r}: use small letters, digits and underscores")
    rows = iter(records)
    first = next(rows, None)
    if first is None:
        raise SongError(f"{name}: no records to write")
    import tensorflow_datasets as tfds

    def feature(value: Any) -> Any:
        if isinstance(value, str):
            return tfds.features.Text()
        if np.ndim(value) == 0:
            return tfds.features.Scalar(dtype=np.asarray(value).dtype)
        shape = (None, *np.shape(value)[1:])
        return tfds.features.Tensor(shape=shape, dtype=value.dtype, encoding="bytes")

    class Writer(tfds.dataset_builders.AdhocBuilder, skip_registration=True):  # type: ignore
        """TFDS would look for files beside a builder's code, with a package it does not declare."""

        code_path = None

    builder = Writer(
        name=name,
        version="1.0.0",
        description=description,
        features=tfds.features.FeaturesDict({key: feature(one) for key, one in first.items()}),
        split_datasets={"train": enumerate(dict(one) for one in itertools.chain([first], rows))},
        data_dir=pathlib.Path(data_dir).absolute(),
        file_format="array_record",
        disable_shuffling=True,
    )
    if builder.is_prepared():
        raise SongError(f"{builder.data_dir}: is there already; remove it or choose another name")
    builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


def songs(source: str, *, rate: int) -> tuple[Song, ...]:
    """The songs of a prepared dataset; the path of each names its record.

    Labels are the text, class and number features of a record. Lengths are read from the index of
    a packed dataset, and else by reading every record once.

    Args:
      source: "tfds:NAME[:CONFIG][/SPLIT][@DATA_DIR]".
      rate: samples a second where the dataset does not state them.

    Raises:
      SongError: no such dataset or split, or it has no `audio` that can be read.
    """
    opened = _open(source)
    if opened.index is not None:
        return tuple(
            Song(
                f"{opened.name}#{number}",
                row["samples"],
                manifest.labels(row["labels"], _HERE),
                row["rate"],
            )
            for number, row in enumerate(opened.index)
        )
    import tqdm

    found = []
    numbers = tqdm.tqdm(range(len(opened.records)), "reading records", delay=3, disable=None)
    for number in numbers:
        record = opened.records[number]
        labels = {name: read(record[name]) for name, read in opened.labels.items()}
        if "labels" in labels and "rate" in labels:
            labels = manifest.labels(json.loads(labels["labels"]), _HERE)
        true_rate = opened.rate or int(record.get("rate", rate))
        found.append(Song(f"{opened.name}#{number}", len(record["audio"]), labels, true_rate))
    return tuple(found)


def load(record: Song, rate: int, start: int = 0, samples: int | None = None) -> np.ndarray:
    """Loads a record's song, or a slice of it, at a rate of choice; see `wave.load`.

    Args:
      record: a song of `songs`.
      rate: samples a second wanted.
      start: first sample of the slice, counted at `rate`.
      samples: length of the slice, counted at `rate`; None for all that follows.

    Returns:
      f32[samples, channels].

    Raises:
      AudioError: the record cannot be read, or ends before the slice does.
    """
    source, _, number = record.path.rpartition("#")
    try:
        audio = np.asarray(_open(source).records[int(number)]["audio"])
    except Exception as error:  # readers of records have no error of their own
        line = " ".join(f"{type(error).__name__}: {error}".split())
        raise wave.AudioError(f"{record.path}: cannot be read ({line})") from None
    audio = audio[:, None] if audio.ndim == 1 else audio

    def read(first: int, length: int) -> np.ndarray:
        piece = audio[first : first + length]
        if np.issubdtype(piece.dtype, np.integer):
            return piece.astype(np.float32) / 32768  # 16-bit samples, whatever holds them
        return piece.astype(np.float32)

    whole = wave.Probe(len(audio), record.rate, audio.shape[1])
    return wave.cut(read, whole, rate, start, samples, name=record.path)


@functools.lru_cache(maxsize=8)
def records(folder: str | os.PathLike) -> Any:
    """The records of a prepared dataset by its own folder; any can be read at once."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(os.fspath(folder)).as_data_source("train")


_HERE = pathlib.Path()


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A split of a prepared dataset.

    Attributes:
      name: the source in full.
      records: its records, each a dictionary.
      labels: for each feature that is a label, what makes a plain value of it.
      rate: samples a second, where the dataset states one for all.
      index: what was noted beside a packed dataset.
    """

    name: str
    records: Any
    labels: Mapping[str, Callable[[Any], Any]]
    rate: int | None
    index: list[dict[str, Any]] | None


@functools.lru_cache(maxsize=8)
def _open(source: str) -> _Opened:
    parts = _SOURCE.fullmatch(source)
    if not parts:
        raise SongError(f"{source}: write tfds:NAME[:CONFIG][/SPLIT][@DATA_DIR]")
    import tensorflow_datasets as tfds

    name, config, split, folder = parts.group("name", "config", "split", "folder")
    if folder and "://" not in folder:  # TFDS itself reaches buckets
        folder = os.path.abspath(os.path.expanduser(folder))
    try:
        builder = tfds.builder(f"{name}/{config}" if config else name, data_dir=folder)
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise SongError(f"{source}: no such dataset ({type(error).__name__}: {line})") from None
    if not builder.is_prepared():
        raise SongError(f"{source}: is not prepared; prepare it with file_format='array_record'")
    features, known = builder.info.features, builder.info.splits
    split = split or ("train" if "train" in known else next(iter(known)))
    if split.partition("[")[0] not in known:
        raise SongError(f"{source}: has no split {split!r}; it has {', '.join(known)}")
    if "audio" not in features or len(features["audio"].shape) not in (1, 2):
        raise SongError(
            f"{source}: has no feature `audio` of samples; it has {', '.join(features)}"
        )
    try:
        records = builder.as_data_source(split=split)
    except NotImplementedError:
        raise SongError(
            f"{source}: its records cannot be read in any order; prepare it again with "
            "file_format='array_record'"
        ) from None
    index = pathlib.Path(builder.data_dir) / INDEX
    rows = [row for _, row in manifest.read(index)] if index.is_file() else None
    return _Opened(
        f"tfds:{name}"
        + (f":{config}" if config else "")
        + f"/{split}"
        + (f"@{folder}" if folder else ""),
        records,
        {key: read for key in features if key != "audio" if (read := _label(features[key]))},
        getattr(features["audio"], "sample_rate", None),
        rows if rows is not None and len(rows) == len(records) else None,
    )


def _label(feature: Any) -> Callable[[Any], Any] | None:
    """What makes a plain value of a feature; None for a feature that is no label."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        return lambda value: feature.int2str(int(value))
    if isinstance(feature, tfds.features.Text):
        return lambda value: value.decode() if isinstance(value, bytes) else str(value)
    if feature.shape == ():
        return lambda value: (
            value.decode() if isinstance(value, bytes) else np.asarray(value).item()
        )
    return None


def _records(rate: int, one: Song) -> Iterator[tuple[dict[str, Any], float]]:
    """The record of a song to pack."""
    whole = load(one, rate) if one.path.startswith("tfds:") else wave.load(one.path, rate)
    audio = np.clip(np.rint(whole * 32768), -32768, 32767).astype(np.int16)
    labels = json.dumps(dict(one.labels))
    yield {"audio": audio, "rate": rate, "path": one.path, "labels": labels}, 1.0
