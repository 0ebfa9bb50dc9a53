"""A codebook: the nearest code of a vector, and how codes follow the vectors that choose them.

No modules: a frozen `Codebook` and pure functions. `start` makes a codebook from the first batch,
so nothing remembers whether it was initialised. A batch is the whole batch: under `jit` a sum over
it is a sum over all devices, with no axis named here.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_LEAST = 1e-20  # counts below it are as good as none, whatever the threshold
_ROWS = {"cpu": 256, "default": 8192}  # vectors searched at once: a cache full, a GPU full


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Codebook:
    """What vectors are rounded to, and the moving averages that it follows.

    Attributes:
      codes: f32[bins, code_width].
      sums: f32[bins, code_width], moving average of the sum of the vectors of each code.
      counts: f32[bins], moving average of their number.
    """

    codes: Array
    sums: Array
    counts: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tally:
    """What a codebook must know of a batch; the tallies of a batch's pieces add up to its own.

    Attributes:
      totals: f32[bins, code_width + 1], the sum of the vectors of each code and, last, their
        number.
      fresh: f32[bins, code_width], a random vector of the batch for each code that may restart.
    """

    totals: Array
    fresh: Array


@partial(jax.jit, static_argnames="bins")
def start(vectors: Array, bins: int, key: Array) -> Codebook:
    """A codebook of vectors of the first batch, as if each had been seen once.

    Args:
      vectors: f32[batch, length, code_width]; with fewer than `bins` of them they are repeated
        and moved apart a little.
      bins: size of the codebook.
      key: which vectors.
    """
    codes = _some(lax.stop_gradient(vectors), bins, key)
    return Codebook(codes=codes, sums=codes, counts=jnp.ones(bins))


def resume(codes: Array, length: int) -> Codebook:
    """A codebook of known codes, of which only the averages are lost.

    They start as if all codes had been used evenly, which keeps the codes where they are.

    Args:
      codes: f32[bins, code_width].
      length: codes of this level in one step's whole batch.
    """
    codes = jnp.asarray(codes, jnp.float32)
    share = length / codes.shape[0]
    return Codebook(codes=codes, sums=codes * share, counts=jnp.full(codes.shape[0], share))


@jax.jit
def nearest(book: Codebook, vectors: Array) -> Array:
    """The code nearest to each vector; of equally near ones the first.

    Chunks of the length are searched one after the other, so that the distances to all codes
    are never held for all vectors.

    Args:
      book: the codebook.
      vectors: f32[batch, length, code_width].

    Returns:
      i32[batch, length].
    """
    searches = {name: partial(_search, rows=rows) for name, rows in _ROWS.items()}
    return lax.platform_dependent(lax.stop_gradient(vectors), book.codes, **searches)


def lookup(book: Codebook, codes: Array) -> Array:
    """The vectors of codes: i32[batch, length] to f32[batch, length, code_width]."""
    return book.codes[codes]


def pass_through(vectors: Array, rounded: Array) -> Array:
    """The rounded vectors, with the gradient of the vectors themselves."""
    return lax.stop_gradient(rounded) + (vectors - lax.stop_gradient(vectors))


@partial(jax.jit, static_argnames=("decay", "threshold"))
def update(
    book: Codebook, vectors: Array, codes: Array, key: Array, *, decay: float, threshold: float
) -> tuple[Codebook, dict[str, Array]]:
    """Moves each code towards the mean of the vectors that chose it.

    A code whose average count falls below the threshold restarts at a random vector of the batch.

    Args:
      book: the codebook.
      vectors: f32[batch, length, code_width].
      codes: i32[batch, length], the nearest code of each.
      key: where codes restart.
      decay: of the moving averages.
      threshold: least average count of a code.

    Returns:
      The next codebook, and metrics, f32[]: entropy (nats, of the use of codes in this batch),
      used_curr (codes that this batch uses at least `threshold` times), usage (codes whose
      average count is at least `threshold`), dk (root mean square move of the codes), use (part
      of the codebook that this batch uses at all).
    """
    tally = count(vectors, codes, key, bins=book.codes.shape[0])
    return follow(book, tally, decay=decay, threshold=threshold)


@partial(jax.jit, static_argnames=("bins", "pieces"))
def count(
    vectors: Array, codes: Array, key: Array, piece: Array | int = 0, *, bins: int, pieces: int = 1
) -> Tally:
    """The tally of a batch, or of one of the pieces that it is dealt out to.

    Where codes restart is drawn from the whole batch, whichever piece a vector is in, so that the
    pieces' tallies add up to that of the batch in one.

    Args:
      vectors: f32[batch / pieces, length, code_width]: items piece, piece + pieces, ... of the
        batch.
      codes: i32[batch / pieces, length], the nearest code of each.
      key: where codes restart, the same for all pieces.
      piece: which piece this is, i32[].
      bins: size of the codebook.
      pieces: how many there are.
    """
    vectors = lax.stop_gradient(vectors)
    ones = jnp.ones((*codes.shape, 1), jnp.float32)
    totals = _totals(jnp.concatenate([vectors, ones], axis=-1), codes, bins)
    return Tally(totals, _some(vectors, bins, key, piece, pieces))


def follow(
    book: Codebook, tally: Tally, *, decay: float, threshold: float
) -> tuple[Codebook, dict[str, Array]]:
    """As `update`, from a whole batch's tally."""
    totals = tally.totals
    sums = decay * book.sums + (1 - decay) * totals[:, :-1]
    counts = decay * book.counts + (1 - decay) * totals[:, -1]
    alive = counts >= max(threshold, _LEAST)
    means = sums / jnp.where(alive, counts, 1.0)[:, None]
    updated = jnp.where(alive[:, None], means, tally.fresh)
    metrics = {
        "entropy": entropy(totals[:, -1]),
        "used_curr": jnp.sum(totals[:, -1] >= threshold, dtype=jnp.float32),
        "usage": jnp.sum(counts >= threshold, dtype=jnp.float32),
        "dk": jnp.sqrt(jnp.mean(jnp.square(updated - book.codes))),
        "use": jnp.mean(totals[:, -1] > 0),
    }
    return Codebook(codes=updated, sums=sums, counts=counts), metrics


def entropy(counts: Array) -> Array:
    """Entropy of the use of codes in nats, f32[], from how often each was used, f32[bins]."""
    share = counts / jnp.maximum(jnp.sum(counts), 1.0)
    return -jnp.sum(jax.scipy.special.xlogy(share, share))


@partial(jax.jit, static_argnames="bins")
def used(codes: Array, bins: int) -> Array:
    """Part of the codebook that occurs among codes, f32[], from i32[batch, length]."""
    return jnp.mean(_totals(jnp.ones((*codes.shape, 1), jnp.float32), codes, bins) > 0)


def _search(vectors: Array, codes: Array, rows: int) -> Array:
    batch, length, width = vectors.shape
    bins = codes.shape[0]
    chunk = min(length, max(32, rows // batch))
    chunks = -(-length // chunk)
    padded = jnp.pad(vectors, ((0, 0), (0, chunks * chunk - length), (0, 0)))
    halves = 0.5 * jnp.sum(jnp.square(codes), axis=1)[:, None, None]
    numbers = jnp.arange(bins, dtype=jnp.int32)[:, None, None]

    def search(some: Array) -> Array:
        products = jnp.einsum("kc,blc->kbl", codes, some, precision=lax.Precision.HIGHEST)
        distances = halves - products  # half the squared distance, but for the vector's own length
        # The least value and then the first that equals it: faster than argmin, the same code.
        found = jnp.where(distances == jnp.min(distances, axis=0), numbers, bins - 1)
        return jnp.min(found, axis=0)

    found = lax.map(search, jnp.moveaxis(padded.reshape(batch, chunks, chunk, width), 1, 0))
    return jnp.moveaxis(found, 0, 1).reshape(batch, chunks * chunk)[:, :length]


def _totals(vectors: Array, codes: Array, bins: int) -> Array:
    """Sum of the vectors of each code, f32[bins, width]."""
    return lax.platform_dependent(
        vectors,
        codes,
        cpu=partial(_totals_by_segment, bins=bins),
        default=partial(_totals_by_product, bins=bins),
    )


def _totals_by_segment(vectors: Array, codes: Array, bins: int) -> Array:
    """By adding each to its place: by far the fastest on a CPU."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    return jax.ops.segment_sum(flat, codes.reshape(-1), num_segments=bins)


def _totals_by_product(vectors: Array, codes: Array, bins: int) -> Array:
    """By products with the codes' indicators, chunk by chunk of the length.

    Accelerators are made for products, and additions keep their order, which they do not when
    many threads add to one place. Items are summed apart first, each where it lies, so that
    devices talk to each other once and not at every chunk.
    """
    batch, length, width = vectors.shape
    chunk = min(length, max(32, _ROWS["default"] // batch))
    pad = -length % chunk
    vectors = jnp.pad(vectors, ((0, 0), (0, pad), (0, 0)))  # zeros add nothing to code 0
    codes = jnp.pad(codes, ((0, 0), (0, pad)))

    def add(totals: Array, some: tuple[Array, Array]) -> tuple[Array, None]:
        indicators = jax.nn.one_hot(some[1], bins, dtype=jnp.float32)
        product = jnp.einsum("blk,blc->bkc", indicators, some[0], precision=lax.Precision.HIGHEST)
        return totals + product, None

    parts = (
        jnp.moveaxis(vectors.reshape(batch, -1, chunk, width), 1, 0),
        jnp.moveaxis(codes.reshape(batch, -1, chunk), 1, 0),
    )
    totals, _ = lax.scan(add, jnp.zeros((batch, bins, width)), parts)
    return jnp.sum(totals, axis=0)


def _some(vectors: Array, count: int, key: Array, piece: Array | int = 0, pieces: int = 1) -> Array:
    """Random vectors of a batch, f32[count, width], no two the same while there are enough.

    One is drawn from each of `count` equal stretches of the batch, so there is nothing to sort,
    and they come in random order. Where there are fewer vectors than asked for, all are repeated
    about as often and moved apart by noise. Of a piece of the batch, those that lie in it, and
    zeros for the others.
    """
    length, width = vectors.shape[-2:]
    flat = vectors.reshape(-1, width)
    rows = flat.shape[0] * pieces
    bounds = np.arange(count + 1, dtype=np.int64) * rows // count
    low, high = bounds[:-1], np.maximum(bounds[1:], bounds[:-1] + 1)
    keys = jax.random.split(key, 3)
    places = jax.random.randint(keys[0], (count,), low.astype(np.int32), high.astype(np.int32))
    places = jax.random.permutation(keys[1], places)
    item, place = places // length, places % length
    chosen = flat[item // pieces * length + place] if pieces > 1 else flat[places]
    if rows < count:
        chosen = chosen + 0.01 / np.sqrt(width) * jax.random.normal(keys[2], chosen.shape)
    return jnp.where((item % pieces == piece)[:, None], chosen, 0.0) if pieces > 1 else chosen
