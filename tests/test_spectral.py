"""Magnitudes are those of the definition, and a batch on many devices is transformed in place."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.audio import spectral


def defined(audio: np.ndarray, scale: spectral.Scale) -> np.ndarray:
    """Frame by frame in float64: pad by reflection, window in the middle, transform."""
    size, hop, window = scale
    left = (size - window) // 2
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    hann = np.pad(hann, (left, size - window - left))
    padded = np.pad(audio.astype(np.float64), ((0, 0), (size // 2, size // 2)), mode="reflect")
    frames = [padded[:, start : start + size] * hann for start in range(0, audio.shape[1] + 1, hop)]
    return np.abs(np.fft.rfft(np.stack(frames, axis=1)))


@pytest.fixture
def audio() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 1000, 1)).astype(np.float32)


@pytest.mark.parametrize(
    "scale", [(256, 32, 192), (256, 30, 150), (64, 7, 29), (128, 25, 128), (32, 30, 31), (16, 1, 9)]
)
def test_magnitudes_are_those_of_the_definition(audio: np.ndarray, scale: spectral.Scale) -> None:
    found = spectral.magnitudes(audio, scale)
    expected = defined(audio[..., 0], scale)
    assert found.shape == (2, 1 + 1000 // scale[1], scale[0] // 2 + 1)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_release_agrees(reference: pathlib.Path) -> None:
    numbers = np.load(reference / "spectral.npz")
    pair = numbers["x_in"], numbers["x_out"]
    for expected, found in (
        ("spectral_loss", spectral.distance(*pair, (spectral.SINGLE_SCALE,))),
        ("multispectral_loss", spectral.distance(*pair)),
        ("spectral_convergence", spectral.convergence(*pair)),
        ("log_magnitude_loss", spectral.log_distance(*pair)),
    ):
        np.testing.assert_allclose(found, numbers[expected], rtol=1e-5, err_msg=expected)


def test_silence_has_a_gradient(audio: np.ndarray) -> None:
    silence = jnp.zeros_like(audio)
    scales = ((64, 16, 64),)
    value = jax.jit(jax.grad(lambda x, y: spectral.distance(y, x, scales).sum()))
    same = value(silence, silence)
    np.testing.assert_array_equal(same, silence)
    assert np.isfinite(value(silence, audio)).all()
    np.testing.assert_array_equal(spectral.convergence(silence, jnp.asarray(audio)), 0)


def test_the_gradient_is_that_of_the_plain_transform(audio: np.ndarray) -> None:
    size, hop, window = 64, 12, 50
    hann = np.pad(np.hanning(window + 1)[:-1], (7, 7)).astype(np.float32)
    places = np.arange(0, 1001, hop)[:, None] + np.arange(size)
    weights = np.random.default_rng(1).normal(size=(2, 84, 33)).astype(np.float32)

    def plain(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x[..., 0], ((0, 0), (size // 2, size // 2)), mode="reflect")
        return jnp.sum(jnp.abs(jnp.fft.rfft(padded[:, places] * hann)) * weights)

    def ours(x: jax.Array) -> jax.Array:
        return jnp.sum(spectral.magnitudes(x, (size, hop, window)) * weights)

    found, expected = (jax.jit(jax.grad(one))(audio) for one in (ours, plain))
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_batch_on_many_devices_stays_where_it_lies() -> None:
    mesh = sharding.make_mesh()
    audio = np.random.default_rng(0).normal(size=(8, 600, 1)).astype(np.float32)
    value = jax.value_and_grad(lambda x: spectral.distance(x[::-1] * 0.9, x, ((64, 16, 64),)).sum())
    spread = jax.device_put(audio, sharding.batch(mesh))
    whole, parts = jax.jit(value)(audio), jax.jit(value)(spread)
    np.testing.assert_allclose(whole[0], parts[0], rtol=1e-5)
    np.testing.assert_allclose(whole[1], parts[1], atol=1e-5)
    program = jax.jit(jax.grad(lambda x: spectral.magnitudes(x, (64, 16, 64)).sum()))
    text = program.lower(spread).compile().as_text()
    assert "fft(" in text and not re.search("all-gather|all-to-all|collective-permute", text)


@pytest.mark.parametrize(
    ("shape", "scale", "message"),
    [
        ((2, 100), (64, 16, 64), r"audio of shape \(2, 100\): give \[batch, samples, 1\]"),
        ((2, 100, 2), (64, 16, 64), "audio of shape"),
        ((2, 1, 1), (64, 16, 64), "two samples"),
        ((2, 100, 1), (63, 16, 60), r"scale \(63, 16, 60\)"),
        ((2, 100, 1), (64, 16, 65), "window <= transform size"),
        ((2, 100, 1), (64, 0, 64), "hop >= 1"),
    ],
)
def test_what_makes_no_sense(shape: tuple, scale: spectral.Scale, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spectral.magnitudes(np.zeros(shape, np.float32), scale)
