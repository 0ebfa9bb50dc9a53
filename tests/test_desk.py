"""One piece of work at a time, which tells how far it is, stops when told to, and ends with why."""

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest

from jukebox_jax.sampling import session
from jukebox_jax.sampling.compose import Progress
from jukebox_jax.studio.desk import Desk


def progress(level: int, drawn: int) -> Progress:
    return Progress(level, drawn, 10, np.zeros((1, 0), np.int32))


def ended(desk: Desk) -> None:
    desk.stop(wait=10)
    assert not desk.news.busy


def test_work_is_told_of_and_stopped() -> None:
    desk, told, go_on = Desk(), threading.Event(), threading.Event()

    def work(watch: Callable[[Progress], bool]) -> None:
        for drawn in (2, 4, 6):
            assert watch(progress(1, drawn))
        told.set()
        assert go_on.wait(10)
        if not watch(progress(1, 8)):
            raise session.Stopped
        raise AssertionError("was not stopped")

    desk.start("001", "drawing", work)
    assert told.wait(10)
    assert desk.news.busy and (desk.news.level, desk.news.part) == (1, 0.6)
    assert 0 <= desk.news.left < 10
    with pytest.raises(ValueError, match="001 is at work"):
        desk.start("002", "drawing", work)
    desk.stop()
    assert desk.news.stopping
    go_on.set()
    ended(desk)
    assert desk.news.trouble == "" and desk.news.part == 0.8


def test_nothing_is_known_of_the_time_before_a_second_look() -> None:
    desk = Desk()
    for level in (1, 0):
        desk.watch(progress(level, 4))
        assert math.isnan(desk.news.left) and desk.news.level == level
    desk.say("comparing")
    assert (desk.news.what, desk.news.level) == ("comparing", -1)


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("no such\nartist"), "no such artist"), (KeyError("a"), "KeyError: 'a'")],
)
def test_what_goes_wrong_is_told_and_the_desk_is_free(error: Exception, said: str) -> None:
    desk = Desk()

    def work(_: object) -> None:
        raise error

    desk.start("001", "drawing", work)
    ended(desk)
    assert desk.news.trouble == said
    desk.start("002", "drawing", lambda _: None)
    ended(desk)
    assert desk.news.trouble == "" and desk.news.name == "002"
