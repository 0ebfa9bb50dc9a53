"""Shards are written whole or not at all, and a full disk is one line."""

import json
import logging
import pathlib
from collections.abc import Iterator

import numpy as np
import pytest
from array_record.python import array_record_module

from jukebox_jax.audio import dataset, making, manifest, shards, wave
from jukebox_jax.audio.song import Song, SongError

SONGS = tuple(Song(f"/{number}", 10 * number + 20, {"artist": "A"}, 10) for number in range(5))


def begin(folder: pathlib.Path, songs: tuple[Song, ...] = SONGS) -> making.Making:
    return making.begin(
        folder,
        "some",
        lambda kinds: {"number": kinds.Scalar(dtype=np.int64), "path": kinds.Text()},
        lambda: songs,
        {},
        file="notes.json",
        bytes_a_second=1.0,
        shards=2,
    )


def records(song: Song) -> Iterator[tuple[dict, float]]:
    """As many as its seconds; the third song breaks off."""
    seconds = song.samples // 10
    for number in range(seconds):
        if song.path == "/2" and number == 3:
            raise wave.AudioError("/2: is damaged")
        yield {"number": number, "path": song.path}, (number + 1) / seconds


def test_written_and_read(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert shards.write(
        begin(tmp_path / "out"),
        records,
        rate=20,
        label=lambda one: Song(one.path, one.samples, {**one.labels, "mood": "calm"}, one.rate),
    )
    found = dataset.records(tmp_path / "out")
    read = [(record["path"].decode(), int(record["number"])) for record in found]
    numbers = {"/0": 2, "/1": 3, "/3": 5, "/4": 6}
    assert read == [(path, n) for path, count in numbers.items() for n in range(count)]
    rows = [row for _, row in manifest.read(tmp_path / "out" / making.INDEX)]
    assert [(row["path"], row["record"], row["records"]) for row in rows] == [
        ("/0", 0, 2),
        ("/1", 2, 3),
        ("/3", 5, 5),
        ("/4", 10, 6),
    ]
    assert (rows[0]["samples"], rows[0]["rate"]) == (40, 20)
    assert rows[0]["labels"] == {"artist": "A", "mood": "calm"}
    left_out = (tmp_path / "out" / shards.LEFT_OUT).read_text()
    assert json.loads(left_out) == {"path": "/2", "reason": "/2: is damaged"}
    assert "/2: is damaged; left out" in caplog.text
    assert "shard 2 of 2 is written; 0.3 of 0.3 minutes" in caplog.text
    assert not list((tmp_path / "out").glob(".*"))


def test_a_full_disk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library says of one becomes a line; nothing half-written stays."""
    made, writer = begin(tmp_path / "out"), array_record_module.ArrayRecordWriter
    part = tmp_path / "out" / f".{made.file(0).name}.1.part"
    part.write_text("of a process that was killed")
    monkeypatch.setattr(
        array_record_module, "ArrayRecordWriter", lambda path, options: writer("/dev/full", options)
    )
    with pytest.raises(OSError, match="the disk is full; make room, and the same command goes on"):
        shards.write(made, records)
    assert made.missing() == [0, 1] and not part.exists()
    monkeypatch.undo()
    assert shards.write(made, records)


def test_nothing_can_be_read(tmp_path: pathlib.Path) -> None:
    made = begin(tmp_path / "out", (SONGS[2], SONGS[2]))
    with pytest.raises(SongError, match="none of 2 songs can be read; the first: /2: is damaged"):
        shards.write(made, records)
    assert not making.is_complete(tmp_path / "out")
