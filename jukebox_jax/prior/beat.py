"""Where each code stands in its beat and its bar: a pulse to play to, told as a track.

A small prior loses the beat within seconds, and a person who wants a tempo, or music in time with
something else, has no other way to ask for it. Windows of any start and length agree where they
overlap, as those of `curves` do. Where beats come from, a list, a person or a measurement, is
known to nothing here.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import timeline
from jukebox_jax.prior.signals import of, table
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, hint

_FORM = (
    'a tempo, {"tempo": 120, "metre": 4, "start": 0}, [second, ...] or [[second, beat of bar], ...]'
)


@dataclasses.dataclass(frozen=True)
class Beats:
    """The part of a beat, and the beat of a bar, at each code.

    A label is the seconds of all beats, in order; the same with each beat's number in its bar, from
    1; or a steady pulse: its tempo in beats a minute, or that with, where they are known, the beats
    of a bar and the second of a bar's first beat. Before the first beat and after the last the
    pulse goes on as it is there. Encoded as i32[length]: 0 where no beats are known, else
    1 + number * bins + part, with number 0 where only the beats are known. Embedded by a table.

    Attributes:
      bins: equal parts of a beat.
      most: the most beats that a bar may have.
      rate: audio samples a second.
    """

    bins: int = 24
    most: int = 4
    rate: int = 44100
    door: ClassVar[str] = "track"

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: a beat of no parts, or a bar of no beats.
        """
        for name in ("bins", "most"):
            if getattr(self, name) < 1:
                raise ValueError(f"beats of {name}={getattr(self, name)}: give 1 or more")

    @property
    def size(self) -> int:
        """Rows of the table."""
        return 1 + (self.most + 1) * self.bins

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: object,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The place in beat and bar of each code, i32[length].

        A song without beats is no error: the prior then finds a pulse of its own.

        Raises:
          LabelError: beats that cannot be read, or bars of more beats than `most`.
        """
        value = song.labels.get(name)
        if timeline.is_missing(value):
            return np.full(length, UNKNOWN, np.int32)
        at = timeline.seconds(span, length, self.rate)
        try:
            number, part = _places(value, at)
            if number.max(initial=0) > self.most:
                raise LabelError(
                    f"a bar of {number.max()} beats, but the signal has most={self.most}: count "
                    "shorter bars, or leave the bars out"
                )
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        bins = np.minimum(np.floor(part * self.bins), self.bins - 1).astype(np.int64)
        found = 1 + number * self.bins + bins
        return np.where(number < 0, UNKNOWN, found).astype(np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context] to [batch, context, width]."""
        return table(self.size, width, init_scale, dtype)(values)

    def nothing(self) -> np.ndarray:
        """The value, at each code, of a song of which no beats are known."""
        return np.array(UNKNOWN, np.int32)


def _places(value: Any, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each moment's beat in its bar (0: not told; -1: no beat is known) and its part of a beat.

    Raises:
      LabelError: a value that cannot be read.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise LabelError(f"{str(value)[:60]!r} cannot be read; write {_FORM}") from None
    if isinstance(value, (int, float)):
        value = {"tempo": value}
    if isinstance(value, Mapping):
        tempo, metre, start = _steady(value)
        count = (at - start) * (tempo / 60)
        whole = np.floor(count)
        return (np.mod(whole, metre) + 1 if metre else 0 * whole).astype(np.int64), count - whole
    times, numbers = _listed(value)
    if len(times) < 2:  # one beat is no pulse
        return np.full(len(at), -1), np.zeros(len(at))
    index = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    count = index + (at - times[index]) / (times[index + 1] - times[index])
    whole = np.floor(count).astype(np.int64)
    nearest = np.clip(whole, 0, len(times) - 1)
    metre = max(int(numbers.max()), 1)
    beat = np.mod(numbers[nearest] - 1 + whole - nearest, metre) + 1
    return np.where(numbers[nearest] > 0, beat, 0), count - whole


def _steady(value: Mapping[str, Any]) -> tuple[float, int, float]:
    """Tempo, beats of a bar (0: not told) and the second of a bar's first beat.

    Raises:
      LabelError: a field that is missing, unknown or out of range.
    """
    fields = ("tempo", "metre", "start")
    for key in value:
        if key not in fields:
            raise LabelError(f"{key!r} is no field of steady beats; {hint(key, fields)}")
    try:
        tempo, start = float(value["tempo"]), float(value.get("start") or 0.0)
        metre = int(value.get("metre") or 0)
    except (KeyError, TypeError, ValueError):
        raise LabelError(f"{str(value)[:60]} cannot be read; write {_FORM}") from None
    if not 0 < tempo < np.inf or metre < 0 or not np.isfinite(start):
        raise LabelError(
            f"{str(value)[:60]}: give a tempo above 0, a metre of 1 or more, and seconds"
        )
    return tempo, metre, start


def _listed(value: Any) -> tuple[np.ndarray, np.ndarray]:
    """The seconds of beats, and the number of each in its bar, 0 where it is not told.

    Raises:
      LabelError: a list of another form, out of order, or of one moment twice.
    """
    try:
        table = np.array(value, np.float64)
        if table.ndim == 1:
            table = np.stack([table, np.zeros(len(table))], axis=1)
        if table.ndim != 2 or table.shape[1] != 2 or not np.isfinite(table).all():
            raise ValueError
    except (TypeError, ValueError):
        raise LabelError(f"{str(value)[:60]} cannot be read; write {_FORM}") from None
    times, numbers = table[:, 0], table[:, 1].astype(np.int64)
    if (numbers != table[:, 1]).any() or (numbers < 0).any():
        raise LabelError("a beat's number in its bar is 1, 2, ..., or 0 where it is not known")
    back = np.flatnonzero(np.diff(times) <= 0)
    if back.size:
        raise LabelError(
            f"beats go from {times[back[0]]:g} s to {times[back[0] + 1]:g} s: sort them, each once"
        )
    return times, numbers
