"""Whatever the schedule, codes are those of the plain order, and the finest come early."""

import functools
import logging
from collections.abc import Sequence
from typing import Any

import counting
import jax
import numpy as np
import pytest
from counting import BINS, HOPS, RATE

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.sampling import compose, generate, scheduler
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.scheduler import Chunk
from jukebox_jax.sampling.settings import Settings

TOP = HOPS[-1] / RATE  # seconds of a code of the top level
LENGTH = 44  # codes of the top level: four windows of it, more of those below
SECONDS = LENGTH * TOP
ONE = jax.devices()[:1]


@functools.cache
def songs(number: int = 3) -> tuple[Song, ...]:
    return tuple(Song("", 0, {"artist": "ada", "seed": 10 + index}) for index in range(number))


def put_together(chunks: Sequence[Chunk], number: int = 3) -> list[np.ndarray]:
    """Codes of all levels; each is given once."""
    found = [np.full((number, LENGTH * 8 // hop), plans.UNKNOWN) for hop in HOPS]
    for chunk in chunks:
        place = found[chunk.level][chunk.song, chunk.start : chunk.start + len(chunk.codes)]
        assert (place == plans.UNKNOWN).all() and len(place) == len(chunk.codes)
        place[:] = chunk.codes
    return found


def streamed(box: Jukebox, devices: Sequence[Any] = ONE, **more: Any) -> list[Chunk]:
    return list(compose.stream(box, songs(), SECONDS, devices=devices, **more))


@functools.cache
def plainly(top_k: int = 0) -> tuple[np.ndarray, ...]:
    """Level by level, song by song, window by window, by `generate.generate` alone."""
    box, settings = counting.noisy(), Settings(top_k=top_k)
    plan = plans.plan(box, songs(), SECONDS, settings=settings)
    held: list[np.ndarray] = [np.zeros((3, 0), np.int32)] * 3
    for step in plan.levels:
        stage = box.priors[step.level]
        assert stage is not None
        params = prior.unstack(stage.model, stage.weights)
        codes = np.zeros((3, step.total + step.context), np.int32)
        for song, seed in enumerate(plan.seeds):
            keys = jax.random.fold_in(jax.random.key(seed), step.level)[None]
            for start in range(0, step.total - step.context + step.hop, step.hop):
                start = min(start, step.total - step.context)
                labels = plans.labels(plan, step, stage, songs(), song, start)
                above = None
                if step.factor:
                    first = start // 2
                    above = held[step.level + 1][song : song + 1, first : first + step.context // 2]
                given = {name: value[None] for name, value in labels.items()}
                window = codes[song : song + 1, start : start + step.context]
                known = step.context - step.hop if start else 0
                if start == step.total - step.context and start % step.hop:
                    known = (start // step.hop * step.hop + step.context) - start
                window[:] = generate.generate(
                    stage.model,
                    params,
                    window,
                    known,
                    step.context,
                    prior.condition(stage.model, params, given, above),
                    keys,
                    start=np.array([start], np.int32),
                    temperature=0.99,
                    top_k=top_k,
                )
        held[step.level] = codes[:, : step.total]
    return tuple(held)


@pytest.mark.parametrize(("batch", "chunk", "top_k"), [(16, 256, 0), (2, 5, 0), (1, 64, 1)])
def test_a_stream_is_the_plain_order_code_for_code(batch: int, chunk: int, top_k: int) -> None:
    settings = Settings(batch=batch, chunk=chunk, top_k=top_k)
    found = put_together(streamed(counting.noisy(), settings=settings))
    assert all(map(np.array_equal, found, plainly(top_k)))
    assert all(len(np.unique(codes)) > (1 if top_k else 4) for codes in found)


@pytest.mark.parametrize("batch", [16, 2])
def test_level_by_level_is_the_plain_order_too(batch: int) -> None:
    found = compose.sample(counting.noisy(), songs(), SECONDS, settings=Settings(batch=batch))
    assert all(map(np.array_equal, found.codes, plainly()))


def test_eight_devices_give_the_codes_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[tuple[int, Any]] = set()
    place = scheduler._place

    def placing(work: Any, floor: Any, device: Any) -> Any:
        used.add((floor.step.level, device))
        return place(work, floor, device)

    monkeypatch.setattr(scheduler, "_place", placing)
    settings = Settings(batch=2)
    found = put_together(streamed(counting.noisy(), jax.devices(), settings=settings))
    assert all(map(np.array_equal, found, plainly()))
    assert len({device for _, device in used}) == len(used) >= 3


def test_the_finest_codes_come_before_the_top_is_finished() -> None:
    chunks = streamed(counting.noisy())
    order = [chunk.level for chunk in chunks]
    assert order.index(0) < len(order) - 1 - order[::-1].index(2)
    tops = [chunk for chunk in chunks[: order.index(0)] if chunk.level == 2]
    assert sum(len(chunk.codes) for chunk in tops) == 3 * 32  # one window of three songs
    for level in range(3):
        for song in range(3):
            own = [one.start for one in chunks if (one.level, one.song) == (level, song)]
            assert own == sorted(own)


def test_batches_stay_full_across_songs_and_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three songs of eleven windows, two side by side: 18 batches, not twice 11."""
    taken: list[int] = []
    begin = scheduler._begin

    def beginning(work: Any, floor: Any, held: Any, lanes: Any, *more: Any) -> Any:
        taken.append(len(lanes))
        return begin(work, floor, held, lanes, *more)

    monkeypatch.setattr(scheduler, "_begin", beginning)
    settings = Settings(batch=2, hop_fraction=(0.5, 0.5, 0.0625))
    codes = [None, None, np.zeros((1, 24), int)]
    compose.sample(counting.noisy(), songs(), SECONDS, codes=codes, levels=(2,), settings=settings)
    windows = sum(taken)
    assert windows == 3 * 7 and len(taken) <= windows // 2 + 2


def test_a_stream_is_checked_at_the_call() -> None:
    with pytest.raises(ValueError, match="seconds is missing"):
        compose.stream(counting.noisy(), songs())


def test_a_stream_goes_on_and_is_cut() -> None:
    codes = [plainly()[0][:, :50], plainly()[1][:, :40], plainly()[2][:, :40]]
    chunks = streamed(counting.noisy(), codes=codes)
    found = put_together(chunks)
    for level, given in enumerate(codes):
        assert (found[level][:, : given.shape[1]] == plans.UNKNOWN).all()
        assert np.array_equal(
            found[level][:, given.shape[1] :], plainly()[level][:, given.shape[1] :]
        )
    short = list(compose.stream(counting.noisy(), songs(), 5 * TOP, devices=ONE))
    for level, hop in enumerate(HOPS):
        ends = [chunk.start + len(chunk.codes) for chunk in short if chunk.level == level]
        assert max(ends) == 40 // hop


@pytest.mark.parametrize(
    ("levels", "devices", "expected"),
    [
        ((0, 1, 2), 1, {0: (0, 1, 2)}),
        ((0, 1, 2), 2, {0: (0, 2), 1: (1,)}),
        ((0, 1, 2), 4, {0: (0,), 1: (1,), 2: (2,), 3: (0,)}),
        ((), 2, {0: (), 1: ()}),
    ],
)
def test_devices_share_levels(levels: tuple[int, ...], devices: int, expected: dict) -> None:
    assert scheduler.shares(levels, range(devices)) == expected


# Pieces side by side.


def test_pieces_count_as_a_whole_and_say_what_they_cost(caplog: pytest.LogCaptureFixture) -> None:
    """An upsampler that reads the codes above alone is as good in pieces."""
    settings = Settings(top_k=1, approximate_pieces=(3, 2, 1))
    with caplog.at_level(logging.WARNING):
        chunks = streamed(counting.jukebox("above"), settings=settings)
    for level, codes in enumerate(put_together(chunks)):
        assert codes.tolist() == [[place % BINS for place in range(codes.shape[1])]] * 3, level
    told = [one.getMessage() for one in caplog.records if one.name.endswith("price")]
    assert [text[:25] for text in told] == [
        "level 1 is approximate, i",
        "level 0 is approximate, i",
    ]
    assert "in 3 pieces: 0.000 bits a code under the exact windows, 0.000 just behind" in told[1]


def test_pieces_do_not_depend_on_the_schedule_but_are_others() -> None:
    box = counting.noisy()
    several: dict[str, Any] = {"approximate_pieces": (4, 1, 1), "approximate_overlap": 0.5}
    found = put_together(streamed(box, settings=Settings(batch=3, **several)))
    again = compose.sample(box, songs(), SECONDS, settings=Settings(batch=2, chunk=3, **several))
    assert all(map(np.array_equal, found, again.codes))
    exact = plainly()
    assert np.array_equal(found[1], exact[1]) and not np.array_equal(found[0], exact[0])
    piece = exact[0].shape[1] // 4 // 8 * 8  # the first one has all of its past
    assert np.array_equal(found[0][:, :piece], exact[0][:, :piece])
    other = (found[0] != exact[0])[:, piece:]
    assert 0 < other.mean() < 0.5  # with the same noise, pieces come back to the exact codes
