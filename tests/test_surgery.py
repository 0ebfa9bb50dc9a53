"""A trained model goes on as a larger one, and at first computes the same to the last bit."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.conditioning import (
    Alphabet,
    Events,
    Label,
    Lyrics,
    LyricsPrefix,
    Timing,
    Track,
    Vocabulary,
)
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import surgery
from jukebox_jax.vqvae.vqvae import VQVAE

PERIOD = ("row", "column", "previous")
ARTIST, GENRE = ("artist", Label(size=4)), ("genre", Label(size=5, most=2))
TIMING = ("timing", Timing(bins=4, minimum_seconds=0.5, maximum_seconds=9.0, rate=100))
LYRICS = ("lyrics", Lyrics(tokens=8, size=6, width=8, layout=((("row",), 1),), block=4))
SIGNALS = (ARTIST, GENRE, TIMING)
CHORD, HEARD = ("chord", Track(size=3)), ("heard", Events(size=3))
OVER_TIME = {
    "chord": np.arange(48).reshape(3, 16) % 3,
    "heard": np.arange(144).reshape(3, 16, 3) % 2 * [1, 1, 0],
}
WITH_LYRICS = (((*PERIOD,), 1), ((*PERIOD, "memory"), 1))


def model(*signals: tuple, **changes) -> Prior:
    fields = {"context": 16, "block": 4, "bins": 8, "width": 8, "layout": ((PERIOD, 2),)}
    return Prior(**{**fields, **changes}, signals=signals)


def trained(one: Prior, seed: int = 0) -> dict:
    """Parameters of which none is zero."""
    leaves, tree = jax.tree.flatten(prior.abstract(one))
    rng = np.random.default_rng(seed)
    values = [jnp.asarray(rng.normal(0, 0.3, leaf.shape), leaf.dtype) for leaf in leaves]
    return jax.tree.unflatten(tree, values)


def logits(one: Prior, params: dict, **more: list) -> np.ndarray:
    """Over three songs with names that every model here knows."""
    labels = {
        "artist": [[0], [1], [3]],
        "genre": [[1, -1], [2, 4], [0, -1]],
        "timing": [[900, 0, 160], [700, 160, 160], [100, 20, 80]],
        "lyrics": np.arange(24).reshape(3, 8) % 6,
        **more,
    }
    given = {name: jnp.asarray(labels[name], jnp.int32) for name, _ in one.signals}
    codes = jnp.asarray(np.random.default_rng(1).integers(0, one.bins, (3, 16)))
    return np.asarray(_logits(one, params, codes, given))


@functools.partial(jax.jit, static_argnums=0)
def _logits(one: Prior, params: dict, codes: jax.Array, labels: dict, above=None) -> jax.Array:
    return prior.logits(one, params, codes, prior.condition(one, params, labels, above))


def operated(new: Prior, old: Prior, params: dict, used: dict | None = None) -> dict:
    surgery.check(new, old, "runs/old")
    fresh = trained(new, 7)
    found = surgery.transplant(new, fresh, old, params, used)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), fresh)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found) == shapes
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_lyrics_are_added(tied: bool) -> None:
    old = model(*SIGNALS, tied=tied)
    params = trained(old)
    new = model(*SIGNALS, LYRICS, tied=tied, layout=WITH_LYRICS)
    found = operated(new, old, params)
    np.testing.assert_array_equal(logits(new, found), logits(old, params))
    louder = jax.tree.map(lambda leaf: leaf, found)
    memory = louder["transformer"]["group_1"]["layer_3"]
    memory["attention"]["out"]["kernel"] += 0.3  # so that the test can tell
    assert np.any(logits(new, louder) != logits(old, params))


def test_names_and_characters_are_added() -> None:
    signals = (*SIGNALS, LYRICS)
    old = model(*signals, layout=WITH_LYRICS)
    params = trained(old)
    grown = {
        "artist": dataclasses.replace(ARTIST[1], size=7),
        "genre": dataclasses.replace(GENRE[1], most=4),
        "lyrics": dataclasses.replace(LYRICS[1], size=9),
    }
    new = model(*((name, grown.get(name, one)) for name, one in signals), layout=WITH_LYRICS)
    found = operated(new, old, params, {"artist": 3})
    genre = [[1, -1, -1, -1], [2, 4, -1, -1], [0, -1, -1, -1]]
    known = {"artist": [[0], [1], [2]]}
    np.testing.assert_array_equal(
        logits(new, found, genre=genre, **known), logits(old, params, **known)
    )
    before, after = (
        tree["conditioning"]["artist"]["rows"]["embedding"] for tree in (params, found)
    )
    np.testing.assert_array_equal(after[:3], before[:3])
    np.testing.assert_allclose(after[3:], np.tile(np.mean(before[:3], axis=0), (4, 1)), rtol=1e-5)
    heads = [np.asarray(tree["lyric_logits"]["kernel"]) for tree in (params, found)]
    np.testing.assert_array_equal(heads[1][:, :6], heads[0])
    np.testing.assert_allclose(heads[1][:, 8], heads[0].mean(1), rtol=1e-5)
    for tree in (params, found):
        del tree["conditioning"]["artist"], tree["lyric_logits"]
        del tree["conditioning"]["lyrics"]["tokens"]
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_signals_are_added() -> None:
    above = conditioning.make(
        "above", {"kind": "codes", "bins": 8, "width": 4, "depth": 1, "downs": 1}
    )
    mood = ("mood", Label(size=3, most=2))
    old = model(ARTIST)
    params = trained(old)
    new = model(ARTIST, GENRE, mood, TIMING, CHORD, HEARD)
    found = operated(new, old, params)
    more = {"mood": [[1, 2], [0, -1], [2, -1]], **OVER_TIME}
    np.testing.assert_array_equal(logits(new, found, **more), logits(old, params))
    upper = model(ARTIST, ("above", above))
    found, codes = operated(upper, old, params), jnp.zeros((2, 16), jnp.int32)
    labels = {"artist": jnp.asarray([[1], [2]])}
    above = jnp.arange(16).reshape(2, 8) % 8
    expected = _logits(old, params, codes, labels)
    np.testing.assert_array_equal(_logits(upper, found, codes, labels, above), expected)


def test_names_over_time_are_added() -> None:
    old = model(ARTIST, CHORD, HEARD)
    params = trained(old)
    new = model(ARTIST, ("chord", Track(size=5)), ("heard", Events(size=4)))
    found = operated(new, old, params, {"heard": 2})
    for one in ("chord", "heard"):
        before, after = (tree["conditioning"][one]["rows"]["embedding"] for tree in (params, found))
        used = 3 if one == "chord" else 2
        np.testing.assert_array_equal(after[:used], before[:used])
        mean = np.tile(np.mean(before[:used], 0), (len(after) - used, 1))
        np.testing.assert_allclose(after[used:], mean, rtol=1e-5)
    heard = np.pad(OVER_TIME["heard"], ((0, 0), (0, 0), (0, 1)))
    after = logits(new, found, chord=OVER_TIME["chord"], heard=heard)
    # A longer product may be summed in another order.
    np.testing.assert_allclose(after, logits(old, params, **OVER_TIME), rtol=1e-5, atol=1e-6)


def test_a_first_label_takes_over_the_start() -> None:
    old, new = model(TIMING), model(*SIGNALS)
    params = trained(old)
    found = operated(new, old, params)
    np.testing.assert_array_equal(logits(new, found), logits(old, params))
    with pytest.raises(ValueError, match=r"config\.signals\.genre\.most: .* a start vector"):
        surgery.check(model(GENRE, TIMING), old, "runs/old")


def test_the_same_model_keeps_all() -> None:
    old = model(*SIGNALS, LYRICS, layout=WITH_LYRICS)
    params = trained(old)
    half = jax.tree.map(lambda leaf: leaf.astype("float16"), params)
    found = operated(dataclasses.replace(old, remat="none", label_dropout=0.5), old, half)
    jax.tree.map(np.testing.assert_array_equal, found, half)


OLD = model(*SIGNALS)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (model(*SIGNALS, width=16), "config.model.width = 16, but runs/old was trained with 8"),
        (model(*SIGNALS, heads=2), "config.model.heads = 2"),
        (model(*SIGNALS, context=32), "config.model.context = 32"),
        (model(*SIGNALS, block=8), "config.model.block = 8"),
        (model(*SIGNALS, scale_residual=True), "config.model.scale_residual = True"),
        (model(*SIGNALS, layout=((PERIOD, 3),)), "layout has 9 layers besides 'memory'"),
        (
            model(*SIGNALS, layout=((("row", "previous", "column"), 2),)),
            "from the 2th on: keep those and their order",
        ),
        (model(ARTIST, TIMING), "config.signals.genre is missing"),
        (model(("artist", TIMING[1]), GENRE, TIMING), "config.signals.artist is a Timing"),
        (model(("artist", Label(size=3)), GENRE, TIMING), "artist.size = 3, but runs/old has 4"),
        (model(("artist", Label(4, most=2)), GENRE, TIMING), "artist.most = 2, but runs/old has 1"),
        (
            model(ARTIST, GENRE, ("timing", dataclasses.replace(TIMING[1], bins=5))),
            "config.signals.timing.bins = 5, but runs/old was trained with 4",
        ),
        (model(*SIGNALS, ("lyrics", LyricsPrefix(4, 6))), "use kind='lyrics' and 'memory' layers"),
        (VQVAE(), "runs/old holds a Prior, but a VQVAE is to be trained"),
    ],
)
def test_what_cannot_be_the_same_is_one_line(new: Prior | VQVAE, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        surgery.check(new, OLD, "runs/old")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_layers_that_are_scaled_cannot_be_added() -> None:
    old = model(*SIGNALS, scale_residual=True)
    new = model(*SIGNALS, LYRICS, scale_residual=True, layout=WITH_LYRICS)
    with pytest.raises(ValueError, match="with scale_residual each of the 6 of runs/old"):
        surgery.check(new, old, "runs/old")
    read = model(*SIGNALS, LYRICS, layout=WITH_LYRICS)
    more = model(*SIGNALS, LYRICS, layout=(((*PERIOD, "memory"), 2),))
    with pytest.raises(ValueError, match="has 'memory' layers already"):
        surgery.check(more, read, "runs/old")


def test_a_vqvae_keeps_its_shape() -> None:
    surgery.check(VQVAE(commit=0.1, dtype="bfloat16"), VQVAE(), "runs/old")
    with pytest.raises(ValueError, match=r"config\.model\.depth = 2, but runs/old was trained"):
        surgery.check(VQVAE(depth=2), VQVAE(), "runs/old")


def test_the_table_counts_what_is_new() -> None:
    new = model(("artist", Label(size=7)), GENRE, TIMING, LYRICS, layout=WITH_LYRICS)
    shapes = prior.abstract(new)
    lines = surgery.table(new, OLD, shapes, {"artist": 3})
    rows = {line[:28].strip(): line[28:].split() for line in lines[1:]}
    assert rows["conditioning/artist"] == ["24", "32", "grown"]
    assert rows["conditioning/genre"] == ["40", "0"]
    assert rows["lyric_logits"] == ["0", "48", "added"]
    assert rows["transformer, memory layers"][2] == "added"
    counts = np.array([[int(x.replace(",", "")) for x in row[:2]] for row in rows.values()])
    old, total = (
        sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (prior.abstract(OLD), shapes)
    )
    assert counts[:, 0].sum() == old - 8 and counts.sum() == total  # but for a row of no artist
    lines = surgery.table(VQVAE(), VQVAE(), {"encoder_0": jnp.zeros((2, 3))})
    assert lines[1].split() == ["encoder_0", "6", "0"]


def test_names_keep_their_numbers() -> None:
    old = Vocabulary("plain", {"b": 1, "x y": 5})
    assert dict(surgery.grow(old, ["c, b", ["a"], 7], most=3).ids) == {
        "b": 1,
        "x y": 5,
        "7": 6,
        "a": 7,
        "c": 8,
    }
    assert surgery.grow(old, ["b", "x y", ""]) == old


def test_characters_keep_their_numbers() -> None:
    old = Alphabet("characters", "ba")
    assert surgery.grow_alphabet(old, ["abd", "e\u0301d", "c"], 9).characters == "bacdé"
    assert surgery.grow_alphabet(old, ["abd", "dc"], 3).characters == "bad"
    assert surgery.grow_alphabet(old, ["ab"], 9) == old
    assert surgery.grow_alphabet(Alphabet("bytes"), ["ab"], 300) == Alphabet("bytes")
