"""How each song wants its codes drawn, place by place.

A song's labels may hold its own temperature, top_k, top_p and guidance, numbers or numbers over
time, and `levels`: {level: {label: value}} with what differs at one level, be it an artist or a
temperature. Here they are brought together with the settings of all songs, and become the numbers
that `generate` takes for one window. Nothing here knows how songs are laid out or scheduled.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.prior import conditioning, timeline
from jukebox_jax.prior.conditioning import LabelError
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import settings
from jukebox_jax.sampling.settings import COURSES, Course, Level

LEVELS = "levels"
"""The label that holds what differs from level to level."""

_OFF = {"temperature": None, "top_k": 0, "top_p": 0.0, "guidance": 1.0}
_WHOLE = ("seed", "start_seconds", "total_seconds", LEVELS)  # of a song, at all levels

OWN = (*COURSES, *_WHOLE)
"""Labels that say how a song is sampled, and are told to no prior."""


def at_level(song: Song, level: int) -> Song:
    """A song with the labels that it has at one level.

    Raises:
      LabelError: `levels` is of another form, or holds what belongs to the whole song.
    """
    own = per_level(song).get(level)
    return dataclasses.replace(song, labels={**song.labels, **own}) if own else song


def per_level(song: Song) -> dict[int, dict[str, Any]]:
    """What a song's labels say of single levels.

    Raises:
      LabelError: as in `at_level`.
    """
    value = song.labels.get(LEVELS)
    if value is None or value == "":
        return {}
    try:
        given = json.loads(value) if isinstance(value, str) else value
        found = {int(level): dict(labels) for level, labels in given.items()}
    except (TypeError, ValueError, AttributeError):
        raise LabelError(
            f"{LEVELS} = {str(value)[:60]} cannot be read; write {{level: {{label: value}}}}"
        ) from None
    for level, labels in found.items():
        for name in _WHOLE:
            if name in labels:
                raise LabelError(f"{LEVELS}.{level}.{name}: say it of the whole song, beside it")
    return found


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How codes of one level are drawn, of all songs of a recording.

    Attributes:
      step: the level.
      rate: audio samples a second.
      courses: for each of `COURSES`, that of each song.
    """

    step: Level
    rate: int
    courses: Mapping[str, tuple[Course, ...]]

    def guided(self, song: int) -> bool:
        """Whether a song needs a second pass for what its labels are followed beyond."""
        return not _is(self.courses["guidance"][song], 1.0)

    def at(self, songs: Sequence[int], starts: Sequence[int]) -> dict[str, Any]:
        """What `generate.advance` takes for windows of some songs, all guided or none.

        Args:
          songs: whose windows are sampled side by side.
          starts: the first code of each.

        Returns:
          By name a number where all songs are drawn alike at all times, None where that is off,
          and f32[songs, context] otherwise.
        """
        found: dict[str, Any] = {}
        for name, every in self.courses.items():
            first = every[0]
            if not (isinstance(first, (int, float)) and all(_is(one, first) for one in every)):
                pairs = zip(songs, starts, strict=True)
                found[name] = np.stack([self._row(name, every[song], at) for song, at in pairs])
            else:
                found[name] = None if first == _OFF[name] else first
        if not self.guided(songs[0]):
            found["guidance"] = None
        return found

    def _row(self, name: str, course: Course, start: int) -> np.ndarray:
        """f32[context] from a place of the level on."""
        context = self.step.context
        if isinstance(course, (int, float)):
            return np.full(context, course, np.float32)
        seconds = (start + np.arange(context)) * self.step.samples / self.rate
        times, numbers, held = timeline.points(course)
        if held or name in settings.HELD:
            return numbers[timeline.latest(times, seconds)].astype(np.float32)
        return np.interp(seconds, times, numbers).astype(np.float32)


def drawing(step: Level, model: Prior, songs: Sequence[Song], rate: int) -> Drawing:
    """How one level is drawn, checked.

    Args:
      step: the level, with the settings of songs that say nothing.
      model: its prior.
      songs: all of a recording.
      rate: audio samples a second.

    Raises:
      LabelError: a song's own setting that is out of range.
      ValueError: guidance by a prior that cannot do without labels.
    """
    courses: dict[str, tuple[Course, ...]] = {}
    for name in COURSES:
        found = []
        for index, song in enumerate(songs):
            own = at_level(song, step.level).labels.get(name)
            if timeline.is_missing(own):
                found.append(getattr(step, name))
                continue
            where = f"at level {step.level} of song {index}"
            try:
                found.append(settings.course(name, _plain(own), where))
            except ValueError as error:
                raise LabelError(str(error)) from None
        courses[name] = tuple(found)
    made = Drawing(step, rate, courses)
    if any(made.guided(song) for song in range(len(songs))):
        if not can_guide(model):
            raise ValueError(
                f"guidance at level {step.level}: its prior was trained without label dropout and "
                "knows no song without labels: give 1 for this level, or train it with "
                "label_dropout"
            )
    return made


def can_guide(model: Prior) -> bool:
    """Whether a prior knows songs without labels, from which guidance leads away."""
    return bool(model.label_dropout) and conditioning.hides(model.signals)


def _plain(value: Any) -> Any:
    """A cell of a table that holds a number, as that number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is(course: Course, other: Course) -> bool:
    """Whether two courses are alike, as written."""
    return bool(course == other)
