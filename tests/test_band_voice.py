"""Every character has its time and a sound of its own."""

import string

import numpy as np
import pytest

from jukebox_jax.audio.band import artists, voice
from jukebox_jax.audio.band.voice import Phone

RATE = 16000
SINGER = artists.ARTISTS["The Copper Foxes"].voice


def sung(
    text: str, pitch: float = 57.0, seconds: float = 0.2, rate: int = RATE
) -> list[np.ndarray]:
    """Each letter between two vowels of its own, cut out with what is around it."""
    phones, time = [], 0.5
    for letter in text:
        for one in ("a", letter, "a"):
            phones.append(Phone(one, time, time + seconds, pitch, 0.8))
            time += seconds
        time += 1.0
    audio = voice.sing(phones, SINGER, rate, int((time + 1) * rate), seed=len(text))
    return [audio[int(p.start * rate) : int(p.end * rate)] for p in phones[1::3]]


def shape(sound: np.ndarray, rate: int) -> np.ndarray:
    """Log of the smoothed spectrum, in 24 bands, of the beginning and the end of a sound."""
    rows = []
    for part in np.array_split(sound, 3)[::2]:
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)), rate // 4)) ** 2 / len(part)
        kernel = np.hanning(120) / np.hanning(120).sum()  # of 4 Hz each: wider than a harmonic
        smooth = np.convolve(power, kernel, "same")
        rows.append(np.log(smooth[(np.geomspace(150, 0.475 * rate, 24) / 4).astype(int)] + 1e-4))
    return np.concatenate(rows)


@pytest.mark.parametrize("rate", [8000, 22050])
@pytest.mark.parametrize("pitch", [57.0, 59.0])
def test_each_letter_is_recognised(rate: int, pitch: float) -> None:
    """A letter sung again, at another pitch and length, is nearest to itself of all letters."""
    letters = string.ascii_lowercase
    once = [shape(one, rate) for one in sung(letters, rate=rate)]
    again = [shape(one, rate) for one in sung(letters[::-1], pitch, 0.23, rate)][::-1]
    distance = np.array([[np.linalg.norm(a - b) for a in once] for b in again])
    wrong = [letters[i] for i, nearest in enumerate(distance.argmin(axis=1)) if nearest != i]
    assert not wrong


def test_vowels_have_their_formants() -> None:
    for vowel, sound in zip("aeiou", sung("aeiou", 45.0, 0.4), strict=True):
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
        smooth = np.convolve(power, np.hanning(2 * int(110 / hertz[1])), "same")
        first, second, third = voice.SOUNDS[vowel].formants
        at = {one: smooth[int(one / hertz[1])] for one in (first, second, third, 1.5 * third)}
        assert at[first] > 0.1 * smooth.max(), vowel
        assert at[second] > 2 * smooth[int(np.sqrt(second * third) / hertz[1])], vowel
        assert at[third] > 2 * at[1.5 * third], vowel


def test_the_pitch_is_sung() -> None:
    for pitch in (52, 60, 65):
        (sound,) = sung("a", pitch, 0.3)
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 16)) ** 2
        turns = np.fft.irfft(power)[: RATE // 60]
        lag = int(np.argmax(turns[RATE // 600 :])) + RATE // 600
        assert abs(12 * np.log2(RATE / lag / 440) + 69 - pitch) < 0.6


def test_a_word_is_spelt_in_time() -> None:
    phones = voice.spell(
        ["riv", "er ", "song"], [1.0, 1.5, 2.0], [1.5, 2.0, 3.0], [60, 62, 64], [1] * 3
    )
    assert "".join(phone.character for phone in phones) == "river song"
    times = [phone.start for phone in phones]
    assert times == sorted(times) and times[0] < 1.0
    starts = dict(zip("rive", times, strict=False))
    assert starts["i"] == 1.0 and phones[3].start == 1.5 and phones[7].start == 2.0
    assert [phone.pitch for phone in phones] == [60] * 3 + [62] * 3 + [64] * 4
    assert phones[5].start == phones[5].end < phones[6].start, "a space is silent"
    assert max(phone.end for phone in phones) == 3.0
    vowel = phones[7]
    assert vowel.end - vowel.start > 0.7, "vowels fill the note"
    for one, following in zip(phones, phones[1:], strict=False):
        assert one.end <= following.start + 1e-9


@pytest.mark.parametrize("text", ["mm", "strengths", "a", "you", "Oh, ", "x\n\n"])
def test_any_syllable_keeps_its_order(text: str) -> None:
    for gap in (0.02, 0.3):
        starts = [0.01, 0.01 + gap, 0.01 + 2 * gap]
        ends = [*starts[1:], starts[2] + gap]
        phones = voice.spell([text] * 3, starts, ends, [60] * 3, [1] * 3)
        assert "".join(phone.character for phone in phones) == 3 * text
        times = [time for phone in phones for time in (phone.start, phone.end)]
        assert (np.diff(times) > -1e-9).all() and times[0] >= 0


def test_silence_is_silent_and_edges_are_cut() -> None:
    phones = [Phone("?", 0.0, 0.5, 60, 1.0), Phone(" ", 0.5, 0.5, 60, 1.0)]
    assert not voice.sing(phones, SINGER, RATE, RATE, 0).any()
    assert not voice.sing([], SINGER, RATE, 100, 0).any()
    long = [Phone("a", 0.0, 2.0, 60, 1.0)]
    whole = voice.sing(long, SINGER, RATE, 3 * RATE, 0)
    np.testing.assert_array_equal(voice.sing(long, SINGER, RATE, RATE, 0), whole[:RATE])
    assert not whole[int(2.1 * RATE) :].any()


def test_every_letter_has_a_sound() -> None:
    assert set(voice.SOUNDS) == set(string.ascii_lowercase)
    assert len(set(voice.SOUNDS.values())) == 26
