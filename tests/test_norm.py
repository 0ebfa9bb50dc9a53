"""The LayerNorm: Flax's forward, and its gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior.norm import EPSILON, LayerNorm

WIDTH = 24
KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = {
    "params": {
        "scale": 1 + jax.random.normal(KEYS[0], (WIDTH,)),
        "bias": jax.random.normal(KEYS[1], (WIDTH,)),
    }
}
FLAX = nn.LayerNorm(epsilon=EPSILON, use_fast_variance=False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH), (5, WIDTH), (2, 33, WIDTH)])
def test_forward_is_that_of_flax(shape: tuple[int, ...], dtype: str) -> None:
    """To the bit, but of a single position, which a CPU sums in another order."""
    x = (2 + 3 * jax.random.normal(KEYS[2], shape)).astype(dtype)
    mine = jax.jit(LayerNorm(dtype).apply)(PARAMS, x)
    theirs = jax.jit(FLAX.clone(dtype=dtype).apply)(PARAMS, x)
    assert mine.dtype == dtype
    if shape != (1, WIDTH):
        np.testing.assert_array_equal(mine, theirs)
    close = {"float32": 1e-6, "bfloat16": 1e-2}[dtype]
    mine, theirs = (each.astype(jnp.float32) for each in (mine, theirs))
    np.testing.assert_allclose(mine, theirs, rtol=close, atol=close)


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH), (5, WIDTH), (2, 33, WIDTH)])
def test_gradients_are_those_of_flax(shape: tuple[int, ...]) -> None:
    x = 2 + 3 * jax.random.normal(KEYS[2], shape)
    weights = jax.random.normal(KEYS[3], shape)

    def gradients(module: nn.Module) -> list[jax.Array]:
        def total(params, x):
            return jnp.sum(weights * module.apply(params, x) ** 2)

        return jax.tree.leaves(jax.grad(total, argnums=(0, 1))(PARAMS, x))

    for mine, theirs in zip(gradients(LayerNorm()), gradients(FLAX), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def test_it_starts_as_that_of_flax() -> None:
    x = jnp.ones((3, WIDTH))
    mine, theirs = (module.init(KEYS[0], x) for module in (LayerNorm(), FLAX))
    jax.tree.map(np.testing.assert_array_equal, mine, theirs)
