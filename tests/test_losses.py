"""Distances are what their names say, and the bandwidth is that of the audio."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.vqvae import losses
from jukebox_jax.vqvae.losses import Bandwidth


def some(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_the_mean_of_the_largest_and_its_gradient(count: int) -> None:
    values = np.square(some(3, 200))

    def sorted_(values: jax.Array) -> jax.Array:
        return jnp.mean(jax.lax.top_k(values, count)[0], axis=1)

    found = losses.mean_of_largest(values, count)
    np.testing.assert_allclose(found, sorted_(values), rtol=1e-6)
    gradients = [
        jax.grad(lambda v, f=f: jnp.sum(f(v) * np.float32([1, 2, 3])))(jnp.asarray(values))
        for f in (lambda v: losses.mean_of_largest(v, count), sorted_)
    ]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-7)


def test_ties_for_the_last_place_share_it() -> None:
    values = jnp.float32([[4, 1, 1, 0, 1], [0, 0, 0, 0, 0]])
    np.testing.assert_allclose(losses.mean_of_largest(values, 2), [2.5, 0])
    gradient = jax.grad(lambda v: losses.mean_of_largest(v, 2)[0])(values)
    np.testing.assert_allclose(gradient[0], [1 / 2, 1 / 6, 1 / 6, 0, 1 / 6], rtol=1e-6)


def test_items_on_different_devices_stay_there() -> None:
    values = jax.device_put(np.square(some(8, 100)), sharding.batch(sharding.make_mesh()))
    program = jax.jit(jax.grad(lambda v: losses.mean_of_largest(v, 9).sum())).lower(values)
    assert "all-gather" not in program.compile().as_text()


def test_distances_are_divided_by_the_bandwidth() -> None:
    target, output = some(2, 3000, 1), some(2, 2, 3000, 1, seed=1)
    band = Bandwidth(l2=2.0, l1=4.0, spec=8.0)
    error = (target[:, None] - output).astype(np.float64)[..., 0]
    largest = np.sort(error**2, axis=-1)[..., -50:]
    distances = jax.jit(losses.distances, static_argnums=3)
    plain = distances(target, output, Bandwidth(), 50)
    divided = distances(target, output, band, 50)
    np.testing.assert_allclose(divided["l2"], (error**2).mean((0, 2)) / 2, rtol=1e-5)
    np.testing.assert_allclose(divided["l1"], np.abs(error).mean((0, 2)) / 4, rtol=1e-5)
    np.testing.assert_allclose(divided["linf"], largest.mean((0, 2)) / 2, rtol=1e-5)
    every = losses.linf(target[:, None], output, band, 5000)  # more than there are
    np.testing.assert_allclose(every, divided["l2"], rtol=1e-5)

    ratios = {"l2": 2, "l1": 4, "linf": 2, "spectral": 8, "multispectral": 8, "convergence": 1}
    assert set(plain) == set(ratios)
    for name, ratio in ratios.items():
        np.testing.assert_allclose(plain[name] / divided[name], [ratio] * 2, rtol=1e-5)


def windows(count: int, samples: int, channels: int) -> np.ndarray:
    return 0.3 * some(count, samples, channels) + np.linspace(0, 1, count)[:, None, None]


def expected(audio: np.ndarray) -> Bandwidth:
    """In numpy, from the definition."""
    hann = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1536) / 1536), 256)
    padded = np.pad(audio.mean(-1).astype(np.float64), ((0, 0), (1024, 1024)), mode="reflect")
    starts = range(0, audio.shape[1] + 1, 256)
    spectra = np.abs(np.fft.rfft(np.stack([padded[:, s : s + 2048] * hann for s in starts], 1)))
    norms = np.sqrt((spectra**2).sum((1, 2)))
    return Bandwidth(l2=audio.var(), l1=np.abs(audio).mean(), spec=norms.mean())


def check(found: Bandwidth, audio: np.ndarray) -> None:
    for name in ("l2", "l1", "spec"):
        value = getattr(found, name)
        assert isinstance(value, float)
        assert value == pytest.approx(getattr(expected(audio), name), 1e-5), name


@pytest.mark.parametrize("channels", [1, 2])
def test_bandwidth_of_windows_and_of_batches(channels: int) -> None:
    audio = windows(12, 3000, channels)
    check(Bandwidth.measure(iter(audio)), audio)
    check(Bandwidth.measure([audio[:5], audio[5:]]), audio)
    check(Bandwidth.measure(iter(audio), every=5), audio[::5])
    check(Bandwidth.measure(iter(audio), every=2, samples=6001 * channels), audio[:6:2])


def test_no_sound_has_no_bandwidth(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="no window of audio"):
        Bandwidth.measure([])
    with pytest.raises(ValueError, match="the 2 windows .* are silent"):
        Bandwidth.measure(np.zeros((2, 3000, 1)))
