"""Vowels are told apart where the lyrics have them, and nowhere else."""

import numpy as np
import pytest

from jukebox_jax.audio.band import voice
from jukebox_jax.evaluation import fresh, vowels
from jukebox_jax.prior.lyrics import Lyric

RATE = 16000
SINGER = voice.Voice(48, 60, 1.0, 1.0, 0.02, 0.2, 0.05)
SYLLABLES = ("ma ", "le ", "ki ", "no ", "tu ")


def song(seed: int) -> tuple[np.ndarray, dict]:
    """A voice alone, that sings syllables in some order."""
    rng = np.random.default_rng(seed)
    chosen = [SYLLABLES[at] for at in rng.integers(5, size=12)]
    starts = [0.4 * at + 0.5 for at in range(12)]
    ends, pitches = [start + 0.35 for start in starts], rng.integers(50, 58, 12).tolist()
    phones = voice.spell(chosen, starts, ends, pitches, [0.7] * 12)
    sound = voice.sing(phones, SINGER, RATE, 6 * RATE, seed)
    return sound, {"lyrics": [[phone.start, phone.character] for phone in phones]}


def test_vowels_that_are_sung_are_heard() -> None:
    judge = vowels.learn([song(seed) for seed in range(20)], RATE)
    assert judge.names == tuple("aeiou")
    found = vowels.figure(judge, [song(seed) for seed in range(100, 106)], RATE, "new")
    assert found.value > 90 and found.unit == "%" and found.songs == 6
    assert "chance 20 %" in found.note and "72 vowels" in found.note
    others = float(found.note.split(", ")[1].split(" %")[0])
    assert others < 40


def test_other_words_than_those_that_are_sung() -> None:
    """Each song under the lyrics of the next."""
    judge = vowels.learn([song(seed) for seed in range(20)], RATE)
    songs = [song(seed) for seed in range(100, 112)]
    swapped = [(sound, songs[at - 1][1]) for at, (sound, _) in enumerate(songs)]
    found = vowels.figure(judge, swapped, RATE, "new")
    assert found.value < 35


def test_which_vowels_count() -> None:
    """Those within the sound, that last; loudness and case do not matter."""
    sound, told = song(3)
    letters, vectors = vowels.heard(sound, RATE, Lyric.of(told))
    assert len(letters) == 12 == len(vectors) and set(letters) <= set(vowels.VOWELS)
    half, _ = vowels.heard(sound[: 3 * RATE], RATE, Lyric.of(told))
    assert half == letters[: len(half)] and 5 <= len(half) <= 7
    upper = Lyric.of({"lyrics": [[start, one.upper()] for start, one in told["lyrics"]]})
    again, louder = vowels.heard(0.5 * sound, RATE, upper)
    assert again == letters
    np.testing.assert_allclose(louder, vectors, atol=1.0)


def test_songs_without_words_that_have_times() -> None:
    sound = song(3)[0]
    for lyric in (Lyric(), Lyric("ma le ki")):
        letters, vectors = vowels.heard(sound, RATE, lyric)
        assert letters == [] and vectors.shape == (0, 38)
    judge = vowels.learn([song(seed) for seed in range(4)], RATE)
    assert np.isnan(vowels.figure(judge, [(sound, {})], RATE, "silent").value)
    with pytest.raises(ValueError, match="give more to learn from"):
        vowels.learn([(sound, {})], RATE)


def test_the_bands_singers() -> None:
    """Through its instruments too: songs that were not learnt from."""
    songs = [*fresh.sounds(30, 8.0, fresh.LEARN, RATE, 4.0)]
    heard = [(sound[:, 0], told) for sound, told in songs]
    judge = vowels.learn(heard[:24], RATE)
    found = vowels.figure(judge, heard[24:], RATE, "new")
    assert found.low is not None and found.low > 40
