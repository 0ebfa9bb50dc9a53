"""A copy is perfect, a quieter copy is only quieter, and another sound is far away."""

import numpy as np
import pytest

from jukebox_jax.audio import fidelity

TARGET, OTHER = np.random.default_rng(1).normal(size=(2, 4000, 1)).astype(np.float32)


def sums(target: np.ndarray, output: np.ndarray) -> fidelity.Sums:
    found = fidelity.Sums()
    for piece in (slice(0, 2500), slice(2500, 4000)):
        found.add(target[piece], output[piece])
    return found


def test_a_scaled_copy_has_no_distortion() -> None:
    half = sums(TARGET, 0.5 * TARGET)
    assert half.si_sdr() > 60 and half.error() == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert half.convergence() == pytest.approx(20 * np.log10(0.5), abs=1e-3)


def test_noise_of_known_energy() -> None:
    """A tenth of the amplitude that is independent: 20 dB, but for chance."""
    assert sums(TARGET, TARGET + 0.1 * OTHER).si_sdr() == pytest.approx(20, abs=0.3)
    wrong = sums(TARGET, OTHER)
    assert wrong.si_sdr() < -10 and wrong.convergence() > -6


def test_silence_has_no_figures() -> None:
    silent = np.zeros_like(TARGET)
    assert np.isnan(sums(silent, TARGET).si_sdr()) and np.isnan(sums(silent, TARGET).convergence())


def test_stft_distance_grows_with_noise() -> None:
    found = [fidelity.stft_distance(TARGET, TARGET + part * OTHER) for part in (0, 0.1, 0.5)]
    assert found[0] == 0 < found[1] < found[2]
    # Half as loud: half the norm is missing, and every log is off by log 2.
    assert fidelity.stft_distance(TARGET, 0.5 * TARGET) == pytest.approx(0.5 + np.log(2), rel=1e-3)
