"""What a recording will take is reckoned before, and what cannot fit is refused with advice."""

import dataclasses

import counting
import jax
import pytest

from jukebox_jax import models
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import cost
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import Settings

SONGS = tuple(Song("", 0, {"artist": "ada"}, counting.RATE) for _ in range(3))
SETTINGS = Settings(batch=2)


def planned(jukebox: Jukebox) -> plans.Plan:
    return plans.plan(jukebox, SONGS, 4.0, settings=SETTINGS)


def test_memory_follows_from_shapes() -> None:
    box = counting.noisy()
    costs = cost.memory(box, SONGS, planned(box), SETTINGS)
    assert [one.level for one in costs] == [2, 1, 0]
    assert [one.codes for one in costs] == [40, 80, 160]
    assert [one.windows for one in costs] == [3, 9, 19]
    assert all((one.songs, one.groups) == (2, 2) for one in costs)
    stage = box.priors[1]
    assert stage is not None
    real = prior.empty(stage.model, 2)
    assert costs[1].caches == sum(leaf.nbytes for leaf in jax.tree.leaves(real))
    assert costs[1].weights == sum(leaf.nbytes for leaf in jax.tree.leaves(stage.weights))


def test_a_released_size_is_reckoned_without_its_weights() -> None:
    """72 layers of width 1920: performance in bf16 as published, 386 MB of caches a song."""
    layout = ((("row", "column", "previous"), 24),)
    model = Prior(context=8192, block=128, width=1920, layout=layout, bins=13, dtype="bfloat16")
    box = counting.jukebox("before")
    shapes = jax.tree.map(lambda leaf: leaf, prior.abstract(model))
    stage = Stage(model, shapes, {"stage": {"kind": "prior", "level": 2, "rate": counting.RATE}})
    box = dataclasses.replace(box, priors=(None, None, stage))
    plan = plans.plan(box, SONGS[:1], 100.0, settings=SETTINGS)
    (found,) = cost.memory(box, SONGS[:1], plan, SETTINGS)
    bytes_of_a_song = 24 * 480 * 2 * 2 * (128 + 2 * 128 + 8192)
    assert found.caches == bytes_of_a_song
    assert 1.59e9 < found.weights < 1.63e9
    with pytest.raises(ValueError, match="level 2 needs .* its weights alone do not fit"):
        cost.check([found], 10**9)


def test_a_guided_song_is_held_twice_and_whole_numbers_take_a_quarter() -> None:
    box = counting.noisy()
    stage = box.priors[2]
    assert stage is not None
    free = dataclasses.replace(stage, model=stage.model.clone(label_dropout=0.1))
    free = models.held_as(free, "int8")
    other = dataclasses.replace(box, priors=(*box.priors[:2], free))
    labels = {"artist": "ada", "levels": {"2": {"guidance": 3.0}}}
    songs = (*SONGS[:2], dataclasses.replace(SONGS[2], labels=labels))
    before, after = (cost.memory(one, SONGS, planned(box), SETTINGS)[0] for one in (box, other))
    guided = cost.memory(other, songs, planned(box), SETTINGS)[0]
    assert after.weights == sum(leaf.nbytes for leaf in jax.tree.leaves(free.weights))
    assert after.weights < before.weights
    assert guided.caches == 2 * after.caches and guided.songs == after.songs == 2
    assert guided.conditioning == 2 * after.conditioning and guided.reading == 2 * after.reading
    with pytest.raises(ValueError, match="guidance at level 2: its prior was trained without"):
        cost.memory(box, songs, planned(box), SETTINGS)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    box = counting.noisy()
    costs = cost.memory(box, SONGS, planned(box), SETTINGS)
    cost.check(costs, None)
    cost.check(costs, max(one.bytes for one in costs))
    one = costs[0]
    limit = one.weights + (one.bytes - one.weights) // 2 + 1
    with pytest.raises(ValueError, match="level 2 needs .* of 2 songs .*: give batch=1"):
        cost.check([one], limit)
    assert (cost.available() or 0) > 1 << 30


def test_pieces_side_by_side_are_reckoned() -> None:
    """Of three songs in four pieces each as many as the batch holds, like songs."""
    box, settings = counting.noisy(), Settings(batch=8, approximate_pieces=4)
    plan = plans.plan(box, SONGS, 16.0, settings=settings)
    found, plain = (
        cost.memory(box, SONGS, plan, settings)[0],
        cost.memory(box, SONGS, planned(box), SETTINGS)[0],
    )
    assert (found.songs, found.groups) == (6, 2)
    assert found.caches == 3 * plain.caches
    assert 40 < found.codes < 160 and found.windows < 40
    times = cost.calibrate(box, SONGS, plan, settings)
    assert all(one.total > 0 for one in times)


def test_one_song_too_many_is_told_apart_from_weights() -> None:
    box = counting.noisy()
    found = cost.memory(box, SONGS, planned(box), SETTINGS)[0]
    with pytest.raises(ValueError, match="one song beside the weights does not fit"):
        cost.check([found], found.weights + 1)


def test_time_is_measured_and_told() -> None:
    box = counting.noisy()
    plan = planned(box)
    times = cost.calibrate(box, SONGS, plan, SETTINGS)
    costs = cost.memory(box, SONGS, plan, SETTINGS)
    for one, of in zip(times, costs, strict=True):
        assert one.total == pytest.approx(
            of.groups * (of.windows * one.window + of.codes * one.code)
        )
        assert 0 < one.code < 1
    told = cost.table(plan, box.rate, costs, times).splitlines()
    assert told[2].startswith("| 2 | 2 x 2 | 40 | 3 |") and told[-1].startswith("4.00 s of each")


def test_settings_over_time_are_measured_as_they_are_drawn() -> None:
    box = counting.noisy()
    settings = Settings(batch=2, temperature=[[0.0, 0.9], [4.0, 1.1]], top_k=5)
    plan = plans.plan(box, SONGS, 4.0, settings=settings)
    assert all(one.code > 0 for one in cost.calibrate(box, SONGS, plan, settings))
