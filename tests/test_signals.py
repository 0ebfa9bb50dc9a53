"""Labels, timing and codes above: from a song to arrays, and from arrays to vectors."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior.conditioning import Conditioner
from jukebox_jax.prior.signals import Codes, Label, LabelError, Timing
from jukebox_jax.prior.vocabulary import Vocabulary

NAMES = Vocabulary("v2", {"rock": 1, "blues": 2, "folk": 3})
SPAN = Span(start=30, length=40, total=100)
WIDTH, CONTEXT = 4, 8


def encode(signal: Any, value: Any, *, allow: bool = False, vocabulary=NAMES) -> np.ndarray:
    song = Song("songs/a.wav", 100, {} if value is None else {"genre": value})
    return signal.encode("genre", song, SPAN, CONTEXT, vocabulary, allow)


@functools.cache
def tables(signal: Any) -> tuple[Conditioner, dict]:
    """A conditioner of one signal, and parameters that are all different."""
    model = Conditioner((("one", signal),), CONTEXT, WIDTH)
    labels = {"one": jnp.zeros((1, 3), jnp.int32)}
    above = jnp.zeros((1, 2), jnp.int32)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), labels, above))["params"]
    leaves, tree = jax.tree.flatten(shapes)
    generator = np.random.default_rng(0)
    return model, jax.tree.unflatten(
        tree, [generator.standard_normal(leaf.shape, np.float32) for leaf in leaves]
    )


def embed(signal: Any, values: Any) -> dict:
    model, params = tables(signal)
    values = jnp.asarray(values, jnp.int32)
    run = jax.jit(lambda params: model.apply({"params": params}, {"one": values}, values))
    return run(params)


def test_a_bag_of_words_is_their_ids_and_empty_slots() -> None:
    bag = Label(size=4, most=4)
    assert encode(bag, "Folk Rock").tolist() == [3, 1, -1, -1]
    assert encode(bag, ["folk", "polka"], allow=True).tolist() == [3, 0, -1, -1]
    assert encode(bag, None, allow=True).tolist() == [0, -1, -1, -1]
    assert encode(bag, "", allow=True).tolist() == encode(bag, [], allow=True).tolist()
    assert bag.nothing().tolist() == [0, -1, -1, -1]
    assert encode(bag, "rock").dtype == np.int32


@pytest.mark.parametrize(
    ("signal", "value", "vocabulary", "words"),
    [
        (Label(4), None, NAMES, "songs/a.wav has no label 'genre': give it one"),
        (Label(4), "polka", NAMES, "genre of songs/a.wav: 'polka' is none of the 3 names"),
        (Label(4, 2), "rock blues folk", NAMES, "has 3 words, but the signal has 2 slots"),
        (Label(3), "folk", NAMES, "has id 3, but the signal has size=3"),
        (Label(4), "folk", None, "'genre' has no vocabulary"),
    ],
)
def test_a_label_that_cannot_be_is_refused(signal, value, vocabulary, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        encode(signal, value, vocabulary=vocabulary)


def test_a_label_is_the_sum_of_its_rows() -> None:
    signal = Label(size=4, most=3)
    start = embed(signal, [[1, 3, -1], [0, -1, -1]])["start"]
    rows = tables(signal)[1]["one"]["rows"]["embedding"]
    np.testing.assert_allclose(start, np.stack([rows[1] + rows[3], rows[0]])[:, None])


def test_timing_is_the_sum_of_three_bins() -> None:
    """Of the song's length, the time since its start, and the part of it that is over.

    Several stand on an edge, which a division by a reciprocal would miss.
    """
    signal = Timing(bins=10, minimum_seconds=2.0, maximum_seconds=12.0, rate=10)
    assert encode(signal, None).tolist() == [100, 30, 40]
    track = embed(signal, [[100, 30, 40], [50, 20, 40], [1000, 0, 40]])["track"]
    table = {key: value["embedding"] for key, value in tables(signal)[1]["one"].items()}
    places = np.arange(CONTEXT) / CONTEXT
    expected = []
    for total, start, length, end in ((100, 30, 40, 0.7), (50, 20, 40, 1.0), (1000, 0, 40, 0.04)):
        first = np.float32(start / total)
        relative = first + (np.float32(end) - first) * np.float32(places)
        bins = (
            np.clip((total - 20) / 100 * 10, 0, 9),
            np.clip((start + length * places) / 120 * 10, 0, 9),
            np.clip(relative * 10, 0, 9),
        )
        rows = [table[key][np.int32(at)] for key, at in zip(table_order(), bins, strict=True)]
        expected.append(rows[0] + rows[1] + rows[2])
    np.testing.assert_allclose(track, np.stack(expected), rtol=1e-5)


def test_timing_of_a_song_of_a_day() -> None:
    """More samples than i32 counts: it is as long as it can be, and begins where it does."""
    signal = Timing(bins=10, minimum_seconds=2.0, maximum_seconds=600.0)
    long = Span(start=44100, length=400, total=24 * 3600 * 44100)
    assert signal.encode("timing", None, long, 8, None, False).tolist() == [2**31 - 1, 44100, 400]


def table_order() -> tuple[str, str, str]:
    return "total", "absolute", "relative"


def test_bins_are_found_in_float32_whatever_the_compute_type() -> None:
    signal = Timing(bins=128, minimum_seconds=60.0, maximum_seconds=600.0)
    values = jnp.array([[9_999_999, 1_234_567, 1_048_576]])
    places = []
    for dtype in ("float32", "bfloat16"):
        model = Conditioner((("one", signal),), 1024, 1, dtype=dtype)
        rows = np.arange(128, dtype=np.float32)[:, None]
        params = {name: {"embedding": rows * (name == "absolute")} for name in table_order()}
        places.append(model.apply({"params": {"one": params}}, {"one": values}, None)["track"])
    np.testing.assert_array_equal(*places)
    assert len(np.unique(places[0])) == 7


def test_codes_above_are_brought_to_pace() -> None:
    signal = Codes(bins=5, width=6, depth=2, downs=2)
    assert signal.factor == 4 and encode(signal, None) is None
    track = embed(signal, [[0, 3], [4, 4]])["track"]
    assert track.shape == (2, CONTEXT, WIDTH)
    norm = tables(signal)[1]["one"]["norm"]
    plain = (track - norm["bias"]) / norm["scale"]
    np.testing.assert_allclose(plain.mean(-1), 0, atol=1e-4)
    with pytest.raises(ValueError, match="codes_above has 3 codes, but a context of 8 needs 2"):
        embed(signal, [[0, 3, 1]])
