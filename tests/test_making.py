"""A dataset's songs are noted once and divided, and what stands in the way is found first."""

import collections
import json
import pathlib
import shutil

import pytest

from jukebox_jax.audio import making
from jukebox_jax.audio.song import Song, SongError

SONGS = tuple(
    Song(f"/{number}.wav", 800 + number, {"lyrics": [(0.5, "la")]}, 80) for number in range(130)
)
ASKED: list[int] = []


def find() -> tuple[Song, ...]:
    ASKED.append(1)
    return SONGS


def begin(folder: pathlib.Path, notes: dict | None = None, **settings) -> making.Making:
    settings = {"file": "notes.json", "bytes_a_second": 1.0, **settings}
    return making.begin(folder, "some", lambda kinds: {}, find, notes or {"a": 1}, **settings)


def test_songs_are_noted_once(tmp_path: pathlib.Path) -> None:
    ASKED.clear()
    first = begin(tmp_path / "out")
    assert first.songs == SONGS and first.shards == 3
    again = begin(tmp_path / "out", process=(1, 2))
    assert (again.songs, again.shards, ASKED) == (SONGS, 3, [1])
    assert json.loads((tmp_path / "out" / "notes.json").read_text()) == {"a": 1, "shards": 3}
    assert first.file(2).name == "some-train.array_record-00002-of-00003"


@pytest.mark.parametrize("shards", [1, 2, 7, 130, 200])
def test_shards_hold_every_song_once(tmp_path: pathlib.Path, shards: int) -> None:
    made = begin(tmp_path / "out", shards=shards)
    parts = [made.of(shard) for shard in range(made.shards)]
    assert made.shards == shards and tuple(one for part in parts for one in part) == SONGS
    sizes = collections.Counter(map(len, parts))
    assert max(sizes) - min(sizes) <= 1
    made.file(0).write_text("")
    assert made.missing() == list(range(1, shards))


def test_what_stands_in_the_way(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "out")
    for settings, message in (
        ({"notes": {"a": 2}}, "was begun with a = 1, not 2; set it to that, or"),
        ({"shards": 4}, "was begun with shards = 3, not 4"),
        ({"process": (3, 3)}, "process 3 of 3: count from 0 to 2"),
        ({"shards": 0}, "shards=0: 1 or more"),
    ):
        with pytest.raises(SongError, match=message):
            begin(tmp_path / "out", **settings)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(SongError, match="holds something else"):
        begin(tmp_path / "full")
    with pytest.raises(OSError, match="cannot be written to"):
        begin(tmp_path / "full" / "letter.txt" / "out")
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 100 << 20))
    begin(tmp_path / "out")
    with pytest.raises(SongError, match=r"0\.4 hours need about 1\.\d+ GB, but 0\.10 GB are free"):
        begin(tmp_path / "out", bytes_a_second=1e6)
