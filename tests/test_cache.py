"""One position at a time against a small cache gives what all at once gives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import attention, cache
from jukebox_jax.prior.attention import Grid

GRIDS = {
    "grid": Grid(context=24, block=4, spread=2, lyrics=7),
    "one_row": Grid(context=6, block=6, spread=3, lyrics=2),
}
HEADS, WIDTH = 2, 3
OVER_CONTEXT = [pattern for pattern in attention.PATTERNS if pattern != "memory"]


def merged(array: jax.Array) -> jax.Array:
    return array.reshape(*array.shape[:2], -1)


QUICK = {"xla_backend_optimization_level": 0}  # to compile


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def go_on(grid: Grid, query, key, value, known):
    """Fills the caches of all patterns up to `known`, then steps to the end.

    What stands for later positions while they are filled is spoilt: it must not matter.
    """
    later = jnp.arange(grid.context)[:, None, None] >= known
    spoilt = [merged(jnp.where(later, 1e4, each)) for each in (key, value)]
    kept = {name: cache.fill(name, *spoilt, known, grid) for name in OVER_CONTEXT}
    shapes = jax.tree.map(jnp.shape, kept)
    for name in OVER_CONTEXT:
        empty = cache.empty(name, len(query), grid, spoilt[0].shape[-1], "float32")
        assert jax.tree.map(jnp.shape, empty) == shapes[name]

    def body(position, carried):
        kept, out = dict(carried[0]), dict(carried[1])
        at = [merged(each)[:, position] for each in (key, value)]
        for name in OVER_CONTEXT:
            mixed, kept[name] = cache.attend_next(
                name, query[:, position], kept[name], *at, position, grid
            )
            out[name] = out[name].at[:, position].set(mixed)
        return kept, out

    start = {name: jnp.zeros_like(query) for name in OVER_CONTEXT}
    return jax.lax.fori_loop(known, grid.context, body, (kept, start))[1]


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def attend_all(grid: Grid, query, key, value) -> dict[str, jax.Array]:
    return {name: attention.attend(name, query, key, value, grid) for name in OVER_CONTEXT}


@pytest.mark.parametrize(("batch", "heads"), [(2, HEADS), (1, 1)])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_position_by_position_is_all_at_once(grid: Grid, batch: int, heads: int) -> None:
    """Of several songs and heads; and of one, whose products a CPU takes in parts."""
    shape = (3, batch, grid.context, heads, WIDTH)
    query, key, value = np.random.default_rng(1).standard_normal(shape, np.float32)
    expected = attend_all(grid, query, key, value)
    before = go_on._cache_size()
    for known in range(grid.context + 1):
        after = go_on(grid, query, key, value, known)
        for name in OVER_CONTEXT:
            np.testing.assert_allclose(
                after[name][:, known:],
                expected[name][:, known:],
                atol=1e-5,
                err_msg=f"{name}, {known} known",
            )
    assert go_on._cache_size() == before + 1  # `known` and the position are data


def test_memory_is_remembered_as_it_is() -> None:
    grid = GRIDS["grid"]
    generator = np.random.default_rng(3)
    query = generator.standard_normal((2, grid.context, HEADS, WIDTH), np.float32)
    key, value = generator.standard_normal((2, 2, 11, HEADS, WIDTH), np.float32)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def both(position: int) -> tuple[jax.Array, jax.Array]:
        whole = attention.attend("memory", query, key, value, grid)
        kept = cache.fill("memory", merged(key), merged(value), 5, grid)
        at = jnp.asarray(query)[:, position]
        mixed, same = cache.attend_next("memory", at, kept, None, None, position, grid)
        assert same is kept
        return mixed, whole[:, position]

    for position in (0, 17):
        np.testing.assert_allclose(*both(position), atol=1e-6)


def test_no_cache_is_longer_than_it_must_be() -> None:
    """The lengths of the published 1B prior with lyrics: 6528 positions in 64 rows of 102."""
    grid = Grid(context=6528, block=102, spread=3, lyrics=384)
    lengths = {name: cache.length(name, grid, tokens=512) for name in attention.PATTERNS}
    assert lengths == {
        "dense": 6528,
        "row": 102,
        "column": 6528,
        "previous": 204,
        "summary": 64,
        "summary_spread": 192,
        "memory": 512,
        "prefix": 448,
    }


@pytest.mark.parametrize("pattern", attention.PATTERNS)
def test_bfloat16_stays_bfloat16(pattern: str) -> None:
    grid = GRIDS["one_row"]

    def run(query: jax.Array, row: jax.Array) -> tuple[jax.Array, cache.KV]:
        kept = cache.empty(pattern, 1, grid, HEADS * WIDTH, "bfloat16", tokens=4)
        new = None if pattern == "memory" else row
        return cache.attend_next(pattern, query, kept, new, new, 5, grid)

    row = jnp.zeros((1, HEADS * WIDTH), jnp.bfloat16)
    shapes = jax.eval_shape(run, row.reshape(1, HEADS, WIDTH), row)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes)} == {"bfloat16"}
