"""Mel bands lie where they should, and distances in them are those that can be told by hand."""

import numpy as np
import pytest

from jukebox_jax.audio import mel

RATE = 8000
NOISE = np.random.default_rng(0).normal(scale=0.2, size=RATE).astype(np.float32)


def sine(pitch: float) -> np.ndarray:
    return np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE).astype(np.float32)


def test_bands_cover_all_between_their_ends() -> None:
    weights = mel.bands(RATE, 1024, 40)
    assert weights.shape == (513, 40) and weights.min() == 0 and weights.max() <= 1
    frequencies = np.fft.rfftfreq(1024, 1 / RATE)
    inside = (frequencies > 300) & (frequencies < 3500)
    np.testing.assert_allclose(weights[inside].sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("pitch", [300.0, 1000.0, 3000.0])
def test_a_sine_is_loudest_in_its_band(pitch: float) -> None:
    loud = mel.spectrogram(sine(pitch), RATE, size=1024, count=30).mean(axis=0)
    weights = mel.bands(RATE, 1024, 30)[round(pitch / RATE * 1024)]
    assert loud.argmax() == weights.argmax() and 0.4 < loud.max() < 2.1


def test_equals_are_not_apart_and_half_as_loud_is_six_decibels() -> None:
    assert mel.distance(NOISE, NOISE, RATE) == 0
    scales = ((512, 10), (1024, 20))  # of which no band is empty
    assert mel.distance(NOISE, 0.5 * NOISE, RATE, scales) == pytest.approx(6.02, abs=0.01)
    assert mel.distance(sine(500), sine(1500), RATE) > 20


def test_cepstra_hear_loudness_in_the_first_alone() -> None:
    one, other = mel.cepstra(NOISE, RATE), mel.cepstra(0.5 * NOISE, RATE)
    assert one.shape[1] == 20
    np.testing.assert_allclose(one[:, 0] - other[:, 0], 20 * np.log10(2), atol=1e-6)
    np.testing.assert_allclose(one[:, 1:], other[:, 1:], atol=1e-6)


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a sound of shape \(1,\): give \[samples\], two"):
        mel.spectrogram(np.zeros(1), RATE)
