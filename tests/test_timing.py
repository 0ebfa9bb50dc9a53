"""Timings are of what was done, and say how near the floor they are."""

import time

import jax.numpy as jnp
import pytest

from jukebox_jax.report import timing
from jukebox_jax.report.timing import Machine, Work

ON = Machine("none", 1, 2, operations=1e9, bytes=1e9, load=0.0)


def test_a_step_is_the_median_call_over_its_steps_and_compiling_stands_apart() -> None:
    waits = [0.3, 0.0, 0.02, 0.04, 0.2]  # the first call, the warm-up, three runs

    def prepare():
        left = iter(waits)

        def call():
            time.sleep(next(left))
            return jnp.zeros(())

        return call

    work = Work("one", "sleeps", prepare, steps=2, operations=4e6, bytes=1e6, seconds=0.5)
    found = timing.measure(work, ON, runs=3)
    assert found.seconds == pytest.approx(0.02, rel=0.2)
    assert found.least == pytest.approx(0.01, rel=0.2)
    assert found.compile == pytest.approx(0.26, rel=0.2)
    assert found.floor == pytest.approx(4e-3)
    assert found.fraction == pytest.approx(found.floor / found.seconds)
    assert found.realtime == pytest.approx(0.5 / found.seconds)
    row = timing.table([found]).splitlines()[-1]
    assert row.startswith("| one | ") and "| 4 ms |" in row


def test_a_work_that_counts_nothing_has_no_floor() -> None:
    found = timing.measure(Work("two", "nothing", lambda: lambda: jnp.ones(())), ON, runs=1)
    assert found.floor == found.fraction == found.realtime == 0
