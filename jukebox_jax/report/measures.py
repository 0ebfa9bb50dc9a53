"""The measures of trained stages by name, and all of them taken one after the other.

A measure is a function from a `Subject` to figures; a new one is a line of `MEASURES`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from jukebox_jax.report import signals, words
from jukebox_jax.report.figures import Figure
from jukebox_jax.report.subject import Subject

log = logging.getLogger(__name__)

MEASURES: Mapping[str, Callable[[Subject], list[Figure]]] = {
    "alignment": words.alignment,
    "lyrics": words.lyrics_followed,
    "signals": signals.signals,
}
"""What can be measured, by the name that --measures takes."""


def names(asked: Sequence[str]) -> tuple[str, ...]:
    """Checks names of measures before anything is loaded.

    Raises:
      ValueError: none, or one that there is not.
    """
    for name in asked:
        if name not in MEASURES:
            raise ValueError(f"measure {name!r} is unknown; known: {', '.join(MEASURES)}")
    if not asked:
        raise ValueError(f"no measure is asked for; known: {', '.join(MEASURES)}")
    return tuple(asked)


def take(subject: Subject, asked: Sequence[str]) -> list[Figure]:
    """All figures of some measures, in their order; what each took is logged.

    Raises:
      ValueError: an unknown measure, or one that the stages or the songs do not allow.
    """
    found: list[Figure] = []
    for name in names(asked):
        begun = time.monotonic()
        found += MEASURES[name](subject)
        log.info("%s: measured in %.0f s", name, time.monotonic() - begun)
    return found
