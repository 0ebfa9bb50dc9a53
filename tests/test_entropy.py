"""Cross-entropy in chunks is that of the whole, and its memory is that of a chunk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import entropy

QUICK = {"xla_backend_optimization_level": 0}  # to compile
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 512, 8)).astype(np.float32)
KERNEL = RNG.normal(size=(8, 640)).astype(np.float32)
TARGETS = RNG.integers(0, 640, (2, 512)).astype(np.int32)


def whole(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The definition."""
    logs = jax.nn.log_softmax(x @ kernel, axis=-1)
    return -jnp.mean(jnp.take_along_axis(logs, TARGETS[..., None], axis=-1)) / jnp.log(2.0)


def chunked(most: int, dtype: str = "float32"):
    return lambda x, kernel: entropy.bits(x, kernel, TARGETS, dtype, most)


def test_chunks_are_the_whole() -> None:
    expected = jax.value_and_grad(whole, argnums=(0, 1))(X, KERNEL)
    for most in (512 * 640, 64 * 640):
        found = jax.jit(jax.value_and_grad(chunked(most), argnums=(0, 1)))(X, KERNEL)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_chunks_need_little_memory() -> None:
    logits = X.shape[0] * X.shape[1] * KERNEL.shape[1] * 4
    used = []
    for most in (512 * 640, 32 * 640):
        program = jax.jit(jax.grad(chunked(most), argnums=(0, 1))).lower(X, KERNEL)
        used.append(program.compile().memory_analysis().temp_size_in_bytes)
    assert used[0] > logits and used[1] < logits / 4


def test_sums_over_chunks_are_float32() -> None:
    exact, rounded = (
        jax.jit(jax.grad(chunked(most, "bfloat16"), argnums=1))(X, KERNEL)
        for most in (512 * 640, 32 * 640)
    )
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=3e-3 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("positions", "chunk"), [(64, 64), (8192, 1024), (6144, 768), (8191, 8191), (40, 40)]
)
def test_chunks_are_whole(positions: int, chunk: int) -> None:
    vocabulary = 2048 if positions != 6144 else 2127
    assert entropy._chunk(positions, vocabulary, 1 << 21) == chunk
