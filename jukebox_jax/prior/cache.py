"""What a layer remembers while it decodes, and attention of one position against it.

Each pattern remembers no more than later positions can see: "row" one row, "previous" two, a
summary its few keys, "prefix" its prefix, "memory" what it attends to, which never changes, and
"column" and "dense" all. No cache is ever shifted: a position knows where it is written. The
patterns themselves are defined in `attention`.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.prior import attention
from jukebox_jax.prior.attention import Grid


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KV:
    """The keys and values that one layer remembers.

    Attributes:
      key: [batch, length, heads * head_width]; heads are merged, so that rows stay wide.
      value: the same.
    """

    key: Array
    value: Array


def length(pattern: str, grid: Grid, tokens: int = 0) -> int:
    """How many keys a pattern must remember to go on; `tokens` is the length of its memory."""
    attention.check(pattern)
    lengths = {
        "row": grid.block,
        "previous": min(2 * grid.block, grid.context),
        "column": grid.context,
        "memory": tokens,
    }
    return lengths[pattern] if pattern in lengths else len(attention.places(pattern, grid))


def empty(pattern: str, batch: int, grid: Grid, width: int, dtype: str, tokens: int = 0) -> KV:
    """A cache of zeros; `width` is heads * head_width."""
    shape = (batch, length(pattern, grid, tokens), width)
    return KV(key=jnp.zeros(shape, dtype), value=jnp.zeros(shape, dtype))  # two, to be donated


def fill(pattern: str, key: Array, value: Array, known: Array | int, grid: Grid) -> KV:
    """The cache as if positions 0 to `known` - 1 had been remembered one by one.

    What lies in the cache for later positions is arbitrary: it is never read before it is written.

    Args:
      pattern: one of `attention.PATTERNS`.
      key: [batch, context, heads * head_width]; for "memory" [batch, tokens, ...].
      value: the same.
      known: how many positions count, from 0 to context; may be traced.
      grid: how the context is read.
    """
    return KV(key=_fill(pattern, key, known, grid), value=_fill(pattern, value, known, grid))


def remember(
    pattern: str, cache: KV, key: Array, value: Array, position: Array | int, grid: Grid
) -> KV:
    """Writes one position into a cache.

    Args:
      pattern: one of `attention.PATTERNS` but "memory".
      cache: what the layer remembers.
      key: [batch, heads * head_width] of this position.
      value: the same.
      position: where it stands in the context; may be traced.
      grid: how the context is read.
    """
    row, column = position // grid.block, position % grid.block
    counts: Array | bool | None = None
    if pattern == "column":
        index = column * grid.rows + row  # a column lies in one piece
    elif pattern in ("row", "previous"):
        index = position % cache.key.shape[1]
    elif pattern == "dense":
        index = position
    elif pattern == "prefix":
        index, counts = position, position < grid.prefix
    else:
        spread = cache.key.shape[1] // grid.rows
        from_end = column - (grid.block - spread)
        index, counts = (row + 1) * spread + from_end, (from_end >= 0) & (row < grid.rows - 1)
    return KV(
        key=_write(cache.key, key, index, counts),
        value=_write(cache.value, value, index, counts),
    )


def attend_next(pattern: str, query: Array, cache: KV, position: Array | int, grid: Grid) -> Array:
    """Attention of one position, which the cache already remembers.

    Args:
      pattern: one of `attention.PATTERNS`.
      query: [batch, heads, head_width].
      cache: what the layer remembers, this position included.
      position: where the query stands in the context; may be traced.
      grid: how the context is read.

    Returns:
      The mixed values [batch, heads, head_width].
    """
    key, value = cache.key, cache.value
    row, column = position // grid.block, position % grid.block
    seen: Array | None = None
    if pattern == "column":
        key = jax.lax.dynamic_slice_in_dim(key, column * grid.rows, grid.rows, axis=1)
        value = jax.lax.dynamic_slice_in_dim(value, column * grid.rows, grid.rows, axis=1)
        seen = jnp.arange(grid.rows) <= row
    elif pattern == "previous":
        half = (row - 1) % 2 * grid.block
        key = jax.lax.dynamic_slice_in_dim(key, half, grid.block, axis=1)
        value = jax.lax.dynamic_slice_in_dim(value, half, grid.block, axis=1)
    elif pattern == "row":
        seen = jnp.arange(grid.block) <= column
    elif pattern != "memory":
        seen = jnp.asarray(attention.places(pattern, grid)) <= position
    mixed = _attend_merged(query, key, value, seen)
    if pattern == "previous":
        mixed = jnp.where(row > 0, mixed, jnp.zeros_like(mixed))
    return mixed


def _attend_merged(query: Array, key: Array, value: Array, seen: Array | None) -> Array:
    """One query [batch, heads, head_width] over keys and values [batch, length, merged heads].

    Each head's query stands in its own columns of an otherwise zero row, so that one product
    serves all heads and the keys are read in the layout in which they lie.
    """
    batch, heads, head_width = query.shape
    own = np.eye(heads, dtype=bool)[:, :, None]
    wide = jnp.where(own, query[:, :, None, :], jnp.zeros((), query.dtype))
    wide = wide.reshape(batch, heads, heads * head_width)
    scores = jnp.einsum("bhe,ble->bhl", wide, key, preferred_element_type=jnp.float32)
    weights = attention.softmax(scores / math.sqrt(head_width), seen).astype(value.dtype)
    mixed = jnp.einsum("bhl,ble->bhe", weights, value).reshape(batch, heads, heads, head_width)
    if heads == 1:
        return mixed[:, 0]
    return jnp.where(own, mixed, jnp.zeros((), mixed.dtype)).sum(axis=2)


def _write(cache: Array, new: Array, index: Array | int, counts: Array | bool | None) -> Array:
    new = new[:, None].astype(cache.dtype)
    if counts is not None:  # where it does not, what lies there stays
        new = jnp.where(counts, new, jax.lax.dynamic_slice_in_dim(cache, index, 1, axis=1))
    return jax.lax.dynamic_update_slice_in_dim(cache, new, index, axis=1)


def _fill(pattern: str, array: Array, known: Array | int, grid: Grid) -> Array:
    batch, width = array.shape[0], array.shape[-1]
    row = known // grid.block  # the row that the next position belongs to
    if pattern == "row":
        return jax.lax.dynamic_slice_in_dim(array, row * grid.block, grid.block, axis=1)
    if pattern == "previous":
        if grid.rows == 1:
            return array
        even, odd = row - row % 2, row - 1 + row % 2
        halves = [
            jax.lax.dynamic_slice_in_dim(
                array, jnp.maximum(start, 0) * grid.block, grid.block, axis=1
            )
            for start in (even, odd)
        ]
        return jnp.concatenate(halves, axis=1)
    if pattern == "column":
        by_row = array.reshape(batch, grid.rows, grid.block, width)
        return by_row.swapaxes(1, 2).reshape(batch, grid.context, width)
    return array if pattern == "memory" else attention.keep(pattern, array, grid)
