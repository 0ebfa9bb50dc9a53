"""Signals that change from code to code: numbers, names and sets of names over time.

`Curve` (loudness, tempo), `Track` (chords, sections) and `Events` (which instruments are heard)
enter at the door "track". What holds at a code depends on its place in the song alone, never on
the window it is asked for in, so that windows of any start and length agree where they overlap.
How values over time are written stands in `timeline`; where they come from, a list, a person or a
measurement, is known to neither.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import timeline
from jukebox_jax.prior.signals import of, table
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, Vocabulary


@dataclasses.dataclass(frozen=True)
class Curve:
    """A number over time: loudness in dB, tempo in beats a minute, ...

    A label is a number; [[second, number], ...], joined by straight lines and level before the
    first and after the last; or a schedule, whose numbers hold until the next (None: unknown).
    Encoded as i32[length]: for each code 0 where the number is unknown, else 1 and its bin.
    Embedded by a table.

    Attributes:
      minimum: the lowest number; lower ones fall into the first bin.
      maximum: the highest; higher ones fall into the last bin.
      bins: equal bins between them.
      rate: audio samples a second.
    """

    minimum: float
    maximum: float
    bins: int
    rate: int = 44100
    door: ClassVar[str] = "track"

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: nothing lies between minimum and maximum, or there are no bins.
        """
        if not self.minimum < self.maximum:
            raise ValueError(
                f"a curve from minimum={self.minimum} to maximum={self.maximum}: give a larger "
                "maximum"
            )
        if self.bins < 1:
            raise ValueError(f"a curve of bins={self.bins}: give 1 or more")

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The bin of each code, i32[length].

        Raises:
          LabelError: the label is of another form, or missing or unknown somewhere, unless that
            is allowed.
        """
        value = song.labels.get(name)
        if timeline.is_missing(value):
            return _missing(name, song, allow_unknown, np.zeros(length, np.int32))
        try:
            times, numbers, steps = timeline.points(value)
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        at = timeline.seconds(span, length, self.rate)
        found = numbers[timeline.latest(times, at)] if steps else np.interp(at, times, numbers)
        unknown = np.isnan(found)
        if not allow_unknown and np.isnan(numbers).any():
            raise LabelError(
                f"{name} of {of(song)}: unknown in parts: give a number, or allow unknown labels"
            )
        part = (found - self.minimum) / (self.maximum - self.minimum)
        # In this order, so that no number is too large for an integer.
        bins = np.floor(np.clip(np.where(unknown, 0.0, part), 0.0, 1.0) * self.bins)
        return np.where(unknown, UNKNOWN, 1 + np.minimum(bins, self.bins - 1)).astype(np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context] to [batch, context, width]."""
        return table(self.bins + 1, width, init_scale, dtype)(values)

    def nothing(self) -> np.ndarray:
        """The value, at each code, of a song about which nothing is known."""
        return np.array(UNKNOWN, np.int32)


@dataclasses.dataclass(frozen=True)
class Track:
    """A name over time: chords, sections, ...

    A label is a name; or [[second, name], ...] or a schedule, whose names hold until the next, the
    first also before it begins (None: unknown). Encoded as i32[length], the id at each code.
    Embedded by a table.

    Attributes:
      size: rows of the table; ids lie below it, and 0 is reserved for the unknown.
      rate: audio samples a second.
    """

    size: int
    rate: int = 44100
    door: ClassVar[str] = "track"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The id at each code, i32[length].

        Raises:
          LabelError: the label is of another form, missing or unknown, unless that is allowed; or
            an id that the table has no row for.
        """
        value = song.labels.get(name)
        if timeline.is_missing(value) or value in ([], ()):
            return _missing(name, song, allow_unknown, np.zeros(length, np.int32))
        if isinstance(value, Mapping) and "schedule" not in value:
            raise LabelError(
                f"{name} of {of(song)}: a name at a time, or names over time, but no mixture of "
                "names: only signals of kind 'label' mix"
            )
        try:
            pairs = timeline.steps(value)
            ids = [_id(self.size, word, vocabulary, allow_unknown) for _, word in pairs]
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        at = timeline.seconds(span, length, self.rate)
        times = np.array([second for second, _ in pairs])
        return np.array(ids, np.int32)[timeline.latest(times, at)]

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context] to [batch, context, width]."""
        return table(self.size, width, init_scale, dtype)(values)

    def nothing(self) -> np.ndarray:
        """The value, at each code, of a song about which nothing is known."""
        return np.array(UNKNOWN, np.int32)

    def names(self, value: Any) -> set[str]:
        """All names of a label.

        Raises:
          LabelError: it is of another form.
        """
        if timeline.is_missing(value) or value in ([], ()):
            return set()
        return {str(word) for _, word in timeline.steps(value) if not timeline.is_missing(word)}


@dataclasses.dataclass(frozen=True)
class Events:
    """Sets of names over time: which instruments are heard, ...

    A label is a name or a list of names, which hold throughout; {name: [[start, end], ...]}, each
    from its start until before its end; or a schedule of lists, which hold until the next.
    Encoded as u8[length, size]: 1 at each code for what holds there, and in column 0 where that is
    unknown, in whole or in part. Embedded as the sum of the rows of what holds.

    Attributes:
      size: rows of the table; ids lie below it, and 0 is reserved for the unknown.
      rate: audio samples a second.
    """

    size: int
    rate: int = 44100
    door: ClassVar[str] = "track"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """What holds at each code, u8[length, size].

        Raises:
          LabelError: the label is of another form, missing or has a name that is unknown, unless
            that is allowed; or an id that the table has no row for.
        """
        value = song.labels.get(name)
        if timeline.is_missing(value):
            unknown = np.tile(self.nothing(), (length, 1))
            return _missing(name, song, allow_unknown, unknown)
        at, held = (
            timeline.seconds(span, length, self.rate),
            np.zeros((length, self.size), np.uint8),
        )
        try:
            for word, start, end in timeline.intervals(value):
                row = _id(self.size, word, vocabulary, allow_unknown)
                first, last = np.searchsorted(at, [start, end])
                held[first:last, row] = 1
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        return held

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context, size] to [batch, context, width]."""
        rows = table(self.size, width, init_scale, dtype).rows
        return jnp.einsum("...s,sw->...w", values.astype(dtype), rows)

    def nothing(self) -> np.ndarray:
        """The value, at each code, of a song about which nothing is known."""
        return (np.arange(self.size) == UNKNOWN).astype(np.uint8)

    def names(self, value: Any) -> set[str]:
        """All names of a label.

        Raises:
          LabelError: it is of another form.
        """
        if timeline.is_missing(value):
            return set()
        return {
            str(word) for word, _, _ in timeline.intervals(value) if not timeline.is_missing(word)
        }


def collect(name: str, signal: Track | Events, songs: Iterable[Song]) -> tuple[str, ...]:
    """All names that songs' labels use, sorted, to learn a vocabulary from.

    Their spelling tells them apart, as "C" from "C#": leave it as it is (`normalise="plain"`).

    Raises:
      LabelError: a label that cannot be read.
    """
    found: set[str] = set()
    for song in songs:
        try:
            found |= signal.names(song.labels.get(name))
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
    return tuple(sorted(found))


def _missing(name: str, song: Song, allow_unknown: bool, unknown: np.ndarray) -> np.ndarray:
    if not allow_unknown:
        raise LabelError(f"{of(song)} has no label {name!r}: give it one, or allow unknown labels")
    return unknown


def _id(size: int, word: Any, vocabulary: Vocabulary | None, allow_unknown: bool) -> int:
    """The id of a name, None for the unknown."""
    if vocabulary is None:
        raise LabelError("the signal has no vocabulary: give one under its name")
    if timeline.is_missing(word):
        if not allow_unknown:
            raise LabelError("unknown in parts: give a name, or allow unknown labels")
        return UNKNOWN
    found = vocabulary.id(str(word), allow_unknown)
    if found >= size:
        raise LabelError(
            f"{word!r} has id {found}, but the signal has size={size}: this vocabulary belongs to "
            "another model"
        )
    return found
