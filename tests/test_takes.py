"""Every operation on takes keeps what it says it keeps, and leaves the rest to be drawn."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from jukebox_jax.sampling import takes
from jukebox_jax.sampling.plan import UNKNOWN
from jukebox_jax.sampling.takes import Take

HOPS, RATE, SAMPLES = (2, 4, 8), 80, 320  # of 4 s


def take(songs: int = 2, offset: int = 0, levels: tuple[int, ...] = (0, 1, 2)) -> Take:
    codes = {
        level: offset + np.arange(songs * SAMPLES // HOPS[level], dtype=np.int32).reshape(songs, -1)
        for level in levels
    }
    rows = tuple({"artist": "ada", "seed": 5 + index} for index in range(songs))
    return Take(codes=codes, songs=rows, samples=SAMPLES, rate=RATE, hops=HOPS)


def test_picked_songs_keep_their_codes_and_labels() -> None:
    one = take(3)
    two = takes.pick(one, [2, 0])
    assert [song["seed"] for song in two.songs] == [7, 5]
    for level, array in two.codes.items():
        np.testing.assert_array_equal(array, one.codes[level][[2, 0]])
    for songs, message in (([3], "song 3 is to be picked"), ([], "no songs are picked")):
        with pytest.raises(ValueError, match=message):
            takes.pick(one, songs)


def test_cuts_fall_on_whole_codes_of_the_top_level() -> None:
    one = takes.truncate(take(), 1.27)  # 101.6 samples, 12 codes of the top level
    assert one.samples == 96
    assert {level: array.shape[1] for level, array in one.codes.items()} == {0: 48, 1: 24, 2: 12}
    for seconds in (0.05, 4.2):
        with pytest.raises(ValueError, match=f"seconds={seconds}: the recordings have 4.00 s"):
            takes.truncate(take(), seconds)


def test_branches_share_the_past_and_have_seeds_of_their_own() -> None:
    one = take()
    two = takes.branch(one, 2.0, count=3)
    assert two.samples == SAMPLES and [song["seed"] for song in two.songs] == list(range(7, 13))
    for level, array in two.codes.items():
        assert array.shape == (6, SAMPLES // HOPS[level] // 2)
        np.testing.assert_array_equal(array[2], one.codes[level][0, : array.shape[1]])
        np.testing.assert_array_equal(array[3], one.codes[level][1, : array.shape[1]])
    assert takes.branch(one, 2.0, seed=40).songs[1]["seed"] == 41


def test_a_splice_is_one_before_and_the_other_after() -> None:
    one, two = take(), take(offset=1000)
    both = takes.splice(one, two, 1.0)
    for level, array in both.codes.items():
        at = 80 // HOPS[level]
        np.testing.assert_array_equal(array[:, :at], one.codes[level][:, :at])
        np.testing.assert_array_equal(array[:, at:], two.codes[level][:, at:])
    assert set(takes.splice(one, take(levels=(2,)), 1.0).codes) == {2}
    with pytest.raises(ValueError, match="takes of 2 and 3 songs"):
        takes.splice(one, take(3), 1.0)


def test_a_splice_where_the_other_ends_is_what_is_before() -> None:
    one, two = take(), takes.truncate(take(offset=1000), 2.0)
    both = takes.splice(one, two, 2.0)
    assert both.samples == two.samples == 160
    for level, array in both.codes.items():
        np.testing.assert_array_equal(array, one.codes[level][:, : 160 // HOPS[level]])


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_is_a_number(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"seconds={seconds}: give seconds"):
        takes.branch(take(), seconds)


def test_a_replaced_span_is_unknown_and_both_sides_stay() -> None:
    one = take()
    two = takes.replace(one, 1.0, 2.0)
    for level, array in two.codes.items():
        low, high = 80 // HOPS[level], 160 // HOPS[level]
        assert (array[:, low:high] == UNKNOWN).all()
        kept = np.r_[0:low, high : array.shape[1]]
        np.testing.assert_array_equal(array[:, kept], one.codes[level][:, kept])
    assert [song["seed"] for song in two.songs] == [7, 8]
    with pytest.raises(ValueError, match="holds no code of the top level"):
        takes.replace(one, 1.0, 1.05)


def test_an_excerpt_knows_where_it_lies() -> None:
    two = takes.excerpt(take(), 1.0, 3.0)
    assert two.samples == 160
    assert [song["start_seconds"] for song in two.songs] == [1.0, 1.0]
    assert [song["total_seconds"] for song in two.songs] == [4.0, 4.0]
    np.testing.assert_array_equal(two.codes[1], take().codes[1][:, 20:60])


def test_an_excerpt_is_drawn_as_its_part_was() -> None:
    """What is told of drawing is told in seconds of the recording, which begins later now."""
    one = dataclasses.replace(take(), songs=({"temperature": [[0, 1.0], [2, 0.5], [3, 0.7]]},) * 2)
    (song, _) = takes.excerpt(one, 1.0, 4.0).songs
    assert song["temperature"] == [[0.0, 0.75], [1.0, 0.5], [2.0, 0.7]]
    levels = {"levels": {"0": {"top_k": [[0, 9], [2, 4]], "artist": "ada"}}, "top_p": 0.5}
    one = dataclasses.replace(one, songs=(levels,) * 2)
    (song, _) = takes.excerpt(one, 1.0, 4.0).songs
    assert song["levels"] == {"0": {"top_k": [[0.0, 9.0], [1.0, 4.0]], "artist": "ada"}}
    assert song["top_p"] == 0.5
    held = {"temperature": ({"schedule": [[0, 1.0], [3, 0.5]]}, 0.9)}
    assert takes.courses(held, 2.0) == {
        "temperature": ({"schedule": [[0.0, 1.0], [1.0, 0.5]]}, 0.9)
    }


def test_upsampling_keeps_what_is_above() -> None:
    assert set(takes.above(take(), 0).codes) == {1, 2}
    with pytest.raises(ValueError, match="level=2: the take has no codes above"):
        takes.above(take(), 2)


def test_fingerprints_tell_codes_apart() -> None:
    def names(change: Any = None) -> dict[str, str]:
        one = {level: array.copy() for level, array in take().codes.items()}
        if change:
            one[1][change] += 1
        return takes.fingerprint(one)

    assert names() == names()
    assert names((1, 79)) != names() and names((1, 79))["codes_0"] == names()["codes_0"]
