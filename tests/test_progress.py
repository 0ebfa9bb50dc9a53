"""Time left follows from what is done, and is told now and then."""

import logging
import time

import pytest

from jukebox_jax.evaluation import progress


def test_the_line_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = progress.Pace("songs", 4)
    with caplog.at_level(logging.INFO):
        for done in range(1, 5):
            now[0] += 6.0
            pace.reach(done)
    assert [record.message for record in caplog.records] == ["songs: 50 %, 0:12 left"]


def test_follow_passes_all_on() -> None:
    assert list(progress.follow("abc", "letters")) == ["a", "b", "c"]
    assert progress.clock(75.9) == "1:15"
