"""Text in time: from stretches of known beginning to a time for every character, and back.

A piece is a stretch of text that begins at a known second. Between two beginnings the characters
follow at an even pace. This file knows where words and lines end and the list form of timed text;
it knows no other file format, no alphabet, no song and no window.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from jukebox_jax.prior.vocabulary import LabelError

PACE = 0.1
"""Seconds that a character takes where nothing says how fast the words go."""

# Scripts that put no space between words. Of the first, each character is a word in its own time.
_HAN_AND_KANA = (
    r"\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U0003ffff"
)
_CHARACTERWISE = re.compile(f"[{_HAN_AND_KANA}]")
_UNSPACED = re.compile(
    rf"[{_HAN_AND_KANA}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u303f\uff00-\uff65]"
)


class Piece(NamedTuple):
    """A stretch of text that begins at a known time.

    Attributes:
      start: seconds since the song's start.
      text: what is sung; "" only ends the piece before.
      end: where it ends, if before the next piece begins; None for there.
    """

    start: float
    text: str
    end: float | None = None


def spread(pieces: Sequence[Piece]) -> tuple[str, tuple[float, ...]]:
    """The text of pieces, and the time of each of its characters in seconds.

    The k-th of the n characters of a piece, from 0, is at start + (end - start) k / n. A piece
    that begins after its successor counts as beginning with it, and none outlasts the beginning
    of its successor. A last piece without an end goes at the average pace of those before it.

    Args:
      pieces: in the order of the text.
    """
    if not pieces:
        return "", ()
    starts = np.minimum.accumulate([piece.start for piece in pieces][::-1])[::-1].tolist()
    before = sum(len(piece.text) for piece in pieces[:-1])
    pace = (starts[-1] - starts[0]) / before if before else 0.0
    last = starts[-1] + (pace or PACE) * len(pieces[-1].text)
    times: list[float] = []
    for index, (piece, start) in enumerate(zip(pieces, starts, strict=True)):
        if index + 1 < len(pieces):
            end = starts[index + 1] if piece.end is None else min(piece.end, starts[index + 1])
        else:
            end = last if piece.end is None else piece.end
        count, length = len(piece.text), max(end - start, 0.0)
        times += [start + length * k / count for k in range(count)]
    return "".join(piece.text for piece in pieces), tuple(times)


def listed(items: Iterable[Any]) -> list[Piece]:
    """The pieces of a list of (seconds, text) pairs, or of {"start", "end", "text"} objects.

    Pieces of which one brings its own white space at an end, or which all are single characters,
    are joined as they stand. Otherwise they are lines, if any of them has white space inside, or
    else words; lines are joined by newlines, words by spaces, and those of scripts without spaces
    by nothing.

    Raises:
      LabelError: an item has another form, or begins before the one before it.
    """
    pieces = [_piece(item) for item in items]
    for before, piece in pairwise(pieces):
        if piece.start < before.start:
            raise LabelError(
                f"timed lyrics go back from {before.start:g} s to {piece.start:g} s at "
                f"{piece.text[:40]!r}: list them in the order in which they are sung"
            )
    texts = [piece.text for piece in pieces if piece.text]
    if any(text != text.strip() for text in texts) or all(len(text) == 1 for text in texts):
        joint = ""
    else:
        joint = "\n" if any(len(text.split()) > 1 for text in texts) else " "
    joined: list[Piece] = []
    said = ""
    for piece in pieces:
        unspaced = _UNSPACED.match(said[-1:]) or _UNSPACED.match(piece.text)
        if said and piece.text and joint and not (joint == " " and unspaced):
            joined += _followed(joined.pop(), joint)
        joined += _without_space(piece)
        said += piece.text
    return joined


def located(text: str, pieces: Iterable[Piece]) -> list[Piece]:
    """A whole text in the time of pieces of it, which are found in it one after the other.

    What lies between two pieces follows the first of them.

    Args:
      text: the whole text.
      pieces: some of it; white space around them does not count.

    Returns:
      pieces that make up the whole text; none if `pieces` holds no text.

    Raises:
      LabelError: a piece is not in the rest of the text.
    """
    found: list[Piece] = []
    place = 0  # in the text, of what is not yet found
    for piece in pieces:
        sung = piece.text.strip()
        if not sung:
            continue
        begin = text.find(sung, place)
        if begin < 0:
            raise LabelError(
                f"timed lyrics have {sung[:40]!r} at {piece.start:g} s, which does not stand in "
                f"the lyrics after {text[max(place - 20, 0) : place]!r}"
            )
        before = found.pop() if found else Piece(piece.start, "", piece.start)
        found += _followed(before, text[place:begin])
        found.append(Piece(piece.start, sung, piece.end))
        place = begin + len(sung)
    return found and [*found[:-1], *_followed(found[-1], text[place:])]


def lines(text: str) -> list[tuple[int, int]]:
    """Where each line begins and ends, without its newline; a newline at the end begins none."""
    found, begin = [], 0
    for line in text.removesuffix("\n").split("\n") if text else ():
        found.append((begin, begin + len(line)))
        begin += len(line) + 1
    return found


def words(text: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Where each word between two places begins and ends, without white space.

    Words end at white space, and at every character of Chinese and Japanese.
    """
    found: list[tuple[int, int]] = []
    for place in range(begin, end):
        here, before = text[place], text[place - 1] if place > begin else " "
        if here.isspace():
            continue
        own = _CHARACTERWISE.match(here) or _CHARACTERWISE.match(before)
        if before.isspace() or (own and here.isalnum()):
            found.append((place, place + 1))
        else:
            found[-1] = (found[-1][0], place + 1)
    return found


def finish(times: Sequence[float], begin: int, end: int) -> float:
    """When the characters from one place to another end: when the next begins.

    The last of all characters takes the average time of those from `begin` on.
    """
    if end < len(times):
        return times[end]
    if end == begin:
        return times[-1] if times else 0.0
    pace = (times[end - 1] - times[begin]) / max(end - 1 - begin, 1)
    return times[end - 1] + (pace or PACE)


def to_json(pairs: Iterable[tuple[float, str]], by: str = "line") -> list[dict[str, Any]]:
    """A list of {"start", "end", "text"}, in seconds, which `listed` reads.

    Each text has the white space that follows with it, so that all of them joined are the whole
    text. An end does not count that.

    Args:
      pairs: (seconds, character) of the whole text.
      by: "line", "word" or "character".

    Raises:
      ValueError: another unit.
    """
    text, times = spread([Piece(*pair) for pair in pairs])
    if by == "line":
        found = [span for span in lines(text) if text[slice(*span)].strip()]
    elif by == "word":
        found = [word for span in lines(text) for word in words(text, *span)]
    elif by == "character":
        found = [(place, place + 1) for place in range(len(text))]
    else:
        raise ValueError(f"by = {by!r} is unknown; known: line, word, character")
    follows = [begin for begin, _ in found[1:]] + [len(text)]
    return [
        {
            "start": round(times[begin], 3),
            "end": round(finish(times, begin, end), 3),
            "text": text[begin if index else 0 : after],
        }
        for index, ((begin, end), after) in enumerate(zip(found, follows, strict=False))
    ]


def _piece(item: Any) -> Piece:
    try:
        if isinstance(item, Mapping):
            start, text, end = item["start"], item["text"], item.get("end")
        else:
            (start, text), end = item, None
        if isinstance(item, str) or not isinstance(text, str):
            raise TypeError
        piece = Piece(float(start), text, None if end is None else float(end))
    except (TypeError, ValueError, KeyError):
        raise LabelError(
            f"{str(item)[:60]} in timed lyrics is neither (seconds, text) nor "
            "an object with start, end and text"
        ) from None
    end = piece.start if piece.end is None else piece.end
    if not (math.isfinite(end) and 0 <= piece.start <= end):
        raise LabelError(f"{str(item)[:60]} in timed lyrics: no such time, in seconds")
    return piece


def _without_space(piece: Piece) -> list[Piece]:
    """A piece with an end, which its text has reached before the white space that follows."""
    sung = piece.text.rstrip()
    if piece.end is None or not sung or sung == piece.text:
        return [piece]
    return [piece._replace(text=sung), Piece(piece.end, piece.text[len(sung) :])]


def _followed(piece: Piece, text: str) -> list[Piece]:
    """A piece, and the text that follows it in what time it leaves."""
    if piece.end is None or not text:
        return [piece._replace(text=piece.text + text)]
    return [piece, Piece(piece.end, text)]
