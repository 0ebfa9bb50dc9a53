"""Stacks and blocks are what the specification writes, and are stored under known names."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from jukebox_jax.vqvae import coder, convolution


def filled(module: Any, x: np.ndarray, seed: int = 0) -> dict:
    """Parameters of a module for an input, drawn by numpy, which compiles nothing."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    return jax.tree.map(
        lambda leaf: (rng.normal(size=leaf.shape) / len(leaf.shape)).astype(np.float32), shapes
    )


def apply(module: Any, params: dict, x: np.ndarray) -> jax.Array:
    return jax.jit(module.apply)({"params": params}, x)


def paths(params: dict) -> set[str]:
    return {"/".join(path) for path in traverse_util.flatten_dict(params)}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"depth": 4}, (1, 3, 9, 27)),
        ({"depth": 4, "reverse": True}, (27, 9, 3, 1)),
        ({"depth": 5, "growth": 2, "cycle": 3}, (1, 2, 4, 1, 2)),
        ({"depth": 5, "growth": 2, "cycle": 3, "reverse": True}, (2, 1, 4, 2, 1)),
    ],
)
def test_dilations(settings: dict, expected: tuple[int, ...]) -> None:
    assert coder.dilations(**settings) == expected


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_stack_is_its_formula(reverse: bool, scaled: bool) -> None:
    stack = coder.Stack(
        4, 3, dilation_growth=2, conv_multiplier=1.5, scale_residual=scaled, reverse=reverse
    )
    x = np.random.default_rng(0).normal(size=(2, 12, 4)).astype(np.float32)
    params = filled(stack, x)
    assert params["unit_0"]["dilated"]["kernel"].shape == (3, 4, 6)
    expected = x
    for number, dilation in enumerate((4, 2, 1) if reverse else (1, 2, 4)):
        unit = jax.tree.map(np.asarray, params[f"unit_{number}"])
        padded = np.pad(np.maximum(expected, 0), ((0, 0), (dilation, dilation), (0, 0)))
        y = unit["dilated"]["bias"] + sum(
            padded[:, k * dilation : k * dilation + 12] @ unit["dilated"]["kernel"][k]
            for k in range(3)
        )
        y = np.maximum(y, 0) @ unit["mix"]["kernel"][0] + unit["mix"]["bias"]
        expected = expected + (y / np.sqrt(3) if scaled else y)
    found = apply(stack, params, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_names_and_shapes_of_blocks() -> None:
    down = coder.DownBlock(6, 5, 1, stages=2, stride=3)
    params = filled(down, np.zeros((1, 18, 2), np.float32))
    unit = {
        f"stack/unit_0/{one}/{leaf}" for one in ("dilated", "mix") for leaf in ("kernel", "bias")
    }
    stage = unit | {"down/kernel", "down/bias"}
    assert paths(params) == {f"stage_{n}/{name}" for n in range(2) for name in stage} | {
        "out/kernel",
        "out/bias",
    }
    assert params["stage_0"]["down"]["kernel"].shape == (6, 2, 6)
    assert jax.eval_shape(down.apply, {"params": params}, jnp.zeros((1, 18, 2))).shape == (1, 2, 5)

    up = coder.UpBlock(width=6, out_width=5, depth=1, stages=2, stride=3)
    params = filled(up, np.zeros((1, 2, 2), np.float32))
    stage = unit | {"up/kernel", "up/bias"}
    assert paths(params) == {f"stage_{n}/{name}" for n in range(2) for name in stage} | {
        "in/kernel",
        "in/bias",
    }
    assert params["stage_1"]["up"]["kernel"].shape == (6, 6, 5)
    assert jax.eval_shape(up.apply, {"params": params}, jnp.zeros((1, 2, 2))).shape == (1, 18, 5)


def test_a_block_up_reverses_unless_told() -> None:
    x = np.random.default_rng(0).normal(size=(1, 9, 3)).astype(np.float32)
    up = coder.UpBlock(width=3, out_width=3, depth=2, stages=1, dilation_cycle=2)
    forward = up.clone(reverse=False)
    params = filled(up, x)
    stack = coder.Stack(3, 2, dilation_cycle=2, reverse=True)
    inner = params["stage_0"]
    y = convolution.convolve(x, *(params["in"][name] for name in ("kernel", "bias")))
    y = apply(stack, inner["stack"], y)
    y = convolution.upsample(y, inner["up"]["kernel"], inner["up"]["bias"], stride=2)
    np.testing.assert_allclose(apply(up, params, x), y, atol=1e-5)
    assert float(jnp.max(jnp.abs(apply(forward, params, x) - y))) > 1e-4


def test_a_decoder_mirrors_its_encoder_and_ends_in_audio() -> None:
    sizes = {"downs": (1, 2), "strides": (3, 2), "width": 4, "depth": 1}
    encoder = coder.Encoder(out_width=5, **sizes)
    decoder = coder.Decoder(in_width=5, **sizes)
    audio = np.random.default_rng(0).normal(size=(2, 36, 1)).astype(np.float32)
    vectors = np.asarray(apply(encoder, filled(encoder, audio), audio))
    assert vectors.shape == (2, 3, 5)
    params = filled(decoder, vectors)
    found = apply(decoder, params, vectors)
    assert found.shape == (2, 36, 1) and found.dtype == jnp.float32

    # The last two convolutions are computed as one; block by block they are two.
    x = vectors
    for number, (stages, stride) in ((1, (2, 2)), (0, (1, 3))):
        block = coder.UpBlock(4, 5, 1, stages=stages, stride=stride)
        x = apply(block, params[f"block_{number}"], x)
    expected = convolution.convolve(x, params["out"]["kernel"], params["out"]["bias"])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bfloat16_computes_near_float32() -> None:
    audio = np.random.default_rng(0).normal(size=(1, 64, 1)).astype(np.float32)
    encoder = coder.Encoder((2,), (2,), 8, 8, 2)
    params = filled(encoder, audio)
    exact = apply(encoder, params, audio)
    rough = apply(encoder.clone(dtype="bfloat16"), params, audio)
    assert rough.dtype == jnp.float32
    error = float(jnp.max(jnp.abs(exact - rough)) / jnp.max(jnp.abs(exact)))
    assert 1e-5 < error < 0.05
