"""A setting is one number or one a level, and windows step by whole codes."""

from typing import Any

import numpy as np
import pytest

from jukebox_jax.sampling import settings
from jukebox_jax.sampling.settings import Level, Settings


def at(level: int, factor: int = 0, levels: int = 3, **more: Any) -> Level:
    return settings.at(
        Settings(**more),
        level,
        levels=levels,
        total=1000,
        context=8192,
        factor=factor,
        samples=8,
    )


def test_what_is_not_said_is_as_published() -> None:
    assert [at(level).hop for level in range(3)] == [4096, 4096, 1024]
    assert at(0, levels=1).hop == 1024
    found = at(1)
    assert (found.temperature, found.top_k, found.top_p) == (0.99, 0, 0.0)


def test_one_number_serves_all_levels_and_a_tuple_each_its_own() -> None:
    assert [at(level, temperature=0.9).temperature for level in range(3)] == [0.9] * 3
    assert [at(level, top_k=(5,)).top_k for level in range(3)] == [5] * 3
    assert [at(level, top_p=(0.1, 0.2, 0.3)).top_p for level in range(3)] == [0.1, 0.2, 0.3]
    assert [at(level, hop_fraction=[0.5, 0.25, 1]).hop for level in range(3)] == [4096, 2048, 8192]


@pytest.mark.parametrize(("fraction", "hop"), [(0.3, 2457), (0.99999, 8191), (1 / 8192, 1)])
def test_a_part_of_the_context_is_rounded_down(fraction: float, hop: int) -> None:
    assert at(2, hop_fraction=fraction).hop == hop


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": None}, "temperature=None: give one number"),
        ({"temperature": 1e-9}, "of 1e-06 or more, or top_k=1"),
        ({"top_k": 10**40}, "give a whole number, 0 for all"),
    ],
)
def test_numbers_out_of_range(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        at(0, **changes)


def test_numbers_of_numpy_are_numbers() -> None:
    found = at(0, temperature=np.float32(0.5), top_k=np.int64(3))
    assert (found.temperature, found.top_k) == (0.5, 3)


def test_windows_step_by_whole_codes_above() -> None:
    with pytest.raises(ValueError, match="steps by 2457 codes.*one for 4.: give 0.299805"):
        at(0, factor=4, hop_fraction=0.3)
    assert at(0, factor=4, hop_fraction=0.299805).hop == 2456
