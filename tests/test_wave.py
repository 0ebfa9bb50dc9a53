"""Every format is read whole and by slices alike, and what is broken says so in one line."""

import logging
import pathlib

import numpy as np
import pytest
import soundfile

from jukebox_jax.audio import mpeg, wave

RATE = 22050
CASES = [
    (".wav", 22050, 1),
    (".wav", 8000, 6),
    (".flac", 48000, 2),
    (".aiff", 44100, 2),
    (".ogg", 44100, 2),
    (".opus", 48000, 1),
    (".mp3", 44100, 2),
    (".mp3", 22050, 1),
]


def sound(rate: int, channels: int = 1, seconds: float = 1.5) -> np.ndarray:
    """A falling tone in each channel, with a little noise."""
    t = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal((len(t), channels))
    tones = [0.4 * np.sin(2 * np.pi * 330 * (c + 1) * t) * np.exp(-t) for c in range(channels)]
    return (np.stack(tones, 1) + 0.02 * noise).astype(np.float32)


@pytest.mark.parametrize(("extension", "rate", "channels"), CASES)
def test_a_slice_is_the_slice_of_the_whole(
    tmp_path: pathlib.Path, extension: str, rate: int, channels: int
) -> None:
    path = tmp_path / f"a{extension}"
    written = sound(rate, channels)
    wave.save(path, written, rate)
    probed = wave.probe(path, check=True)
    assert probed == wave.Probe(len(written), rate, channels)
    for wanted in (rate, RATE, 16000):
        whole = wave.load(path, wanted)
        assert whole.dtype == np.float32
        assert whole.shape == (probed.samples * wanted // rate, channels)
        total = len(whole)
        for start, samples in ((0, 700), (1, 1), (total // 3, 5001), (total - 3001, 3001)):
            piece = wave.load(path, wanted, start, samples)
            assert piece.shape == (samples, channels)
            np.testing.assert_allclose(piece, whole[start : start + samples], atol=1e-4)
    assert wave.load(path, RATE, 5, 0).shape == (0, channels)


@pytest.mark.parametrize("extension", [".wav", ".flac", ".aif"])
def test_16_bits_come_back(tmp_path: pathlib.Path, extension: str) -> None:
    path = tmp_path / "made" / "below" / f"a{extension}"
    written = sound(RATE, 2)
    wave.save(path, written, RATE)
    np.testing.assert_allclose(wave.load(path, RATE), written, atol=0.51 / 32768)
    wave.save(path, written[:, 0], RATE)  # one channel without its axis; in place of the first
    assert wave.load(path, RATE).shape == (len(written), 1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_resampling_keeps_the_sound(tmp_path: pathlib.Path) -> None:
    t = np.arange(44100) / 44100
    wave.save(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * t), 44100)
    heard = wave.load(tmp_path / "a.wav", RATE, 5000, 8000)[:, 0]
    expected = 0.5 * np.sin(2 * np.pi * 1000 * (5000 + np.arange(8000)) / RATE)
    np.testing.assert_allclose(heard, expected, atol=1e-3)


def test_clips_and_says_so(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        wave.save(tmp_path / "a.wav", np.array([0.0, 1.5, -2.0, 0.5]), RATE)
    assert "clipped 2 of 4 samples, peak 2.00" in caplog.text
    heard = wave.load(tmp_path / "a.wav", RATE)[:, 0]
    np.testing.assert_allclose(heard, [0, 1, -1, 0.5], atol=1e-4)


def test_mono() -> None:
    audio = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    np.testing.assert_allclose(wave.mono(audio), [[0.5], [0.5]])
    np.testing.assert_allclose(wave.mono(audio, 0.25), [[0.25], [0.75]])
    assert wave.mono(audio[:, :1], 0.1) is not None
    np.testing.assert_array_equal(wave.mono(audio[:, :1], 0.1), audio[:, :1])
    many = np.arange(12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_allclose(wave.mono(many, 0.1), [[2.5], [8.5]])


def test_channels_that_cancel_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    left = sound(RATE, seconds=0.1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert not wave.mono(np.hstack([left, -left]), name="turned.wav").any()
        wave.mono(np.zeros((9, 2), np.float32), name="silent.wav")
        wave.mono(np.hstack([left, -left]), 0.25, name="blended.wav")
    (said,) = caplog.messages
    assert said.startswith("turned.wav: its channels cancel")


def varying(path: pathlib.Path) -> bytes:
    """An mp3 whose bit rate varies: half silence, half noise."""
    audio = sound(44100, seconds=4)
    audio[: len(audio) // 2] *= 0.001
    audio[len(audio) // 2 :] += 0.2 * np.random.default_rng(1).standard_normal((88200, 1))
    with soundfile.SoundFile(
        path, "w", 44100, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    ) as file:
        file.write(audio)
    return path.read_bytes()


def test_mp3_that_promises_what_it_does_not_hold(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.mp3"
    data = varying(path)
    assert wave.probe(path).samples == 4 * 44100
    head = data.find(b"\xff\xfb", 4)  # the first frame holds the table of contents
    assert b"Xing" in data[:head]
    path.write_bytes(data[head:])
    with pytest.raises(wave.AudioError, match=r"a\.mp3: promises .* varying bit rate"):
        wave.probe(path)
    path.write_bytes(data + data)
    with pytest.raises(wave.AudioError, match=r"a\.mp3: promises 4\.00 s but holds 8\.\d\d s"):
        wave.probe(path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(wave.AudioError, match=r"a\.mp3: promises 4\.00 s but holds .*cut short"):
        wave.probe(path)
    with pytest.raises(wave.AudioError, match=r"a\.mp3: .*cut short"):
        wave.load(path, 44100, 3 * 44100, 30000)
    found = mpeg.find(data)
    assert found and found.samples >= 4 * 44100


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_a_slice_of_a_long_mp3(tmp_path: pathlib.Path, mode: str) -> None:
    """Seeks of the decoder would miss by thousands of samples; the second has no tables at all."""
    path, rng = tmp_path / "a.mp3", np.random.default_rng(2)
    t = np.arange(22050 * 10) / 22050
    loud = 0.2 * rng.standard_normal(len(t)) * (np.sin(4 * t) > 0)
    audio = 0.3 * np.sin(500 * t * (1 + 0.02 * t)) + loud
    level = 0.99 if mode == "CONSTANT" else 0.5
    with soundfile.SoundFile(
        path, "w", 22050, 1, format="MP3", bitrate_mode=mode, compression_level=level
    ) as file:
        file.write(audio)
    whole = wave.load(path, 22050)
    for start in (*rng.integers(0, len(whole) - 3000, 20), len(whole) - 3000):
        piece = wave.load(path, 22050, int(start), 3000)
        np.testing.assert_allclose(piece, whole[start : start + 3000], atol=1e-4)


BROKEN = {
    "text.wav": (b"these are words", "Format not recognised"),
    "text.mp3": (b"these are words", "Format not recognised"),
    "zero.flac": (b"", "0 bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_no_sound_at_all(tmp_path: pathlib.Path, name: str) -> None:
    data, reason = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    for call in (wave.probe, lambda path: wave.load(path, RATE)):
        with pytest.raises(wave.AudioError, match=reason) as caught:
            call(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_missing_folder_and_no_samples(tmp_path: pathlib.Path) -> None:
    with pytest.raises(wave.AudioError, match="no such file"):
        wave.probe(tmp_path / "none.wav")
    with pytest.raises(wave.AudioError, match="is a folder"):
        wave.load(tmp_path, RATE)
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 1)), RATE)
    with pytest.raises(wave.AudioError, match="holds no samples"):
        wave.probe(tmp_path / "a.wav")


def test_damaged_flac(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.flac"
    wave.save(path, sound(44100, seconds=3), 44100)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(wave.AudioError, match=r"a\.flac"):
        wave.probe(path)
    path.write_bytes(data[: len(data) // 3] + bytes(60) + data[len(data) // 3 + 60 :])
    with pytest.raises(wave.AudioError, match=r"a\.flac: is damaged"):
        wave.probe(path, check=True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(tmp_path: pathlib.Path, value: float) -> None:
    path, audio = tmp_path / "a.wav", sound(RATE)
    audio[5000] = value
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    assert wave.probe(path).samples == len(audio)
    with pytest.raises(wave.AudioError, match=f"sample 5000 is {value}"):
        wave.probe(path, check=True)
    with pytest.raises(wave.AudioError, match=f"sample 5000 is {value}"):
        wave.load(path, RATE, 4900, 500)
    assert wave.load(path, RATE, 0, 4000).shape == (4000, 1)
    with pytest.raises(wave.AudioError, match=f"sample 5000 is {value}"):
        wave.save(tmp_path / "b.wav", audio, RATE)
    assert not (tmp_path / "b.wav").exists()


def test_asking_for_too_much(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.wav"
    wave.save(path, sound(RATE), RATE)
    for start, samples in ((0, 40000), (33000, 100), (-1, 10), (40000, None)):
        with pytest.raises(wave.AudioError, match="asked for"):
            wave.load(path, RATE, start, samples)
    with pytest.raises(wave.AudioError, match="rate=0"):
        wave.load(path, 0)
    wave.save(path, np.zeros((2, 1)), RATE)
    with pytest.raises(wave.AudioError, match=r"a\.wav: holds no samples at 8000 Hz; remove it"):
        wave.load(path, 8000)


def test_what_cannot_be_written(tmp_path: pathlib.Path) -> None:
    with pytest.raises(wave.AudioError, match="'.m4a'; use one of .wav"):
        wave.save(tmp_path / "a.m4a", sound(RATE), RATE)
    with pytest.raises(wave.AudioError, match="OPUS at 44100 Hz"):
        wave.save(tmp_path / "a.opus", sound(44100), 44100)
    with pytest.raises(wave.AudioError, match="shape"):
        wave.save(tmp_path / "a.wav", np.zeros((1, 2, 3)), RATE)
    assert not list(tmp_path.iterdir())
