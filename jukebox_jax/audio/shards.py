"""Prepared TFDS datasets written a shard at a time, by as many processes as take a share of them.

A shard that is there is never written again, and whoever finds all of them there completes the
dataset: so the work may stop anywhere, and goes on. What a song's records hold is given. Beside
`dataset`, the only file that knows TensorFlow Datasets.
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jukebox_jax.audio import manifest, wave
from jukebox_jax.audio.making import COMPLETE, INDEX, MAKING, Making, is_complete, row, seconds
from jukebox_jax.audio.song import Song, SongError

log = logging.getLogger(__name__)

LEFT_OUT = "left_out.jsonl"
"""Beside the records: the songs that could not be read, and why."""

Records = Callable[[Song], Iterable[tuple[Mapping[str, Any], float]]]
"""From a song to its records, one or many, each with the share of the song that ends with it."""


def write(
    made: Making,
    records: Records,
    *,
    rate: int | None = None,
    label: Callable[[Song], Song] = lambda song: song,
) -> bool:
    """Writes this process's share of the shards that are missing; completes the dataset if it can.

    A song that proves unreadable is logged and left out.

    Args:
      made: from `begin`.
      records: what a song holds; it may raise AudioError.
      rate: samples a second that records hold, for the index; each song's own by default.
      label: adds labels to a song, before its records are asked for.

    Returns:
      Whether the dataset is complete; otherwise other processes are still at work.

    Raises:
      OSError: the disk is full, or refuses for another reason.
      SongError: none of the songs could be read.
    """
    if is_complete(made.folder):
        log.info("%s is complete", made.folder)
        return True
    index, processes = made.process
    todo = [shard for shard in made.missing() if shard % processes == index]
    progress = _Progress(sum(seconds(one) for shard in todo for one in made.of(shard)))
    if todo and len(todo) < len(range(index, made.shards, processes)):
        log.info("going on: %d of %d shards are left", len(todo), made.shards)
    for shard in todo:
        _write(made, shard, progress.over(records), rate, label)
        progress.say(f"shard {shard + 1} of {made.shards} is written")
    missing = made.missing()
    if missing:
        log.info("%d shards are left to other processes", len(missing))
        return False
    _complete(made)
    return True


def _write(
    made: Making,
    shard: int,
    records: Records,
    rate: int | None,
    label: Callable[[Song], Song],
) -> None:
    """Writes a shard, and before it what the index will say of its songs."""
    import tensorflow_datasets as tfds
    from array_record.python import array_record_module as array_record
    from tensorflow_datasets.proto import tf_example_pb2

    features = tfds.features.FeaturesDict(made.features(tfds.features))
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    count = 0
    part = made.folder / f".{made.file(shard).name}.{os.getpid()}.part"
    for half in made.folder.glob(f".{made.file(shard).name}.*.part"):  # of one that was killed
        half.unlink(missing_ok=True)
    try:
        with contextlib.closing(array_record.ArrayRecordWriter(str(part), "group_size:1")) as out:
            for song in map(label, made.of(shard)):
                # A song is known to be whole only at its end: until then its records wait aside.
                with tempfile.TemporaryFile(dir=made.folder / MAKING) as aside:
                    sizes = []
                    try:
                        for record, _ in records(song):
                            data = features.serialize_example(dict(record))
                            # A message's features come in any order, unless one asks for one.
                            example = tf_example_pb2.Example.FromString(data)
                            data = example.SerializeToString(deterministic=True)
                            sizes.append(aside.write(data))
                    except wave.AudioError as error:
                        log.warning("%s; left out", error)
                        left_out.append({"path": song.path, "reason": str(error)})
                        continue
                    aside.seek(0)
                    for size in sizes:
                        out.write(aside.read(size))
                rows.append(row(song, rate) | {"records": len(sizes)})
                count += len(sizes)
        reader = array_record.ArrayRecordReader(str(part))
        whole = reader.num_records() == count
        reader.close()
    except RuntimeError as error:  # what the library makes of a disk's refusal
        full = "No space" in str(error)
        code = errno.ENOSPC if full else errno.EIO
        why = "the disk is full; make room" if full else f"cannot be written ({error})"
        raise OSError(code, f"{why}, and the same command goes on", str(part)) from None
    else:
        if not whole:
            raise OSError(errno.EIO, "was not written whole; the same command goes on", str(part))
        side = made.folder / MAKING / f"{shard:05d}.json"
        half = side.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps({"rows": rows, "left_out": left_out, "records": count}))
        os.replace(half, side)
        os.replace(part, made.file(shard))
    finally:
        part.unlink(missing_ok=True)


def _complete(made: Making) -> None:
    """Writes the index and what TFDS needs; two processes may do so at once."""
    import tensorflow_datasets as tfds

    try:
        sides = [
            json.loads((made.folder / MAKING / f"{shard:05d}.json").read_text())
            for shard in range(made.shards)
        ]
    except FileNotFoundError:
        if is_complete(made.folder):  # another process was first
            return
        raise
    rows = [one for side in sides for one in side["rows"]]
    left_out = [one for side in sides for one in side["left_out"]]
    if not rows:
        raise SongError(
            f"none of {len(made.songs)} songs can be read; the first: {left_out[0]['reason']}"
        )
    record = 0
    for one in rows:
        one["record"] = record
        record += one["records"]
    manifest.write(made.folder / INDEX, rows)
    if left_out:
        manifest.write(made.folder / LEFT_OUT, left_out)
    identity = tfds.core.DatasetIdentity(
        name=made.name,
        version=tfds.core.Version("1.0.0"),
        data_dir=str(made.folder),
        module_name="",
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=tfds.features.FeaturesDict(made.features(tfds.features)),
        description=made.description,
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    template = tfds.core.ShardedFileTemplate(
        data_dir=tfds.core.Path(made.folder),
        dataset_name=made.name,
        split="train",
        filetype_suffix="array_record",
    )
    split = tfds.core.SplitInfo(
        name="train",
        shard_lengths=[side["records"] for side in sides],
        num_bytes=sum(made.file(shard).stat().st_size for shard in range(made.shards)),
        filename_template=template,
    )
    info.set_splits(tfds.core.SplitDict([split]))
    with tempfile.TemporaryDirectory(dir=made.folder / MAKING) as aside:
        info.write_to_directory(aside)
        files = sorted(pathlib.Path(aside).iterdir(), key=lambda one: one.name == COMPLETE)
        for file in files:
            os.replace(file, made.folder / file.name)
    shutil.rmtree(made.folder / MAKING, ignore_errors=True)
    for half in made.folder.glob(".*.part"):
        half.unlink(missing_ok=True)
    log.info("%s: %d songs, %d left out", made.folder, len(rows), len(left_out))


class _Progress:
    """How much of the songs has been read, and how long the rest will take."""

    def __init__(self, whole: float) -> None:
        self._whole, self._done = whole, 0.0
        self._began = self._said = time.monotonic()

    def over(self, records: Records) -> Records:
        """The same records, counted, with a line in the log twice a minute."""

        def counted(song: Song) -> Iterator[tuple[Mapping[str, Any], float]]:
            before, length = self._done, seconds(song)
            for record, share in records(song):
                yield record, share
                self._done = before + share * length
                if time.monotonic() - self._said > 30:
                    self.say(song.path)
            self._done = before + length

        return counted

    def say(self, what: str) -> None:
        """Logs one line."""
        self._said = time.monotonic()
        pace = self._done / max(self._said - self._began, 1e-9)
        left = (self._whole - self._done) / max(pace, 1e-9)
        log.info(
            "%s; %.1f of %.1f minutes, %.3g times as fast as it plays, %s left",
            what,
            self._done / 60,
            self._whole / 60,
            pace,
            f"{int(left) // 3600}:{int(left) // 60 % 60:02d}:{int(left) % 60:02d}",
        )
