"""A layer in its three forms, and how it starts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import transformer
from jukebox_jax.prior.attention import Grid
from jukebox_jax.prior.layer import Layer

GRID = Grid(context=8, block=4, lyrics=1)
FIELDS = dict(grid=GRID, heads=2, state=4, hidden=12, width=6, std=0.5)
X = np.random.default_rng(0).standard_normal((2, 8, 6), np.float32)
MEMORY = np.random.default_rng(1).standard_normal((2, 3, 5), np.float32)


QUICK = {"xla_backend_optimization_level": 0}  # to compile


@functools.partial(jax.jit, static_argnums=0, static_argnames="method", compiler_options=QUICK)
def apply(layer: Layer, params: dict, *arguments, method: str = "__call__"):
    return layer.apply({"params": params}, *arguments, method=method)


def make(pattern: str, **changes) -> tuple[Layer, dict, dict]:
    """A layer, its parameters for training and those for decoding."""
    layer = Layer(pattern=pattern, **{**FIELDS, **changes})
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), X, MEMORY))["params"]
    leaves, tree = jax.tree.flatten(shapes)
    generator = np.random.default_rng(2)
    params = jax.tree.unflatten(
        tree, [0.5 * generator.standard_normal(leaf.shape, np.float32) for leaf in leaves]
    )
    if pattern == "memory":
        return layer, params, params
    stacked = {"group_0": {"layer_0": jax.tree.map(lambda leaf: leaf[None], params)}}
    return layer, params, transformer.unstack(stacked, (((pattern,), 1),))["layer_0"]


def by_hand(params: dict, x: np.ndarray, mixed: np.ndarray, residual: float) -> np.ndarray:
    """What a layer adds, given what its attention gave."""

    def norm(x: np.ndarray, of: dict) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * of["scale"] + of["bias"]

    up = norm(x + mixed, params["norm_2"]) @ params["mlp"]["up"]["kernel"]
    up = up + params["mlp"]["up"]["bias"]
    hidden = up / (1 + np.exp(-1.702 * up))
    down = hidden @ params["mlp"]["down"]["kernel"] + params["mlp"]["down"]["bias"]
    return x + residual * (mixed + down)


@pytest.mark.parametrize("pattern", ["row", "memory"])
def test_three_forms_agree(pattern: str) -> None:
    layer, params, joined = make(pattern)
    whole = apply(layer, params, X, MEMORY)
    filled, cache = apply(layer, joined, X, 5, MEMORY, method="fill")
    np.testing.assert_allclose(filled, whole, rtol=1e-5, atol=1e-6)
    step, kept = apply(layer, joined, X[:, 5], cache, 5, method="step")
    np.testing.assert_allclose(step, whole[:, 5], rtol=1e-5, atol=1e-6)
    if pattern == "memory":
        np.testing.assert_array_equal(kept.key, cache.key)


@pytest.mark.parametrize("residual", [1.0, 0.25])
def test_attention_and_mlp_are_added(residual: float) -> None:
    """Under "previous" the first row attends to nothing: its attention gives its bias alone."""
    layer, params, _ = make("previous", residual=residual)
    bias = np.arange(6, dtype=np.float32)
    params["attention"]["out"]["bias"] = bias
    first = np.asarray(apply(layer, params, X))[:, :4]
    expected = by_hand(params, X[:, :4], np.broadcast_to(bias, X[:, :4].shape), residual)
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_those_of_the_first_norm() -> None:
    layer, params, joined = make("prefix")
    weights = apply(layer, joined, X, method="weights")
    assert weights.shape == (2, 2, 8, 2)  # a prefix of 1 lyric, filled up to 2 rows
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    far = apply(layer, joined, 100 * X + 7, method="weights")
    np.testing.assert_allclose(weights, far, atol=1e-3)  # a norm forgets scale and shift


def test_how_kernels_start() -> None:
    """The output of "memory" at zero, all else normal with the standard deviation asked for."""
    wide = np.zeros((1, 8, 40), np.float32)
    for pattern in ("memory", "row"):
        layer = Layer(pattern=pattern, **{**FIELDS, "width": 40, "state": 40})
        start = jax.jit(
            lambda key, layer=layer: layer.init(key, wide, wide[:, :3]), compiler_options=QUICK
        )
        params = start(jax.random.key(0))["params"]
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            words = jax.tree_util.keystr(path, simple=True, separator="/")
            if words.endswith("bias") or (pattern, words) == ("memory", "attention/out/kernel"):
                assert not np.any(leaf), words
            elif words.endswith("kernel"):
                assert 0.4 < np.std(leaf) < 0.6, words


def test_statistics_of_norms_are_float32() -> None:
    layer, params, _ = make("row", dtype="bfloat16")
    text = str(jax.make_jaxpr(lambda x: layer.apply({"params": params}, x))(jnp.bfloat16(X)))
    sums = [line for line in text.split("\n") if "reduce_sum" in line or "reduce_max" in line]
    assert sums and not any(":bf16" in line.split("=")[0] for line in sums)
