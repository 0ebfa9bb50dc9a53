"""What a container promises is held against what is there, and a stream promises nothing."""

import pathlib
import struct

import numpy as np
import pytest
import soundfile

from jukebox_jax.audio import containers, wave

RATE = 8000
KINDS = {
    "a.wav": ("WAV", "PCM_16"),
    "b.wav": ("RF64", "PCM_16"),
    "c.wav": ("WAV", "MS_ADPCM"),
    "d.aiff": ("AIFF", "PCM_16"),
    "e.ogg": ("OGG", "VORBIS"),
    "f.opus": ("OGG", "OPUS"),
}


def written(path: pathlib.Path, seconds: float = 5.0) -> bytes:
    form, coding = KINDS.get(path.name, ("FLAC", "PCM_16"))
    noise = 0.1 * np.random.default_rng(0).standard_normal((int(seconds * RATE), 2))
    soundfile.write(path, noise, RATE, format=form, subtype=coding)
    return path.read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_half_a_file_is_not_a_shorter_song(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    data = written(path)
    assert containers.check(path) == (1.0, True)
    assert abs(wave.probe(path).samples - 5 * RATE) < 500
    path.write_bytes(data + bytes(1000))  # what follows the sound is no matter
    assert containers.check(path) == (1.0, True)
    path.write_bytes(data[: len(data) // 2])
    promise = "without the end" if name[0] in "ef" else r"promises [45]\.\d\d s but ends after 2\."
    for call in (wave.probe, lambda path: wave.load(path, RATE, 0, 100)):
        with pytest.raises(wave.AudioError, match=rf"{name}: .*{promise}.*cut short") as caught:
            call(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 0x7FFFF024, 0x80000000, 0xFFFFFFFF])
def test_a_size_that_nobody_knew_is_no_promise(tmp_path: pathlib.Path, size: int) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(written(path))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    path.write_bytes(data)
    assert containers.share(path) == 1.0


def test_a_size_beyond_32_bits(tmp_path: pathlib.Path) -> None:
    sizes = struct.pack("<QQQI", 0, 5 << 32, 0, 0)
    head = b"RF64\xff\xff\xff\xffWAVE" + b"ds64" + struct.pack("<I", len(sizes)) + sizes
    (tmp_path / "a.wav").write_bytes(head + b"data\xff\xff\xff\xff" + bytes(1 << 16))
    assert containers.share(tmp_path / "a.wav") == pytest.approx(2**-16 / 5)


def test_an_ogg_file_of_streams_one_after_the_other(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "e.ogg"
    data = written(path)
    path.write_bytes(data + data)
    assert containers.ends(path)
    last = data.rindex(b"OggS")
    path.write_bytes(data[:last])  # cut between two pages
    assert not containers.ends(path)
    path.write_bytes(data[: last + 9])
    assert not containers.ends(path)


def test_other_files_are_left_to_others(tmp_path: pathlib.Path) -> None:
    written(tmp_path / "a.flac")
    assert containers.check(tmp_path / "a.flac") == (1.0, True)
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    assert containers.check(tmp_path / "b.wav") == (1.0, True)
