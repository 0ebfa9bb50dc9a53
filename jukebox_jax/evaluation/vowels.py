"""Whether the vowels of the lyrics are heard at their times: if words are sung, and in time.

A classifier learns how vowels sound from songs whose letters have times, and is asked which vowel
sounds where the lyrics have one. Vowels last, and little else of a word survives a small VQ-VAE.
Nothing here knows of stages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import mel
from jukebox_jax.evaluation import classifier, figures
from jukebox_jax.evaluation.classifier import Classifier
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.prior.lyrics import Lyric

VOWELS = "aeiou"

_SHORTEST, _LONGEST = 0.03, 0.3  # seconds of a vowel that are listened to
_BEFORE = 0.1  # seconds before a vowel, against which its change is heard


def heard(sound: np.ndarray, rate: int, lyric: Lyric) -> tuple[list[str], np.ndarray]:
    """How the vowels of a song sound.

    Args:
      sound: f32[samples].
      rate: samples a second.
      lyric: what is sung in it, with times.

    Returns:
      The vowels that lie within the sound, in order, and f64[vowels, 38]: mel cepstra of each,
      without the loudness, and by how much they differ from just before; both relative to the
      song's own mean, so that singers and instruments count for less.
    """
    frames = mel.cepstra(sound, rate)
    second = (len(frames) - 1) * rate / len(sound)  # frames in one
    ends = [start for start, _ in lyric.pairs[1:]] + [np.inf]
    letters, rows = [], []
    for (start, character), end in zip(lyric.pairs, ends, strict=False):
        letter, stop = character.lower(), min(end, start + _LONGEST)
        inside = start >= _BEFORE and stop * rate <= len(sound)
        if letter in VOWELS and inside and end - start >= _SHORTEST:
            first = round(start * second)
            last = max(round(stop * second), first + 1)
            before = round((start - _BEFORE) * second)
            own = frames[first:last].mean(axis=0)
            change = own - frames[before : max(first - 1, before + 1)].mean(axis=0)
            letters.append(letter)
            rows.append(np.concatenate([own[1:], change[1:]]))
    if not rows:
        return [], np.zeros((0, 2 * (frames.shape[1] - 1)))
    vectors = np.stack(rows)
    return letters, vectors - vectors.mean(axis=0)


def learn(songs: Sequence[tuple[np.ndarray, Mapping[str, Any]]], rate: int) -> Classifier:
    """How vowels sound, from sounds, f32[samples], and their labels.

    Raises:
      ValueError: there are too few vowels to learn from.
    """
    found = [heard(sound, rate, Lyric.of(told)) for sound, told in songs]
    letters = [letter for one, _ in found for letter in one]
    return classifier.learn(np.concatenate([vectors for _, vectors in found]), letters)


def figure(
    judge: Classifier,
    songs: Sequence[tuple[np.ndarray, Mapping[str, Any]]],
    rate: int,
    title: str,
) -> Figure:
    """How many vowels are heard as those of the lyrics, and how many as those of other lyrics."""
    own, others, before = [], [], np.zeros(0, str)
    asked = [heard(sound, rate, Lyric.of(told)) for sound, told in songs]
    asked = [one for one in asked if one[0]]
    if len(asked) > 1:
        before = np.array(asked[-1][0])
    for letters, vectors in asked:
        taken, told = np.array(judge(vectors)), np.array(letters)
        own.append(100.0 * (taken == told))
        if len(before):
            others.append(100.0 * (taken == np.resize(before, len(taken))))
        before = told
    control = f"{np.concatenate(others).mean():.0f} % as another song's" if others else ""
    note = ", ".join(filter(None, (f"chance {100 / len(judge.names):.0f} %", control)))
    note += f"; {sum(map(len, own))} vowels"
    return figures.of_songs("labels", f"vowels, by sound: {title}", own, unit="%", note=note)
