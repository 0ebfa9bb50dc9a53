"""What is measured is what was played, and stands in where a label is missing."""

import bisect
import dataclasses
import logging
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import pytest

from jukebox_jax.audio import band, measure, wave
from jukebox_jax.audio.song import Song

RATE = 8000
SONGS = 6


@pytest.fixture(scope="module")
def played() -> list[tuple[band.Score, dict[str, Any]]]:
    """A song of each genre, and what is measured of it."""
    scores = [band.song(index, seconds=14, seed=4) for index in range(SONGS)]
    names = ("loudness", "tempo", "chords")
    return [(one, measure.measure(band.render(one, RATE), RATE, names)) for one in scores]


def at(pairs: Any, times: np.ndarray) -> list[str]:
    starts = [second for second, _ in pairs]
    return [pairs[max(0, bisect.bisect_right(starts, time) - 1)][1] for time in times]


def test_the_tempo_is_found(played) -> None:
    """Within 2 % of it, or of an octave of it, in all songs but one at most."""
    octaves = np.array([0.5, 1.0, 2.0, 3.0])
    errors = [np.abs(found["tempo"] / one.tempo / octaves - 1).min() for one, found in played]
    assert np.sum(np.array(errors) < 0.02) >= SONGS - 1, errors


def test_the_loudness_follows_the_dynamics(played) -> None:
    """As smooth as these are told, over two seconds."""
    similar = []
    for one, found in played:
        times, levels = np.array(found["loudness"]).T
        assert np.all(np.abs(np.diff(times) - 0.1) < 0.051) and levels.max() < 0
        mean = np.convolve(10 ** (levels / 10), np.ones(20) / 20, "valid")
        told = np.interp(times[10 : 10 + len(mean)], *np.array(one.dynamics).T)
        similar.append(np.corrcoef(np.log(mean), np.log(told + 0.05))[0, 1])
    assert np.mean(similar) > 0.6 and min(similar) > 0.2, similar


def test_chords_are_found(played) -> None:
    """The triad is right most of the time; chance would be 1 of 24."""
    right = []
    for one, found in played:
        times = np.arange(0.2, one.seconds - 0.5, 0.1)
        told = [name.replace("maj7", "").removesuffix("7") for name in at(one.chords, times)]
        right.append(
            np.mean([a == b for a, b in zip(told, at(found["chords"], times), strict=True)])
        )
    assert np.mean(right) > 0.5 and min(right) > 0.15, right


@pytest.mark.parametrize("rate", [8000, 11025])
def test_loudness_is_decibels_of_full_scale(rate: int) -> None:
    sine = np.sin(2 * np.pi * 400 * np.arange(rate) / rate)
    sound = np.concatenate([sine, 0.1 * sine, 0 * sine]).astype(np.float32)
    times, levels = np.array(measure.loudness(sound[:, None], rate)).T
    assert len(times) == 30 and times[0] == pytest.approx(0.05, abs=1e-3)
    for second, level in enumerate((-3.01, -23.01, measure.FLOOR)):
        np.testing.assert_allclose(levels[10 * second : 10 * second + 10], level, atol=0.05)
    stereo = np.stack([sound, 0 * sound], axis=1)
    assert measure.loudness(stereo, rate)[0][1] == pytest.approx(-6.02, abs=0.05)
    short = measure.loudness(sound[: rate // 50, None], rate)
    assert short == [[pytest.approx(0.01), pytest.approx(-3.01, abs=0.05)]]


@pytest.mark.parametrize("concert", [440, 452])
def test_a_chord_is_named_by_its_tones(concert: float) -> None:
    time = np.arange(2 * RATE) / RATE
    sound = []
    for tones in ((63, 67, 70), (54, 57, 61)):  # E flat, F sharp minor
        sound.append(
            sum(np.sin(2 * np.pi * concert * 2 ** ((tone - 69) / 12) * time) for tone in tones)
        )
    audio = np.concatenate([*sound, 0 * time]).astype(np.float32)[:, None] / 4
    found = measure.chords(audio, RATE)
    assert [name for _, name in found] == ["Eb", "F#m", measure.SILENCE]
    np.testing.assert_allclose([second for second, _ in found], [0, 2, 4], atol=0.4)


@pytest.mark.parametrize("tempo", [70.0, 97.3, 141.0])
def test_clicks_have_their_tempo(tempo: float) -> None:
    audio = np.zeros((12 * RATE, 1), np.float32)
    for beat in np.arange(0.1, 11.9, 60 / tempo):
        audio[round(beat * RATE) :][:80] = np.hanning(80)[:, None] * (-1) ** np.arange(80)[:, None]
    found = measure.tempo(audio, RATE)
    assert min(abs(found / tempo / octave - 1) for octave in (0.5, 1, 2)) < 0.005
    short = measure.tempo(audio[: RATE // 3], RATE)
    assert short is None or 20 < short < 400


@pytest.mark.parametrize("samples", [1, 100, 9000])
def test_silence_has_no_tempo_and_no_chord(samples: int) -> None:
    found = measure.measure(np.zeros((samples, 2), np.float32), RATE, measure.MEASURES)
    assert set(found) == {"dynamics", "loudness", "chords"}
    assert found["chords"] == [[0.0, measure.SILENCE]]
    assert all(level == measure.FLOOR for _, level in found["loudness"])


def test_what_is_missing_is_filled_in(tmp_path, caplog, monkeypatch) -> None:
    path, audio = tmp_path / "a.wav", band.render(band.song(0, seconds=4, seed=4), RATE)
    wave.save(path, audio, RATE)
    song = Song(str(path), len(audio), {"tempo": 90, "artist": "A", "chords": None}, RATE)
    filled = measure.fill(song, ("tempo", "chords", "dynamics", "mood"))
    assert set(filled.labels) == {"tempo", "artist", "chords", "dynamics"}
    assert filled.labels["tempo"] == 90, "a label goes before a measure"
    heard = wave.load(path, RATE)
    assert filled.labels["dynamics"] == measure.loudness(heard, RATE)
    assert filled.labels["chords"] == measure.chords(heard, RATE)
    assert dataclasses.replace(filled, labels=song.labels) == song
    assert measure.fill(filled, ("tempo", "chords", "dynamics")) is filled

    gone, future = Song(str(tmp_path / "b.wav"), 9, {}, RATE), Song("", 9, {}, RATE)
    with caplog.at_level(logging.WARNING):
        assert measure.fill(gone, ("tempo",)).labels == {}
    assert "b.wav: no such file; left unknown: tempo" in caplog.text
    assert measure.fill(future, ("tempo",)) is future and measure.hear(future, ("tempo",)) == {}
    with pytest.raises(wave.AudioError, match="b.wav: no such file"):
        measure.hear(gone, ("tempo",))

    def fails(*args: Any) -> None:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(wave, "load", fails)
    again = measure.fill_all([song, future], ("dynamics", "chords", "tempo"))
    assert again[0] == filled and again[1] is future
    assert measure.fill(gone, ("tempo",)).labels == {}


def test_what_cannot_be_measured_is_named() -> None:
    audio = np.zeros((10, 1), np.float32)
    with pytest.raises(ValueError, match="'mood' cannot be measured; measured are dynamics, "):
        measure.measure(audio, RATE, ("tempo", "mood"))
    with pytest.raises(ValueError, match="without samples cannot be measured"):
        measure.measure(audio[:0], RATE, ("tempo",))


def test_measuring_needs_nothing_of_training() -> None:
    heavy = "tensorflow tensorflow_datasets clu optax jax".split()
    code = (
        "import sys, numpy as np\n"
        "from jukebox_jax.audio import measure\n"
        "assert 'librosa' not in sys.modules\n"
        "measure.measure(np.zeros((9000, 1), np.float32), 8000, measure.MEASURES)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout


def test_one_process_at_a_time_imports_librosa() -> None:
    """What numba compiles on that import is kept in pairs of files; two writers mix them."""
    import filelock

    lock = pathlib.Path(tempfile.gettempdir()) / "jukebox_jax-librosa.lock"
    code = "from jukebox_jax.audio import measure; print('begun', flush=True); measure._librosa()"
    with filelock.FileLock(lock, mode=0o666):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(8)
    assert process.wait(120) == 0


def test_chroma_hears_the_pitch_class() -> None:
    seconds = np.arange(2 * 8000) / 8000
    found = measure.chroma(0.3 * np.sin(2 * np.pi * 440 * seconds)[:, None], 8000)
    assert found.shape == (12,) and found.argmax() == 9 and abs(found.sum() - 1) < 1e-9
    assert np.ptp(measure.chroma(np.zeros((8000, 1), np.float32), 8000)) < 1e-9
