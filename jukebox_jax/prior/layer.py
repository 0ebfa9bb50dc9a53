"""One layer: sparse attention and an MLP, over a whole context or position by position.

Each module has three forms of one computation: called, it sees all positions, for training;
`fill` does the same and keeps what decoding needs; `step` goes on by one position. Queries, keys
and values have a kernel each in training, and share one in decoding, where a step is few large
products. Vectors come in and go out: nothing here knows of codes, labels or other layers.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.prior import attention
from jukebox_jax.prior import cache as caches
from jukebox_jax.prior.attention import Grid
from jukebox_jax.prior.cache import KV
from jukebox_jax.prior.linear import Dense
from jukebox_jax.prior.norm import LayerNorm


class Attention(nn.Module):
    """Attention of a pattern, with its projections.

    Attributes:
      pattern: what a position attends to; "memory" takes keys and values from a memory.
      grid: how the context is read.
      heads: attention heads.
      state: width of queries, keys and values, all heads together.
      width: model width.
      std: standard deviation of the kernels at the start. The output of "memory" starts at 0, so
        that a trained model to which such layers are added begins as it was.
      dtype: compute type.
    """

    pattern: str
    grid: Grid
    heads: int
    state: int
    width: int
    std: float
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the projections."""
        self.query = dense(self.state, self.std, self.dtype)
        self.key = dense(self.state, self.std, self.dtype)
        self.value = dense(self.state, self.std, self.dtype)
        self.query_key_value = dense(3 * self.state, self.std, self.dtype)  # for decoding
        out_std = 0.0 if self.pattern == "memory" else self.std
        self.out = dense(self.width, out_std, self.dtype)

    def __call__(self, x: Array, memory: Array | None = None) -> Array:
        """All positions at once.

        Args:
          x: [batch, context, width].
          memory: [batch, tokens, any width], for the pattern "memory".

        Returns:
          [batch, context, width].
        """
        source = x if self.pattern != "memory" else memory
        return self.out(self._attend(self.query(x), self.key(source), self.value(source)))

    def fill(self, x: Array, known: Array | int, memory: Array | None = None) -> tuple[Array, KV]:
        """Whole rows from the first on at once, and the cache of the first `known` positions."""
        query, key, value = self._project(x, memory)
        if self.pattern == "memory" or x.shape[1] == self.grid.context:
            cache = caches.fill(self.pattern, key, value, known, self.grid)
            return self.out(self._attend(query, key, value)), cache
        rest = ((0, 0), (0, self.grid.context - x.shape[1]), (0, 0))
        wide = [jnp.pad(each, rest) for each in (query, key, value)]
        cache = caches.fill(self.pattern, wide[1], wide[2], known, self.grid)
        if self.pattern in ("row", "column", "previous"):  # what they see needs no later row
            grid = dataclasses.replace(self.grid, context=x.shape[1])
            return self.out(self._attend(query, key, value, grid)), cache
        return self.out(self._attend(*wide)[:, : x.shape[1]]), cache

    def step(self, x: Array, cache: KV, position: Array | int) -> tuple[Array, KV]:
        """One position: [batch, width] to the same, and the cache with it."""
        key = value = None
        if self.pattern == "memory":
            query = self.query(x)
        else:
            query, key, value = jnp.split(self.query_key_value(x), 3, axis=-1)
        query = query.reshape(query.shape[0], self.heads, -1)
        mixed, cache = caches.attend_next(
            self.pattern, query, cache, key, value, position, self.grid
        )
        return self.out(mixed.reshape(x.shape[0], self.state)), cache

    def weights(self, x: Array, memory: Array | None = None) -> Array:
        """How much each position attends to each key, f32[batch, heads, context, length]."""
        query, key, _ = self._project(x, memory)
        return attention.weigh(self.pattern, self._by_head(query), self._by_head(key), self.grid)

    def _project(self, x: Array, memory: Array | None) -> tuple[Array, Array, Array]:
        if self.pattern == "memory":
            return self.query(x), self.key(memory), self.value(memory)
        query, key, value = jnp.split(self.query_key_value(x), 3, axis=-1)
        return query, key, value

    def _attend(self, query: Array, key: Array, value: Array, grid: Grid | None = None) -> Array:
        query, key, value = (self._by_head(each) for each in (query, key, value))
        mixed = attention.attend(self.pattern, query, key, value, grid or self.grid)
        return mixed.reshape(*mixed.shape[:-2], self.state)

    def _by_head(self, merged: Array) -> Array:
        return merged.reshape(*merged.shape[:-1], self.heads, self.state // self.heads)


class MLP(nn.Module):
    """Two linear maps with x * sigmoid(1.702 x) between them."""

    hidden: int
    width: int
    std: float
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the two maps."""
        self.up = dense(self.hidden, self.std, self.dtype)
        self.down = dense(self.width, self.std, self.dtype)

    def __call__(self, x: Array) -> Array:
        """[..., width] to the same."""
        x = self.up(x)
        return self.down(x * jax.nn.sigmoid(1.702 * x))


class Layer(nn.Module):
    """Attention and MLP, each after a LayerNorm, added to what came in.

    Attributes:
      hidden: hidden width of the MLP.
      residual: factor of what is added (1, or 1 / depth).
      Others as in `Attention`.
    """

    pattern: str
    grid: Grid
    heads: int
    state: int
    hidden: int
    width: int
    std: float
    residual: float = 1.0
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the parts."""
        self.norm_1 = LayerNorm(self.dtype)
        self.attention = Attention(
            self.pattern, self.grid, self.heads, self.state, self.width, self.std, self.dtype
        )
        self.norm_2 = LayerNorm(self.dtype)
        self.mlp = MLP(self.hidden, self.width, self.std, self.dtype)

    def __call__(self, x: Array, memory: Array | None = None) -> Array:
        """All positions at once: [batch, context, width] to the same."""
        mixed = sharding.by_song(self.attention(self.norm_1(x), memory))
        return sharding.by_song(self._add(x, mixed))

    def fill(self, x: Array, known: Array | int, memory: Array | None = None) -> tuple[Array, KV]:
        """Whole rows from the first on at once, and the cache of the first `known` positions."""
        mixed, cache = self.attention.fill(self.norm_1(x), known, memory)
        return self._add(x, mixed), cache

    def step(self, x: Array, cache: KV, position: Array | int) -> tuple[Array, KV]:
        """One position: [batch, width] to the same, and the cache with it."""
        mixed, cache = self.attention.step(self.norm_1(x), cache, position)
        return self._add(x, mixed), cache

    def weights(self, x: Array, memory: Array | None = None) -> Array:
        """How much each position attends to each key, f32[batch, heads, context, length]."""
        return self.attention.weights(self.norm_1(x), memory)

    def _add(self, x: Array, mixed: Array) -> Array:
        added = mixed + self.mlp(self.norm_2(x + mixed))
        return x + (added if self.residual == 1.0 else self.residual * added)


class Table(nn.Embed):
    """A table of rows, which is fetched whole before it is looked up in.

    Rows are split over the pod while they are stored. Looked up split, each device would answer
    with its part of every song's rows, and they would have to be exchanged.
    """

    @property
    def rows(self) -> Array:
        """All rows, [rows, features] in the compute type."""
        return sharding.whole(self.embedding.astype(self.dtype))

    def __call__(self, ids: Array) -> Array:
        """i32[...] to [..., features]."""
        return jnp.take(self.rows, ids, axis=0)


def dense(features: int, std: float, dtype: str, name: str | None = None) -> Dense:
    """A linear map whose kernel starts normal and whose bias starts at 0."""
    start: Any = nn.initializers.normal(std) if std else nn.initializers.zeros
    return Dense(features, dtype=dtype, kernel_init=start, name=name)
