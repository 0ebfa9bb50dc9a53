"""The measures of trained stages by name, and all of them taken one after the other.

A measure is a function from a `Subject` to figures; a new one is a line of `MEASURES`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from jukebox_jax.evaluation import bits, labels, progress, reconstruction, samples, signals, words
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject

log = logging.getLogger(__name__)

MEASURES: Mapping[str, Callable[[Subject], list[Figure]]] = {
    "reconstruction": reconstruction.reconstruction,
    "bits": bits.bits,
    "samples": samples.samples,
    "labels": labels.labels,
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


def take(
    subject: Subject, asked: Sequence[str]
) -> tuple[list[Figure], dict[str, str], list[Exception]]:
    """All figures of some measures, in their order; what each took is logged.

    Args:
      subject: what is measured.
      asked: names of measures.

    Returns:
      The figures; the measures that could not be taken, with the reason; and those errors among
      the reasons that are not of the stages or songs but ours, to be raised once all is written.

    Raises:
      ValueError: an unknown measure, or none of them could be taken.
    """
    found: list[Figure] = []
    refused: dict[str, str] = {}
    failed: list[Exception] = []
    asked = names(asked)
    for place, name in enumerate(asked, 1):
        begun = time.monotonic()
        log.info("measure %d of %d: %s", place, len(asked), name)
        try:
            found += MEASURES[name](subject)
        except ValueError as error:
            refused[name] = " ".join(str(error).split())
            continue
        except Exception as error:
            refused[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
            failed.append(error)
            continue
        log.info("%s: measured in %s", name, progress.clock(time.monotonic() - begun))
    if not found:
        if failed:
            raise failed[0]
        told = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise ValueError(f"nothing could be measured: {told}")
    return found, refused, failed
