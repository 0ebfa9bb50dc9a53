"""`sung`: the character of each code, wherever a window begins; what is hidden, refused, grown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio import band
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.conditioning import LabelError, Sung

RATE = 100
SIGNAL = Sung(size=8, rate=RATE)
ALPHABET = Alphabet.build(["hey you"], most=7)


def encode(labels: dict, span: Span, length: int, allow_unknown: bool = False) -> str:
    """The characters that are sung, "." for none."""
    song = Song("a.wav", span.total, labels)
    tokens = SIGNAL.encode("lyrics", song, span, length, ALPHABET, allow_unknown)
    assert tokens.dtype == np.int32 and tokens.shape == (length,)
    return "".join(ALPHABET.text([token]) if token else "." for token in tokens)


def test_characters_are_told_from_their_times_to_the_next() -> None:
    labels = {"lyrics": [[1.0, "h"], [1.5, "e"], [2.0, "y"], [2.25, " "], [3.0, "y"]]}
    # The last lasts as long as those before it on the average: half a second.
    assert encode(labels, Span(0, 500, 500), 20) == "....hheey   yy......"


def test_windows_agree_where_they_overlap() -> None:
    labels = {"lyrics": "hey you", "lyrics_times": [[0.5, "hey"], [2.0, "you"]]}
    whole = encode(labels, Span(0, 400, 400), 400)
    for start in (0, 37, 250):
        assert encode(labels, Span(start, 100, 400), 100) == whole[start : start + 100]


def test_a_text_without_times_is_spread_over_the_song() -> None:
    assert encode({"lyrics": "hey you"}, Span(0, 700, 700), 14) == "hheeyy  yyoouu"


def test_songs_without_lyrics_sing_nothing() -> None:
    assert encode({}, Span(0, 400, 400), 4) == "...."
    assert encode({"lyrics": ""}, Span(0, 400, 400), 4) == "...."


def test_the_band_sings_what_the_signal_tells() -> None:
    score = band.song(1, seconds=20.0, seed=3)
    labels = band.labels(score)
    alphabet = Alphabet.build([labels["lyrics"]], most=63)
    total = round(score.seconds * 1000)
    signal = Sung(size=64, rate=1000)
    tokens = signal.encode(
        "lyrics", Song("s", total, labels), Span(0, total, total), total, alphabet, False
    )
    for phone in score.phones[:-1]:  # when the last one ends, its label does not tell
        middle = round((phone.start + phone.end) * 500)
        if phone.end > phone.start + 0.01:
            assert alphabet.text([tokens[middle]]) == phone.character.lower()


def test_lyrics_of_another_alphabet_are_refused_by_name() -> None:
    with pytest.raises(LabelError, match=r"a\.wav.*'жж' has no character"):
        encode({"lyrics": "жж"}, Span(0, 100, 100), 4)
    assert encode({"lyrics": "жж"}, Span(0, 100, 100), 4, allow_unknown=True) == "...."
    with pytest.raises(LabelError, match="has no alphabet"):
        SIGNAL.encode("lyrics", Song("a", 9, {}), Span(0, 9, 9), 3, None, False)
    with pytest.raises(LabelError, match="belongs to another model"):
        Sung(3).encode("lyrics", Song("a", 9, {}), Span(0, 9, 9), 3, ALPHABET, False)


def test_it_is_made_from_a_config_embedded_and_hidden() -> None:
    signal = conditioning.make("lyrics", {"kind": "sung", "size": 8, "rate": RATE})
    assert signal == SIGNAL
    signals = (("lyrics", signal),)
    labels, _ = conditioning.example(signals, 6, batch=2)
    module = conditioning.Conditioner(signals, 6, 4)
    params = module.init(jax.random.key(0), labels, None)
    told = {"lyrics": jnp.array([[0, 1, 1, 2, 0, 3]] * 2)}
    track = module.apply(params, told, None)["track"]
    assert track.shape == (2, 6, 4)
    rows = params["params"]["lyrics"]["rows"]["embedding"]
    np.testing.assert_array_equal(track[0], rows[told["lyrics"][0]])
    hidden = conditioning.drop(signals, told, 1.0, jax.random.key(1))
    np.testing.assert_array_equal(hidden["lyrics"], 0)
    np.testing.assert_array_equal(conditioning.without(signals, told)["lyrics"], 0)
