"""What can be asked of the studio: new songs, and what becomes of those that are there.

From what a person filled in to a session in a folder of its own, within the limits that the studio
was opened with. How sessions and takes work is known to `sampling`; how things look, to `page`.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jukebox_jax.sampling import session, stages, tree
from jukebox_jax.sampling.stages import Stages
from jukebox_jax.studio import runs
from jukebox_jax.studio.desk import Desk
from jukebox_jax.studio.runs import Run

SECONDS: Mapping[str, str] = {
    "start": "From second",
    "end": "To second",
    "seconds": "Keep up to second",
}
"""What arguments of operations that are moments of a song are called."""

_WATCHED = {"chunk": 64, "save_seconds": 4.0}  # what is looked at often, stops soon
_MOST_LYRICS = 20_000  # characters
_MOST_GUIDANCE = 20.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much may be asked for.

    Attributes:
      seconds: of a recording.
      candidates: songs side by side.
    """

    seconds: float = 60.0
    candidates: int = 8

    def __post_init__(self) -> None:
        """Checks that something is left.

        Raises:
          ValueError: nothing may be asked for.
        """
        if not self.seconds > 0 or self.candidates < 1:
            raise ValueError(
                f"at most {self.seconds} seconds and {self.candidates} candidates: give more"
            )


@dataclasses.dataclass(frozen=True)
class Studio:
    """A set of stages, a folder of runs, and one desk to work at.

    Attributes:
      stages: what songs are drawn with.
      home: the folder of runs.
      limits: how much may be asked for.
      desk: where it is drawn.
    """

    stages: Stages
    home: pathlib.Path
    limits: Limits = Limits()
    desk: Desk = dataclasses.field(default_factory=Desk)

    def ask(
        self,
        labels: Mapping[str, Any],
        *,
        count: int,
        seconds: float,
        temperature: float = 0.99,
        guidance: float = 1.0,
        seed: int = 0,
    ) -> str:
        """Begins to draw the top level of new songs.

        Args:
          labels: as they were filled in; what is empty is left out.
          count: songs, which differ in their seeds alone.
          seconds: of each.
          temperature: divides the logits.
          guidance: how much more than trained labels are followed, at levels that can be guided.
          seed: of the first; the others follow.

        Returns:
          The name of the run.

        Raises:
          ValueError: more than the studio allows, or what the stages cannot be told.
        """
        self._within(count, seconds)
        if not temperature > 0:
            raise ValueError(f"temperature {temperature}: give a number above 0")
        if not 1 <= guidance <= _MOST_GUIDANCE:
            raise ValueError(f"guidance {guidance}: give a number from 1 to {_MOST_GUIDANCE:g}")
        told = stages.labels(self.stages.fields, labels)
        for name, value in told.items():
            if isinstance(value, str) and len(value) > _MOST_LYRICS:
                raise ValueError(f"{name} has {len(value)} characters: {_MOST_LYRICS} at most")
        if told.get("total_seconds"):
            told["total_seconds"] = max(float(told["total_seconds"]), float(seconds))
        first = int(seed) % (1 << 32)
        config = {
            **self.stages.config,
            "songs": [{**told, "seed": (first + row) % (1 << 32)} for row in range(count)],
            "seconds": float(seconds),
            "temperature": float(temperature),
            "guidance": self.stages.guidance(guidance),
            "levels": [self.stages.top],
            **_WATCHED,
        }
        out = runs.new(self.home)

        def work(watch: Any) -> None:
            session.run(config, out, on_progress=watch)
            self._measure(out)

        self.desk.start(out.name, "drawing candidates", work)
        return out.name

    def derive(
        self,
        name: str,
        operation: str,
        songs: Sequence[int],
        *,
        down_to: int = 0,
        **arguments: Any,
    ) -> str:
        """Begins to draw what an operation of `takes` leaves open.

        Args:
          name: of the run to go on from.
          operation: "pick" to upsample songs, "excerpt" to upsample a part of them, "branch",
            "replace".
          songs: numbers of those that are taken.
          down_to: the finest level to draw.
          arguments: the others of the operation.

        Returns:
          The name of the new run.

        Raises:
          ValueError: more than the studio allows, or what cannot be done with the run.
        """
        run = self.run(name)
        ways = int(arguments.get("count", 1))
        if not songs:
            raise ValueError("no song is chosen: choose one at least")
        for argument, called in SECONDS.items():
            if argument in arguments and arguments[argument] is None:
                raise ValueError(f"{called} is empty: give a number of seconds")
        if not run.complete:
            raise ValueError(f"{name}: no level is complete yet; continue it first")
        self._within(len(songs) * ways, run.seconds)
        drawn = self._levels(run, operation, down_to)
        out = runs.new(self.home, operation)
        given = {"songs": sorted(int(song) for song in songs), **arguments}
        changes = {"levels": drawn, **_WATCHED}

        def work(watch: Any) -> None:
            tree.derive(out, operation, [run.folder], given, changes=changes, on_progress=watch)
            self._measure(out)

        self.desk.start(out.name, f"{runs.WORDS[operation]} from {name}", work)
        return out.name

    def go_on(self, name: str) -> None:
        """Goes on with a run that was stopped.

        Raises:
          ValueError: it cannot be read, or nothing is left to be drawn.
        """
        run = self.run(name)
        if run.finished:
            raise ValueError(f"{name} is finished")

        def work(watch: Any) -> None:
            session.resume(run.folder, on_progress=watch)
            self._measure(run.folder)

        self.desk.start(name, "going on", work)

    def run(self, name: str) -> Run:
        """A run by its name.

        Raises:
          ValueError: there is none, or it cannot be read.
        """
        found = {one.name: one for one in runs.listed(self.home)}
        if name not in found:
            raise ValueError(f"{name!r}: there is no such run" if name else "choose a run first")
        if found[name].trouble:
            raise ValueError(f"{name}: {found[name].trouble}")
        return found[name]

    def close(self, wait: float = 20.0) -> None:
        """Stops what is at work, so that it can be gone on with."""
        self.desk.stop(wait)

    def _within(self, count: int, seconds: float) -> None:
        if not 1 <= count <= self.limits.candidates:
            raise ValueError(f"{count} songs side by side: give 1 to {self.limits.candidates}")
        if not 0 < seconds <= self.limits.seconds:
            raise ValueError(f"{seconds:g} seconds: give up to {self.limits.seconds:g}")

    def _levels(self, run: Run, operation: str, down_to: int) -> list[int]:
        """The levels to draw: all that the operation opens, down to one."""
        have = [level for level, path in enumerate(self.stages.priors) if path]
        keeps = operation in ("pick", "excerpt")  # complete levels stay so
        first = min(run.complete) - 1 if keeps else max(run.complete)
        if operation == "replace":  # the span is open at every level that is there
            down_to = min(down_to, *run.complete)
        wanted = [level for level in range(first, down_to - 1, -1) if level in have]
        if not wanted:
            raise ValueError(
                f"{run.name} is there down to level {min(run.complete)}: nothing is left to draw "
                f"down to level {down_to}"
            )
        return wanted

    def _measure(self, folder: pathlib.Path) -> None:
        """Scores a run's songs at its finest level, where there are several to compare."""
        run = runs.read(folder)
        if len(run.songs) > 1 and run.complete:
            self.desk.say("comparing its songs")
            tree.score(folder, min(run.complete))
