"""Lines that say how far something long is, and what time is left of it."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two lines."""

T = TypeVar("T")


class Pace:
    """Tells how far some work is, now and then.

    Args:
      title: what it is, in a few words.
      total: how much there is to do, in any unit.
      every: seconds between two lines.
    """

    def __init__(self, title: str, total: float, every: float = EVERY) -> None:
        self._title, self._total, self._every = title, total, every
        self._begun = self._told = time.monotonic()

    def reach(self, done: float) -> None:
        """Says that so much is done, if it is time for a line."""
        now = time.monotonic()
        if not done or done >= self._total or now - self._told < self._every:
            return
        self._told = now
        left = (now - self._begun) * (self._total / done - 1)
        log.info("%s: %.0f %%, %s left", self._title, 100 * done / self._total, clock(left))


def follow(items: Sequence[T], title: str) -> Iterator[T]:
    """The items, with a line now and then of how many are done."""
    pace = Pace(title, len(items))
    for done, item in enumerate(items, 1):
        yield item
        pace.reach(done)


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, 75 as 1:15."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
