"""A prior that knows where words are is told from one that does not, and so is one that sings."""

import dataclasses

import jax
import numpy as np
import pytest
import singing

from jukebox_jax.audio import song
from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import words
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Sung
from jukebox_jax.sampling import attended, price


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = singing.songs(tmp_path_factory.mktemp("songs"))
    found = song.find(folder, rate=singing.RATE)
    return Subject(singing.jukebox(), found, samples=3, sampled_seconds=0.15)


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {one.name: one for one in figures}


def test_words_that_are_found(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Songs whose words come in the first half: an even spread is wrong, the attention right."""
    half = []
    for one in subject.songs:
        text = one.labels["lyrics"]
        times = [[0.1 * place / len(text), letter] for place, letter in enumerate(text)]
        half.append(Song(one.path, one.samples, {"lyrics": text, "lyrics_times": times}, one.rate))
    early = Subject(subject.jukebox, tuple(half))

    def right(box: object, songs: list[Song], codes: list, layer: int, heads: list, *_: object):
        text, length = songs[0].labels["lyrics"], codes[0].shape[1]
        assert "lyrics_times" not in songs[0].labels
        seconds = (np.arange(length) + 0.5) * singing.HOP / singing.RATE
        sung = np.minimum(seconds / 0.1 * len(text), len(text) - 1).astype(int)
        weights = np.zeros((len(heads), length, len(text)), np.float32)
        weights[:, np.arange(length), sung] = 1
        return [weights]

    monkeypatch.setattr(attended, "matrices", right)
    found = by_name(words.alignment(early))
    off, spread = found["words begin off by, median"], found["text spread evenly, median"]
    assert off.value < 0.005 < spread.value and off.songs == 4
    better = found["better than spread evenly, mean"]
    assert better.low is not None and better.low > 0
    assert "11 words" in off.note and found["times drawn at random, median"].value > off.value


def test_codes_that_follow_their_lyrics(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each song is held against others' lyrics, never against its own."""

    def bits(box: object, songs: list[Song], *_: object, **__: object) -> np.ndarray:
        own = songs[0].labels["lyrics"]
        assert own not in [one.labels["lyrics"] for one in songs[1:]] and len(songs) == 4
        assert all("lyrics_times" not in one.labels for one in songs)
        return np.array([[1.5, 2.5], [2.5, 2.5], [2.5, 2.5], [3.2, 3.0]])

    monkeypatch.setattr(price, "bits", bits)
    found = by_name(words.lyrics_followed(subject))
    assert found["held out: other lyrics cost"].value == pytest.approx(0.7)
    assert found["held out: other lyrics cost"].songs == 4
    assert found["sampled: other lyrics cost"].songs == 3
    assert found["sampled: under its own"].value == 2.0


def test_lyrics_that_are_told_in_time(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prior that is told the character at each code goes by the times of all lyrics."""
    (stage,) = subject.jukebox.priors
    assert stage is not None
    model = dataclasses.replace(
        stage.model, signals=(("lyrics", Sung(12, singing.RATE)),), layout=((("row",), 1),)
    )
    rng = np.random.default_rng(3)
    weights = jax.tree.map(
        lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), prior.abstract(model)
    )
    told = dataclasses.replace(stage, model=model, weights=weights)
    box = dataclasses.replace(subject.jukebox, priors=(told,))
    assert words.reader(box) == words.Reader(0, "lyrics", True)
    seen = []

    def costs(box: object, songs: list[Song], codes: list, *_: object, **__: object) -> np.ndarray:
        seen.append([one.labels["lyrics"] for one in songs])
        return real(box, songs, codes, *_, **__)

    real = price.bits
    monkeypatch.setattr(price, "bits", costs)
    found = by_name(words.lyrics_followed(dataclasses.replace(subject, jukebox=box)))
    assert found["held out: other lyrics cost"].songs == 4
    assert np.isfinite(found["sampled: other lyrics cost"].value)
    assert all(isinstance(one, tuple) for songs in seen for one in songs)
    assert all(len(set(songs)) == 4 for songs in seen)
    assert seen[0][0][2] == (pytest.approx(0.0625), " ")


def test_what_cannot_be_measured(subject: Subject) -> None:
    silent = tuple(Song(one.path, one.samples, {}, one.rate) for one in subject.songs)
    with pytest.raises(ValueError, match="none of the songs has lyrics"):
        words.alignment(Subject(subject.jukebox, silent))
    with pytest.raises(ValueError, match="fewer than two songs have lyrics"):
        words.lyrics_followed(Subject(subject.jukebox, silent))
