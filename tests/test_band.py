"""The band's songs repeat by seed, sound as their labels say, and are found like any others."""

import json
import pathlib

import numpy as np
import pytest

from jukebox_jax.audio import band, song, wave
from jukebox_jax.audio.band import genres, instruments

RATE = 8000


def loudness(audio: np.ndarray, block: int) -> np.ndarray:
    """RMS of blocks of samples, over both channels."""
    blocks = audio[: len(audio) // block * block].reshape(-1, block * audio.shape[1])
    return np.sqrt(np.mean(blocks**2, axis=1))


def spectrogram(audio: np.ndarray, rate: int, seconds: float = 0.064) -> np.ndarray:
    """Magnitudes, [frames, bins of 1 / seconds Hz], four frames in each of `seconds`."""
    mono, size = audio.mean(axis=1), round(rate * seconds)
    slots = np.arange(0, len(mono) - size, size // 4)[:, None] + np.arange(size)
    return np.abs(np.fft.rfft(mono[slots] * np.hanning(size), axis=1)) / size


def test_a_seed_repeats_bit_for_bit() -> None:
    first = list(band.songs(2, 6.0, 3, RATE))
    for cached in (
        instruments.noise,
        instruments.drum,
        instruments._whole_tone,
        instruments._room,
    ):
        cached.cache_clear()
    three = list(band.songs(3, 6.0, 3, RATE))
    for (audio, labels), (again, same) in zip(first, three, strict=False):
        np.testing.assert_array_equal(audio, again)
        assert labels == same
    last = band.song(2, seconds=6.0, seed=3)
    np.testing.assert_array_equal(band.render(last, RATE), three[2][0])
    other = band.song(2, seconds=6.0, seed=4)
    assert band.labels(other)["lyrics"] != three[2][1]["lyrics"]


def test_artists_and_genres_are_spread_evenly() -> None:
    pairs = [(s.artist, s.genre) for s in (band.song(n, seconds=2, seed=5) for n in range(24))]
    assert len(set(pairs)) == 24 == len(band.ARTISTS) * len(band.GENRES)
    for names in zip(*pairs[:12], strict=True):
        counts = [names.count(name) for name in set(names)]
        assert max(counts) - min(counts) == 0
    assert pairs != [
        (s.artist, s.genre) for s in (band.song(n, seconds=2, seed=6) for n in range(24))
    ]
    lengths = {band.song(n, seconds=10, seed=0).seconds for n in range(20)}
    assert len(lengths) == 20 and 9 <= min(lengths) < 9.5 < 10.5 < max(lengths) <= 11


@pytest.mark.parametrize("index", range(24))
def test_every_pair_sounds_well(index: int) -> None:
    score = band.song(index, seconds=9, seed=1)
    audio = band.render(score, RATE)
    assert audio.dtype == np.float32 and audio.shape == (round(score.seconds * RATE), 2)
    assert np.isfinite(audio).all()
    assert 10 ** (-3 / 20) < np.abs(audio).max() < 10 ** (-1 / 20)
    loud = loudness(audio, RATE // 4)
    assert loud[1:-4].min() > 0.01, "silence in the midst"
    assert np.abs(audio[:200]).max() < 0.02 and np.abs(audio[-20:]).max() < 0.005
    left, right = audio.T
    assert 0.5 < np.corrcoef(left, right)[0, 1] < 0.999, "neither mono nor out of phase"
    assert abs(audio.mean()) < 0.002


@pytest.mark.parametrize("index", [0, 3])
def test_a_song_is_the_same_at_any_rate(index: int) -> None:
    score = band.song(index, seconds=5, seed=2)
    shapes = {}
    for rate in (8000, 22050, 44100):
        audio = band.render(score, rate)
        assert len(audio) == round(score.seconds * rate)
        power = spectrogram(audio, rate)[:, 3:200] ** 2  # up to 3.1 kHz
        bands = np.add.reduceat(power, [0, 4, 8, 14, 22, 34, 52, 80, 120], axis=1)
        shapes[rate] = np.log(bands + 1e-7)
    for rate in (8000, 22050):
        low, high = shapes[rate], shapes[44100]
        count = min(len(low), len(high))
        assert abs(len(low) - len(high)) <= 2
        assert np.abs(low[:count] - high[:count]).mean() < 0.35
        assert np.corrcoef(low[:count].ravel(), high[:count].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("genre", band.GENRES)
def test_the_tempo_is_heard(genre: str) -> None:
    """The rises of loudness repeat after a bar, and best near the bar that is labelled."""
    score = band.compose(11, seconds=24, genre=genre)
    low, high = genres.GENRES[genre].tempo
    assert low <= score.tempo <= high
    power = np.log(spectrogram(band.render(score, RATE), RATE) + 1e-3)
    rises = np.maximum(np.diff(power, axis=0), 0).sum(axis=1)
    rises -= rises.mean()
    hop = 128 / RATE
    size = 1 << 13
    repeats = np.fft.irfft(np.abs(np.fft.rfft(rises, size)) ** 2)[: size // 2]
    bar = score.metre * 60 / score.tempo / hop
    around = np.arange(round(0.8 * bar), round(1.2 * bar))
    best = around[np.argmax(repeats[around])]
    assert abs(best / bar - 1) < 0.03
    assert repeats[best] > 0.15 * repeats[0]


def test_artists_are_told_apart_by_their_spectrum() -> None:
    """Each song is nearest to the mean of its artist's other songs, in most cases."""
    prints, names = [], []
    for index in range(24):
        score = band.song(index, seconds=5, seed=8)
        power = spectrogram(band.render(score, RATE), RATE) ** 2
        edges = np.unique(np.round(np.geomspace(3, 250, 24)).astype(int))
        prints.append(np.log(np.add.reduceat(power, edges, axis=1) + 1e-8).mean(axis=0))
        names.append(score.artist)
    found, all_names = 0, np.array(names)
    for index, (one, name) in enumerate(zip(prints, names, strict=True)):
        others = np.arange(24) != index
        means = {
            artist: np.mean(np.array(prints)[others & (all_names == artist)], axis=0)
            for artist in band.ARTISTS
        }
        nearest = min(means, key=lambda artist: float(np.linalg.norm(one - means[artist])))
        found += nearest == name
    assert found >= 17, "6 of 24 would be chance"


def test_the_dynamics_are_heard() -> None:
    score = band.compose(5, seconds=40, genre="ballad")
    audio = band.render(score, RATE)
    times, levels = np.array(score.dynamics).T
    block = RATE * 2
    heard = loudness(audio, block)
    told = np.interp((np.arange(len(heard)) + 0.5) * 2, times, levels)
    assert np.corrcoef(np.log(heard), np.log(told + 0.05))[0, 1] > 0.6


def test_what_is_known_of_a_song() -> None:
    score = band.song(1, seconds=20, seed=0)
    labels = band.labels(score)
    assert json.loads(json.dumps(labels)) == labels
    assert labels["artist"] in band.ARTISTS and labels["genre"] in band.GENRES
    assert "".join(text for _, text in labels["lyrics_times"]) == labels["lyrics"]
    assert labels["mood"] in genres.MOODS and labels["key"].split()[1] in ("major", "minor")
    assert labels["instruments"] == sorted(labels["activity"])
    for name in ("lyrics_times", "sections", "chords", "dynamics", "melody"):
        times = [row[0] for row in labels[name]]
        assert times == sorted(times) and 0 <= times[0] and times[-1] <= score.seconds, name


def test_instruments_play_when_they_are_said_to() -> None:
    score = band.song(4, seconds=20, seed=0)
    found = dict(band.stems(score, RATE))
    assert set(found) == set(score.activity)
    time = np.arange(round(score.seconds * RATE)) / RATE
    for name, spans in score.activity.items():
        heard = np.abs(found[name]).max(axis=0)
        near = np.zeros(len(time), bool)
        for start, end in spans:
            near |= (time > start - 0.06) & (time < end + (2.0 if name == "drums" else 0.4))
            assert heard[(time > start) & (time < end)].max() > 0.01, name
        assert not heard[~near].any(), name


def test_the_voice_changes_the_sound_only_where_it_sings() -> None:
    score = band.song(0, seconds=12, seed=0)
    alone = dict(band.stems(score, RATE))["voice"]
    sung = np.zeros(alone.shape[1], bool)
    for phone in score.phones:
        if phone.end > phone.start:
            sung[int((phone.start - 0.05) * RATE) : int((phone.end + 0.05) * RATE)] = True
            inside = alone[:, int(phone.start * RATE) : int(phone.end * RATE) + 1]
            assert np.abs(inside).max() > 1e-4, phone
    assert not alone[:, ~sung].any()
    assert 0.2 < sung.mean() < 0.9


def test_a_written_folder_is_found(tmp_path: pathlib.Path) -> None:
    settings = {"seconds": 5, "seed": 7, "rate": RATE, "save": wave.save}
    listed = band.write(tmp_path / "three", 3, **settings)
    assert listed == tmp_path / "three" / "manifest.jsonl"
    found = song.find(tmp_path / "three", rate=RATE)
    assert len(found) == 3
    for index, one in enumerate(found):
        score = band.song(index, seconds=5, seed=7)
        assert one.samples == round(score.seconds * RATE) and one.rate == RATE
        assert (one.labels["artist"], one.labels["genre"]) == (score.artist, score.genre)
        assert one.labels["lyrics"] == score.lyrics
        pairs = [(round(time, 4), text) for time, text in score.lyrics_times]
        assert one.labels["lyrics_times"] == pairs
        audio = wave.load(one.path, RATE)
        np.testing.assert_allclose(audio, band.render(score, RATE), atol=2e-5)
    band.write(tmp_path / "two", 2, **settings)
    for path in sorted((tmp_path / "two").glob("*.flac")):
        assert path.read_bytes() == (tmp_path / "three" / path.name).read_bytes()


def test_the_band_is_a_source_of_songs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = song.find("band:songs=2,seconds=3,seed=1,rate=8000", rate=RATE)
    assert len(found) == 2 and all(one.labels["lyrics_times"] for one in found)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.5, 130.0])
def test_any_length(seconds: float) -> None:
    score = band.compose(1, seconds=seconds)
    audio = band.render(score, RATE)
    assert len(audio) == round(seconds * RATE) and np.isfinite(audio).all()
    assert score.lyrics and score.lyrics_times[-1][0] < seconds
    assert loudness(audio, RATE // 4).max() > 0.05


def test_what_the_band_cannot_do() -> None:
    score = band.compose(0, seconds=2)
    for rate in (7999, 96000):
        with pytest.raises(ValueError, match="rate=.*8000 to 48000"):
            band.render(score, rate)
    with pytest.raises(ValueError, match="artist='Nobody' is none of the band's: The Copper"):
        band.compose(0, seconds=2, artist="Nobody")
    with pytest.raises(ValueError, match="genre='polka' is none of the band's: ballad"):
        band.compose(0, seconds=2, genre="polka")
    for seconds in (0.1, float("nan")):
        with pytest.raises(ValueError, match="shortest song"):
            band.compose(0, seconds=seconds)


def test_the_singer_stands_in_front() -> None:
    score = band.compose(3, seconds=2.0)
    usual, front = dict(band.stems(score, 8000)), dict(band.stems(score, 8000, singer=4.0))
    for name, stem in usual.items():
        np.testing.assert_allclose(front[name], stem * (4 if name == "voice" else 1), rtol=1e-5)
