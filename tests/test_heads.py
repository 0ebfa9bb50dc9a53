"""The head that follows the lyrics is found, stored with its stage, and used from then on."""

import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Stage
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import alignment, attended, heads

TEXT = "la lo le"
CODE = singing.HOP / singing.RATE
TRUE = [5, 6, 7, 20, 21, 22, 30, 31]  # the code at which each character is sung


def song(**labels: object) -> Song:
    return Song("a.wav", 40 * singing.HOP, {"lyrics": TEXT, **labels}, singing.RATE)


def timed() -> Song:
    pairs = [[code * CODE, one] for code, one in zip(TRUE, TEXT, strict=True)]
    return song(lyrics_times=pairs)


def reading(begins: list[int], strength: float) -> np.ndarray:
    weights = np.zeros((40, len(TEXT)), np.float32)
    for token, (begin, end) in enumerate(zip(begins, [*begins[1:], 40], strict=True)):
        weights[begin:end, token] = strength
    return weights


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Song]:
    """The songs that the model is shown; head 0 follows firmly but late, head 1 is right."""
    shown: list[Song] = []
    late = [place + 6 for place in TRUE]

    def matrices(box: object, songs: list, codes: object, layer: int, which: range, *_: object):
        shown.extend(songs)
        both = [reading(late, 0.9), reading(TRUE, 0.3)]
        return [np.stack([both[head] for head in which])]

    monkeypatch.setattr(attended, "matrices", matrices)
    return shown


def test_times_decide_where_there_are_any(told: list[Song]) -> None:
    codes = [np.zeros((1, 40), np.int32)]
    first, second = heads.search(singing.jukebox(), [(timed(), codes)])
    assert (first.layer, first.head, first.words) == (0, 1, 3)
    assert first.seconds == pytest.approx(0, abs=1e-9)
    assert second.seconds == pytest.approx(6 * CODE)
    assert second.follows > first.follows
    assert all("lyrics_times" not in one.labels for one in told)  # the model is not told
    lines = heads.table([first, second])
    assert "0.000 s" in lines[1] and lines[-1] == "judged by 3 words"


def test_otherwise_the_head_that_follows_best(told: list[Song]) -> None:
    codes = [np.zeros((1, 40), np.int32)]
    first, _ = heads.search(singing.jukebox(), [(song(), codes), (Song("", 9), codes)])
    assert (first.head, first.seconds, first.words) == (0, None, 0)
    assert heads.find(singing.jukebox(), [timed()], codes) == (0, 0)
    with pytest.raises(ValueError, match="none of the songs has lyrics"):
        heads.search(singing.jukebox(), [(Song("", 9), codes)])


def test_a_stored_head_is_read(told: list[Song], tmp_path: pathlib.Path) -> None:
    _, directory = singing.save(tmp_path)
    assert heads.known(Stage.load(directory)) is None
    heads.store(directory, heads.Found(0, 1, 0.5, 0.25, 9))
    stage = Stage.load(directory)
    assert heads.known(stage) == (0, 1) and stage.alignment["seconds"] == 0.25
    box = type(singing.jukebox())(singing.jukebox().vqvae, (stage,))
    (found,) = alignment.align(box, [song()], [np.zeros((1, 40), np.int32)])
    np.testing.assert_allclose(found.times or (), np.array(TRUE) * CODE)
    (directory / "alignment.json").write_text('{"layer": 1, "head": 0}')
    with pytest.raises(ValueError, match="alignment.json names head 0 of layer 1, but"):
        heads.known(Stage.load(directory))


def test_errors_are_those_of_words_in_the_recording() -> None:
    truth = Lyric("ab cd ef", tuple(float(place) for place in range(8)))
    found = Lyric("ab cd ef", tuple(place + 0.5 for place in range(8)))
    assert heads.word_errors(truth, found, 8.0).tolist() == [0.5, 0.5, 0.5]
    assert heads.word_errors(truth, found, 4.0).tolist() == [0.5, 0.5]
    assert heads.word_errors(truth, Lyric("ab cd ef"), 4.0).tolist() == [4.0, 4.0]
    assert not len(heads.word_errors(None, found, 4.0))
    late = Song("", 9, {"lyrics_times": [[1.0, "ab"], [3.0, "cd"]], "start_seconds": 2.0})
    sung = heads.true_words(late, "lyrics", 2.0)
    assert sung is not None and heads.word_errors(sung, sung, 2.0).tolist() == [0.0]
    assert heads.true_words(song(), "lyrics", 2.0) is None
