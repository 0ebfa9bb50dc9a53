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

from jukebox_jax.prior import attention, linear
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


def attend_next(
    pattern: str,
    query: Array,
    cache: KV,
    key: Array | None,
    value: Array | None,
    position: Array | int,
    grid: Grid,
) -> tuple[Array, KV]:
    """Attention of one position, to itself and to what is remembered, and the cache with it.

    Args:
      pattern: one of `attention.PATTERNS`.
      query: [batch, heads, head_width].
      cache: what the layer remembers of the positions before.
      key: [batch, heads * head_width] of this position; None for "memory".
      value: the same.
      position: where it stands in the context; may be traced.
      grid: how the context is read.

    Returns:
      The mixed values [batch, heads, head_width], and the cache that remembers this position.
    """
    if key is None or value is None:
        return _attend_merged(query, cache), cache
    row, column = position // grid.block, position % grid.block
    if pattern == "previous":
        mixed = _attend_merged(query, _row(cache, (row - 1) % 2, grid))
        mixed = jnp.where(row > 0, mixed, jnp.zeros_like(mixed))
    else:
        own: Array | bool = True
        if pattern == "column":
            past, seen = _slice(cache, column * grid.rows, grid.rows), jnp.arange(grid.rows) < row
        elif pattern == "row":
            past, seen = cache, jnp.arange(grid.block) < column
        else:
            past, seen = cache, jnp.asarray(attention.places(pattern, grid)) < position
            own = _index(pattern, cache, position, grid)[1]
        mixed = _attend_merged(query, past, seen, KV(key, value), own)
    # The write waits for the read. XLA sees no order between the two otherwise, and then copies
    # the whole cache at every position; nor does it see that no number is above infinity.
    wait = (mixed[0, 0, 0] > jnp.inf).astype(jnp.int32)
    index, counts = _index(pattern, cache, position, grid)
    return mixed, KV(
        key=_write(cache.key, key, index + wait, counts),
        value=_write(cache.value, value, index + wait, counts),
    )


def _index(
    pattern: str, cache: KV, position: Array | int, grid: Grid
) -> tuple[Array | int, Array | bool]:
    """Where a position is remembered, and whether it is."""
    row, column = position // grid.block, position % grid.block
    if pattern == "column":
        return column * grid.rows + row, True  # a column lies in one piece
    if pattern in ("row", "previous"):
        return position % cache.key.shape[1], True
    if pattern == "dense":
        return position, True
    if pattern == "prefix":
        return position, position < grid.prefix
    spread = cache.key.shape[1] // grid.rows
    from_end = column - (grid.block - spread)
    return (row + 1) * spread + from_end, (from_end >= 0) & (row < grid.rows - 1)


def _slice(cache: KV, start: Array | int, size: int) -> KV:
    return jax.tree.map(lambda each: jax.lax.dynamic_slice_in_dim(each, start, size, axis=1), cache)


def _row(cache: KV, row: Array | int, grid: Grid) -> KV:
    """One of the two rows that "previous" remembers.

    A product is given a copy of it. Of several songs a CPU makes that four times as fast where it
    knows the place, which is worth a branch; a GPU would wait for the branch.
    """

    def at(row: Array | int) -> KV:
        return _slice(cache, row * grid.block, grid.block)

    def known() -> KV:
        return jax.lax.cond(row == 0, lambda: at(0), lambda: at(1))

    if len(cache.key) == 1:
        return at(row)
    return jax.lax.platform_dependent(cpu=known, default=lambda: at(row))


def _attend_merged(
    query: Array,
    past: KV,
    seen: Array | None = None,
    new: KV | None = None,
    own: Array | bool = True,
) -> Array:
    """One query [batch, heads, head_width] over keys and values [batch, length, merged heads].

    Each head's query stands in its own columns of an otherwise zero row, so that one product
    serves all heads and the keys are read in the layout in which they lie. `seen` says which of
    them count; `new` is one more key and value [batch, merged heads], which counts if `own`. The
    softmax is put together from the two without an array that holds both, and its sum divides what
    is mixed, not the weights: fewer numbers, and fewer operations one after the other.
    """
    batch, heads, head_width = query.shape
    columns = np.eye(heads, dtype=bool)[:, :, None]
    wide = query
    if heads > 1:
        wide = jnp.where(columns, query[:, :, None, :], jnp.zeros((), query.dtype))
        wide = wide.reshape(batch, heads, heads * head_width)
    scores = _scores(wide, past.key) / math.sqrt(head_width)
    if seen is not None:
        scores = jnp.where(seen, scores, -jnp.inf)
    most = jnp.max(scores, axis=-1, keepdims=True)
    if new is not None:
        one = jnp.einsum("bhe,be->bh", wide, new.key, preferred_element_type=jnp.float32)[..., None]
        one = jnp.where(own, one / math.sqrt(head_width), -jnp.inf)
        most = jnp.maximum(most, one)
    weights = jnp.exp(scores - most)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    mixed = _mix(weights.astype(past.value.dtype), past.value)
    if new is not None:
        weight = jnp.exp(one - most)
        total = total + weight
        mixed = mixed + weight * new.value[:, None].astype(jnp.float32)
    mixed = (mixed / total).astype(past.value.dtype)
    if heads == 1:
        return mixed
    mixed = mixed.reshape(batch, heads, heads, head_width)
    return jnp.where(columns, mixed, jnp.zeros((), mixed.dtype)).sum(axis=2)


def _scores(query: Array, key: Array) -> Array:
    """[batch, heads, width] against [batch, length, width], f32[batch, heads, length]."""

    def whole(query: Array, key: Array) -> Array:
        return jnp.einsum("bhe,ble->bhl", query, key, preferred_element_type=jnp.float32)

    def one(query: Array, key: Array) -> Array:
        return linear.by_output(query[0], key[0])[None]

    if query.shape[:2] != (1, 1):
        return whole(query, key)
    return jax.lax.platform_dependent(query, key, cpu=one, default=whole)


def _mix(weights: Array, value: Array) -> Array:
    """[batch, heads, length] of [batch, length, width], f32[batch, heads, width]."""

    def whole(weights: Array, value: Array) -> Array:
        return jnp.einsum("bhl,ble->bhe", weights, value, preferred_element_type=jnp.float32)

    def one(weights: Array, value: Array) -> Array:
        return linear.by_input(weights[0], value[0])[None]

    if weights.shape[:2] != (1, 1) or value.dtype != jnp.float32:
        return whole(weights, value)
    return jax.lax.platform_dependent(weights, value, cpu=one, default=whole)


def _write(cache: Array, new: Array, index: Array | int, counts: Array | bool) -> Array:
    new = new[:, None].astype(cache.dtype)
    if counts is not True:  # where it does not, what lies there stays
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
