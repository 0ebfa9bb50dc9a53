"""Where windows lie in a level's codes, and which songs are sampled side by side.

Integer arithmetic alone, in codes of one level: no model, no sound and no arrays are known here.
"""

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Window:
    """A stretch of one level's codes that a prior sees at once.

    Attributes:
      start: its first code.
      known: how many of its codes there are already.
      until: how many there are to be; fewer than the context where the level ends before.
    """

    start: int
    known: int
    until: int


def starts(total: int, context: int, hop: int) -> tuple[int, ...]:
    """The first codes of all windows.

    They step by `hop` from 0, and the last window ends where the level does.

    Args:
      total: codes of the level.
      context: codes of a window.
      hop: codes from one window to the next, at least 1.
    """
    last = max(0, total - context)
    return (*range(0, last, hop), last)


def windows(total: int, context: int, hop: int, filled: int = 0) -> tuple[Window, ...]:
    """The windows that are still to be filled, in order.

    Args:
      total: codes of the level.
      context: codes of a window.
      hop: codes from one window to the next, from 1 to context.
      filled: codes of the level that there are already.
    """
    found = []
    for start in starts(total, context, hop):
        until = min(context, total - start)
        if filled < start + until:
            found.append(Window(start, filled - start, until))
            filled = start + until
    return tuple(found)


def groups(filled: Sequence[int], batch: int) -> tuple[tuple[int, ...], ...]:
    """Which songs are sampled side by side: those of which equally much is known.

    All groups are of one size, so that one compilation serves them all; where songs do not
    divide evenly, the last one stands in its group more than once.

    Args:
      filled: for each song, the codes that there are already.
      batch: how many songs fit side by side.
    """
    size = math.ceil(len(filled) / math.ceil(len(filled) / batch))
    found = []
    for known in sorted(set(filled)):
        songs = [song for song, codes in enumerate(filled) if codes == known]
        for first in range(0, len(songs), size):
            group = songs[first : first + size]
            found.append((*group, *[group[-1]] * (size - len(group))))
    return tuple(found)
