"""What levels took is noted once, where they were drawn."""

import pathlib

import numpy as np
import pytest

from jukebox_jax.sampling import timings
from jukebox_jax.sampling.plan import UNKNOWN


def test_levels_that_were_drawn_are_noted(tmp_path: pathlib.Path) -> None:
    top, below = np.zeros((2, 8), np.int32), np.zeros((2, 16), np.int32)
    first = timings.Timings(tmp_path, False, [None, None, None])
    first.window(2)
    first.level(2, top)
    half = np.where(np.arange(16) < 6, 1, UNKNOWN)[None].repeat(2, 0)
    again = timings.Timings(tmp_path, True, [None, half, top])
    again.level(2, top)  # it was there
    again.window(1)
    again.level(1, below)
    rows = timings.read(tmp_path)
    assert [(row["level"], row["codes"], row["partly"]) for row in rows] == [
        (2, 16, False),
        (1, 32, True),
    ]
    assert all(row["seconds"] >= 0 for row in rows)


def test_drawing_ends_with_the_last_window(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([10.0, 12.0, 13.5, 20.0])  # begun, two windows, sounds written
    monkeypatch.setattr(timings.time, "monotonic", lambda: next(clock))
    level = timings.Timings(tmp_path, False, [None])
    level.window(0)
    level.window(0)
    level.level(0, np.zeros((1, 8), np.int32))
    (row,) = timings.read(tmp_path)
    assert (row["drawing"], row["seconds"]) == (3.5, 10.0)
    file = tmp_path / timings.TIMINGS
    file.write_text(file.read_text().replace('"drawing": 3.5, ', ""))  # as older ones are
    assert timings.read(tmp_path) == [{**row, "drawing": None}]


def test_a_file_that_is_none_says_nothing(tmp_path: pathlib.Path) -> None:
    assert timings.read(tmp_path) == []
    (tmp_path / timings.TIMINGS).write_text('[{"level": 1}]')
    assert timings.read(tmp_path) == []
    assert timings.Timings(tmp_path, True, [None, None]).level(1, np.zeros((1, 1))) is None
