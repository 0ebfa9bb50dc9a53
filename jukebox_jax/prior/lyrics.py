"""Lyrics on the host: what is sung when, and which of it falls in a window.

Lyrics are plain text, or text with times: LRC, SRT, a list of timed pieces, or a schedule of any
of these. A window of a song reads a fixed number of tokens: those that fall in its time, or, for
text without times, those that would if the text were spread evenly over the song, as in the 2020
release. Alphabets and file formats live elsewhere; no JAX.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import schedule, subtitles, timed
from jukebox_jax.prior.alphabet import PADDING, Alphabet, Encoded
from jukebox_jax.prior.timed import Piece
from jukebox_jax.prior.vocabulary import LabelError

__all__ = ["Alphabet", "Encoded", "LabelError", "Lyric", "aligned", "check", "encode", "encoded"]
__all__ += ["indices", "plain", "timed_indices", "window", "window_indices"]


@dataclasses.dataclass(frozen=True)
class Lyric:
    """The lyrics of a song.

    Attributes:
      text: all of it.
      times: the second of each character, never falling; None for text without times.
    """

    text: str = ""
    times: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Checks that there is a time for each character, in order."""
        if self.times is not None:
            if len(self.times) != len(self.text):
                raise ValueError(f"{len(self.times)} times for {len(self.text)} characters")
            if not (np.isfinite(self.times).all() and (np.diff(self.times) >= 0).all()):
                raise ValueError("the times of lyrics are not finite, or fall")

    @property
    def pairs(self) -> tuple[tuple[float, str], ...]:
        """(seconds, character) of the whole text, as writers take it; none without times."""
        return tuple(zip(self.times or (), self.text, strict=self.times is not None))

    @classmethod
    def read(cls, value: Any, *, seconds: float | None = None) -> "Lyric":
        """Recognises the form of lyrics.

        Args:
          value: None or "" for none; text, LRC or SRT; a list of (seconds, text) pairs, for
            words, lines or characters, or of {"start", "end", "text"} objects; a schedule of
            these, the times of each counted from its own beginning; or a Lyric.
          seconds: the length of the song, to which the last plain text of a schedule extends.

        Raises:
          LabelError: another form, or a line or an item of it that cannot be read.
        """
        if isinstance(value, Lyric):
            return value
        if value is None:
            return cls()
        if schedule.is_schedule(value):
            return _scheduled(value, seconds)
        if isinstance(value, str):
            return _read_text(value)
        if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
            return _read_list(_frozen(value))
        raise LabelError(
            f"lyrics {str(value)[:60]!r} are {type(value).__name__}; give text, LRC, SRT or "
            "[[seconds, text], ...]"
        )

    @classmethod
    def of(
        cls, labels: Mapping[str, Any], name: str = "lyrics", *, seconds: float | None = None
    ) -> "Lyric":
        """The lyrics among a song's labels.

        Where there are both a text, under `name`, and a list of timed pieces, under `name` and
        "_times", the pieces are found one after the other in the text and lend it their times.

        Args:
          labels: of a song.
          name: of the signal.
          seconds: the length of the song.

        Raises:
          LabelError: what `read` raises, or a piece that is not in the text.
        """
        value, times = labels.get(name), labels.get(f"{name}_times")
        lyric = cls.read(times if value is None else value, seconds=seconds)
        if value is None or not times or value is times or value == times:
            return lyric
        return _read_both(lyric.text, _frozen(times))


def plain(value: Any) -> str:
    """The text of lyrics in any form, as for building an alphabet.

    Raises:
      LabelError: what `Lyric.read` raises.
    """
    return Lyric.read(value).text


def check(name: str, alphabet: Alphabet | None, size: int) -> Alphabet:
    """An alphabet that a signal can read with.

    Args:
      name: of the signal.
      alphabet: what it was given.
      size: rows of its table.

    Raises:
      LabelError: the alphabet is missing, or another model's.
    """
    if alphabet is None:
        raise LabelError(f"signal {name!r} has no alphabet: give one under its name")
    if alphabet.size > size:
        raise LabelError(
            f"{name}: an alphabet of size {alphabet.size}, but the signal has size={size}: "
            "this alphabet belongs to another model"
        )
    return alphabet


@functools.lru_cache(maxsize=256)
def encoded(text: str, alphabet: Alphabet) -> Encoded:
    """A text as tokens, remembered, since many windows read the same song."""
    return alphabet.encode(text)


@functools.lru_cache(maxsize=256)
def is_unsayable(text: str, alphabet: Alphabet) -> bool:
    """Whether an alphabet can say nothing of a text but its white space, remembered as well."""
    return bool(text.strip()) and not alphabet.text(encoded(text, alphabet).tokens).strip()


def encode(
    value: Any,
    alphabet: Alphabet,
    count: int,
    span: Span,
    rate: int,
    *,
    allow_unknown: bool = False,
) -> np.ndarray:
    """The tokens of the lyrics that fall in a window.

    Args:
      value: lyrics in any form that `Lyric.read` takes.
      alphabet: the characters that the model knows.
      count: tokens that it reads at once.
      span: where the window lies in the song, in samples.
      rate: samples a second.
      allow_unknown: take lyrics of which the alphabet can say nothing for none.

    Returns:
      i32[count], 0 where there is no token; all zeros without lyrics.

    Raises:
      LabelError: lyrics that cannot be read, or of which the alphabet can say nothing.
    """
    lyric = Lyric.read(value, seconds=span.total / rate)
    tokens = encoded(lyric.text, alphabet).tokens
    if is_unsayable(lyric.text, alphabet) and not allow_unknown:
        raise LabelError(
            f"lyrics {lyric.text.strip()[:40]!r} have no character that the model knows: "
            "transcribe them, or allow unknown labels"
        )
    return _taken(tokens, indices(lyric, alphabet, count, span, rate))


def indices(value: Any, alphabet: Alphabet, count: int, span: Span, rate: int) -> np.ndarray:
    """Which of the lyrics' tokens a window reads: i32[count], -1 where none. See `encode`."""
    lyric = Lyric.read(value, seconds=span.total / rate)
    found = encoded(lyric.text, alphabet)
    if lyric.times is None:
        return window_indices(len(found.tokens), count, span)
    return timed_indices(np.asarray(lyric.times)[found.sources], count, span, rate)


def window(tokens: Sequence[int] | np.ndarray, count: int, span: Span) -> np.ndarray:
    """The tokens that a window reads of evenly spread lyrics, i32[count], 0 where none."""
    return _taken(np.asarray(tokens, np.int32), window_indices(len(tokens), count, span))


def window_indices(length: int, count: int, span: Span) -> np.ndarray:
    """Which tokens a window reads, if lyrics are spread evenly over the song.

    Fewer tokens than `count` are all read, padded on the left. Otherwise those from centre -
    count // 2 on, where centre = floor(length * (start + length of the span / 2) / total), moved
    so that the window lies within the lyrics.

    Args:
      length: tokens of the song's lyrics.
      count: tokens that a window reads.
      span: where the window lies in the song, in samples.

    Returns:
      i32[count], -1 where there is no token.
    """
    centre = length * (2 * span.start + span.length) // (2 * max(span.total, 1))
    return _around(centre, length, count)


def timed_indices(
    times: Sequence[float] | np.ndarray, count: int, span: Span, rate: int
) -> np.ndarray:
    """Which tokens a window reads of lyrics in time.

    The tokens whose times lie in the span, its beginning included and its end not, are those
    from `first` to `last`; both count the tokens before, if none does. The window is the one that
    `window_indices` finds for centre = (first + last) // 2: neighbours on both sides fill it up
    where fewer fall in the span, and as many are cut from both ends where more do.

    Args:
      times: f64[length], seconds of the song's tokens, never falling.
      count: tokens that a window reads.
      span: where the window lies in the song, in samples.
      rate: samples a second.

    Returns:
      i32[count], -1 where there is no token.
    """
    ends = (span.start / rate, (span.start + span.length) / rate)
    first, last = np.searchsorted(np.asarray(times, np.float64), ends, side="left")
    return _around(int(first + last) // 2, len(times), count)


def aligned(value: Any, alphabet: Alphabet, seconds: Sequence[float] | np.ndarray) -> Lyric:
    """The lyrics with the times at which their tokens were found.

    A character that has several tokens begins with the first. Those without a token, or whose
    time is not a number, lie evenly between their neighbours; a time before that of the
    character before counts as that.

    Args:
      value: the lyrics that were encoded, in any form.
      alphabet: they were encoded with.
      seconds: of each of their tokens, f32[length].

    Raises:
      ValueError: another number of times than of tokens.
    """
    text = Lyric.read(value).text
    found = encoded(text, alphabet)
    if len(seconds) != len(found.tokens):
        raise ValueError(f"{len(seconds)} times for lyrics of {len(found.tokens)} tokens")
    known = np.isfinite(np.asarray(seconds, np.float64))
    places, firsts = np.unique(found.sources[known], return_index=True)
    if not len(places):
        return Lyric(text)
    times = np.interp(np.arange(len(text)), places, np.asarray(seconds, np.float64)[known][firsts])
    return Lyric(text, tuple(np.maximum.accumulate(times).tolist()))


def _around(centre: int, length: int, count: int) -> np.ndarray:
    """The `count` places around a centre, or all of fewer and -1 before them."""
    if length < count:
        return np.arange(length - count, length, dtype=np.int32).clip(-1)
    begin = min(max(centre - count // 2, 0), length - count)
    return np.arange(begin, begin + count, dtype=np.int32)


def _taken(tokens: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.where(places < 0, PADDING, tokens[places] if len(tokens) else PADDING).astype(
        np.int32
    )


@functools.lru_cache(maxsize=256)
def _read_text(text: str) -> Lyric:
    # A mark of byte order and ends of lines as other systems write them are not sung.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    pieces = subtitles.read(text)
    return Lyric(text) if pieces is None else Lyric(*timed.spread(pieces))


class _Fields(tuple):
    """The (key, value) pairs of an object."""


def _frozen(items: Sequence[Any]) -> tuple[Any, ...]:
    """A list of timed pieces as what can be remembered; what is none is left for the reader."""
    frozen = tuple(
        _Fields(item.items()) if isinstance(item, Mapping) else
        tuple(item) if isinstance(item, list) else item
        for item in items
    )  # fmt: skip
    try:
        hash(frozen)
    except TypeError:
        raise LabelError(
            f"{str(items)[:60]} is no list of timed lyrics; give [[seconds, text], ...]"
        ) from None
    return frozen


@functools.lru_cache(maxsize=256)
def _listed(frozen: tuple[Any, ...]) -> tuple[Piece, ...]:
    items = [dict(item) if isinstance(item, _Fields) else item for item in frozen]
    return tuple(timed.listed(items))


@functools.lru_cache(maxsize=256)
def _read_list(frozen: tuple[Any, ...]) -> Lyric:
    return Lyric(*timed.spread(_listed(frozen))) if frozen else Lyric()


@functools.lru_cache(maxsize=256)
def _read_both(text: str, frozen: tuple[Any, ...]) -> Lyric:
    pieces = list(_listed(frozen))
    if "".join(piece.text for piece in pieces) != text:  # else white space has times of its own
        pieces = timed.located(text, pieces)
    return Lyric(*timed.spread(pieces)) if pieces else Lyric(text)


def _scheduled(value: Any, seconds: float | None) -> Lyric:
    """One lyric of all of a schedule's, each cut where the next begins."""
    entries = schedule.entries(value)
    ends: list[float | None] = [start for start, _ in entries[1:]]
    pieces: list[Piece] = []
    said = ""
    for (start, item), after in zip(entries, [*ends, None], strict=True):
        lyric = Lyric.read(item)
        if lyric.times is None:
            added = [Piece(start, lyric.text, seconds if after is None else after)]
        else:
            sung = [Piece(start + time, text) for time, text in lyric.pairs]
            added = [piece for piece in sung if after is None or piece.start < after]
        if said and lyric.text and not said.endswith("\n"):
            pieces[-1] = pieces[-1]._replace(text=pieces[-1].text + "\n")
        pieces += added
        said += "".join(piece.text for piece in added)
    return Lyric(*timed.spread(pieces))
