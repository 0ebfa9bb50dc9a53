"""Sampled songs are told from real ones by what differs, and planted seams are found."""

import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio import manifest, song, wave
from jukebox_jax.evaluation import samples
from jukebox_jax.evaluation.drawn import Drawn
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.sampling.settings import Settings

SECONDS = 2.5
LENGTH = int(SECONDS * singing.RATE) // singing.HOP * singing.HOP


def noise(count: int, scale: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, (count, LENGTH, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("real")
    for index, sound in enumerate(noise(4, 0.1, 1)):
        wave.save(folder / f"{index}.wav", np.clip(np.pad(sound, ((0, 40), (0, 0))), -1, 1), 4000)
    manifest.write(folder / "manifest.jsonl", [{"path": f"{index}.wav"} for index in range(4)])
    return folder


def subject(real: pathlib.Path, audio: np.ndarray) -> Subject:
    """Songs that exist, beside songs that are as given."""
    found = Subject(singing.jukebox(), song.find(real, rate=singing.RATE), samples=len(audio))
    codes = (np.zeros((len(audio), LENGTH // singing.HOP), np.int32),)
    made = Drawn(found.requests, codes, 0, audio, Settings(hop_fraction=0.5, allow_unknown=True))
    found.__dict__["drawn"] = made
    return found


def test_what_differs_is_told(real: pathlib.Path) -> None:
    loud = subject(real, noise(4, 0.5, 2))
    figures = {one.name: one for one in samples.samples(loud)}
    assert figures["loudness: sampled"].value == pytest.approx(20 * np.log10(0.5), abs=0.3)
    assert figures["loudness: real"].value == pytest.approx(-20, abs=0.3)
    assert figures["samples beyond full scale: sampled"].value == pytest.approx(4.55, abs=0.5)
    assert figures["samples beyond full scale: real"].value == 0
    assert figures["pitch classes of both halves: real"].value > 0.9
    assert figures["Fréchet distance by code vectors: sampled"].songs == 2  # as many as there are
    assert "Fréchet distance by prior's features: real, other songs" in figures
    assert abs(figures["jumps at windows of level 0"].value) < 1
    assert "no head is known" in figures["lyrics that the attention visits"].note


def test_planted_seams_are_found(real: pathlib.Path) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 100 * np.arange(LENGTH) / singing.RATE)
    audio = np.repeat(tone[None, :, None], 2, axis=0).astype(np.float32)
    clean = subject(real, audio)
    borders = clean.drawn.borders(clean.jukebox, 0)
    assert len(borders) > 10
    assert all(abs(samples.jump(one[:, 0], borders)) < 0.5 for one in audio)
    for border in borders:
        audio[:, border:] *= -1
    assert all(samples.jump(one[:, 0], borders) > 10 for one in audio)
    assert np.isnan(samples.jump(audio[0, :, 0], np.zeros(0, np.int64)))


def test_how_much_of_the_lyrics_is_visited() -> None:
    weights = np.zeros((6, 4), np.float32)
    weights[range(6), [0, 0, 1, 1, 2, 2]] = 1
    assert samples.covered(weights) == 100  # the last token was not read
    weights[:] = [0.2, 0.3, 0.4, 0.1]
    assert samples.covered(weights) < 100
    assert np.isnan(samples.covered(np.zeros((3, 4), np.float32)))


def test_what_cannot_be_compared(real: pathlib.Path) -> None:
    longer = np.concatenate([noise(2, 0.1, 3)] * 2, axis=1)
    with pytest.raises(ValueError, match="fewer than two songs last 5.00 s"):
        samples.samples(subject(real, longer))


def test_embeddings_of_files(real: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Vectors that vary by 1 in each of three directions, and lie apart by as much, or do not."""
    rng = np.random.default_rng(4)
    for name, shift in (("a", 0.0), ("b", 1.0), ("c", 0.0)):
        np.savez(tmp_path / f"{name}.npz", rng.normal(shift, 1, (160, 3)))
    given = subject(real, noise(2, 0.1, 5))

    def compared(*names: str) -> dict[str, Figure]:
        files = tuple(str(tmp_path / f"{name}.npz") for name in names)
        asked = Subject(given.jukebox, given.songs, embeddings=files)
        return {one.name: one for one in samples._distances(asked, [], [np.zeros((1, 1))])}

    apart = compared("a", "b")
    sampled = apart["Fréchet distance by your features: sampled"]
    chance = apart["Fréchet distance by your features: real, other songs"]
    # A squared shift of 3 in units of a spread of 3, but for chance.
    assert 0.7 < sampled.value < 1.4 and chance.value < 0.1 and sampled.low > chance.value
    assert compared("a", "c")["Fréchet distance by your features: sampled"].value < 0.1
    with pytest.raises(ValueError, match="embeddings: give two files"):
        compared("a")
