"""What a position attends to, pattern by pattern, on plain arrays.

A context of `context` codes is read as a grid of rows of `block` columns, position by position.
`sees` defines each pattern as a mask; `attend` computes it for all positions by reshaping to the
grid, so that no sparse pattern ever forms context x context scores; `attend_next` computes one
position against a cache that is only as long as the pattern must remember. Nothing here holds
parameters, and nothing knows of layers.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

PATTERNS = ("dense", "row", "column", "previous")
"""The patterns over the codes themselves; those over lyrics will join them here."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KV:
    """The keys and values that one layer remembers while it decodes.

    Attributes:
      key: [batch, cache_length, heads * head_width]; heads are merged, so that rows stay wide.
      value: the same.
    """

    key: Array
    value: Array


def check(pattern: str, context: int, block: int) -> None:
    """Raises a ValueError unless `pattern` is known and `context` is whole rows of `block`."""
    if pattern not in PATTERNS:
        raise ValueError(f"attention pattern {pattern!r} is unknown; known: {', '.join(PATTERNS)}")
    if block < 1 or context % block:
        raise ValueError(f"context = {context} is no multiple of block = {block}: change either")


def sees(pattern: str, context: int, block: int) -> np.ndarray:
    """The definition of a pattern.

    Args:
      pattern: one of `PATTERNS`.
      context: codes a prior sees at once.
      block: columns of a row; `context` is a multiple of it.

    Returns:
      bool[context, context]: whether the first position attends to the second. Positions of the
      first row see nothing under `previous`: their output is exactly 0.
    """
    check(pattern, context, block)
    first, second = np.arange(context)[:, None], np.arange(context)[None, :]
    row, other_row = first // block, second // block
    past = second <= first
    if pattern == "row":
        return past & (row == other_row)
    if pattern == "column":
        return past & (first % block == second % block)
    if pattern == "previous":
        return other_row == row - 1
    return past


def attend(pattern: str, query: Array, key: Array, value: Array, block: int) -> Array:
    """Attention of all positions at once.

    Args:
      pattern: one of `PATTERNS`.
      query: [batch, context, heads, head_width].
      key: the same shape.
      value: the same shape.
      block: columns of a row.

    Returns:
      The mixed values, of the same shape. Scores and softmax are float32 whatever the inputs.
    """
    batch, context, heads, head_width = query.shape
    check(pattern, context, block)
    if pattern == "dense":
        causal = np.tri(context, dtype=bool)
        weights = _softmax(_scores("bqhd,bkhd->bhqk", query, key), causal).astype(value.dtype)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, value)
    rows = context // block
    grid = (batch, rows, block, heads, head_width)
    query, key, value = query.reshape(grid), key.reshape(grid), value.reshape(grid)
    if pattern == "column":
        causal = np.tri(rows, dtype=bool)
        weights = _softmax(_scores("brchd,bschd->bchrs", query, key), causal).astype(value.dtype)
        mixed = jnp.einsum("bchrs,bschd->brchd", weights, value)
        return mixed.reshape(batch, context, heads, head_width)
    seen = np.tri(block, dtype=bool)
    if pattern == "previous":
        key, value = _row_before(key), _row_before(value)
        seen = np.ones((block, block), bool)
    weights = _softmax(_scores("brqhd,brkhd->brhqk", query, key), seen).astype(value.dtype)
    mixed = jnp.einsum("brhqk,brkhd->brqhd", weights, value)
    return mixed.reshape(batch, context, heads, head_width)


def cache_length(pattern: str, context: int, block: int) -> int:
    """How many positions a pattern must remember to go on."""
    check(pattern, context, block)
    return {"row": block, "previous": min(2 * block, context)}.get(pattern, context)


def empty(pattern: str, batch: int, context: int, block: int, width: int, dtype: str) -> KV:
    """A cache of zeros; `width` is heads * head_width."""
    zeros = jnp.zeros((batch, cache_length(pattern, context, block), width), dtype)
    return KV(key=zeros, value=zeros)


def fill(pattern: str, key: Array, value: Array, known: Array | int, block: int) -> KV:
    """The cache as if positions 0 to `known` - 1 had been remembered one by one.

    What lies in the cache for later positions is arbitrary: it is never read before it is written.

    Args:
      pattern: one of `PATTERNS`.
      key: [batch, context, heads * head_width].
      value: the same.
      known: how many positions count, from 0 to context; may be traced.
      block: columns of a row.
    """
    return KV(
        key=_fill(pattern, key, known, block),
        value=_fill(pattern, value, known, block),
    )


def remember(
    pattern: str, cache: KV, key: Array, value: Array, position: Array | int, block: int
) -> KV:
    """Writes one position into a cache.

    Args:
      pattern: one of `PATTERNS`.
      cache: what the layer remembers.
      key: [batch, heads * head_width] of this position.
      value: the same.
      position: where it stands in the context; may be traced.
      block: columns of a row.
    """
    if pattern == "column":
        rows = cache.key.shape[1] // block
        index = (position % block) * rows + position // block  # a column lies in one piece
    elif pattern == "dense":
        index = position
    else:
        index = position % cache.key.shape[1]
    return KV(
        key=jax.lax.dynamic_update_slice_in_dim(cache.key, key[:, None], index, axis=1),
        value=jax.lax.dynamic_update_slice_in_dim(cache.value, value[:, None], index, axis=1),
    )


def attend_next(
    pattern: str, query: Array, cache: KV, position: Array | int, block: int
) -> Array:
    """Attention of one position, which the cache already remembers.

    Args:
      pattern: one of `PATTERNS`.
      query: [batch, heads, head_width].
      cache: what the layer remembers, this position included.
      position: where the query stands in the context; may be traced.
      block: columns of a row.

    Returns:
      The mixed values [batch, heads, head_width].
    """
    key, value = cache.key, cache.value
    row, column = position // block, position % block
    if pattern == "column":
        rows = key.shape[1] // block
        key = jax.lax.dynamic_slice_in_dim(key, column * rows, rows, axis=1)
        value = jax.lax.dynamic_slice_in_dim(value, column * rows, rows, axis=1)
        seen = jnp.arange(rows) <= row
    elif pattern == "previous":
        half = (row - 1) % 2 * block
        key = jax.lax.dynamic_slice_in_dim(key, half, block, axis=1)
        value = jax.lax.dynamic_slice_in_dim(value, half, block, axis=1)
        seen = jnp.ones(block, bool)
    elif pattern == "row":
        seen = jnp.arange(block) <= column
    else:
        seen = jnp.arange(key.shape[1]) <= position
    mixed = _attend_merged(query, key, value, seen)
    if pattern == "previous":
        mixed = jnp.where(row > 0, mixed, jnp.zeros_like(mixed))
    return mixed


def _attend_merged(query: Array, key: Array, value: Array, seen: Array) -> Array:
    """One query [batch, heads, head_width] over keys and values [batch, length, merged heads].

    Each head's query stands in its own columns of an otherwise zero row, so that one product
    serves all heads and the keys are read in the layout in which they lie.
    """
    batch, heads, head_width = query.shape
    own = np.eye(heads, dtype=bool)[:, :, None]
    wide = jnp.where(own, query[:, :, None, :], jnp.zeros((), query.dtype))
    wide = wide.reshape(batch, heads, heads * head_width)
    scores = jnp.einsum("bhe,ble->bhl", wide, key, preferred_element_type=jnp.float32)
    weights = _softmax(scores / math.sqrt(head_width), seen).astype(value.dtype)
    mixed = jnp.einsum("bhl,ble->bhe", weights, value).reshape(batch, heads, heads, head_width)
    if heads == 1:
        return mixed[:, 0]
    return jnp.where(own, mixed, jnp.zeros((), mixed.dtype)).sum(axis=2)


def _scores(equation: str, query: Array, key: Array) -> Array:
    scores = jnp.einsum(equation, query, key, preferred_element_type=jnp.float32)
    return scores / math.sqrt(query.shape[-1])


def _softmax(scores: Array, seen: Array | np.ndarray) -> Array:
    """Float32 softmax over the last axis under a mask that leaves something to every query."""
    return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)


def _row_before(grid: Array) -> Array:
    """Each row's predecessor, zeros before the first: [batch, rows, block, heads, head_width]."""
    return jnp.pad(grid[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))


def _fill(pattern: str, array: Array, known: Array | int, block: int) -> Array:
    batch, context, width = array.shape
    row = known // block  # the row that the next position belongs to
    if pattern == "row":
        return jax.lax.dynamic_slice_in_dim(array, row * block, block, axis=1)
    if pattern == "previous":
        if context == block:
            return array
        even, odd = row - row % 2, row - 1 + row % 2
        halves = [
            jax.lax.dynamic_slice_in_dim(array, jnp.maximum(start, 0) * block, block, axis=1)
            for start in (even, odd)
        ]
        return jnp.concatenate(halves, axis=1)
    if pattern == "column":
        grid = array.reshape(batch, context // block, block, width)
        return grid.swapaxes(1, 2).reshape(batch, context, width)
    return array
