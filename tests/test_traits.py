"""Timbre hears who plays and rhythm how fast, and neither hears how loud."""

import numpy as np

from jukebox_jax.evaluation import traits

RATE = 8000


def clicks(period: float, seconds: float = 6.0) -> np.ndarray:
    """Short bursts of noise, one each period."""
    rng, sound = np.random.default_rng(0), np.zeros(int(seconds * RATE), np.float32)
    for start in np.arange(0.1, seconds - 0.1, period):
        first = int(start * RATE)
        sound[first : first + 400] += rng.normal(0, 0.3, 400) * np.linspace(1, 0, 400)
    return sound


def test_rhythm_repeats_at_the_period() -> None:
    for period in (0.4, 0.6):
        found = traits.rhythm(clicks(period), RATE)
        assert found.shape == (4 * 48,)
        together = found[-48:]
        lags = np.geomspace(0.15, 1.6, 48)
        near = np.abs(lags - period) < 0.05 * period
        away = np.abs(lags - 1.5 * period) < 0.05 * period
        assert together[near].max() > 0.7 > 0.2 > together[away].max()


def test_loudness_counts_for_neither() -> None:
    sound = clicks(0.5)
    for trait in (traits.timbre, traits.rhythm):
        np.testing.assert_allclose(trait(sound, RATE), trait(0.5 * sound, RATE), atol=1.0)


def test_timbre_tells_a_tone_from_noise() -> None:
    seconds = np.arange(2 * RATE) / RATE
    tones = [np.sin(2 * np.pi * pitch * seconds).astype(np.float32) for pitch in (440, 466)]
    noise = np.random.default_rng(1).normal(0, 0.5, 2 * RATE).astype(np.float32)
    one, other, rough = (traits.timbre(sound, RATE) for sound in (*tones, noise))
    assert one.shape == (57,)
    assert np.linalg.norm(one - other) < 0.5 * np.linalg.norm(one - rough)


def test_silence_is_no_error() -> None:
    silent = np.zeros(3 * RATE, np.float32)
    assert not traits.rhythm(silent, RATE).any() and np.isfinite(traits.timbre(silent, RATE)).all()
