"""An epoch is an exact permutation, and no window leaves its song."""

import numpy as np
import pytest

from jukebox_jax.audio import order
from jukebox_jax.audio.song import SongError

LENGTHS = (1000, 50, 330, 100, 777)
GOLDEN = [(4, 387), (3, 0), (2, 223)]
GOLDEN_LEFT = [0.8151273119316396, 0.9337240517628189, 0.464228670628999]


@pytest.mark.parametrize("samples", [1, 7, 100, 1000])
def test_each_epoch_is_a_permutation(samples: int) -> None:
    plan = order.plan(LENGTHS, samples=samples, seed=3, shift=False)
    assert plan.size == sum(length // samples for length in LENGTHS)
    every = sorted(
        (which, slot * samples)
        for which, length in enumerate(LENGTHS)
        for slot in range(length // samples)
    )
    epochs = []
    for epoch in (0, 1, 10**12):
        windows = [plan(epoch * plan.size + place) for place in range(plan.size)]
        epochs.append([(which, span.start) for which, span, _ in windows])
        assert sorted(epochs[-1]) == every
        for which, span, left in windows:
            assert (span.length, span.total, left) == (samples, LENGTHS[which], 0.5)
    if plan.size > 20:
        assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != every


def test_shifts_stay_inside_and_reach_both_ways() -> None:
    plan = order.plan(LENGTHS, samples=100, seed=0)
    still = order.plan(LENGTHS, samples=100, seed=0, shift=False)
    moves = []
    for index in range(2000):
        (which, span, _), (other, origin, _) = plan(index), still(index)
        assert which == other
        assert 0 <= span.start <= span.total - span.length
        moves.append(span.start - origin.start)
    assert (min(moves), max(moves)) == (-50, 50)
    inner = [move for move in moves if abs(move) < 50]
    assert abs(np.mean(inner)) < 3 and len(set(inner)) == 99


def test_blends_are_even() -> None:
    plan = order.plan(LENGTHS, samples=10, seed=0, blend=True)
    left = np.array([plan(index)[2] for index in range(4000)])
    assert left.min() >= 0 and left.max() < 1
    counts = np.histogram(left, 10, (0, 1))[0]
    assert counts.min() > 320 and counts.max() < 480


def test_a_seed_repeats_and_another_differs() -> None:
    first, again, other, negative = (
        [order.plan(LENGTHS, samples=10, seed=seed, blend=True)(n) for n in range(50)]
        for seed in (1, 1, 2, -1)
    )
    assert first == again and first != other and first != negative


def test_the_order_never_changes() -> None:
    """Runs that resume rely on it, whatever was upgraded in between."""
    plan = order.plan(LENGTHS, samples=100, seed=7, blend=True)
    windows = [plan(index) for index in (0, 1, 10**9)]
    assert [(which, span.start) for which, span, _ in windows] == GOLDEN
    np.testing.assert_allclose([left for _, _, left in windows], GOLDEN_LEFT, rtol=1e-12)


def test_permutations_look_random() -> None:
    """Over many epochs each window comes at each place about equally often."""
    plan = order.plan((60,), samples=10, seed=5, shift=False)
    counts = np.zeros((6, 6), int)
    for index in range(6 * 3000):
        counts[index % 6, plan(index)[1].start // 10] += 1
    assert abs(counts - 500).max() < 120


@pytest.mark.parametrize(("lengths", "samples"), [((), 10), ((5, 9), 10), ((5,), 0)])
def test_nothing_to_plan(lengths: tuple[int, ...], samples: int) -> None:
    with pytest.raises(SongError, match="no song holds a window|samples=0"):
        order.plan(lengths, samples=samples, seed=0)


@pytest.mark.parametrize("shift", [False, True])
def test_a_grid(shift: bool) -> None:
    """Windows begin on it, and what is short of it at a song's end is not reached."""
    lengths, grid = [1100, 399, 1700], 16
    free = order.plan(lengths, samples=200, seed=4, shift=shift)
    held = order.plan(lengths, samples=200, seed=4, shift=shift, grid=grid)
    assert held.size == free.size == 5 + 1 + 8
    starts = set()
    for index in range(3 * held.size):
        (which, span, _), (other, near, _) = held(index), free(index)
        assert (which, span.length, span.total) == (other, near.length, near.total)
        assert span.start % grid == 0 and 0 <= near.start - span.start < 2 * grid
        assert span.start + 200 <= lengths[which] // grid * grid
        starts.add((which, span.start))
    assert len(starts) > held.size or not shift


def test_a_grid_shortens_songs() -> None:
    assert order.plan([1007], samples=200, seed=0).size == 5
    assert order.plan([1007], samples=200, seed=0, grid=16).size == 4
    with pytest.raises(SongError, match="no song holds a window of 200 samples"):
        order.plan([207], samples=200, seed=0, grid=16)
