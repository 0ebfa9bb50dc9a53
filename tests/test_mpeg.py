"""Frames of an mp3 are counted, whatever stands around them."""

import pathlib

import numpy as np
import pytest

from jukebox_jax.audio import mpeg, wave


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: pathlib.Path = tmp_path_factory.mktemp("mpeg") / "a.mp3"
    wave.save(path, 0.1 * np.random.default_rng(0).standard_normal((22050, 1)), 44100)
    return path.read_bytes()


def test_counts_what_an_encoder_wrote(song: bytes) -> None:
    counted = mpeg.find(song)
    assert counted is not None and counted.rate == 44100 and counted.frame == 1152
    assert 22050 <= counted.samples <= 22050 + 3 * 1152
    assert counted.samples % 1152 == 0


def test_passes_over_tags_and_junk(song: bytes) -> None:
    tagged = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128) + song + b"TAG" + bytes(125)
    plain = mpeg.find(song)
    assert plain and plain.trimmed and plain.trimmed > 529
    for data in (tagged, b"junk\xff\xfb" + song):
        found = mpeg.find(data)
        assert found and found.samples == plain.samples and found.trimmed == plain.trimmed


def test_sees_a_cut_and_a_joint(song: bytes) -> None:
    counted, cut, joined = (mpeg.find(data) for data in (song, song[: len(song) // 2], song * 2))
    assert counted and cut and joined
    assert cut.samples < 0.6 * counted.samples
    assert 2 * counted.samples <= joined.samples <= 2 * counted.samples + 1152


@pytest.mark.parametrize("data", [b"", b"\xff", b"no sound at all", bytes(5000), b"\xff\xfb"])
def test_no_frames(data: bytes) -> None:
    assert mpeg.find(data) is None


def test_an_excerpt_is_a_file_of_its_own(song: bytes) -> None:
    frames = mpeg.find(song * 12)
    assert frames
    small, before = mpeg.excerpt(song * 12, frames, 200000, 1000) or (b"", -1)
    found = mpeg.find(small)
    assert found and found.trimmed == 529
    assert before + 1000 <= found.samples - 529 < len(frames.offsets) * 1152
    assert mpeg.excerpt(song * 12, frames, 100, 1000) is None  # the file itself will do
