"""Measures of candidates tell a broken one from a whole one."""

import dataclasses
import math

import counting
import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import compose, scores
from jukebox_jax.sampling.scores import Scores
from jukebox_jax.sampling.settings import Settings

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


@pytest.mark.parametrize("level", [0, 2])
def test_only_codes_that_do_not_count_on_are_improbable(
    level: int, counted: list[np.ndarray]
) -> None:
    found = scores.bits(
        counting.jukebox("above" if level == 0 else "before"),
        SONGS,
        counted,
        level,
        settings=Settings(batch=1 + level // 2),
    )
    assert found.shape == counted[level].shape
    wrong = np.argwhere(found > 1).tolist()
    # By the code before, the one after a wrong one is improbable too.
    if level == 2:
        assert wrong == [[1, 21], [1, 22]]
    else:
        assert [1, 21] in wrong and all(song == 1 for song, _ in wrong)


def test_bits_are_those_of_what_was_drawn() -> None:
    """Codes drawn coldly cost less than any others, in windows and under the codes above."""
    box = counting.noisy()
    songs = tuple(Song("", 0, {"artist": "ada", "seed": n}, counting.RATE) for n in range(2))
    cold = Settings(top_k=1)
    drawn = compose.sample(box, songs, 4.0, settings=cold, progress=False).codes
    for level in range(3):
        own = scores.bits(box, songs, drawn, level, settings=cold)
        other = list(drawn)
        other[level] = (drawn[level] + 1) % counting.BINS
        assert (own < math.log2(counting.BINS) + 1e-4).all()
        assert (scores.bits(box, songs, other, level, settings=cold).mean() > own.mean()).all()


def test_a_level_without_codes_or_prior_is_named(counted: list[np.ndarray]) -> None:
    box = counting.jukebox()
    with pytest.raises(ValueError, match="level 1 has no codes to score"):
        scores.score(box, SONGS, [counted[0], None, counted[2]], 1)
    with pytest.raises(ValueError, match="level 0 reads the codes of level 1"):
        scores.bits(box, SONGS, [counted[0], None, None], 0)
    bare = dataclasses.replace(box, priors=())
    with pytest.raises(ValueError, match="level 2 has no prior"):
        scores.bits(bare, SONGS, counted, 2)
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
