"""What codes cost is put together by song, genre and place."""

import dataclasses

import numpy as np
import pytest
import singing

from jukebox_jax.audio import song
from jukebox_jax.evaluation import bits
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import price


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = singing.songs(tmp_path_factory.mktemp("songs"))
    found = song.find(folder, rate=singing.RATE)
    songs = tuple(
        dataclasses.replace(one, labels={**one.labels, "genre": "ab"[index % 2]})
        for index, one in enumerate(found)
    )
    return Subject(singing.jukebox(), songs)


def test_bits_are_those_of_the_prior(subject: Subject) -> None:
    figures = {one.name: one for one in bits.bits(subject)}
    settings = dataclasses.replace(subject.settings, hop_fraction=1.0)
    each = [
        price.bits(subject.jukebox, [one], codes, 0, settings=settings)
        for one, codes in subject.known
    ]
    a_code = figures["level 0: a code"]
    assert a_code.value == pytest.approx(float(np.concatenate(each, axis=1).mean()), abs=1e-5)
    assert a_code.low < a_code.value < a_code.high and a_code.songs == 4
    second = singing.RATE / singing.HOP
    assert figures["level 0: a second"].value == pytest.approx(second * a_code.value, rel=1e-5)
    genre = np.concatenate([each[0], each[2]], axis=1).mean()
    assert figures["level 0: genre a"].value == pytest.approx(float(genre), abs=1e-5)


def test_places(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes that cost their place in the window, where the last window overlaps the others."""
    context = singing.CONTEXT
    assert bits._places(context + 4, context).tolist() == [
        *range(context), *range(context - 4, context)
    ]  # fmt: skip

    def by_place(box: object, songs: object, codes: list, level: int, **_: object) -> np.ndarray:
        return bits._places(codes[0].shape[1], context)[None].astype(np.float32)

    monkeypatch.setattr(price, "bits", by_place)
    figures = {one.name: one for one in bits.bits(subject)}
    quarters = [figures[f"level 0: window, quarter {part}"].value for part in (1, 2, 3, 4)]
    # 62 codes: places 0 to 31, and behind them 2 to 31.
    assert quarters[0] == pytest.approx((28 + 27) / 14) and quarters == sorted(quarters)
    assert {"level 0: song, first third", "level 0: song, last third"} <= set(figures)


def test_what_cannot_be_measured(subject: Subject) -> None:
    none = Jukebox(subject.jukebox.vqvae, (None,))
    with pytest.raises(ValueError, match="no prior whose bits could be counted"):
        bits.bits(Subject(none, subject.songs))
    with pytest.raises(ValueError, match="no song is as long as a window of level 0"):
        bits.bits(Subject(subject.jukebox, subject.songs, seconds=0.05))
