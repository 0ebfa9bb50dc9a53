"""Writing the steps of a run, and going on from them.

Steps are written in the background and appear whole or not at all. A run that was killed finds its
last whole step again; one whose disk was damaged, an older one. It knows what to keep, and nothing
of what is in the parts.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from jukebox_jax.checkpoint import disk, fingerprint, places, stage
from jukebox_jax.checkpoint.disk import CheckpointError

_DAMAGED = "damaged"  # the folder beside the steps into which damaged ones are moved
_log = logging.getLogger("jukebox_jax.checkpoint")


class Checkpoints:
    """The steps of a run, each of them whole or absent.

    A context manager: when it ends, the last step is written.

    Args:
      directory: the run's; it is made if need be.
      keep: how many of the latest steps stay.
      best: name of a metric; the step at which it was lowest stays as well.
      asynchronous: whether `save` returns before all is written; what it was given may be changed
        or donated at once all the same.

    Raises:
      CheckpointError: nothing can be written there.
    """

    def __init__(
        self,
        directory: epath.PathLike,
        *,
        keep: int = 3,
        best: str | None = None,
        asynchronous: bool = True,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep}: at least the latest step has to stay")
        self._directory = places.located(directory)
        self._keep, self._best = keep, best
        self._pending: int | None = None
        self._metrics: dict[int, Mapping[str, float]] = {}
        self._prepare()
        for step in self.steps():
            try:
                self._metrics[step] = disk.Record.read(self._directory, step).metrics
            except CheckpointError:
                continue  # `restore` tells
        self._manager = disk.manager(self._directory, disk.Keep(self._choose), asynchronous)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except CheckpointError as failure:
            if error is None:
                raise
            _log.error("%s", failure)  # the first error is the one to raise

    def save(
        self, step: int, parts: Mapping[str, Any], *, metrics: Mapping[str, float] | None = None
    ) -> bool:
        """Saves a step; every process of a run calls it.

        Args:
          step: its number.
          parts: trees of arrays by name.
          metrics: numbers by name; a step without the `best` one is never the best.

        Returns:
          Whether it is saved: False if it was there already.

        Raises:
          CheckpointError: this step or the one before cannot be written, or later ones are there.
          ValueError: a part is no tree of named arrays.
        """
        self.wait()
        latest = self.latest()
        if latest is not None and step <= latest:
            if step in self.steps():
                return False
            raise CheckpointError(
                f"{self._directory} holds step {latest}, later than the step {step} to save: go on "
                "from there, or use another directory"
            )
        leaves = {part: fingerprint.named(tree) for part, tree in parts.items()}
        record = disk.Record(
            parts={part: fingerprint.describe(named) for part, named in leaves.items()},
            metrics={name: float(value) for name, value in (metrics or {}).items()},
        )
        contents = disk.contents(record, leaves)
        self._metrics[step] = record.metrics
        self._pending = step
        try:
            self._manager.save(step, args=contents, force=True)
        except Exception as error:
            raise self._failure(error) from error
        return True

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
          CheckpointError: the last step cannot be written; those before are as they were.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failure(error) from error
        self._pending = None
        self._empty_trash()

    def close(self) -> None:
        """Waits until everything is written, and ends the threads that write."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def steps(self) -> list[int]:
        """The saved steps, oldest first; whether they are whole turns out when they are read."""
        return disk.steps(self._directory)

    def latest(self) -> int | None:
        """The latest saved step, None before the first."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The saved step at which the `best` metric was lowest, None if no step has it."""
        return self._lowest(self.steps())

    def restore(
        self, abstract: Mapping[str, Any], step: int | None = None
    ) -> tuple[int, dict[str, Any]] | None:
        """Reads a step back, bit for bit; every process of a run calls it.

        Steps that turn out to be damaged are passed over, with a line in the log each, and moved
        to the folder "damaged", so that the run can come to their numbers again.

        Args:
          abstract: trees of `jax.ShapeDtypeStruct` by part. An array comes back where its
            sharding says, as a NumPy array if it has none.
          step: which; the newest whole one by default.

        Returns:
          The step, and its parts in the structure of `abstract`; None if nothing was ever saved.

        Raises:
          CheckpointError: steps are there but none is whole, or they have other shapes.
        """
        self.wait()
        if step is None and not self.steps():
            return None
        wanted = {part: fingerprint.named(tree) for part, tree in abstract.items()}

        def read(number: int) -> dict[str, Any]:
            record = disk.Record.read(self._directory, number)
            folder = self._directory / str(number)
            record.check(folder, abstract, wanted)
            restored = {}
            for part, leaves in wanted.items():
                where = {name: getattr(leaf, "sharding", None) for name, leaf in leaves.items()}
                found = disk.read(folder / part, record.parts[part], where)
                structure = jax.tree.structure(abstract[part])
                restored[part] = structure.unflatten([found[name] for name in leaves])
            return restored

        number, restored, damaged = disk.newest_whole(self._directory, step, read, together=True)
        if damaged:
            self._set_aside(damaged)
        return number, restored

    def _failure(self, error: Exception) -> CheckpointError:
        step, self._pending = self._pending, None
        self._manager.reload()  # it counted the step, and forgot those that were to go
        last = self.latest()
        left = "there is none before it" if last is None else f"step {last} is the last whole one"
        return CheckpointError(
            f"step {step} cannot be written to {self._directory}: {disk.reason(error)}; {left}"
        )

    def _lowest(self, steps: Iterable[int]) -> int | None:
        known = {step: self._metrics.get(step, {}).get(self._best or "", np.nan) for step in steps}
        finite = [step for step, value in known.items() if np.isfinite(value)]
        return min(finite, key=lambda step: (known[step], -step), default=None)

    def _choose(self, steps: Sequence[int]) -> set[int]:
        best = self._lowest(steps)
        return {*sorted(steps)[-self._keep :], *([] if best is None else [best])}

    def _prepare(self) -> None:
        """Frees what a killed run left, and learns now whether one can write, not hours later."""
        if jax.process_index():
            return
        self._empty_trash()
        for half in disk.unfinished(self._directory):
            _remove(half)
        stage.write_json(self._directory, ".probe", True)
        (self._directory / ".probe").unlink()

    def _empty_trash(self) -> None:
        if not jax.process_index():
            _remove(self._directory / disk.TRASH)

    def _set_aside(self, steps: Iterable[int]) -> None:
        """Moves damaged steps out of the way, for a human to look at."""
        if not jax.process_index():
            for step in steps:
                target = self._directory / _DAMAGED / str(step)
                while target.exists():
                    target = target.parent / f"{target.name}_"
                target.parent.mkdir(exist_ok=True)
                if disk.remote(target):  # where a folder is there once something lies in it
                    stage.write_text(target.parent, "README", "Steps that could not be read.\n")
                (self._directory / str(step)).rename(target)
        disk.everywhere(True)
        self._manager.reload()


def _remove(folder: epath.Path) -> None:
    """Removes a folder that nobody needs, if there is one; to fail at that stops no run."""
    try:
        if folder.is_dir():
            folder.rmtree()
    except OSError as error:
        _log.warning("%s cannot be removed: %s", folder, disk.reason(error))


def save_stage(
    directory: epath.PathLike,
    config: Mapping[str, Any],
    parts: Mapping[str, Any],
    vocabularies: Mapping[str, Any] | None = None,
    step: int = 0,
) -> None:
    """Writes a whole stage at once.

    Args:
      directory: where; it may not hold a stage.
      config: what `models.build` understands.
      parts: trees of arrays by name.
      vocabularies: for each label signal, its vocabulary in JSON's types.
      step: the number that it gets.

    Raises:
      CheckpointError: a stage is there already, or it cannot be written.
    """
    directory = places.located(directory)
    if disk.steps(directory):
        raise CheckpointError(f"{directory} holds a stage already: give another directory")
    stage.write_json(directory, stage.CONFIG, config)
    stage.write_json(directory, stage.VOCABULARIES, vocabularies or {})
    with Checkpoints(directory, asynchronous=False) as checkpoints:
        checkpoints.save(step, parts)
