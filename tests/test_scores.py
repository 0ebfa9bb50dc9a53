"""Measures of candidates tell a broken one from a whole one."""

import dataclasses
import math

import counting
import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import scores
from jukebox_jax.sampling.scores import Scores

SONGS = tuple(Song("", 0, {}, counting.RATE) for _ in range(2))
GOOD = Scores(3.0, 0.1, 0.0, 0.0, -20.0, 1.0)


@pytest.fixture(scope="module")
def counted() -> list[np.ndarray]:
    """Codes that count, of 4 s, and of the second song one code that does not."""
    found = []
    for hop in counting.HOPS:
        codes = np.tile(np.arange(320 // hop, dtype=np.int32) % counting.BINS, (2, 1))
        codes[1, 21] = (codes[1, 21] + 5) % counting.BINS
        found.append(codes)
    return found


def test_what_counts_on_is_probable(counted: list[np.ndarray]) -> None:
    right, wrong = scores.score(counting.jukebox("before"), SONGS, counted, 2)
    assert right.bits_per_code < 0.2 and wrong.bits_per_code > right.bits_per_code + 0.5
    assert scores.rank([wrong, right]) == (1, 0)


def test_a_level_without_codes_or_prior_is_named(counted: list[np.ndarray]) -> None:
    box = counting.jukebox()
    with pytest.raises(ValueError, match="level 1 has no codes to score"):
        scores.score(box, SONGS, [counted[0], None, counted[2]], 1)
    bare = dataclasses.replace(box, priors=())
    found = scores.score(bare, SONGS, counted, 2)
    assert math.isnan(found[0].bits_per_code) and 0 <= found[0].clipping <= 1


def test_repetition_finds_the_lag_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    loop = np.tile(rng.integers(0, 1000, 50), 8)
    assert scores.repetition(loop, 10) == 1.0
    assert scores.repetition(rng.integers(0, 1000, 400), 10) < 0.1
    assert scores.repetition(loop[:15], 10) == 0.0  # too short for any lag


def test_the_whole_one_comes_first() -> None:
    clipped = dataclasses.replace(GOOD, clipping=0.2)
    silent = dataclasses.replace(GOOD, silence=0.9, bits_per_code=5.0, lyrics=0.2)
    assert scores.rank([silent, clipped, GOOD]) == (2, 1, 0)
    unread = [dataclasses.replace(one, lyrics=math.nan) for one in (GOOD, silent)]
    assert scores.rank(unread) == (0, 1)
    assert scores.table([silent, GOOD]).splitlines()[2].startswith("| 1 | 3 |")
