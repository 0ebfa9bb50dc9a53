"""Signals over time: from labels to arrays, the same for every window, and to vectors."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning, curves, prior
from jukebox_jax.prior.conditioning import Conditioner, Curve, Events, Track
from jukebox_jax.prior.prior import Prior
from jukebox_jax.prior.vocabulary import LabelError, Vocabulary
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling import settings as sampling

RATE, HOP, CONTEXT, TOTAL = 100, 25, 8, 64  # codes of a quarter of a second
SPECS = {
    "tempo": dict(kind="curve", minimum=60.0, maximum=180.0, bins=12, rate=RATE),
    "chords": dict(kind="track", size=4, rate=RATE),
    "playing": dict(kind="events", size=4, rate=RATE),
}
SIGNALS = tuple((name, conditioning.make(name, spec)) for name, spec in sorted(SPECS.items()))
NAMES = {
    "chords": Vocabulary("plain", {"C": 1, "C#": 2, "Am": 3}),
    "playing": Vocabulary("plain", {"bass": 1, "drums": 2, "voice": 3}),
}
LABELS = {
    "tempo": [[1.0, 60], [3.0, 180], [11.0, 100]],
    "chords": [[0.5, "C"], [2.25, "C#"], [7.9, "Am"]],
    "playing": {"drums": [[0, 1.0], [1.5, 4.25]], "voice": [[3.1, 60]]},
}


def encode(value: Any, name: str, *, allow: bool = False, length: int = TOTAL) -> np.ndarray:
    """One signal over the start of a song."""
    song = Song("songs/a.wav", TOTAL * HOP, {name: value}, RATE)
    span = Span(0, length * HOP, TOTAL * HOP)
    signal = dict(SIGNALS)[name]
    return signal.encode(name, song, span, length, NAMES.get(name), allow)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (60, [1] * 8),
        ("75.0", [2] * 8),
        (69.9, [1] * 8),
        (180, [12] * 8),
        (1e30, [12] * 8),
        (-5, [1] * 8),
        ([[0.5, 60], [1.5, 100]], [1, 1, 1, 2, 3, 4, 5, 5]),
        ([[0, 60], [0.5, 60], [0.5, 120]], [1, 1] + [7] * 6),
        ({"schedule": [[0, 60], [1.0, 95.5]]}, [1] * 4 + [4] * 4),
        ({"schedule": [[1.0, 60], [1.5, 120]]}, [1] * 6 + [7] * 2),
    ],
)
def test_a_number_over_time_is_the_bin_of_each_code(value: Any, expected: list) -> None:
    found = encode(value, "tempo", length=8)
    assert found.tolist() == expected and found.dtype == np.int32


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("C#", [2] * 8),
        ([[0.25, "C"], [0.5, "Am"]], [1, 1] + [3] * 6),
        ({"schedule": [[0, "C"], [1.1, "Am"]]}, [1] * 5 + [3] * 3),
        ('[[0, "C"], [1.5, "C#"]]', [1] * 6 + [2] * 2),
    ],
)
def test_a_name_over_time_is_the_id_at_each_code(value: Any, expected: list) -> None:
    found = encode(value, "chords", length=8)
    assert found.tolist() == expected and found.dtype == np.int32


@pytest.mark.parametrize(
    ("value", "bass", "drums"),
    [
        (["bass", "drums"], [1] * 8, [1] * 8),
        ("drums", [0] * 8, [1] * 8),
        ({}, [0] * 8, [0] * 8),
        ([], [0] * 8, [0] * 8),
        ({"bass": [[0, 0.5], [1, 9]], "drums": [[0.3, 0.5]]}, [1, 1, 0, 0, 1, 1, 1, 1], [0] * 8),
        ({"drums": [[0.25, 0.75]]}, [0] * 8, [0, 1, 1] + [0] * 5),
        ({"schedule": [[0, ["bass"]], [1, ["bass", "drums"]]]}, [1] * 8, [0] * 4 + [1] * 4),
    ],
)
def test_sets_of_names_are_flags(value: Any, bass: list, drums: list) -> None:
    found = encode(value, "playing", length=8)
    assert found.dtype == np.uint8 and found.shape == (8, 4)
    assert found.T.tolist() == [[0] * 8, bass, drums, [0] * 8]


def test_what_is_unknown_is_the_reserved_zero() -> None:
    for name, signal in SIGNALS:
        found = encode(None, name, allow=True)
        np.testing.assert_array_equal(found, np.broadcast_to(signal.nothing(), found.shape))
        assert found.dtype == signal.nothing().dtype
    assert encode([], "chords", allow=True, length=2).tolist() == [0, 0]
    parts = {"schedule": [[0, None], [0.25, 60]]}
    assert encode(parts, "tempo", allow=True, length=3).tolist() == [0, 1, 1]
    assert encode([[0, "C"], [0.25, None]], "chords", allow=True, length=2).tolist() == [1, 0]
    assert encode([[0, "C"], [0.25, "Bb"]], "chords", allow=True, length=2).tolist() == [1, 0]
    found = encode({"kazoo": [[0.25, 9]]}, "playing", allow=True, length=2)
    assert found.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        (None, "tempo", "songs/a.wav has no label 'tempo': give it one, or allow unknown"),
        ("", "chords", "songs/a.wav has no label 'chords'"),
        (None, "playing", "songs/a.wav has no label 'playing'"),
        ("fast", "tempo", "tempo of songs/a.wav: fast cannot be read; write a number, "),
        ({"schedule": [[0, 60], [1, None]]}, "tempo", "unknown in parts: give a number"),
        ([[0, "C"], [1, None]], "chords", "unknown in parts: give a name"),
        ([[0, "C"], [1, "C "], [2, "Cm"]], "chords", r"'Cm' is none of the 3 names .*near .*'C"),
        ({"C": 0.5, "Cm": 0.5}, "chords", "chords of songs/a.wav: .* no mixture of names"),
        ({"drum": [[0, 1]]}, "playing", "playing of songs/a.wav: 'drum' is none of .*'drums'"),
        ({"drums": [[0]]}, "playing", "playing of songs/a.wav: .* cannot be read"),
    ],
)
def test_a_label_that_cannot_be_is_refused(value: Any, name: str, words: str) -> None:
    with pytest.raises(LabelError, match=words) as caught:
        encode(value, name)
    assert "\n" not in str(caught.value)


def test_a_vocabulary_that_does_not_belong_is_refused() -> None:
    song = Song("a.wav", 100, {"x": "C"}, RATE)
    for vocabulary, words in (
        (None, "x of a.wav: the signal has no vocabulary"),
        (Vocabulary("plain", {"C": 7}), "x of a.wav: 'C' has id 7, but the signal has size=4"),
    ):
        for signal in (Track(4, RATE), Events(4, RATE)):
            with pytest.raises(LabelError, match=words):
                signal.encode("x", song, Span(0, 100, 100), 4, vocabulary, True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(minimum=3, maximum=3, bins=4), "from minimum=3 to maximum=3: give a larger"),
        (dict(minimum=0, maximum=3, bins=0), "bins=0: give 1 or more"),
        (dict(minimum=0, bins=4), "a curve needs maximum="),
    ],
)
def test_a_curve_that_cannot_be_is_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        conditioning.make("x", dict(kind="curve", **fields))


@pytest.mark.parametrize("start", [0, 1, 3, 17, 56])
@pytest.mark.parametrize("shift", [0, 7])
def test_windows_agree_where_they_overlap(start: int, shift: int) -> None:
    """A window of any start and length is that part of the whole song, to the last bit."""
    song = Song("", TOTAL * HOP, LABELS, RATE)
    for length in (CONTEXT, 5):
        whole = conditioning.encode(
            SIGNALS, NAMES, song, Span(shift, TOTAL * HOP, TOTAL * HOP + shift), TOTAL, rate=RATE
        )
        span = Span(shift + start * HOP, length * HOP, TOTAL * HOP + shift)
        part = conditioning.encode(SIGNALS, NAMES, song, span, length, rate=RATE)
        for name in LABELS:
            np.testing.assert_array_equal(part[name], whole[name][start : start + length])


def test_levels_agree() -> None:
    """A code of a level above is told what the first of its codes below is."""
    song, span = Song("", TOTAL * HOP, LABELS, RATE), Span(0, TOTAL * HOP, TOTAL * HOP)
    fine = conditioning.encode(SIGNALS, NAMES, song, span, TOTAL)
    coarse = conditioning.encode(SIGNALS, NAMES, song, span, TOTAL // 4)
    for name in LABELS:
        np.testing.assert_array_equal(coarse[name], fine[name][::4])


@pytest.mark.parametrize("start", [0, 4, 56])
def test_sampling_tells_what_training_told(start: int) -> None:
    stage = types.SimpleNamespace(
        model=types.SimpleNamespace(signals=SIGNALS),
        vocabularies=NAMES,
        config={"stage": {"rate": RATE}},
    )
    step = sampling.Level(0, TOTAL, CONTEXT, 4, 0, HOP, 1.0, 0, 0.0)
    begin = 3 * HOP  # the recording starts within the song
    plan = plans.Plan(TOTAL * HOP, (step,), (), (begin,), (90 * HOP,), (0,))
    song = Song("", 0, LABELS, RATE)
    sampled = plans.labels(plan, step, stage, [song], 0, start)  # type: ignore[arg-type]
    heard = Song("songs/a.wav", 90 * HOP, LABELS, RATE)
    span = Span(begin + start * HOP, CONTEXT * HOP, 90 * HOP)
    trained = conditioning.encode(
        SIGNALS, NAMES, heard, span, CONTEXT, allow_unknown=True, rate=RATE
    )
    assert set(sampled) == set(trained) == set(SPECS)
    for name, values in trained.items():
        np.testing.assert_array_equal(sampled[name], values)
        assert values.any()


def test_examples_have_the_shapes_of_what_is_encoded() -> None:
    labels, above = conditioning.example(SIGNALS, CONTEXT, batch=3)
    found = conditioning.encode(
        SIGNALS, NAMES, Song("", 0, LABELS), Span(0, CONTEXT * HOP, 5000), CONTEXT
    )
    assert above is None
    assert {name: (one.shape, one.dtype) for name, one in labels.items()} == {
        name: ((3, *one.shape), one.dtype) for name, one in found.items()
    }


def test_each_code_has_the_rows_of_what_holds() -> None:
    found = conditioning.encode(
        SIGNALS, NAMES, Song("", 0, LABELS), Span(HOP, CONTEXT * HOP, 5000), CONTEXT
    )
    other = conditioning.encode(
        SIGNALS, NAMES, Song("", 0), Span(0, CONTEXT * HOP, 99), CONTEXT, allow_unknown=True
    )
    labels = {name: jnp.stack([found[name], other[name]]) for name in found}
    model = Conditioner(SIGNALS, CONTEXT, 6)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), labels, None))["params"]
    generator = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: generator.standard_normal(leaf.shape, np.float32), shapes)
    rows = {name: params[name]["rows"]["embedding"] for name in params}
    assert {name: table.shape for name, table in rows.items()} == {
        "tempo": (13, 6),
        "chords": (4, 6),
        "playing": (4, 6),
    }
    doors = jax.jit(lambda params: model.apply({"params": params}, labels, None))(params)
    assert doors["start"] is doors["memory"] is doors["prefix"] is None
    unknown = rows["tempo"][0] + rows["chords"][0] + rows["playing"][0]
    np.testing.assert_allclose(doors["track"][1], np.tile(unknown, (CONTEXT, 1)), rtol=1e-5)
    for place in range(CONTEXT):
        held = rows["playing"][np.flatnonzero(found["playing"][place])].sum(axis=0)
        expected = (
            rows["tempo"][found["tempo"][place]] + rows["chords"][found["chords"][place]] + held
        )
        np.testing.assert_allclose(doors["track"][0, place], expected, rtol=1e-4, atol=1e-6)


def test_dropout_hides_a_song_from_all_of_them() -> None:
    found = conditioning.encode(
        SIGNALS, NAMES, Song("", 0, LABELS), Span(4 * HOP, CONTEXT * HOP, 5000), CONTEXT
    )
    labels = {name: jnp.stack([values] * 200) for name, values in found.items()}
    dropped = jax.jit(conditioning.drop, static_argnums=0)(SIGNALS, labels, 0.25, jax.random.key(0))
    lost = np.asarray(dropped["tempo"] == 0).all(axis=1)
    assert 0.1 < lost.mean() < 0.4
    for name, signal in SIGNALS:
        hidden = np.broadcast_to(signal.nothing(), found[name].shape)
        for row, values in enumerate(np.asarray(dropped[name])):
            np.testing.assert_array_equal(values, hidden if lost[row] else found[name])
        assert dropped[name].dtype == labels[name].dtype
    told = conditioning.without(SIGNALS, {name: values[:3] for name, values in labels.items()})
    for name, values in told.items():
        np.testing.assert_array_equal(values, dropped[name][np.flatnonzero(lost)[:3]])


def test_names_are_collected() -> None:
    songs = [
        Song("a", 0, LABELS),
        Song("b", 0, {"chords": {"schedule": [[0, "c"], [1, None]]}, "playing": ["kazoo"]}),
        Song("c", 0, {"chords": [], "playing": {"lute": []}}),
        Song("d", 0, {"chords": "Bb"}),
    ]
    chords = curves.collect("chords", Track(5), songs)
    assert chords == ("Am", "Bb", "C", "C#", "c")
    assert dict(Vocabulary.build(chords).ids) == {"Am": 1, "Bb": 2, "C": 3, "C#": 4, "c": 5}
    assert curves.collect("playing", Events(9), songs) == ("drums", "kazoo", "voice")
    assert curves.collect("chords", Track(5), []) == ()
    with pytest.raises(LabelError, match="chords of e: .* cannot be read; write a name"):
        curves.collect("chords", Track(5), [Song("e", 0, {"chords": {"C": 1}})])


def test_a_prior_hears_them_from_their_code_on() -> None:
    model = Prior(
        context=CONTEXT, block=4, bins=5, width=8, layout=((("dense",), 1),), signals=SIGNALS
    )
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: 0.3 * generator.standard_normal(leaf.shape, np.float32), prior.abstract(model)
    )
    song, span = Song("", 0, LABELS), Span(2 * HOP, CONTEXT * HOP, 5000)
    found = conditioning.encode(SIGNALS, NAMES, song, span, CONTEXT)
    codes = jnp.zeros((1, CONTEXT), jnp.int32)

    @jax.jit
    def logits(labels: dict) -> jax.Array:
        return prior.logits(model, params, codes, prior.condition(model, params, labels))

    before = logits({name: values[None] for name, values in found.items()})
    assert before.shape == (1, CONTEXT, 5)
    for name, values in found.items():
        other = values.copy()
        other[5] = 1 - np.minimum(values[5], 1)
        after = logits({key: (other if key == name else one)[None] for key, one in found.items()})
        moved = np.abs(np.asarray(after - before)).max(axis=(0, 2))
        assert not moved[:5].any() and moved[5:].all()


def test_a_record_is_a_value() -> None:
    assert Curve(0, 1, 4) == conditioning.make(
        "x", dict(kind="curve", minimum=0, maximum=1, bins=4)
    )
    assert [one.door for _, one in SIGNALS] == ["track"] * 3
    assert len({*dict(SIGNALS).values()}) == 3
