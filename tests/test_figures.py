"""Figures have honest intervals, and are shown and kept as they are."""

import json
import math
import pathlib

import numpy as np
import pytest

from jukebox_jax.report import figures
from jukebox_jax.report.figures import Figure


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
