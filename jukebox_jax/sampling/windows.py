"""Where windows lie in a level's codes, and which songs are sampled side by side.

Integer arithmetic alone, in codes of one level: no model, no sound and no arrays are known here.
"""

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise


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


@dataclasses.dataclass(frozen=True)
class Lane:
    """Windows of one song of which each goes on from the one before.

    Attributes:
      first: where its own codes begin; before it, none are read.
      kept: from where on its codes are wanted. Those before are known already or, where the lane
        begins anew, a past of its own that is thrown away.
      windows: in order.
    """

    first: int
    kept: int
    windows: tuple[Window, ...]


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


def lanes(
    total: int, context: int, hop: int, filled: int = 0, *, pieces: int = 1, overlap: int = 0
) -> tuple[Lane, ...]:
    """A level as lanes that do not wait for each other, whose windows lie as in one lane.

    One piece is the exact sampler: all windows in one lane. Of several, each but the first begins
    anew, with a window that has `overlap` codes or more before the piece's own, unless some of its
    own are there already.

    Args:
      total: codes of the level.
      context: codes of a window.
      hop: codes from one window to the next.
      filled: codes of the level that there are already.
      pieces: into how many the level is cut.
      overlap: codes from which on a piece begins before its own.
    """
    bounds = _bounds(total, hop, pieces)
    grid = starts(total, context, hop)
    found = []
    for begin, end in pairwise(bounds):
        kept = max(begin, filled)
        if end <= kept:
            continue
        first, known = 0, filled
        if begin and begin >= filled:
            first = known = max(start for start in grid if start <= max(begin - overlap, 0))
        laid = []
        for start in grid:
            until = min(context, end - start)
            if start >= first and known < start + until:
                laid.append(Window(start, known - start, until))
                known = start + until
        found.append(Lane(first, kept, tuple(laid)))
    return tuple(found)


def lasting(total: int, hop: int, given: int, filled: int, *, pieces: int = 1) -> int:
    """How many codes an interrupted run goes on from, so that it ends as if it had not been.

    A piece that began anew does so again: the past that it had drawn for itself is gone.

    Args:
      total: codes of the level.
      hop: codes from one window to the next.
      given: codes that there were before the run.
      filled: codes that there are now.
      pieces: into how many the level is cut.
    """
    begins = [begin for begin in _bounds(total, hop, pieces)[1:-1] if given <= begin <= filled]
    return filled if filled >= total else max(begins, default=filled)


def _bounds(total: int, hop: int, pieces: int) -> list[int]:
    """Where pieces begin, and where the last one ends."""
    cuts = [total * piece // pieces for piece in range(pieces)]
    return [cut - cut % hop for cut in cuts] + [total]


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
