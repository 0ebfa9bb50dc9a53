"""Distances of Gaussians are those of the formula, and sets of one kind are near."""

import numpy as np
import pytest

from jukebox_jax.evaluation import frechet


def test_known_gaussians() -> None:
    """Of diagonal covariances: squared shift, and squared differences of deviations."""
    one, other = np.diag([1.0, 4.0]), np.diag([9.0, 1.0])
    shift = np.array([3.0, 0.0])
    assert frechet.distance(np.zeros(2), one, shift, other) == pytest.approx(9 + 4 + 1)
    assert frechet.distance(shift, one, shift, one) == pytest.approx(0, abs=1e-9)


def test_turning_both_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    covariances = [np.diag([1.0, 2.0, 3.0]), np.diag([2.0, 2.0, 0.5])]
    means = rng.normal(size=(2, 3))
    plain = frechet.distance(means[0], covariances[0], means[1], covariances[1])
    turned = [turn @ one @ turn.T for one in covariances]
    again = frechet.distance(turn @ means[0], turned[0], turn @ means[1], turned[1])
    assert again == pytest.approx(plain)


def songs(rng: np.random.Generator, count: int, shift: float) -> list[np.ndarray]:
    return [rng.normal(shift, 1.0, (20, 3)) for _ in range(count)]


def test_intervals_tell_a_shift_from_none() -> None:
    rng = np.random.default_rng(1)
    one, alike, apart = songs(rng, 12, 0), songs(rng, 12, 0), songs(rng, 12, 1)
    low, high = frechet.interval(one, apart)
    value = frechet.between(np.concatenate(one), np.concatenate(apart))
    assert 2 < low < value < high < 5 and abs(value - 3) < 1
    assert frechet.interval(one, alike)[0] < 0.05
    same = frechet.interval(one, one, paired=True)
    assert same == pytest.approx((0, 0), abs=1e-9)


def test_a_space_keeps_what_varies_most() -> None:
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(100, 5)) * np.array([10, 1e-3, 1e-3, 1e-3, 5])
    space = frechet.Space(reference, fewest=8)
    assert space.width == 2
    made = space(reference)
    assert made.shape == (100, 2) and np.abs(made.mean(0)).max() < 1e-9
    assert made.var(0, ddof=1).sum() == pytest.approx(1, abs=1e-3)
