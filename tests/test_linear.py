"""Kernels of whole numbers: close to those of floats, a quarter of the bytes, never all floats."""

import functools
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import models
from jukebox_jax.models import Stage
from jukebox_jax.prior import linear, prior
from jukebox_jax.prior.prior import Prior

MODEL = Prior(context=16, block=4, bins=16, width=64, layout=((("row", "column"), 2),))
CODES = np.random.default_rng(0).integers(0, 16, (2, 16)).astype(np.int32)
X = np.random.default_rng(1).standard_normal((3, 24), np.float32)


@functools.cache
def flat() -> Any:
    rng = np.random.default_rng(2)
    return jax.tree.map(
        lambda leaf: 0.2 * rng.standard_normal(leaf.shape, np.float32), prior.abstract(MODEL)
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_floats_are_those_of_flax_to_the_bit(dtype: str) -> None:
    start = nn.initializers.normal(0.3)
    ours = linear.Dense(40, dtype=dtype, kernel_init=start)
    theirs = nn.Dense(40, dtype=dtype, kernel_init=start)
    params = theirs.init(jax.random.key(0), X)
    jax.tree.map(np.testing.assert_array_equal, params, ours.init(jax.random.key(0), X))
    params["params"]["bias"] += 1
    np.testing.assert_array_equal(ours.apply(params, X), theirs.apply(params, X))


def test_a_kernel_is_rounded_to_a_part_of_each_output() -> None:
    kernel = np.random.default_rng(3).normal(size=(24, 40)).astype(np.float32)
    kernel *= np.geomspace(1e-3, 1e3, 40).astype(np.float32)
    kernel[:, 7] = 0
    layer = {"mlp": {"up": {"kernel": kernel, "bias": np.ones(40, np.float32)}}}
    held = linear.quantize({"transformer": {"layer_0": layer}})["transformer"]["layer_0"]
    up = held["mlp"]["up"]
    assert up["kernel"].dtype == np.int8 and up["scale"].shape == (40,)
    error = np.abs(up["kernel"] * up["scale"] - kernel).max(axis=0)
    assert (error <= np.abs(kernel).max(axis=0) / 127 * 0.5001).all()
    again = linear.quantize({"transformer": {"layer_0": held}})["transformer"]["layer_0"]
    np.testing.assert_array_equal(again["mlp"]["up"]["kernel"], up["kernel"])
    dense = linear.Dense(40, dtype="float32", kernel_init=nn.initializers.zeros)
    found = dense.apply({"params": up}, X)
    np.testing.assert_allclose(found, X @ (up["kernel"] * up["scale"]) + 1, rtol=1e-4, atol=1e-3)


def test_a_stage_of_whole_numbers_is_small_and_says_almost_the_same() -> None:
    config = {"stage": {"kind": "prior"}}
    stage = Stage(MODEL, flat(), config)
    held = models.held_as(stage, "int8")
    assert linear.is_quantized(held.weights) and not linear.is_quantized(stage.weights)

    def size(tree: Any) -> int:
        return sum(leaf.nbytes for leaf in jax.tree.leaves(tree["transformer"]))

    assert 0.25 < size(held.weights) / size(stage.weights) < 0.3  # biases, norms and scales
    bits = jax.jit(prior.bits, static_argnums=0)
    whole = float(jax.jit(prior.loss, static_argnums=0)(MODEL, stage.weights, CODES, {})[0])
    floats = float(bits(MODEL, stage.weights, CODES, {}))
    assert floats == pytest.approx(whole, rel=1e-5)  # decoding's form of the parameters
    assert float(bits(MODEL, held.weights, CODES, {})) == pytest.approx(floats, abs=0.05)
    half = models.held_as(stage, "bfloat16")
    assert half.model.dtype == "bfloat16" and size(half.weights) < 0.55 * size(stage.weights)
    assert float(bits(half.model, half.weights, CODES, {})) == pytest.approx(floats, abs=0.2)
    for dtype in ("float32", "bfloat16"):  # whole numbers stay whole where compute is half
        other = prior.unstack(MODEL.clone(dtype=dtype), held.weights)
        assert {leaf.dtype for leaf in jax.tree.leaves(other)} >= {np.dtype(np.int8)}
    with pytest.raises(ValueError, match="weights='int4': give float32"):
        models.held_as(stage, "int4")


def test_logits_of_a_step_are_close_and_no_scaled_kernel_is_formed() -> None:
    held = models.held_as(Stage(MODEL, flat(), {"stage": {"kind": "prior"}}), "int8").weights
    params = {"whole": held, "floats": prior.unstack(MODEL, flat())}
    code, cache = jnp.array([3, 5]), prior.empty(MODEL, 2)

    @jax.jit
    def step(params: Any) -> Any:
        conditions = prior.condition(MODEL, params, {})
        return prior.step(MODEL, params, code, conditions, cache, 0)[0]

    found = {name: np.asarray(step(one)) for name, one in params.items()}
    spread = found["floats"].std()
    assert np.abs(found["whole"] - found["floats"]).max() < 0.1 * spread
    assert not np.array_equal(found["whole"], found["floats"])
    text = step.lower(held).as_text()
    wide = [line for line in text.splitlines() if "multiply" in line and "64x64xf32" in line]
    assert not wide and re.search(r"tensor<64x64xi8>", text)
