"""Windows lie where the 2020 release laid them, and every code is wanted once."""

import json
import pathlib

import numpy as np
import pytest

from jukebox_jax.sampling import windows
from jukebox_jax.sampling.windows import Window


def test_starts_are_those_of_the_release(reference: pathlib.Path) -> None:
    cases = json.loads((reference / "window_starts.json").read_text())
    assert len(cases) > 3
    for case in cases:
        found = windows.starts(case["total"], case["n_ctx"], case["hop"])
        assert list(found) == case["starts"]


@pytest.mark.parametrize("filled", [0, 1, 7, 8, 9, 29, 30, 31])
@pytest.mark.parametrize("total", [1, 5, 8, 9, 30])
@pytest.mark.parametrize("hop", [1, 3, 8])
def test_every_missing_code_is_wanted_once(total: int, hop: int, filled: int) -> None:
    wanted = np.zeros(total, int)
    for window in windows.windows(total, 8, hop, min(filled, total)):
        assert 0 <= window.known < window.until <= 8
        assert wanted[: window.start + window.known].sum() == window.start + window.known - min(
            filled, total
        )
        wanted[window.start + window.known : window.start + window.until] += 1
    assert wanted.tolist() == [0] * min(filled, total) + [1] * (total - min(filled, total))


def test_full_windows_are_passed_over() -> None:
    assert windows.windows(20, 8, 4, 0) == (
        Window(0, 0, 8),
        Window(4, 4, 8),
        Window(8, 4, 8),
        Window(12, 4, 8),
    )
    assert windows.windows(20, 8, 4, 13) == (Window(8, 5, 8), Window(12, 4, 8))
    assert windows.windows(20, 8, 4, 20) == ()
    assert windows.windows(5, 8, 4, 2) == (Window(0, 2, 5),)


@pytest.mark.parametrize(
    ("filled", "batch", "expected"),
    [
        ([0, 0, 0], 8, [(0, 1, 2)]),
        ([0, 0, 0], 2, [(0, 1), (2, 2)]),
        ([0] * 5, 4, [(0, 1, 2), (3, 4, 4)]),
        ([0] * 4, 1, [(0,), (1,), (2,), (3,)]),
        ([5, 0, 5, 0], 2, [(1, 3), (0, 2)]),
        ([7, 0, 0], 16, [(1, 2, 2), (0, 0, 0)]),
    ],
)
def test_songs_side_by_side_have_one_shape_and_one_past(
    filled: list[int], batch: int, expected: list[tuple[int, ...]]
) -> None:
    assert windows.groups(filled, batch) == tuple(expected)


@pytest.mark.parametrize("filled", [0, 5, 20, 39, 40])
@pytest.mark.parametrize(("pieces", "overlap"), [(1, 0), (3, 0), (3, 5), (4, 30), (100, 2)])
def test_lanes_keep_every_missing_code_once(filled: int, pieces: int, overlap: int) -> None:
    wanted = np.zeros(40, int)
    whole = {(window.start, window.start + 8) for window in windows.windows(40, 8, 4)}
    for lane in windows.lanes(40, 8, 4, filled, pieces=pieces, overlap=overlap):
        anew = lane.windows[0].known == 0
        place = lane.first if anew else filled
        for window in lane.windows:
            assert (window.start, window.start + 8) in whole and window.start >= lane.first
            assert window.start + window.known == place
            place = window.start + window.until
        assert lane.kept in (filled, 0) or lane.kept - lane.first >= min(overlap, lane.kept)
        wanted[lane.kept : place] += 1
    assert wanted.tolist() == [0] * filled + [1] * (40 - filled)


def test_one_piece_is_the_exact_sampler() -> None:
    for filled in (0, 13, 19):
        (lane,) = windows.lanes(20, 8, 4, filled)
        assert lane.windows == windows.windows(20, 8, 4, filled)
    assert windows.lanes(20, 8, 4, 20) == ()
