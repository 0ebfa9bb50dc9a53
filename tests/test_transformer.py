"""Groups of layers: scanned for training, unrolled for decoding, recomputed if wished."""

import functools

import jax
import numpy as np
import pytest

from jukebox_jax.prior import transformer
from jukebox_jax.prior.transformer import Transformer

LAYOUT = ((("row", "memory"), 2), (("column",), 1))
X = np.random.default_rng(0).standard_normal((2, 8, 8), np.float32)
MEMORY = np.random.default_rng(1).standard_normal((2, 3, 5), np.float32)


QUICK = {"xla_backend_optimization_level": 0}  # to compile


@functools.partial(jax.jit, static_argnums=0, static_argnames="method", compiler_options=QUICK)
def apply(model: Transformer, params: dict, *arguments, method: str = "__call__"):
    return model.apply({"params": params}, *arguments, method=method)


def make(**changes) -> Transformer:
    fields = dict(layout=LAYOUT, context=8, block=4, heads=1, width=8, remat="none")
    return Transformer(**{**fields, **changes})


@pytest.fixture(scope="module")
def params() -> dict:
    shapes = jax.eval_shape(lambda: make().init(jax.random.key(0), X, MEMORY))["params"]
    leaves, tree = jax.tree.flatten(shapes)
    generator = np.random.default_rng(2)
    return jax.tree.unflatten(
        tree, [0.5 * generator.standard_normal(leaf.shape, np.float32) for leaf in leaves]
    )


def test_patterns_of_all_layers() -> None:
    assert transformer.patterns(LAYOUT) == ("row", "memory", "row", "memory", "column")


def test_unstacked_layers_are_the_slices_of_the_groups(params: dict) -> None:
    flat = transformer.unstack(params, LAYOUT)
    assert list(flat) == [f"layer_{index}" for index in range(5)]
    memory = params["group_0"]["layer_1"]["attention"]
    assert set(flat["layer_3"]["attention"]) == {"query", "key", "value", "out"}
    np.testing.assert_array_equal(
        flat["layer_3"]["attention"]["key"]["kernel"], memory["key"]["kernel"][1]
    )
    joined = flat["layer_4"]["attention"]["query_key_value"]["kernel"]
    parts = [params["group_1"]["layer_0"]["attention"][name] for name in ("query", "key", "value")]
    np.testing.assert_array_equal(joined, np.concatenate([p["kernel"][0] for p in parts], -1))
    inside = transformer.unstack({"transformer": params, "codes": 1}, LAYOUT)
    assert set(inside) == {"transformer", "codes"} and "layer_0" in inside["transformer"]
    assert transformer.unstack(flat, LAYOUT).keys() == flat.keys()


def test_unrolled_layers_do_what_the_groups_do(params: dict) -> None:
    model = make(scale_residual=True)
    flat = transformer.unstack(params, LAYOUT)
    whole = apply(model, params, X, MEMORY)
    cache = apply(model, flat, X, 6, MEMORY, method="fill")
    for position in (6, 7):
        step, cache = apply(model, flat, X[:, position], cache, position, method="step")
        np.testing.assert_allclose(step, whole[:, position], rtol=1e-4, atol=1e-5)
    shapes = [kv.key.shape for kv in cache]
    assert shapes == [(2, length, 2) for length in (4, 3, 4, 3, 8)]
    assert [kv.key.shape for kv in model.apply({}, 2, 3, method="empty")] == shapes


def test_scaled_residuals_are_divided_by_depth(params: dict) -> None:
    """To first order, what five layers add is five times as small."""
    small = jax.tree.map(lambda leaf: 1e-3 * leaf, params)
    plain = apply(make(), small, X, MEMORY) - X
    scaled = apply(make(scale_residual=True), small, X, MEMORY) - X
    np.testing.assert_allclose(5 * scaled, plain, atol=1e-5)
    assert np.abs(plain).max() > 1e-4


def test_recomputing_changes_no_gradient(params: dict) -> None:
    layout = ((("row",), 2),)
    params = {"group_0": {"layer_0": params["group_0"]["layer_0"]}}
    found = []
    for remat in ("none", "dots", "full"):
        model = make(remat=remat, layout=layout)

        def loss(params: dict, model: Transformer = model) -> jax.Array:
            return (model.apply({"params": params}, X) ** 2).sum()

        traced = jax.jit(jax.grad(loss)).trace(params)
        assert ("remat" in str(traced.jaxpr)) == (remat != "none")
        found.append(traced.lower().compile(compiler_options=QUICK)(params))
    for other in found[1:]:
        jax.tree.map(
            lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3),
            found[0],
            other,
        )


def filled(shape: jax.ShapeDtypeStruct) -> np.ndarray:
    """The same numbers for the same shape."""
    rng = np.random.default_rng(shape.size)
    return 0.3 * rng.normal(size=shape.shape).astype(np.float32)


def test_long_groups_are_unrolled_in_part() -> None:
    """Five periods, of which a step holds four: as in a step each, to rounding."""
    found = []
    for remat in ("none", "nothing_saveable"):
        model = make(remat=remat, layout=((("row", "column"), 5),))
        shapes = jax.eval_shape(model.init, jax.random.key(0), X)
        params = jax.tree.map(filled, shapes)
        loss = jax.jit(jax.value_and_grad(lambda p, model=model: (model.apply(p, X) ** 2).sum()))
        found.append(loss(params))
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3), *found
    )


def test_what_cannot_be_is_refused() -> None:
    for changes, words in (
        (dict(remat="some"), "remat = 'some' is unknown; known: none, full, dots"),
        (dict(heads=3), "attention is 2 wide .* no multiple of heads = 3"),
        (dict(layout=((("diagonal",), 1),)), "'diagonal' is unknown"),
        (dict(block=3), "context = 8 is no multiple of block = 3"),
    ):
        with pytest.raises(ValueError, match=words):
            jax.eval_shape(lambda c=changes: make(**c).init(jax.random.key(0), X, MEMORY))
