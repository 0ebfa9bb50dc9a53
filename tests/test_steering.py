"""Each song is drawn as it says, at every place of every level."""

from typing import Any

import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.prior.conditioning import Label, LabelError, Timing
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import settings, steering
from jukebox_jax.sampling.settings import Level, Settings
from jukebox_jax.sampling.steering import Drawing

MODEL = Prior(context=8, signals=(("artist", Label(3)),), label_dropout=0.5)


def level(which: int = 1, **more: Any) -> Level:
    return settings.at(Settings(**more), which, levels=3, total=80, context=8, factor=0, samples=10)


def drawing(*labels: dict[str, Any], step: Level | None = None, model: Prior = MODEL) -> Drawing:
    """At 10 samples a code and 10 a second, a code a second."""
    songs = tuple(Song("", 0, one) for one in labels)
    return steering.drawing(step or level(), model, songs, rate=10)


def test_songs_alike_are_drawn_by_plain_numbers() -> None:
    found = drawing({}, {}, step=level(temperature=(1.0, 0.9, 0.8), top_k=5)).at([0, 1], [0, 8])
    assert found == {"temperature": 0.9, "top_k": 5, "top_p": None, "guidance": None}
    off = drawing({"top_k": 0, "guidance": 1}, step=level(temperature=0.5)).at([0], [0])
    assert off == {"temperature": 0.5, "top_k": None, "top_p": None, "guidance": None}


def test_a_song_may_have_its_own_at_one_level_or_all() -> None:
    songs = ({"temperature": "0.5"}, {}, {"levels": {"1": {"temperature": 2, "top_p": 0.5}}})
    found = drawing(*songs).at([2, 0, 1], [0, 0, 0])
    assert found["temperature"].shape == (3, 8) and found["temperature"].dtype == np.float32
    assert found["temperature"][:, 3].tolist() == [2.0, 0.5, np.float32(0.99)]
    assert found["top_p"][:, 3].tolist() == [0.5, 0.0, 0.0] and found["top_k"] is None
    other = drawing(*songs, step=level(0)).at([2], [0])
    assert other["temperature"][0, 0] == np.float32(0.99) and other["top_p"] is None


def test_numbers_over_time_are_those_of_the_place() -> None:
    over = {"temperature": [[4, 1.0], [8, 3.0]], "top_k": [[0, 7], [5, 1]]}
    found = drawing(over, {"temperature": {"schedule": [[0, 1.0], [6, 2.0]]}}).at([0, 1], [3, 0])
    assert found["temperature"][0].tolist() == [1, 1, 1.5, 2, 2.5, 3, 3, 3]
    assert found["temperature"][1].tolist() == [1] * 6 + [2] * 2
    assert found["top_k"][0].tolist() == [7, 7, 1, 1, 1, 1, 1, 1] and not found["top_k"][1].any()


def test_numbers_over_time_of_all_songs_or_of_one_level() -> None:
    pairs = ((0, 1.0), (4, 2.0))
    for given in (pairs, (0.5, pairs, 0.5), [list(map(list, pairs))] * 3):
        found = drawing({}, step=level(temperature=given)).at([0], [0])
        assert found["temperature"].tolist() == [[1, 1.25, 1.5, 1.75, 2, 2, 2, 2]]
    assert level(0, temperature=(0.5, pairs, 0.5)).temperature == 0.5


def test_only_guided_songs_are_guided() -> None:
    made = drawing({"guidance": 3}, {}, {"guidance": [[0, 1], [8, 3]]})
    assert [made.guided(song) for song in range(3)] == [True, False, True]
    assert made.at([1], [0])["guidance"] is None
    found = made.at([0, 2], [0, 0])["guidance"]
    assert found[0].tolist() == [3] * 8 and found[1].tolist() == [
        1 + place / 4 for place in range(8)
    ]


@pytest.mark.parametrize(
    "model", [MODEL.clone(label_dropout=0.0), MODEL.clone(signals=(("timing", Timing(3, 1, 9)),))]
)
def test_a_prior_that_knows_no_song_without_labels_cannot_be_guided(model: Prior) -> None:
    with pytest.raises(ValueError, match="guidance at level 1: .*without label dropout"):
        drawing({}, step=level(guidance=2.0), model=model)
    with pytest.raises(ValueError, match="guidance at level 1"):
        drawing({}, {"guidance": 0.5}, model=model)
    drawing({"guidance": 1}, step=level(guidance=(2.0, 1.0, 1)), model=model)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"temperature": 0}, "temperature=0 at level 1 of song 0: give a number above 0"),
        ({"top_k": [[0, 1.5]]}, "top_k=1.5 at level 1 of song 0"),
        ({"top_p": "much"}, "top_p at level 1 of song 0: .*cannot be read"),
        ({"guidance": -1}, "guidance=-1 at level 1 of song 0"),
        ({"levels": {"1": {"temperature": [[3, 1.0], [2, 1.0]]}}}, "from 3 s back to 2 s"),
        ({"levels": [1]}, r"levels = \[1\] cannot be read; write {level: {label: value}}"),
        ({"levels": {"top": {}}}, "levels = .*cannot be read"),
        ({"levels": {1: {"seed": 3}}}, "levels.1.seed: say it of the whole song"),
    ],
)
def test_songs_that_cannot_be_drawn(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        drawing(labels)
    assert "\n" not in str(caught.value)


def test_labels_of_one_level() -> None:
    song = Song("", 0, {"artist": "ada", "levels": '{"0": {"artist": "eve"}}', "seed": 3})
    assert steering.at_level(song, 1) is song
    assert steering.at_level(song, 0).labels["artist"] == "eve"
    assert steering.at_level(song, 0).labels["seed"] == 3


def test_settings_over_time_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="temperature=-1.0 at level 1"):
        level(temperature=((0, 1.0), (3, -1.0)))
    with pytest.raises(ValueError, match="approximate_pieces=0 at level 1: give a whole number"):
        level(approximate_pieces=0)
    with pytest.raises(ValueError, match="approximate_overlap=1.0: give a part of the context"):
        Settings(approximate_overlap=1.0)
