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


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_gradients_are_those_that_are_derived(dtype: str, close: float) -> None:
    """Of vectors, of a batch of contexts, and of one batch more."""
    rng = np.random.default_rng(4)
    kernel, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((24, 40), (40,)))
    for shape in ((3,), (2, 5), ()):
        x, weight = (rng.normal(size=(*shape, n)).astype(np.float32) for n in (24, 40))
        values = [jnp.asarray(each, dtype) for each in (x, kernel, bias)]

        def loss(values: list, product: Any, weight: np.ndarray = weight) -> jax.Array:
            return (weight * jnp.sin(product(*values).astype(jnp.float32))).sum()

        found = jax.grad(loss)(values, linear.linear)
        derived = jax.grad(loss)(values, lambda x, kernel, bias: x @ kernel + bias)
        for one, other in zip(found, derived, strict=True):
            assert one.dtype == other.dtype == jnp.dtype(dtype) and one.shape == other.shape
            scale = np.abs(np.asarray(other, np.float32)).max()
            np.testing.assert_allclose(*(np.asarray(each, np.float32) for each in (one, other)),
                                       atol=close * scale)  # fmt: skip
    many = rng.normal(size=(4, 3, 24)).astype(np.float32)
    each = jax.vmap(jax.grad(lambda x: linear.linear(x, kernel, bias).sum()))(many)
    np.testing.assert_allclose(each, np.broadcast_to(kernel.sum(1), many.shape), rtol=1e-5)


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
    kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(held.weights)}
    assert kinds == {"int8", "float32"}

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


@pytest.mark.parametrize("on_host", [True, False])
def test_turned_kernels_give_the_same_codes_their_bits_and_steps(
    on_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "DEEP", 64)
    weights = flat() if on_host else jax.device_put(flat())
    plain = prior.unstack(MODEL, weights)
    turned = prior.for_decoding(MODEL, weights, "cpu")
    assert prior.for_decoding(MODEL, weights, "gpu").keys() == plain.keys()
    before, after = (tree["transformer"]["layer_1"] for tree in (plain, turned))
    np.testing.assert_array_equal(after["mlp"]["up"]["turned"], before["mlp"]["up"]["kernel"].T)
    assert "kernel" not in after["mlp"]["up"] and "turned" in after["attention"]["query_key_value"]
    assert "kernel" in after["attention"]["out"]  # of 16 inputs
    leaf = after["mlp"]["up"]["turned"]
    assert isinstance(leaf, np.ndarray) == on_host
    again = prior.for_decoding(MODEL, turned, "cpu")
    jax.tree.map(np.testing.assert_array_equal, again, turned)
    bits = jax.jit(prior.bits, static_argnums=0)
    assert float(bits(MODEL, turned, CODES, {})) == pytest.approx(
        float(bits(MODEL, plain, CODES, {})), rel=1e-6
    )
    for batch in (1, 3):
        code, found = jnp.arange(batch), []
        for params in (plain, turned):
            conditions, cache = prior.condition(MODEL, params, {}), prior.empty(MODEL, batch)
            found.append(prior.step(MODEL, params, code, conditions, cache, 0)[0])
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("features", [40, 42])  # in whole parts, and not
def test_products_by_output(batch: int, features: int) -> None:
    rng = np.random.default_rng(6)
    x, kernel = (rng.standard_normal((n, 24), np.float32) for n in (batch, features))
    found = linear.by_output(x, kernel)
    np.testing.assert_allclose(found, x @ kernel.T, rtol=1e-5, atol=1e-5)
    half = linear.by_output(*(jnp.asarray(each, jnp.bfloat16) for each in (x, kernel)))
    assert found.dtype == half.dtype == jnp.float32
    np.testing.assert_allclose(half, found, atol=0.2)


@pytest.mark.parametrize("width", [24, 26])  # in whole parts, and not
def test_products_of_one_vector_by_input(width: int) -> None:
    rng = np.random.default_rng(7)
    x, kernel = rng.standard_normal((1, width), np.float32), rng.standard_normal((width, 40))
    for dtype, close in (("float32", 1e-5), ("bfloat16", 0.1)):
        found = linear.by_input(*(jnp.asarray(each, dtype) for each in (x, kernel)))
        assert found.dtype == dtype and found.shape == (1, 40)
        np.testing.assert_allclose(found.astype(jnp.float32), x @ kernel, rtol=close, atol=close)


@pytest.mark.parametrize(("platform", "parts"), [("cpu", True), ("cuda", False), ("tpu", False)])
def test_only_a_cpu_reads_in_parts(platform: str, parts: bool) -> None:
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((1, 24), (24, 40))]
    lowered = jax.jit(linear.by_input).trace(*shapes).lower(lowering_platforms=(platform,))
    assert ("tensor<4x6x40xf32>" in lowered.as_text()) == parts


def test_kernels_of_other_types_are_not_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "DEEP", 64)
    stage = Stage(MODEL, flat(), {"stage": {"kind": "prior"}})
    for name in ("bfloat16", "int8"):
        held = models.held_as(stage, name)
        laid = prior.for_decoding(held.model, held.weights, "cpu")
        assert "kernel" in laid["transformer"]["layer_0"]["mlp"]["up"], name


def test_a_turned_kernel_is_read_where_it_lies() -> None:
    kernel = jax.ShapeDtypeStruct((96, 512), jnp.float32)
    bias = jax.ShapeDtypeStruct((96,), jnp.float32)
    dense = linear.Dense(96, dtype="float32", kernel_init=nn.initializers.zeros)
    params = {"params": {"turned": kernel, "bias": bias}}
    for batch in (1, 4):
        x = jax.ShapeDtypeStruct((batch, 512), jnp.float32)
        text = jax.jit(dense.apply).lower(params, x).compile().as_text()
        made = re.findall(r"= f32\[(?:96,512|512,96)\]\S* (\w+)\(", text)
        assert set(made) <= {"parameter"}, text
