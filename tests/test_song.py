"""Songs are found wherever they are listed, and one bad file never stops the others."""

import json
import logging
import os
import pathlib
import sys
import time
import types

import numpy as np
import pytest

from jukebox_jax import audio
from jukebox_jax.audio import codes, manifest, song, wave
from jukebox_jax.audio.song import Song, SongError

RATE = 8000


def write(path: pathlib.Path, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))
    wave.save(path, noise.astype(np.float32), rate)


def test_lengths_round_down() -> None:
    assert Song("", 44100 * 3 + 1).length(22050) == 22050 * 3
    assert Song("", 7, rate=3).length(2) == 4


def test_a_folder_of_all_sorts(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "b.flac", 1, 44100, 2)
    write(tmp_path / "a" / "one.wav", 1.5)
    write(tmp_path / "a" / "two.OGG".lower(), 1, 22050)
    write(tmp_path / "c.mp3", 3, 44100)
    write(tmp_path / "short.wav", 0.1)
    write(tmp_path / "long.wav", 9)
    write(tmp_path / ".hidden.wav")
    write(tmp_path / ".trash" / "x.wav")
    data = (tmp_path / "c.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.wav").write_text("words")
    (tmp_path / "zero.wav").write_bytes(b"")
    (tmp_path / "cover.jpg").write_bytes(b"no sound, and nobody says so")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    found = song.survey(tmp_path, rate=RATE, minimum_seconds=0.5, maximum_seconds=9)
    names = [str(pathlib.Path(one.path).relative_to(tmp_path)) for one in found.songs]
    assert names == ["a/one.wav", "a/two.ogg", "b.flac", "c.mp3"]
    assert [(one.samples, one.rate) for one in found.songs][:3] == [
        (12000, 8000),
        (22050, 22050),
        (44100, 44100),
    ]
    assert all(one.labels == {} for one in found.songs)
    reasons = {pathlib.Path(path).name: reason for path, reason in found.left_out}
    assert sorted(reasons) == ["cut.mp3", "long.wav", "short.wav", "text.wav", "zero.wav"]
    report = found.report()
    assert "4 songs, 0.1 minutes" in report
    assert "left out 5: 3 unreadable, 1 too short, 1 too long" in report.replace(
        "1 too long, 1 too short", "1 too short, 1 too long"
    )
    assert "cut.mp3: promises 3.00 s" in report and "cover.jpg" not in report
    assert "and 2 more" in found.report(show=1)
    assert song.survey(tmp_path, rate=RATE, minimum_seconds=0.5, maximum_seconds=9) == found


def test_damage_in_the_middle_is_found_when_asked(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.flac", 3, 44100)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[:90000] + bytes(60) + data[90060:])
    assert len(song.survey(tmp_path, rate=RATE).songs) == 1
    assert "damaged" in song.survey(tmp_path, rate=RATE, check=True).report()


@pytest.mark.parametrize("kind", ["jsonl", "csv", "inside"])
def test_lists(tmp_path: pathlib.Path, kind: str) -> None:
    write(tmp_path / "sound" / "a.wav", 1)
    write(tmp_path / "sound" / "b.wav", 2)
    (tmp_path / "sound" / "a.txt").write_text("la la")
    rows = [
        {"path": "sound/b.wav", "artist": "B", "genre": "rock", "mood": "calm"},
        {"path": "sound/a.wav", "artist": "A", "lyrics_file": "sound/a.txt"},
        {"path": "sound/none.wav", "artist": "C"},
        {"path": "sound/../sound/a.wav", "artist": "A"},
    ]
    source = tmp_path / ("list.csv" if kind == "csv" else "manifest.jsonl")
    if kind == "csv":
        keys = ["path", "artist", "genre", "mood", "lyrics_file"]
        lines = [",".join(keys)] + [",".join(row.get(key, "") for key in keys) for row in rows]
        source.write_text("\n".join(lines) + "\n")
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = song.survey(tmp_path if kind == "inside" else source, rate=RATE)
    assert [one.labels for one in found.songs] == [
        {"artist": "B", "genre": "rock", "mood": "calm"},
        {"artist": "A", "lyrics": "la la"},
    ]
    assert [one.samples for one in found.songs] == [16000, 8000]
    assert [reason.partition(": ")[2] for _, reason in found.left_out] == [
        "no such file",
        "is listed twice",
    ]


def test_a_list_comes_back(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.wav")
    first = Song(str(tmp_path / "a.wav"), RATE, {"artist": "A", "lyrics": [(0.0, "la")]}, RATE)
    song.write_manifest(tmp_path / "list.jsonl", [first])
    assert json.loads((tmp_path / "list.jsonl").read_text())["path"] == "a.wav"
    assert song.find(tmp_path / "list.jsonl", rate=RATE) == (first,)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{bad\n", ":1: not JSON"), ('{"path": "a"}\n{"artist": "B"}\n', ":2: has no path")],
)
def test_a_list_with_a_wrong_line(tmp_path: pathlib.Path, text: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(SongError, match=message):
        song.survey(tmp_path / "a.jsonl", rate=RATE)


def test_nothing_there(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SongError, match="no such folder"):
        song.survey(tmp_path / "none", rate=RATE)
    with pytest.raises(SongError, match="holds no sound"):
        song.survey(tmp_path, rate=RATE)
    with pytest.raises(SongError, match="source is empty"):
        song.survey("", rate=RATE)
    (tmp_path / "text.wav").write_text("words")
    with pytest.raises(SongError, match="no song to use; left out 1: 1 unreadable"):
        song.find(tmp_path, rate=RATE)
    write(tmp_path / "a.wav")
    with caplog.at_level(logging.INFO):
        assert len(song.find(tmp_path, rate=RATE)) == 1
    assert "1 songs" in caplog.text and "text.wav" in caplog.text


def test_split() -> None:
    songs = tuple(Song(f"music/{n}.wav", 100) for n in range(40))
    train, held = song.split(songs, 0.1)
    assert len(held) == 4 and set(one.path for one in train + held) == {s.path for s in songs}
    assert [one.path for one in train] == [s.path for s in songs if s in train]
    again = song.split(songs[::-1], 0.1)[1]
    assert {one.path for one in again} == {one.path for one in held}
    moved = tuple(Song(f"elsewhere/below/{n}.wav", 100) for n in range(40))
    assert [s.path[16:] for s in song.split(moved, 0.1)[1]] == [s.path[6:] for s in held]
    assert len(song.split(songs, 3)[1]) == 3
    assert [len(side) for side in song.split(songs, 0)] == [40, 0]
    assert [len(side) for side in song.split(songs[:2], 0.01)] == [1, 1]
    assert [len(side) for side in song.split(songs[:3], 100)] == [1, 2]
    assert [len(side) for side in song.split(songs[:1], 0.5)] == [1, 0]
    assert song.split((), 0.5) == ((), ())
    for bad in (-1, 1.5):
        with pytest.raises(SongError, match="held_out"):
            song.split(songs, bad)


def test_a_side_does_not_depend_on_other_songs(tmp_path: pathlib.Path) -> None:
    """Neither on folders that join, nor on where the collection lies."""
    below = [f"rock/t{n:02}.flac" for n in range(40)]

    def held(folder: pathlib.Path, names: list[str]) -> set[str]:
        manifest.write(folder / "manifest.jsonl", [{"path": name} for name in names])
        return {one.name for one in song.split(song.find(folder, rate=RATE), 4)[1]}

    write(tmp_path / "here" / "a.wav", 0.1)
    for folder in ("here", "there/below"):
        for name in (*below, "pop/x.flac", "pop/y.flac"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / "here" / "a.wav", tmp_path / folder / name)
    first = held(tmp_path / "here", below)
    assert len(first) == 4 and first < set(below)
    more = held(tmp_path / "there" / "below", ["pop/x.flac", *below, "pop/y.flac"])
    assert more & set(below) <= first and len(more) == 4


def test_songs_of_codes_are_divided_as_their_sound_is(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / codes.NOTES).write_text('{"source": "songs/list.jsonl"}')
    made = types.SimpleNamespace(songs=(Song("songs/rock/a.wav", 9), Song("songs/b.wav", 9)))
    monkeypatch.setattr(codes, "read", lambda folder: made)
    assert [one.name for one in song.find(tmp_path, rate=RATE)] == ["rock/a.wav", "b.wav"]


def test_files_that_the_list_leaves_out_are_counted(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    assert "in its list" not in song.survey(tmp_path, rate=RATE).report()
    manifest.write(tmp_path / "manifest.jsonl", [{"path": "a.wav"}])
    told = song.survey(tmp_path, rate=RATE).report()
    assert told.endswith("\n1 files in the folder are not in its list")


def test_songs_to_sample(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "songs.jsonl"
    path.write_text('{"artist": "A", "total_seconds": 30, "start_seconds": 5, "seed": 7}\n{}\n')
    first, second = song.read_songs(path, rate=RATE)
    assert (first.path, first.samples, first.rate) == ("", 30 * RATE, RATE)
    assert first.labels == {"artist": "A", "total_seconds": 30.0, "start_seconds": 5.0, "seed": 7}
    assert second == Song("", 0, {}, RATE)
    for line in ('{"total_seconds": "long"}', '{"start_seconds": -1}', '{"seed": "x"}'):
        path.write_text("{}\n" + line)
        with pytest.raises(SongError, match=r"songs\.jsonl:2: "):
            song.read_songs(path)


def test_the_band_plays_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def play(folder, count, *, seconds, seed, rate, save, singer) -> pathlib.Path:
        calls.append((count, seconds, seed, rate, singer))
        rows = []
        for number in range(count):
            save(pathlib.Path(folder) / f"{number}.wav", np.zeros((int(seconds * rate), 1)), rate)
            rows.append({"path": f"{number}.wav", "artist": f"artist {number}"})
        song.manifest.write(pathlib.Path(folder) / "manifest.jsonl", rows)
        return pathlib.Path(folder) / "manifest.jsonl"

    fake = types.SimpleNamespace(write=play, __file__=__file__)
    monkeypatch.setitem(sys.modules, "jukebox_jax.audio.band", fake)
    monkeypatch.setattr(audio, "band", fake, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(song, "_EVERY", -1.0)
    caplog.set_level(logging.INFO)
    source = "band:songs=3,seconds=0.5,seed=4"
    found = song.find(source, rate=RATE)
    assert [one.labels["artist"] for one in found] == ["artist 0", "artist 1", "artist 2"]
    assert {one.samples for one in found} == {4000}
    assert [word for word in caplog.messages if word.startswith("rendered")] == [
        f"rendered {n} of 3 songs, 0:00 left" for n in (1, 2, 3)
    ]
    home = tmp_path / "jukebox_jax" / "band"
    for name, age in ((".songs9.killed", 7200), (".songs9.at-work", 60)):
        (home / name).mkdir()
        os.utime(home / name, (time.time() - age,) * 2)
    assert song.find(source, rate=RATE) == found
    assert calls == [(3, 0.5, 4, RATE, 1.0)]
    assert len(song.find("band:songs=2,seconds=1,rate=16000,singer=2.5", rate=RATE)) == 2
    assert calls[1:] == [(2, 1.0, 0, 16000, 2.5)]
    (home / ".songs9.at-work").rmdir()
    assert len(list(home.iterdir())) == 2
    for bad in ("band:songs", "band:loud=3", "band:songs=many"):
        with pytest.raises(SongError, match="is no setting of the band; KEY=NUMBER of songs,"):
            song.survey(bad, rate=RATE)
