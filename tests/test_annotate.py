"""Measured labels join a list of songs, and nothing that stood there is lost."""

import json
import os
import pathlib

import numpy as np
import pytest
import soundfile

from jukebox_jax.audio import annotate, manifest, song, wave
from jukebox_jax.audio.manifest import SongError

RATE = 8000


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three songs, the second twice as loud as the first, the third no sound at all."""
    songs = tmp_path / "songs"
    (songs / "below").mkdir(parents=True)
    times = np.arange(RATE) / RATE
    for name, level in (("a.wav", 0.25), ("below/b.wav", 0.5)):
        wave.save(songs / name, level * np.sign(np.sin(2 * np.pi * 200 * times)), RATE)
    (songs / "c.wav").write_bytes(b"no sound")
    return songs


def rows(path: pathlib.Path) -> dict[str, dict]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["path"]: row for row in found}


def test_a_folder_gets_a_list_that_training_reads(folder: pathlib.Path) -> None:
    report = annotate.annotate(folder, ["loudness"])
    assert (report.songs, report.measured, report.unreadable) == (3, 2, 1)
    found = rows(folder / "manifest.jsonl")
    assert set(found) == {"a.wav", "below/b.wav", "c.wav"} and "loudness" not in found["c.wav"]
    levels = [np.mean(found[name]["loudness"], axis=0)[1] for name in ("a.wav", "below/b.wav")]
    assert levels[1] - levels[0] == pytest.approx(6.02, abs=0.1)
    read = song.find(folder, rate=RATE)
    assert [len(one.labels["loudness"]) for one in read] == [10, 10]
    assert annotate.annotate(folder, ["loudness"]).measured == 0  # done is done


def test_what_a_person_wrote_stays(folder: pathlib.Path) -> None:
    (folder / "words.txt").write_text("la la")
    manifest.write(
        folder / "manifest.jsonl",
        [
            {"path": "a.wav", "loudness": -3, "artist": "Ann", "lyrics_file": "words.txt"},
            {"path": "below/b.wav", "mood": "calm"},
        ],
    )
    out = folder.parent / "lists" / "measured.jsonl"
    manifest.write(out, [{"path": "../songs/below/b.wav", "mood": "wild", "mine": 1}])
    before = (folder / "manifest.jsonl").read_bytes()
    annotate.annotate(folder, ["loudness"], out)
    assert (folder / "manifest.jsonl").read_bytes() == before
    first, second = rows(out)[str(folder / "a.wav")], rows(out)[str(folder / "below" / "b.wav")]
    assert first["loudness"] == -3 and first["artist"] == "Ann"
    assert (second["mood"], second["mine"], len(second["loudness"])) == ("wild", 1, 10)
    read = {pathlib.Path(one.path).name: one.labels for one in song.find(out, rate=RATE)}
    assert read["a.wav"]["lyrics"] == "la la" and read["b.wav"]["mood"] == "wild"
    assert not list(out.parent.glob(".*"))


def test_of_a_song_that_is_listed_twice_the_first_row_holds(folder: pathlib.Path) -> None:
    manifest.write(
        folder / "manifest.jsonl",
        [
            {"path": "a.wav", "artist": "First", "genre": "blues"},
            {"path": "below/b.wav"},
            {"path": "./a.wav", "artist": "Second", "mood": "calm"},
        ],
    )
    before = song.find(folder, rate=RATE)[0].labels
    annotate.annotate(folder, ["loudness"])
    first = rows(folder / "manifest.jsonl")["a.wav"]
    assert before.items() <= first.items() and first["mood"] == "calm"
    assert len((folder / "manifest.jsonl").read_text().splitlines()) == 2


def test_a_table_in_the_folder_is_not_hidden(folder: pathlib.Path) -> None:
    (folder / "manifest.csv").write_text("path,artist\na.wav,Ann\n")
    for source in (folder, folder / "manifest.csv"):
        with pytest.raises(
            SongError, match=r"manifest\.csv: say with --out=LIST.jsonl where the labels go"
        ):
            annotate.annotate(source, ["loudness"])
    assert not (folder / "manifest.jsonl").exists()
    annotate.annotate(folder, ["loudness"], folder.parent / "out.jsonl")
    assert rows(folder.parent / "out.jsonl")["songs/a.wav"]["artist"] == "Ann"


def test_what_proves_unreadable_is_counted(
    folder: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No number in the middle, no sample at the rate of measuring, no name that can be written."""
    broken = np.zeros((RATE, 1), np.float32)
    broken[RATE // 2] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    wave.save(folder / "tiny.wav", np.zeros((1, 1)), 44100)
    wave.save(folder / "d.wav", np.zeros((RATE, 1)), RATE)
    name = os.fsdecode(b"caf\xe9.wav")
    (folder / "d.wav").rename(folder / name)
    report = annotate.annotate(folder, ["loudness"])
    assert (report.songs, report.measured, report.unreadable) == (5, 2, 3)
    assert "nan.wav: sample 4000 is nan" in caplog.text
    assert "tiny.wav: holds no samples at 22050 Hz" in caplog.text
    assert "caf\ufffd.wav: its name is not UTF-8; rename it; left out" in caplog.text
    assert "loudness" not in rows(folder / "manifest.jsonl")["nan.wav"]


@pytest.mark.parametrize(
    ("labels", "out", "message"),
    [
        (
            ["loudnes"],
            None,
            "labels loudnes: measured are dynamics, loudness, tempo, beats, chords",
        ),
        ([], None, "labels are missing"),
        (["loudness"], "a.csv", "a.csv: measured labels are written as .jsonl"),
    ],
)
def test_mistakes_are_one_line(
    folder: pathlib.Path, labels: list[str], out: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        annotate.annotate(folder, labels, out)
    with pytest.raises(SongError, match="no such folder"):
        annotate.annotate(folder / "nowhere.jsonl", ["loudness"], folder / "out.jsonl")


def test_an_interrupted_list_is_kept(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is written from time to time, and gone on from."""
    monkeypatch.setattr(annotate, "_EVERY", -1.0)
    measured: list[str] = []
    hear = annotate.measure.hear

    def fail_at_second(one: song.Song, names: tuple) -> object:
        measured.append(one.path)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return hear(one, names)

    monkeypatch.setattr(annotate.measure, "hear", fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        annotate.annotate(folder, ["loudness"], threads=1)
    assert sum("loudness" in row for row in rows(folder / "manifest.jsonl").values()) == 1
    assert annotate.annotate(folder, ["loudness"], threads=1).measured == 1
