"""What is written over time is read in all its forms, or else refused in one line."""

import json
import math
from typing import Any

import numpy as np
import pytest

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import timeline
from jukebox_jax.prior.vocabulary import LabelError

POINTS = [[0, -40], [10.5, -20.0]]
NAMES = [[0, "verse"], [8, "chorus"], [8, "bridge"]]
PLAYED = {"drums": [[0, 4], [6, 9]], "bass": []}


def test_a_code_begins_at_its_own_second() -> None:
    found = timeline.seconds(Span(300, 400, 10_000), 4, 100)
    assert found.tolist() == [3.0, 4.0, 5.0, 6.0]
    long = timeline.seconds(Span(0, 128 * 100_000, 128 * 100_000), 100_000, 44100)
    for start in (1, 4097, 91_808):
        part = timeline.seconds(Span(128 * start, 128 * 8192, 128 * 100_000), 8192, 44100)
        np.testing.assert_array_equal(part, long[start : start + 8192])


def test_the_latest_holds() -> None:
    at = np.array([0.0, 1.9, 2.0, 5.0, 5.1])
    assert timeline.latest(np.array([2.0, 5.0, 5.0]), at).tolist() == [0, 0, 0, 2, 2]


@pytest.mark.parametrize("write", [lambda value: value, json.dumps, lambda v: np.array(v)])
def test_points_of_a_curve(write: Any) -> None:
    times, numbers, held = timeline.points(write(POINTS))
    assert (times.tolist(), numbers.tolist(), held) == ([0, 10.5], [-40, -20], False)


@pytest.mark.parametrize("value", [120, 120.0, "120", " 120.0", np.float32(120)])
def test_one_number_is_one_point(value: Any) -> None:
    times, numbers, held = timeline.points(value)
    assert (times.tolist(), numbers.tolist(), held) == ([0], [120], False)


@pytest.mark.parametrize("write", [lambda value: value, json.dumps])
def test_numbers_of_a_schedule_hold(write: Any) -> None:
    times, numbers, held = timeline.points(write({"schedule": [[0, 90], [5, None]]}))
    assert times.tolist() == [0, 5] and held
    assert numbers[0] == 90 and math.isnan(numbers[1])


def test_names_of_a_track() -> None:
    expected = [(0.0, "verse"), (8.0, "chorus"), (8.0, "bridge")]
    assert timeline.steps(NAMES) == timeline.steps(json.dumps(NAMES)) == expected
    assert timeline.steps("A [live]") == [(0.0, "A [live]")]
    assert timeline.steps({"schedule": [[0, "a"], [2, None]]}) == [(0.0, "a"), (2.0, None)]


def test_intervals_of_names() -> None:
    expected = [("drums", 0.0, 4.0), ("drums", 6.0, 9.0)]
    assert timeline.intervals(PLAYED) == timeline.intervals(json.dumps(PLAYED)) == expected
    throughout = [("drums", -math.inf, math.inf), ("bass, upright", -math.inf, math.inf)]
    assert timeline.intervals(["drums", "bass, upright"]) == throughout
    assert [word for word, _, _ in timeline.intervals("drums, bass")] == ["drums", "bass"]
    changing = {"schedule": [[1, ["drums"]], [4, []], [6, None], [9, "bass"]]}
    assert timeline.intervals(changing) == [
        ("drums", -math.inf, 4.0),
        (None, 6.0, 9.0),
        ("bass", 9.0, math.inf),
    ]


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (timeline.points, "loud", "loud cannot be read; write a number, "),
        (timeline.points, [1, 2, 3], r"\[1, 2, 3\] cannot be read; write a number, "),
        (timeline.points, [], "cannot be read"),
        (timeline.points, {"drums": 3}, "cannot be read"),
        (timeline.points, "[[0, 1]", "cannot be read"),
        (timeline.points, {"schedule": [[0, "loud"]]}, "cannot be read"),
        (timeline.points, float("inf"), "not finite"),
        (timeline.points, [[0, None]], "not finite"),
        (timeline.points, [[5, 1], [2, 1]], "from 5 s back to 2 s: sort them"),
        (timeline.points, [[-1, 1]], "a value at -1 s: give seconds from 0 on"),
        (timeline.steps, [["a", 0]], "cannot be read; write a name, "),
        (timeline.steps, ["a", "b"], "cannot be read; write a name, "),
        (timeline.steps, {"a": 1}, "cannot be read; write a name, "),
        (timeline.steps, [[0, ["a"]]], "cannot be read; write a name, "),
        (timeline.steps, [[3, "a"], [1, "b"]], "from 3 s back to 1 s"),
        (timeline.steps, [[float("nan"), "a"]], "a value at nan s"),
        (timeline.intervals, 3, r"3 cannot be read; write \[name, "),
        (timeline.intervals, [["drums", 0, 4]], r"cannot be read; write \[name, "),
        (timeline.intervals, {"drums": [0, 4]}, r"\{'drums': \[0, 4\]\} cannot be read"),
        (timeline.intervals, {"drums": [[4, 0]]}, "'drums' ends at 0 s, before it starts at 4 s"),
        (timeline.intervals, '{"drums": [[0,', "cannot be read"),
        (timeline.intervals, {"schedule": [[0, 5]]}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(read: Any, value: Any, words: str) -> None:
    with pytest.raises(LabelError, match=words) as caught:
        read(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "missing"), [(None, True), (" ", True), (0, False), ([], False)])
def test_nothing_said(value: Any, missing: bool) -> None:
    assert timeline.is_missing(value) is missing
