"""Lyrics as a signal: the window of the text that belongs to a span, and its encoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import lyrics
from jukebox_jax.prior.conditioning import Alphabet, Conditioner, LabelError, Lyrics, LyricsPrefix

ALPHABET = Alphabet("characters", "abcdefgh ")
ENCODER = Lyrics(tokens=6, size=10, width=8, layout=((("row", "column"), 1),), block=3, rate=10)
PREFIX = LyricsPrefix(tokens=6, size=10, rate=10)
TEXT = "abcdefgh abcdefgh "


def encode(signal, labels: dict, span: Span, *, alphabet=ALPHABET, allow: bool = False):
    song = Song("songs/a.wav", 180, labels, rate=10)
    return signal.encode("lyrics", song, span, 8, alphabet, allow)


@pytest.mark.parametrize("signal", [ENCODER, PREFIX])
def test_the_window_follows_the_span(signal) -> None:
    """A text without times is spread over the song, here a character a second."""
    labels = {"lyrics": TEXT}
    for start in (0, 60, 120):
        span = Span(start, 60, 180)
        expected = lyrics.encode(TEXT, ALPHABET, 6, span, 10)
        found = encode(signal, labels, span)
        np.testing.assert_array_equal(found, expected)
        assert (
            found.dtype == np.int32 and found.tolist() == ALPHABET.tokens(TEXT)[start // 10 :][:6]
        )
    assert encode(signal, {}, Span(0, 60, 180)).tolist() == [0] * 6


def test_lines_with_times_are_read_at_the_signals_rate() -> None:
    timed = {"lyrics": [(0.0, "ab"), (9.0, "cd")]}
    late = encode(ENCODER, timed, Span(80, 40, 180))
    letters = [ALPHABET.text([token]) for token in late if token]
    assert {"c", "d"} <= set(letters)
    apart = {"lyrics": "ab cd", "lyrics_times": [(0.0, "ab"), (9.0, "cd")]}
    np.testing.assert_array_equal(encode(ENCODER, apart, Span(80, 40, 180)) > 0, late > 0)


@pytest.mark.parametrize(
    ("labels", "alphabet", "words"),
    [
        ({"lyrics": "zzz"}, ALPHABET, "lyrics of songs/a.wav: lyrics 'zzz' have no character"),
        ({"lyrics": 7}, ALPHABET, "lyrics of songs/a.wav: lyrics '7' are int"),
        ({"lyrics": TEXT}, None, "signal 'lyrics' has no alphabet"),
        ({"lyrics": TEXT}, Alphabet("v2"), "an alphabet of size 80, but the signal has size=10"),
    ],
)
def test_lyrics_that_cannot_be_are_refused(labels, alphabet, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        encode(PREFIX, labels, Span(0, 60, 180), alphabet=alphabet)


def test_a_text_of_strange_characters_may_be_allowed() -> None:
    assert not np.any(encode(PREFIX, {"lyrics": "zzz"}, Span(0, 60, 180), allow=True))


def test_the_encoder_is_causal_and_shifted() -> None:
    """Output i has read tokens 0 to i - 1: the auxiliary loss predicts token i from it."""
    model = Conditioner((("lyrics", ENCODER),), 8, 5)
    tokens = jnp.array([[1, 2, 3, 4, 5, 6]])

    def apply(params: dict, tokens: jax.Array) -> jax.Array:
        return model.apply({"params": params}, {"lyrics": tokens}, None)["memory"]

    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), {"lyrics": tokens}, None))
    leaves, tree = jax.tree.flatten(shapes["params"])
    generator = np.random.default_rng(0)
    params = jax.tree.unflatten(
        tree, [generator.standard_normal(leaf.shape, np.float32) for leaf in leaves]
    )
    norm = params["lyrics"]["norm"]
    run = jax.jit(apply, compiler_options={"xla_backend_optimization_level": 0})
    before = run(params, tokens)
    assert before.shape == (1, 6, 5)
    plain = (before - norm["bias"]) / norm["scale"]
    np.testing.assert_allclose(plain.std(-1), 1, rtol=1e-2)
    for place in range(6):
        after = run(params, tokens.at[0, place].set(9))
        changed = np.any(np.abs(after - before) > 1e-6, axis=-1)[0]
        assert not changed[: place + 1].any() and (place == 5 or changed[place + 1]), place


def test_a_prefix_is_left_to_the_prior() -> None:
    model = Conditioner((("lyrics", PREFIX),), 8, 5)
    tokens = jnp.array([[1, 2, 3, 4, 5, 6]])
    doors, variables = model.init_with_output(jax.random.key(0), {"lyrics": tokens}, None)
    assert doors["prefix"] is tokens and not variables
