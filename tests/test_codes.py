"""A dataset of codes is known by its notes; windows of it are slices of its records."""

import json
import pathlib

import numpy as np
import pytest

from jukebox_jax.audio import codes, making, shards, wave
from jukebox_jax.audio.song import Song, SongError, Span

SONGS = (Song("/a", 1003, {"artist": "A"}, 100), Song("/b", 500, {}, 50))  # 1003, 1000 at 100 Hz
NOTES = {"rate": 100, "hops": [2, 10], "bins": 70000, "vqvae": "abc"}


def records(song: Song):
    """Codes that count up, 30 of the top in a record."""
    length = song.length(100) // 10
    for start in range(0, length, 30):
        end = min(start + 30, length)
        record = {"path": song.path, "start": start * 10, "samples": 0, "rate": 100, "labels": "{}"}
        record["codes_0"] = np.arange(start * 5, end * 5, dtype=np.int32) + 66000
        record["codes_1"] = np.arange(start, end, dtype=np.int32)
        yield record, end / length


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("codes") / "codes"
    made = making.begin(
        folder,
        codes.NAME,
        lambda kinds: codes.features(2, NOTES["bins"], kinds),
        lambda: SONGS,
        NOTES,
        file=codes.NOTES,
        bytes_a_second=1.0,
    )
    with pytest.raises(SongError, match="its codes are not finished; run the same launch/encode"):
        codes.read(str(folder))
    assert shards.write(made, records)
    return folder


@pytest.fixture(autouse=True)
def short_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "STRETCH", 30)


def test_slices(folder: pathlib.Path) -> None:
    found = codes.read(str(folder))
    assert (found.songs, found.hops, found.vqvae) == (SONGS, (2, 10), "abc")
    for start, length in ((0, 500), (149, 2), (150, 150), (7, 0), (499, 1)):
        for one in SONGS:
            part = found.load(one, 0, start, length)
            np.testing.assert_array_equal(part, np.arange(start, start + length) + 66000)
            assert part.dtype == np.int32
    with pytest.raises(wave.AudioError, match="/b: has 100 codes of level 1, but 2 from 99"):
        found.load(SONGS[1], 1, 99, 2)


def test_a_window_of_two_levels(folder: pathlib.Path) -> None:
    reader = codes.read(str(folder)).reader(0, 20, above=True)
    assert reader.grid == 10 and reader.arrays["above"] == ((4,), np.int32)
    window = reader.read(SONGS[0], Span(580, 40, 1003), 0.5)
    np.testing.assert_array_equal(window["codes"], np.arange(290, 310) + 66000)
    np.testing.assert_array_equal(window["above"], [58, 59, 60, 61])
    top = codes.read(str(folder)).reader(1, 6, above=False)
    assert set(top.read(SONGS[0], Span(10, 60, 1003), 0.5)) == {"codes"}


def test_what_is_a_folder_of_codes(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert codes.are_in(folder) and not codes.are_in(tmp_path) and not codes.are_in("")
    assert not codes.are_in("band:songs=2") and not codes.are_in("tfds:some")
    kinds = codes.features(1, 1 << 16, pytest.importorskip("tensorflow_datasets").features)
    assert kinds["codes_0"].np_dtype == np.uint16
    (tmp_path / codes.NOTES).write_text(json.dumps({"rate": 100}))
    for name in (making.COMPLETE, making.INDEX):
        (tmp_path / name).write_text('{"path": "/a", "samples": 1, "labels": {}, "rate": 1}')
    with pytest.raises(SongError, match="holds no codes of this release"):
        codes.read(str(tmp_path))
    (tmp_path / codes.NOTES).write_text("{")
    with pytest.raises(SongError, match=r"codes\.json: cannot be read"):
        codes.read(str(tmp_path))
