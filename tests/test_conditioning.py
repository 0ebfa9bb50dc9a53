"""From config lines to signals, from songs to arrays, and from arrays to doors."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.conditioning import Alphabet, Label, LabelError, Timing, Vocabulary

SPECS = {
    "artist": dict(kind="label", size=3),
    "genre": dict(kind="label", size=4, most=2),
    "timing": dict(kind="timing", bins=8, minimum_seconds=1.0, maximum_seconds=9.0, rate=10),
    "above": dict(kind="codes", bins=5, width=4, depth=1, downs=2),
    "lyrics": dict(kind="lyrics", tokens=4, size=80, width=4, layout=[[["row"], 1]], block=2),
}
SIGNALS = tuple((name, conditioning.make(name, spec)) for name, spec in SPECS.items())
NAMES = {
    "artist": Vocabulary("plain", {"A": 1, "B": 2}),
    "genre": Vocabulary("v2", {"rock": 1, "folk": 3}),
    "lyrics": Alphabet("v2"),
}
SONG = Song("a.wav", 90, {"artist": "B", "genre": "Folk Rock", "lyrics": "la"}, rate=10)


def test_a_config_line_becomes_a_record() -> None:
    signals = dict(SIGNALS)
    assert signals["genre"] == Label(size=4, most=2)
    assert signals["timing"] == Timing(8, 1.0, 9.0, rate=10)
    assert signals["lyrics"].layout == ((("row",), 1),) and hash(signals["lyrics"])
    prefix = conditioning.make("lyrics", dict(kind="lyrics_prefix", tokens=4, size=80))
    assert [one.door for one in (*signals.values(), prefix)] == [
        "start",
        "start",
        "track",
        "track",
        "memory",
        "prefix",
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            dict(kind="labels", size=3),
            r"config.signals.x.kind = 'labels' is unknown; known: label,",
        ),
        (dict(size=3), "config.signals.x.kind = None is unknown"),
        (dict(kind="label", sise=3), r"config.signals.x.sise: .*; did you mean 'size'\?"),
        (dict(kind="label", size=3, q=1), "label has no such field; known: size, most"),
        (dict(kind="timing", bins=3, minimum_seconds=1), r"a timing needs maximum_seconds="),
    ],
)
def test_a_mistake_in_a_config_fails_by_name(spec: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        conditioning.make("x", spec)


def test_a_song_becomes_arrays() -> None:
    found = conditioning.encode(SIGNALS, NAMES, SONG, Span(20, 40, 90), 8)
    assert {name: values.tolist() for name, values in found.items()} == {
        "artist": [2],
        "genre": [3, 1],
        "timing": [90, 20, 40],
        "lyrics": [0, 0, 38, 27],
    }
    assert {values.dtype.name for values in found.values()} == {"int32"}
    with pytest.raises(LabelError, match="has no label 'artist'"):
        conditioning.encode(SIGNALS, NAMES, Song("", 90), Span(0, 40, 90), 8)
    unknown = conditioning.encode(
        SIGNALS, NAMES, Song("", 90), Span(0, 40, 90), 8, allow_unknown=True
    )
    assert unknown["artist"].tolist() == [0] and unknown["genre"].tolist() == [0, -1]
    assert not unknown["lyrics"].any()


def test_a_model_that_knows_no_names_asks_for_none() -> None:
    names = {**NAMES, "artist": Vocabulary(), "genre": Vocabulary()}
    found = conditioning.encode(SIGNALS, names, Song("", 90, {"lyrics": ""}), Span(0, 40, 90), 8)
    assert found["artist"].tolist() == [0] and found["genre"].tolist() == [0, -1]
    with pytest.raises(LabelError, match="none of the 0 names"):
        conditioning.encode(SIGNALS, names, SONG, Span(0, 40, 90), 8)


def test_a_label_may_change_during_the_song() -> None:
    """The window takes the label in force in its middle, from which every level's follows alike."""
    verse, chorus = (
        SONG.labels["artist"],
        next(n for n in NAMES["artist"].ids if n != SONG.labels["artist"]),
    )
    changing = Song("", 90, {**SONG.labels, "artist": {"schedule": [[0, verse], [4.0, chorus]]}})

    def artist(start: int) -> int:
        span = Span(start, 20, 90)
        return int(conditioning.encode(SIGNALS, NAMES, changing, span, 8, rate=10)["artist"][0])

    ids = NAMES["artist"].ids
    assert [artist(start) for start in (0, 29, 30, 60)] == [ids[verse]] * 2 + [ids[chorus]] * 2


def test_examples_have_the_shapes_of_what_is_encoded() -> None:
    labels, above = conditioning.example(SIGNALS, 8, batch=3)
    found = conditioning.encode(SIGNALS, NAMES, SONG, Span(20, 40, 90), 8)
    assert above.shape == (3, 2)
    assert {name: values.shape for name, values in labels.items()} == {
        name: (3, *values.shape) for name, values in found.items()
    }


def test_dropped_labels_are_those_of_whole_songs() -> None:
    found = conditioning.encode(SIGNALS, NAMES, SONG, Span(20, 40, 90), 8)
    labels = {name: jnp.tile(values, (400, 1)) for name, values in found.items()}
    dropped = jax.jit(conditioning.drop, static_argnums=0)(SIGNALS, labels, 0.25, jax.random.key(0))
    lost = np.asarray(dropped["artist"] == 0)[:, 0]
    assert 0.15 < lost.mean() < 0.35
    np.testing.assert_array_equal(dropped["genre"][lost], np.tile([0, -1], (lost.sum(), 1)))
    np.testing.assert_array_equal(dropped["genre"][~lost], labels["genre"][~lost])
    for name in ("timing", "lyrics"):
        np.testing.assert_array_equal(dropped[name], labels[name])


def test_nothing_told_is_what_is_dropped() -> None:
    labels = {
        "artist": np.array([[1], [2]], np.int32),
        "genre": np.array([[1, 2], [2, -1]], np.int32),
        "timing": np.ones((2, 3), np.int32),
        "lyrics": np.ones((2, 4), np.int32),
    }
    text = (
        "lyrics",
        conditioning.make("lyrics", {"kind": "lyrics_prefix", "tokens": 4, "size": 9}),
    )
    signals = tuple((n, s) for n, s in SIGNALS if n in labels and n != "lyrics") + (text,)
    told = conditioning.without(signals, labels)
    dropped = conditioning.drop(signals, labels, 1.0, jax.random.key(0))  # type: ignore[arg-type]
    for name, values in labels.items():
        np.testing.assert_array_equal(told[name], dropped[name])
        assert told[name].dtype == values.dtype and told[name].shape == values.shape
    assert conditioning.hides(signals) and not conditioning.hides((text,))
    assert conditioning.hides((text,), lyrics=True)
    assert not conditioning.without(signals, labels, lyrics=True)["lyrics"].any()


def test_signals_of_one_door_are_summed() -> None:
    model = conditioning.Conditioner(SIGNALS, 8, 6)
    labels, above = conditioning.example(SIGNALS, 8)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), labels, above))["params"]
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.5, np.float32), shapes)
    run = jax.jit(lambda params: model.apply({"params": params}, labels, above))
    doors = run(params)
    np.testing.assert_allclose(doors["start"], np.full((1, 1, 6), 0.5 + 2 * 0.5))
    np.testing.assert_allclose(doors["track"], np.full((1, 8, 6), 3 * 0.5 + 0.5))
    assert doors["memory"].shape == (1, 4, 6) and doors["prefix"] is None
    assert set(params) == set(SPECS)


def test_values_that_are_missing_are_named() -> None:
    model = conditioning.Conditioner(SIGNALS, 8, 6)
    labels, above = conditioning.example(SIGNALS, 8)
    for given, words in (
        ((labels, None), "conditioned on 'above': codes_above is missing"),
        (({}, above), r"conditioned on 'artist': labels\['artist'\] is missing"),
    ):
        with pytest.raises(ValueError, match=words):
            jax.eval_shape(lambda given=given: model.init(jax.random.key(0), *given))


def test_a_prior_reads_one_text() -> None:
    assert conditioning.lyrics_of(SIGNALS[:4]) is None
    assert conditioning.lyrics_of(SIGNALS) == SIGNALS[4]
    with pytest.raises(ValueError, match="signals lyrics, more: a prior reads one text"):
        conditioning.lyrics_of((*SIGNALS, ("more", SIGNALS[4][1])))


@pytest.mark.parametrize("name", NAMES)
def test_vocabularies_of_both_kinds_come_back_from_json(name: str) -> None:
    text = json.dumps(NAMES[name].to_json())
    assert conditioning.vocabulary_from_json(json.loads(text)) == NAMES[name]
