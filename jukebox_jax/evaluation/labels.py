"""Whether a sampled song has its artist's timbre, its genre's rhythm, its beats and its lyrics.

The procedural band's labels are known, and it plays as many songs as one likes: a classifier
learns from songs that went through the VQ-VAE, is tested on others, and then judges sampled songs.
Its own accuracy, on sound as it is and through the VQ-VAE, stands beside what it says of those.
Beats are those that a tracker hears, and vowels those that a classifier hears when the lyrics have
one, against those that were asked for.
Lyrics are told by the prior that reads them: codes are taken for those of the lyrics under which
they cost least.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import measure
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.evaluation import classifier, figures, fresh, progress, traits, vowels, words
from jukebox_jax.evaluation.drawn import apart
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.prior.conditioning import Beats
from jukebox_jax.sampling import compose

TRAITS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "artist": traits.timbre,
    "genre": traits.rhythm,
}
"""What each label is recognised by."""

_TEST = 48  # songs that the classifiers are tested on
_SHORTEST = 2.0  # seconds of sampled songs in which a rhythm can be heard
_NEAR = 0.07  # seconds within which a beat counts as found, as is usual
_GRID = 1000  # moments a second at which a label of beats is read
_ANY_BAR = 1 << 20  # beats: a bar that long is none


def labels(subject: Subject) -> list[Figure]:
    """How often sampled songs are taken for what they were asked to be.

    Raises:
      ValueError: the songs are not the procedural band's, nothing can be sampled, or it is too
        short.
    """
    box = subject.jukebox
    if not fresh.plays(subject.songs):
        raise ValueError(
            "only labels of the procedural band are known well enough: give stages that were "
            "trained on it, or --songs=band:"
        )
    drawn = subject.drawn
    length = drawn.audio.shape[1]
    if length < _SHORTEST * box.rate:
        raise ValueError(
            f"sampled songs of {length / box.rate:.2f} s are too short: give "
            f"--sampled_seconds={_SHORTEST:g} or more"
        )
    learnt, unspoilt = heard(subject, subject.learn, fresh.LEARN, drawn.level, length)
    tested, plain = heard(subject, _TEST, fresh.TEST, drawn.level, length)
    asked = [song.labels for song in drawn.songs]
    new = [(sound[:, 0], told) for sound, told in zip(drawn.audio, asked, strict=True)]
    sets = {
        "sampled songs": (learnt, new),
        "other songs through the VQ-VAE": (learnt, tested),
        "other songs as they are": (learnt, plain),
        "the same, learnt from songs as they are": (unspoilt, plain),
    }
    found = [
        _judged(name, trait, *both, box.rate, title)
        for name, trait in TRAITS.items()
        for title, both in sets.items()
    ]
    for title in ("sampled songs", "other songs through the VQ-VAE", "other songs as they are"):
        found += _in_time(sets[title][1], box.rate, title)
    sets.pop("other songs as they are")  # whose vowels sound otherwise
    return found + _vowels(sets, box.rate) + _sung(subject)


Heard = Sequence[tuple[np.ndarray, Mapping[str, Any]]]
"""Sounds, f32[samples], with their labels."""


def heard(subject: Subject, count: int, seed: int, level: int, length: int) -> tuple[Heard, Heard]:
    """The beginnings of songs of the band, through the VQ-VAE and as they are.

    Args:
      subject: what is measured.
      count: how many songs.
      seed: of the collection.
      level: by whose codes they go through the VQ-VAE.
      length: samples of each.
    """
    box, pace = subject.jukebox, progress.Pace(f"{count} songs of the band", count)
    through, plain = [], []
    loud = fresh.singer(box.vqvae.config)
    seconds = max(fresh.seconds(subject.songs), 1.2 * length / box.rate)
    for sound, told in fresh.sounds(count, seconds, seed, box.rate, loud):
        cut = sound[:length]
        codes = compose.prime(box, cut[None])
        decoded = compose.decode(box, codes[level], level)[0]
        through.append((decoded[:, 0], told))
        plain.append((cut[: len(decoded), 0], told))
        pace.reach(len(plain))
    return through, plain


def _judged(
    name: str,
    trait: Callable[[np.ndarray, int], np.ndarray],
    learnt: Heard,
    songs: Heard,
    rate: int,
    title: str,
) -> Figure:
    """How often songs are taken for what they are labelled as, by what was learnt from others."""
    vectors = np.stack([trait(sound, rate) for sound, _ in learnt])
    judge = classifier.learn(vectors, [told[name] for _, told in learnt])
    known = [(sound, told[name]) for sound, told in songs if told.get(name) in judge.names]
    right = 0
    if known:
        taken = judge(np.stack([trait(sound, rate) for sound, _ in known]))
        right = sum(one == label for one, (_, label) in zip(taken, known, strict=True))
    title = f"{name}, by {trait.__name__}: {title}"
    note = f"chance {100 / len(judge.names):.0f} %; learnt from {len(learnt)} songs"
    return figures.of_share("labels", title, right, len(known), note=note)


def _in_time(songs: Heard, rate: int, title: str) -> list[Figure]:
    """How well the beats that are heard are those of the labels, where songs have any."""
    told = [beats_of(labels, len(sound) / rate) for sound, labels in songs if labels.get("beats")]
    if len(told) < len(songs) or len(songs) < 2:
        return []
    scores: list[np.ndarray] = []
    others: list[float] = []
    for index, (sound, _) in enumerate(songs):
        heard = np.array(measure.beats(sound[:, None], rate) or [])
        scores.append(np.array([f_measure(heard, told[index])]))
        others.append(f_measure(heard, told[index - 1]))
    note = f"{np.mean(others):.2f} against another song's; within {1000 * _NEAR:.0f} ms, of 1"
    return [figures.of_songs("labels", f"beats, F-measure: {title}", scores, note=note)]


def beats_of(labels: Mapping[str, Any], seconds: float) -> np.ndarray:
    """The beats that a song's label asks for up to a time, f64[count] in ascending seconds.

    They are read as a prior is told of them, in whatever form: listed, or as a tempo.

    Raises:
      LabelError: beats that cannot be read.
    """
    count = int(seconds * _GRID)
    halves = Beats(bins=2, most=_ANY_BAR, rate=_GRID).encode(
        "beats", Song("", count, labels, _GRID), Span(-1, count + 1, count), count + 1, None, False
    )
    return np.flatnonzero(np.diff((halves - 1) % 2) < 0) / _GRID


def f_measure(heard: np.ndarray, told: np.ndarray) -> float:
    """How well two lists of ascending seconds agree, from 0 to 1, as beat trackers are judged.

    Source: Dixon, Evaluation of the audio beat tracking system BeatRoot, 2007, equation 1.
    """
    hits, at = 0, 0
    for second in told:  # each beat that is heard counts for one that was told at most
        while at < len(heard) and heard[at] < second - _NEAR:
            at += 1
        if at < len(heard) and heard[at] <= second + _NEAR:
            hits, at = hits + 1, at + 1
    return 2 * hits / max(1, len(heard) + len(told))


def _vowels(sets: Mapping[str, tuple[Heard, Heard]], rate: int) -> list[Figure]:
    """How many vowels are those of the lyrics, where songs are long enough for singing."""
    try:
        return [
            vowels.figure(vowels.learn(learnt, rate), songs, rate, title)
            for title, (learnt, songs) in sets.items()
        ]
    except ValueError:  # too few to learn from
        return []


def _sung(subject: Subject) -> list[Figure]:
    """How often codes cost least under their own lyrics, where a prior is told any."""
    box, drawn = subject.jukebox, subject.drawn
    try:
        read = words.reader(box)
    except ValueError:
        return []
    new = apart(drawn.songs, drawn.codes)
    found = []
    for title, pairs in (("sampled songs", new), ("held-out songs", subject.known)):
        told = read.told(pairs)
        texts = sorted({song.labels[read.name] for song, _ in told}, key=str)
        known = told if len(texts) > words.OTHERS else []
        costs = [
            words.costs(subject, read.level, read.name, song, codes, texts)
            for song, codes in progress.follow(known, "whose lyrics songs have")
        ]
        right = sum(int(one.argmin() == 0) for one in costs)
        note = f"chance {100 / (1 + words.OTHERS):.0f} %; by what codes cost"
        found.append(figures.of_share("labels", f"lyrics: {title}", right, len(costs), note=note))
    return found
