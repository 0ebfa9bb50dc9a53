"""Windows side by side are each conditioned on their own place, and again on nothing known."""

from typing import Any

import counting
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Stage
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.sampling import conditions
from jukebox_jax.sampling import plan as plans

TOP = counting.HOPS[-1] / counting.RATE
SONGS = (
    Song("", 0, {"artist": "ada"}),
    Song("", 0, {"artist": "the copper foxes", "levels": {"0": {"artist": "ada"}}}),
)


def given(
    level: int, rows: list[int], starts: Any, songs: Any = SONGS, **more: Any
) -> Conditioning:
    box = counting.noisy()
    plan = plans.plan(box, SONGS, 40 * TOP)
    (step,) = (one for one in plan.levels if one.level == level)
    stage = box.priors[level]
    assert isinstance(stage, Stage)
    rng = np.random.default_rng(0)
    held = [rng.integers(0, counting.BINS, (2, 320 // hop)) for hop in counting.HOPS]
    return conditions.conditioned(
        step, stage, stage.weights, songs, plan, held, rows, starts, **more
    )


def test_each_row_is_conditioned_as_by_itself() -> None:
    together = given(1, [1, 0, 1], [0, 8, 24])
    for place, (row, start) in enumerate([(1, 0), (0, 8), (1, 24)]):
        alone = given(1, [row] * 3, start)
        np.testing.assert_array_equal(together.start[place], alone.start[0])
        assert together.track is not None and alone.track is not None
        np.testing.assert_allclose(together.track[place], alone.track[0], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(together.start[0], together.start[1])


def test_a_level_may_have_labels_of_its_own() -> None:
    both = given(0, [0, 1, 1], 0)
    np.testing.assert_array_equal(both.start[0], both.start[1])


def test_what_is_guided_follows_without_labels() -> None:
    twice = given(1, [1, 0, 1], [0, 8, 24], guided=True)
    plain = given(1, [1, 0, 1], [0, 8, 24])
    unknown = (Song("", 0, {}),) * 2
    bare = given(1, [1, 0, 1], [0, 8, 24], unknown, allow_unknown=True)
    for door in ("start", "track"):
        found = getattr(twice, door)
        np.testing.assert_allclose(found[:3], getattr(plain, door), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[3:], getattr(bare, door), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(twice.start[0], twice.start[3])
