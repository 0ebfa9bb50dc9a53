"""Codebooks find what there is to find, lose no code for long, and are one over all devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.vqvae import quantizer
from jukebox_jax.vqvae.quantizer import Codebook


def some(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def book_of(codes: np.ndarray) -> Codebook:
    return Codebook(jnp.asarray(codes), jnp.asarray(codes), jnp.ones(len(codes)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 129), (5, 33), (300, 2)])
@pytest.mark.parametrize("bins", [1, 50])
def test_nearest_is_the_nearest(shape: tuple[int, int], bins: int) -> None:
    vectors, codes = some(*shape, 7), some(bins, 7, seed=1)
    distances = ((vectors[:, :, None].astype(np.float64) - codes) ** 2).sum(-1)
    for rows in (64, 8192):
        found = quantizer._search(vectors, codes, rows=rows)
        np.testing.assert_array_equal(found, distances.argmin(-1))
    found = quantizer.nearest(book_of(codes), vectors)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, distances.argmin(-1))


def test_of_equally_near_codes_the_first() -> None:
    codes = np.float32([[1, 0], [0, 1], [1, 0], [0, 1], [5, 5]])
    vectors = np.float32([[[0.9, 0], [0, 2], [0.25, 0.25]]])
    np.testing.assert_array_equal(quantizer.nearest(book_of(codes), vectors), [[0, 1, 0]])


def test_vectors_that_are_no_numbers_still_give_codes() -> None:
    vectors = np.full((1, 3, 2), np.nan, np.float32)
    found = np.asarray(quantizer.nearest(book_of(some(4, 2)), vectors))
    assert ((found >= 0) & (found < 4)).all()


def test_lookup() -> None:
    codes = some(5, 3)
    indices = np.int32([[4, 0], [1, 1]])
    np.testing.assert_array_equal(quantizer.lookup(book_of(codes), indices), codes[indices])


def test_the_gradient_passes_straight_through() -> None:
    vectors, rounded = some(2, 3, 4), some(2, 3, 4, seed=1)
    value, pull = jax.vjp(lambda v, r: quantizer.pass_through(v, r), vectors, rounded)
    np.testing.assert_array_equal(value, rounded)  # not only nearly: decoding sees no difference
    weights = some(2, 3, 4, seed=2)
    np.testing.assert_array_equal(pull(weights)[0], weights)
    np.testing.assert_array_equal(pull(weights)[1], 0 * weights)


def test_update_is_its_formula() -> None:
    book = Codebook(some(6, 3), 2 * some(6, 3), np.float32([2, 2, 2, 0.1, 5, 1.1]))
    vectors = some(2, 20, 3, seed=1)
    codes = np.int32(np.random.default_rng(2).integers(0, 3, (2, 20)))
    codes[0, 0] = 5
    key = jax.random.key(0)
    found, metrics = quantizer.update(book, vectors, codes, key, decay=0.9, threshold=1.0)
    flat, chosen = vectors.reshape(-1, 3), codes.reshape(-1)
    count = np.bincount(chosen, minlength=6)
    sums = np.stack([flat[chosen == code].sum(0) for code in range(6)])
    n, m = 0.9 * book.counts + 0.1 * count, 0.9 * book.sums + 0.1 * sums
    np.testing.assert_allclose(found.counts, n, rtol=1e-6)
    np.testing.assert_allclose(found.sums, m, atol=1e-6)
    alive = n >= 1
    assert alive.tolist() == [True, True, True, False, True, True]
    np.testing.assert_allclose(found.codes[alive], (m / n[:, None])[alive], atol=1e-6)
    assert (np.asarray(found.codes)[3] == flat).all(1).any()  # one of this batch's vectors

    share = count[count > 0] / 40
    expected = {
        "entropy": -(share * np.log(share)).sum(),
        "used_curr": (count >= 1).sum(),
        "usage": 5,
        "dk": np.sqrt(np.mean((np.asarray(found.codes) - book.codes) ** 2)),
        "use": (count > 0).mean(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
    assert set(metrics) == set(expected)
    np.testing.assert_allclose(quantizer.used(codes, 6), expected["use"])


def test_without_a_threshold_a_code_that_is_never_used_stays_finite() -> None:
    book = Codebook(some(2, 3), 0 * some(2, 3), np.float32([1.0, 0.0]))
    found, _ = quantizer.update(
        book, some(1, 4, 3), np.zeros((1, 4), np.int32), jax.random.key(0), decay=0.5, threshold=0.0
    )
    assert np.isfinite(found.codes).all()


def follow(book: Codebook, batches: np.ndarray, decay: float, threshold: float) -> Codebook:
    """The codebook after many batches."""

    def step(book: Codebook, batch: tuple[jax.Array, jax.Array]) -> tuple[Codebook, None]:
        codes = quantizer.nearest(book, batch[0])
        book, _ = quantizer.update(
            book, *batch[:1], codes, batch[1], decay=decay, threshold=threshold
        )
        return book, None

    keys = jax.random.split(jax.random.key(0), len(batches))
    return jax.jit(lambda *a: jax.lax.scan(step, *a)[0])(book, (jnp.asarray(batches), keys))


def test_a_dead_code_revives() -> None:
    codes = np.concatenate([some(3, 2), 100 + some(5, 2)])
    book = follow(quantizer.resume(codes, 64), some(600, 2, 32, 2, seed=1), 0.99, 1.0)
    assert float(jnp.min(book.counts)) > 0.9  # it restarts until it is used once a batch
    assert np.abs(np.asarray(book.codes)).max() < 5


def test_constant_clusters_are_found() -> None:
    centres = np.float32([[4, 4], [-4, 4], [4, -4], [-4, -4]])
    batches = centres[np.random.default_rng(0).integers(0, 4, (400, 4, 16))]
    start = quantizer.start(some(4, 16, 2), 4, jax.random.key(0))
    found = np.asarray(follow(start, batches, 0.9, 0.5).codes)
    for centre in centres:
        assert np.abs(found - centre).sum(1).min() < 1e-3, centre


@pytest.mark.parametrize("bins", [4, 7, 24])
def test_a_codebook_starts_at_vectors_of_the_batch(bins: int) -> None:
    vectors = some(2, 12, 3)
    book = quantizer.start(vectors, bins, jax.random.key(0))
    other = quantizer.start(vectors, bins, jax.random.key(1))
    places = {
        int(np.flatnonzero((vectors.reshape(-1, 3) == code).all(1))[0])
        for code in np.asarray(book.codes)
    }
    assert len(places) == bins
    np.testing.assert_array_equal(book.sums, book.codes)
    np.testing.assert_array_equal(book.counts, np.ones(bins))
    assert (np.asarray(book.codes) != np.asarray(other.codes)).any()


def test_few_vectors_are_repeated_and_moved_apart() -> None:
    vectors = some(1, 4, 100)
    codes = np.asarray(quantizer.start(vectors, 10, jax.random.key(0)).codes)
    distances = np.sqrt(((codes[:, None] - vectors[0]) ** 2).mean(-1))
    assert len(np.unique(codes[:, 0])) == 10
    assert sorted(np.bincount(distances.argmin(1))) == [2, 2, 3, 3]
    np.testing.assert_allclose(distances.min(1), 0.001, rtol=0.4)  # 0.01 / sqrt(100)


def test_resuming_keeps_codes_where_they_are() -> None:
    codes = some(8, 3)
    book = quantizer.resume(codes, 64)
    np.testing.assert_array_equal(book.counts, np.full(8, 8.0))
    vectors = np.repeat(codes, 8, axis=0)[None]
    found, _ = quantizer.update(
        book,
        vectors,
        quantizer.nearest(book, vectors),
        jax.random.key(0),
        decay=0.99,
        threshold=1.0,
    )
    np.testing.assert_allclose(found.codes, codes, atol=1e-6)
    np.testing.assert_allclose(found.counts, 8, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 5), (3, 100), (2, 9000)])
def test_both_ways_of_summing_agree(shape: tuple[int, int]) -> None:
    vectors = some(*shape, 3)
    codes = np.int32(np.random.default_rng(0).integers(0, 6, shape))
    found, expected = (
        jax.jit(partial(way, bins=6))(vectors, codes)
        for way in (quantizer._totals_by_product, quantizer._totals_by_segment)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_one_device_equals_eight() -> None:
    batch = sharding.batch(sharding.make_mesh())
    vectors = some(8, 100, 3)
    book = quantizer.resume(some(16, 3, seed=1), 20)  # few of some codes: they restart

    def step(vectors: jax.Array, key: jax.Array) -> tuple[Codebook, dict]:
        codes = quantizer.nearest(book, vectors)
        return quantizer.update(book, vectors, codes, key, decay=0.5, threshold=15.0)

    key, spread = jax.random.key(3), jax.device_put(vectors, batch)
    one, program = jax.jit(step)(vectors, key), jax.jit(step).lower(spread, key).compile()
    assert 1 <= float(one[1]["usage"]) <= 15
    for found, expected in zip(
        jax.tree.leaves(program(spread, key)), jax.tree.leaves(one), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert "all-gather" not in program.as_text()


@pytest.mark.parametrize("way", [quantizer._totals_by_product, quantizer._totals_by_segment])
def test_devices_talk_once_in_summing(way) -> None:
    batch = sharding.batch(sharding.make_mesh())
    vectors = jax.device_put(some(8, 4000, 3), batch)
    codes = jax.device_put(np.zeros((8, 4000), np.int32), batch)
    program = jax.jit(partial(way, bins=6)).lower(vectors, codes).compile()
    text = program.as_text()
    assert text.count(" all-reduce(") == 1 and "all-gather" not in text
    entry = text[text.index("\nENTRY") :]
    assert " all-reduce(" in entry  # and not in a loop
    np.testing.assert_allclose(
        program(vectors, codes)[0], np.asarray(vectors).sum((0, 1)), atol=1e-2
    )
