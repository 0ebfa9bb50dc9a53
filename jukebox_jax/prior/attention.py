"""What a position attends to, pattern by pattern, on plain arrays.

A context is read as a grid of rows of `block` columns, position by position. `sees` and `zeros`
define each pattern; `attend` computes it for all positions at once, by reshaping to the grid or
by picking the few keys that count, so that no sparse pattern forms context x context scores.
How a pattern goes on position by position stands in `cache`. Nothing here holds parameters, and
nothing knows of layers.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

PATTERNS = (
    "dense",
    "row",
    "column",
    "previous",
    "summary",
    "summary_spread",
    "memory",
    "prefix",
)
"""The patterns by name; all but "memory" attend to the context itself."""


_MOST_SCORES = 1 << 24
"""Scores a song and head, above which they are not computed at once."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """How a context is read.

    Attributes:
      context: positions.
      block: columns of a row; `context` is a multiple of it.
      spread: positions at the end of each row that stand for it under "summary_spread".
      lyrics: positions at the start of the context that hold lyrics.
    """

    context: int
    block: int
    spread: int = 1
    lyrics: int = 0

    def __post_init__(self) -> None:
        """Checks that the rows are whole.

        Raises:
          ValueError: they are not, or `spread` is no part of a row.
        """
        if self.block < 1 or self.context % self.block:
            raise ValueError(
                f"context = {self.context} is no multiple of block = {self.block}: change either"
            )
        if not 1 <= self.spread <= self.block:
            raise ValueError(f"spread = {self.spread} must lie between 1 and block = {self.block}")

    @property
    def rows(self) -> int:
        """Rows of the grid."""
        return self.context // self.block

    @property
    def prefix(self) -> int:
        """Positions that "prefix" sees: the lyrics, and what fills up the next multiple of rows."""
        return min((self.lyrics // self.rows + 1) * self.rows, self.context)


def check(pattern: str) -> None:
    """Raises a ValueError unless `pattern` is known."""
    if pattern not in PATTERNS:
        raise ValueError(f"attention pattern {pattern!r} is unknown; known: {', '.join(PATTERNS)}")


def sees(pattern: str, grid: Grid) -> np.ndarray:
    """The definition of a pattern: what each position attends to, besides `zeros`.

    Args:
      pattern: one of `PATTERNS` but "memory", which sees all of its memory.
      grid: how the context is read.

    Returns:
      bool[context, context]: whether the first position attends to the second.
    """
    check(pattern)
    first, second = np.arange(grid.context)[:, None], np.arange(grid.context)[None, :]
    row, other_row = first // grid.block, second // grid.block
    past = second <= first
    if pattern == "row":
        return past & (row == other_row)
    if pattern == "column":
        return past & (first % grid.block == second % grid.block)
    if pattern == "previous":
        return other_row == row - 1
    if pattern.startswith("summary"):
        at_end = second % grid.block >= grid.block - _spread(pattern, grid)
        return past & at_end & (other_row < grid.rows - 1)
    if pattern == "prefix":
        return past & (second < grid.prefix)
    if pattern == "dense":
        return past
    raise ValueError(f"{pattern!r} attends to a memory, not to the context")


def zeros(pattern: str, grid: Grid) -> np.ndarray:
    """How many keys of zeros, with values of zeros, each position attends to besides `sees`.

    Returns:
      i64[context]. Under "previous" the first row sees nothing else: its output is exactly 0.
    """
    check(pattern)
    count = np.zeros(grid.context, int)
    if pattern == "previous":
        count[: grid.block] = grid.block
    if pattern.startswith("summary"):
        count[:] = _spread(pattern, grid)
    return count


def places(pattern: str, grid: Grid) -> np.ndarray:
    """Where the keys stand that `keep` keeps, i64[length]; negative for keys of zeros.

    A position attends to those that do not stand after it.
    """
    if pattern.startswith("summary"):
        spread = _spread(pattern, grid)
        return (np.arange(grid.rows)[:, None] * grid.block + np.arange(-spread, 0)).reshape(-1)
    return np.arange(grid.prefix if pattern == "prefix" else grid.context)


def keep(pattern: str, array: Array, grid: Grid) -> Array:
    """The keys or values that any position may attend to, of a pattern that picks by `places`.

    Args:
      pattern: "dense", "prefix", "summary" or "summary_spread".
      array: [batch, context, ...].
      grid: how the context is read.

    Returns:
      [batch, length, ...], in the order of `places`.
    """
    if not pattern.startswith("summary"):
        return array[:, : len(places(pattern, grid))]
    spread = _spread(pattern, grid)
    by_row = array.reshape(array.shape[0], grid.rows, grid.block, *array.shape[2:])
    ends = by_row[:, :-1, grid.block - spread :]
    padding = [(0, 0)] * ends.ndim
    padding[1] = (1, 0)
    return jnp.pad(ends, padding).reshape(array.shape[0], grid.rows * spread, *array.shape[2:])


def attend(pattern: str, query: Array, key: Array, value: Array, grid: Grid) -> Array:
    """Attention of all positions at once.

    Args:
      pattern: one of `PATTERNS`.
      query: [batch, context, heads, head_width].
      key: the same shape; for "memory" [batch, tokens, heads, head_width].
      value: the shape of key.
      grid: how the context is read.

    Returns:
      The mixed values, of the shape of query. Scores and softmax are float32 whatever the inputs.
    """
    check(pattern)
    shape = query.shape
    if pattern in ("row", "column", "previous"):
        by_row = (shape[0], grid.rows, grid.block, *shape[2:])
        query, key, value = query.reshape(by_row), key.reshape(by_row), value.reshape(by_row)
    seen: np.ndarray | None = None
    if pattern == "column":
        seen = np.tri(grid.rows, dtype=bool)
        weights = softmax(_scores("brchd,bschd->bchrs", query, key), seen).astype(value.dtype)
        return jnp.einsum("bchrs,bschd->brchd", weights, value).reshape(shape)
    if pattern in ("row", "previous"):
        if pattern == "row":
            seen = np.tri(grid.block, dtype=bool)
        else:
            key, value = _row_before(key), _row_before(value)
        weights = softmax(_scores("brqhd,brkhd->brhqk", query, key), seen).astype(value.dtype)
        return jnp.einsum("brhqk,brkhd->brqhd", weights, value).reshape(shape)
    if pattern != "memory":
        if grid.rows > 1 and grid.context * len(places(pattern, grid)) > _MOST_SCORES:
            return _attend_by_row(pattern, query, key, value, grid)
        value = keep(pattern, value, grid)
    weights = weigh(pattern, query, key, grid).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def weigh(pattern: str, query: Array, key: Array, grid: Grid) -> Array:
    """The attention weights of a pattern that picks its keys by `places`, or of "memory".

    Args:
      pattern: "dense", "prefix", "summary", "summary_spread" or "memory".
      query: [batch, context, heads, head_width].
      key: as in `attend`.
      grid: how the context is read.

    Returns:
      f32[batch, heads, context, length], over all of the memory or over `places`.
    """
    seen = None
    if pattern != "memory":
        seen = places(pattern, grid)[None, :] <= np.arange(grid.context)[:, None]
        key = keep(pattern, key, grid)
    return softmax(_scores("bqhd,bkhd->bhqk", query, key), seen)


def _attend_by_row(pattern: str, query: Array, key: Array, value: Array, grid: Grid) -> Array:
    """As `attend`, a row of queries at a time, so that not all scores are there at once."""
    shape = query.shape
    kept, key, value = places(pattern, grid), keep(pattern, key, grid), keep(pattern, value, grid)

    @jax.checkpoint
    def attend_row(row: tuple[Array, Array]) -> Array:
        query, first = row
        seen = kept[None, :] <= (first + np.arange(grid.block))[:, None]
        weights = softmax(_scores("bqhd,bkhd->bhqk", query, key), seen).astype(value.dtype)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, value)

    by_row = query.reshape(shape[0], grid.rows, grid.block, *shape[2:]).swapaxes(0, 1)
    mixed = jax.lax.map(attend_row, (by_row, np.arange(grid.rows) * grid.block))
    return mixed.swapaxes(0, 1).reshape(shape)


def softmax(scores: Array, seen: Array | np.ndarray | None) -> Array:
    """Softmax over the last axis under a mask that leaves something to every query."""
    if seen is not None:
        scores = jnp.where(seen, scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1)


def _spread(pattern: str, grid: Grid) -> int:
    return grid.spread if pattern == "summary_spread" else 1


def _scores(equation: str, query: Array, key: Array) -> Array:
    scores = jnp.einsum(equation, query, key, preferred_element_type=jnp.float32)
    return scores / math.sqrt(query.shape[-1])


def _row_before(by_row: Array) -> Array:
    """Each row's predecessor, zeros before the first: [batch, rows, block, heads, head_width]."""
    return jnp.pad(by_row[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
