"""Figures have honest intervals, and are shown and kept as they are."""

import json
import math
import pathlib

import numpy as np
import pytest

from jukebox_jax.evaluation import figures
from jukebox_jax.evaluation.figures import Figure


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(60):
        songs = [rng.normal(1.0, 1.0) + rng.normal(0, 0.1, 5) for _ in range(20)]
        low, high = figures.interval(songs, np.mean)
        covered += low < 1.0 < high
    assert 50 <= covered <= 60  # 0.95 of 60 is 57; words alone would give about 25


def test_songs_without_values_do_not_count() -> None:
    found = figures.of_songs("m", "n", [np.ones(2), np.zeros(0), np.full(3, 4.0)], unit="s")
    assert (found.value, found.songs, found.unit) == (2.8, 2, "s")
    assert found.low is not None and found.low <= 2.8
    nothing = figures.of_songs("m", "n", [np.zeros(0)])
    assert math.isnan(nothing.value) and nothing.low is None


def test_one_song_has_no_interval() -> None:
    one = figures.of_songs("m", "n", [np.array([1.0, 3.0])])
    assert (one.value, one.low, one.high, one.songs) == (2.0, None, None, 1)
    assert figures.table([one])[1].split() == ["m", "n", "2", "1"]


def test_the_table_and_the_file(tmp_path: pathlib.Path) -> None:
    rows = [
        Figure("alignment", "off by", 0.123456, "s", 0.1, 0.2, 9, "layer 3"),
        Figure("lyrics", "none", math.nan),
    ]
    lines = figures.table(rows)
    assert "0.123 s" in lines[1] and "0.1 to 0.2" in lines[1] and lines[1].endswith("layer 3")
    assert lines[2].split() == ["lyrics", "none", "-"]
    figures.write(tmp_path / "deep" / "a.json", rows, {"seed": 1})
    read = json.loads((tmp_path / "deep" / "a.json").read_text())
    assert read["about"] == {"seed": 1}
    assert read["figures"][0]["value"] == pytest.approx(0.123456)
    assert read["figures"][1]["value"] is None
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_shares_have_wilsons_interval() -> None:
    one = figures.of_share("a", "right", 5, 10)
    assert one.value == 50 and one.songs == 10
    assert (one.low, one.high) == pytest.approx((23.66, 76.34), abs=0.01)
    all_ = figures.of_share("a", "right", 10, 10)
    assert all_.value == all_.high == 100 and all_.low == pytest.approx(72.25, abs=0.01)
    assert np.isnan(figures.of_share("a", "right", 0, 0).value)


def test_means_are_drawn_as_other_statistics_are() -> None:
    """The short way by sums gives what putting values together gives."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=size) for size in (3, 9, 1, 5)]
    quick = figures.interval(groups, np.mean)
    assert quick == pytest.approx(figures.interval(groups, lambda values: float(np.mean(values))))


def test_what_is_no_number_does_not_count(tmp_path: pathlib.Path) -> None:
    one = figures.of_songs("a", "b", [np.array([1.0, np.nan]), np.array([np.nan])])
    assert one.value == 1 and one.songs == 1
    figures.write(tmp_path / "a.json", [one], {}, {"bits": "no prior"})
    assert json.loads((tmp_path / "a.json").read_text())["refused"] == {"bits": "no prior"}
