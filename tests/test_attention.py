"""Each pattern is stated once as a mask and once as a fast path, and the two agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import attention
from jukebox_jax.prior.attention import Grid

GRID = Grid(context=30, block=5, spread=2, lyrics=7)
SHAPE = (2, 30, 3, 4)
OVER_CONTEXT = [pattern for pattern in attention.PATTERNS if pattern != "memory"]
TOLERANCE = {"float32": 1e-6, "bfloat16": 2e-2}


def three(shape: tuple[int, ...] = SHAPE) -> list[np.ndarray]:
    return list(np.random.default_rng(0).standard_normal((3, *shape), np.float32))


def defined(pattern: str, query, key, value, grid: Grid) -> np.ndarray:
    """Softmax over what a position sees and its keys of zeros, one position at a time."""
    query, key, value = (np.asarray(one, np.float64) for one in (query, key, value))
    seen, zeros = attention.sees(pattern, grid), attention.zeros(pattern, grid)
    out = np.zeros(query.shape)
    for position in range(grid.context):
        at = np.flatnonzero(seen[position])
        scores = np.einsum("bhd,bkhd->bhk", query[:, position], key[:, at]) / 2.0
        weights = np.exp(scores)
        total = weights.sum(-1) + zeros[position]  # exp(0) each
        mixed = np.einsum("bhk,bkhd->bhd", weights, value[:, at])
        out[:, position] = mixed / total[..., None]
    return out


QUICK = {"xla_backend_optimization_level": 0}  # to compile


def each(query, key, value, grid: Grid) -> dict[str, jax.Array]:
    return {name: attention.attend(name, query, key, value, grid) for name in OVER_CONTEXT}


attend_all = jax.jit(each, static_argnums=3, compiler_options=QUICK)  # one compilation for all


@pytest.fixture(scope="module")
def jacobians() -> dict[str, tuple[jax.Array, jax.Array]]:
    """For each pattern, how each position depends on each key and each value."""
    query, key, value = three((1, 30, 1, 4))

    def of(key: jax.Array, value: jax.Array) -> dict[str, jax.Array]:
        return {name: mixed[0].sum((1, 2)) for name, mixed in each(query, key, value, GRID).items()}

    return jax.jit(jax.jacrev(of, argnums=(0, 1)), compiler_options=QUICK)(key, value)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("pattern", OVER_CONTEXT)
def test_attend_is_softmax_under_sees(pattern: str, dtype: str) -> None:
    query, key, value = (one.astype(dtype) for one in three())
    mixed = attend_all(query, key, value, GRID)[pattern]
    assert mixed.dtype == dtype
    expected = defined(pattern, query, key, value, GRID)
    np.testing.assert_allclose(np.asarray(mixed, np.float64), expected, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("pattern", OVER_CONTEXT)
def test_gradient_reaches_exactly_what_is_seen(pattern: str, jacobians) -> None:
    by_key, by_value = jacobians[pattern]
    seen = attention.sees(pattern, GRID)
    np.testing.assert_array_equal(np.abs(by_value[:, 0]).sum((-1, -2)) > 0, seen)
    alone = (seen.sum(1) + attention.zeros(pattern, GRID)) == 1  # a softmax of one does not move
    np.testing.assert_array_equal(np.abs(by_key[:, 0]).sum((-1, -2)) > 0, seen & ~alone[:, None])


def test_memory_is_seen_whole() -> None:
    query, _, _ = three()
    _, key, value = three((2, 11, 3, 4))
    weights = np.exp(np.einsum("bqhd,bkhd->bhqk", query, key) / 2.0)
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhd->bqhd", weights, value)
    mixed = attention.attend("memory", query, key, value, GRID)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    np.testing.assert_allclose(attention.weigh("memory", query, key, GRID), weights, atol=1e-6)


def test_sees_row_by_row() -> None:
    """The definitions themselves, on a grid of 3 rows of 2."""
    grid = Grid(context=6, block=2, lyrics=1)
    seen = {
        pattern: [np.flatnonzero(row).tolist() for row in attention.sees(pattern, grid)]
        for pattern in OVER_CONTEXT
    }
    assert seen["row"] == [[0], [0, 1], [2], [2, 3], [4], [4, 5]]
    assert seen["column"] == [[0], [1], [0, 2], [1, 3], [0, 2, 4], [1, 3, 5]]
    assert seen["previous"] == [[], [], [0, 1], [0, 1], [2, 3], [2, 3]]
    assert seen["summary"] == [[], [1], [1], [1, 3], [1, 3], [1, 3]]
    assert seen["summary_spread"] == seen["summary"]
    assert seen["prefix"] == [[0], [0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert seen["dense"][5] == [0, 1, 2, 3, 4, 5]
    assert attention.zeros("previous", grid).tolist() == [2, 2, 0, 0, 0, 0]
    assert attention.zeros("summary", grid).tolist() == [1] * 6


def test_prefix_fills_up_a_multiple_of_rows() -> None:
    assert Grid(context=6528, block=102, lyrics=384).prefix == 448
    assert Grid(context=12, block=2, lyrics=12).prefix == 12


def test_first_row_of_previous_is_exactly_zero() -> None:
    mixed = attend_all(*three(), GRID)["previous"]
    assert not np.any(mixed[:, : GRID.block])


@pytest.mark.parametrize("pattern", OVER_CONTEXT)
def test_one_row_alone(pattern: str) -> None:
    grid = Grid(context=6, block=6, spread=2, lyrics=3)
    values = three((1, 6, 1, 4))
    expected = defined(pattern, *values, grid)
    np.testing.assert_allclose(attend_all(*values, grid)[pattern], expected, atol=1e-6)


@pytest.mark.parametrize("pattern", ["dense", "prefix", "summary_spread"])
def test_many_scores_are_computed_row_by_row(pattern: str, monkeypatch) -> None:
    def both(query, key, value) -> tuple[jax.Array, jax.Array]:
        mixed = attention.attend(pattern, query, key, value, GRID)
        return mixed, jax.grad(
            lambda key: jnp.sum(attention.attend(pattern, query, key, value, GRID) ** 2)
        )(key)

    whole = jax.jit(both, compiler_options=QUICK)(*three())
    monkeypatch.setattr(attention, "_MOST_SCORES", 0)
    traced = jax.jit(lambda *values: both(*values)).trace(*three())
    assert "scan" in str(traced.jaxpr)
    by_row = traced.lower().compile(compiler_options=QUICK)(*three())
    for one, two in zip(whole, by_row, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_no_sparse_pattern_forms_all_scores() -> None:
    grid = Grid(context=256, block=16, spread=2, lyrics=16)
    shape = jax.ShapeDtypeStruct((1, 256, 1, 4), jnp.float32)
    for pattern in attention.PATTERNS:
        traced = jax.make_jaxpr(lambda *a, p=pattern: attention.attend(p, *a, grid))(*[shape] * 3)
        largest = max(var.aval.size for eqn in traced.eqns for var in eqn.outvars)
        assert (largest >= 256 * 256) == (pattern in ("dense", "memory")), pattern


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="'diagonal' is unknown; known: dense, row"):
        attention.attend("diagonal", *three(), GRID)
    with pytest.raises(ValueError, match="context = 30 is no multiple of block = 4"):
        Grid(context=30, block=4)
    with pytest.raises(ValueError, match="spread = 6 must lie between 1 and block = 5"):
        Grid(context=30, block=5, spread=6)
    with pytest.raises(ValueError, match="attends to a memory"):
        attention.sees("memory", GRID)
