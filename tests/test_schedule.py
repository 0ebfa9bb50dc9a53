"""The value that holds in a span is the one whose time its middle lies in."""

import json
from typing import Any

import pytest

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import schedule
from jukebox_jax.prior.vocabulary import LabelError

GENRES = {"schedule": [[10, "rock"], [20.5, ["folk", "polka"]], [30, None]]}


@pytest.mark.parametrize(
    ("start", "value"),
    [(0, "rock"), (900, "rock"), (1549, "rock"), (1550, ["folk", "polka"]), (2500, None)],
)
@pytest.mark.parametrize("written", [GENRES, json.dumps(GENRES)])
def test_the_middle_decides(start: int, value: Any, written: Any) -> None:
    assert schedule.at(written, Span(start, 1000, 5000), 100) == value


@pytest.mark.parametrize("value", ["rock", "{x} a", ["a", "b"], None, 3, {"other": 1}])
def test_other_values_are_left_alone(value: Any) -> None:
    assert schedule.at(value, Span(0, 10, 100), 10) is value
    assert schedule.values(value) == (value,)


def test_all_values() -> None:
    assert schedule.values(GENRES) == ("rock", ["folk", "polka"], None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"schedule": []}, "empty"),
        ({"schedule": "rock"}, "no schedule; write"),
        ({"schedule": [["rock", 1]]}, "no schedule; write"),
        ({"schedule": [[0, "a"]], "x": 1}, "no schedule; write"),
        ({"schedule": [1, 2]}, "no schedule; write"),
        ('{"schedule": [[0, "a"]', "no schedule; write"),
        ({"schedule": [[0, "a"], [0, "b"]]}, "from 0 s to 0 s"),
        ({"schedule": [[-1, "a"]]}, "seconds from 0 on"),
        ({"schedule": [[float("nan"), "a"]]}, "seconds from 0 on"),
        ({"schedule": [[0, {"schedule": [[0, "a"]]}]]}, "another schedule"),
    ],
)
def test_what_is_wrong_is_named(value: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        schedule.at(value, Span(0, 10, 100), 10)
    assert "\n" not in str(caught.value)
