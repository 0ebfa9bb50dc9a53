"""What lies on the disk: the finished steps of a directory, and the arrays and record of each.

The only file that knows Orbax, which is imported when it is first needed. Each step has a folder
for every part that has arrays, and one for the record: the shapes and fingerprints of all leaves,
and the metrics. What cannot be read, or is not what the record says, is damage.
"""

import dataclasses
import functools
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from jukebox_jax.checkpoint import fingerprint
from jukebox_jax.checkpoint.fingerprint import Leaf

TRASH = "trash"
"""The folder beside the steps into which deleted ones are renamed."""

_RECORD = "fingerprint"  # its folder beside the parts
_FIRST, _LAST = "_CHECKPOINT_METADATA", "commit_success.txt"  # files of a step in a bucket
_FORMAT = 1
LEFT_BEHIND = r"coroutine '(_deserialize_arrays|Store)\b.*' was never awaited"
"""What Python says of the arrays that were on their way when another one failed."""
_TOGETHER = 1 << 26  # values that are read at once where only a part of them is kept
_ENDED = "Event loop is closed"
_log = logging.getLogger("jukebox_jax.checkpoint")
_T = TypeVar("_T")


class CheckpointError(ValueError):
    """What is wrong with a stage's directory, in one line."""


class DamagedError(CheckpointError):
    """A step that cannot be trusted; an older one may be whole."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What lies beside the parts of a step.

    Attributes:
      parts: the leaves of each part by name.
      metrics: numbers by name.
    """

    parts: Mapping[str, Mapping[str, Leaf]]
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON's types."""
        return {"format": _FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def read(cls, directory: epath.Path, step: int) -> "Record":
        """Reads the record of a step.

        Raises:
          DamagedError: there is none, or it is unreadable.
          CheckpointError: a newer release wrote it.
        """
        path = directory / str(step) / _RECORD / "metadata"
        try:
            value = json.loads(path.read_text())
            form = int(value["format"])
            if form <= _FORMAT:
                parts = {
                    part: {
                        name: Leaf(**{**leaf, "shape": tuple(leaf["shape"])})
                        for name, leaf in leaves.items()
                    }
                    for part, leaves in value["parts"].items()
                }
                return cls(parts=parts, metrics=dict(value["metrics"]))
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError("half-written or not ours: it has no fingerprints") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DamagedError("its fingerprints are unreadable") from None
        raise CheckpointError(f"{path} has format {form}, not {_FORMAT}: use a newer release")

    def check(
        self,
        folder: epath.Path,
        parts: Iterable[str],
        wanted: Mapping[str, Mapping[str, Any]],
        *,
        types: bool = True,
    ) -> None:
        """Compares the record with what is asked for, before anything is read.

        Args:
          folder: of the step, for messages.
          parts: names of parts that must be there.
          wanted: for some parts, leaves of the right shapes by name.
          types: whether they have to be of the right types as well.

        Raises:
          CheckpointError: a part is missing, or has other leaves.
        """
        for part in (*parts, *wanted):
            if part not in self.parts:
                has = ", ".join(self.parts)
                raise CheckpointError(f"{folder} has no part {part!r}; it has {has}")
        wrong = [
            f"{part}/{phrase}"
            for part, leaves in wanted.items()
            for phrase in fingerprint.differences(self.parts[part], leaves, types=types)
        ]
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise CheckpointError(
                f"{folder} was saved with another config: {'; '.join(wrong[:3])}{more}"
            )


class Keep:
    """Which steps stay, in the form in which Orbax asks."""

    def __init__(self, choose: Callable[[Sequence[int]], set[int]]) -> None:
        self._choose = choose

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """For each checkpoint, whether it stays."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = self._choose(steps)
        return [step in kept for step in steps]


def manager(directory: epath.Path, keep: Keep, asynchronous: bool) -> Any:
    """Orbax's manager of a directory that is written to."""
    ocp = _orbax()
    options = ocp.CheckpointManagerOptions(
        preservation_policy=keep,
        todelete_subdir=TRASH,  # deleted in place, a step would be half there for a while
        save_root_metadata=False,
        lightweight_initialize=True,
        enable_async_checkpointing=asynchronous,
    )
    made = ocp.CheckpointManager(_absolute(directory), options=options)
    # Its user hears that a run is to stop. Orbax would then count the time since the step before,
    # and of steps that an earlier process wrote it holds no time that can be counted with.
    made.reached_preemption = lambda step: False
    return made


def contents(record: Record, leaves: Mapping[str, Mapping[str, Any]]) -> Any:
    """A step in the form in which Orbax saves it: the record, and the leaves of each part."""
    args = _orbax().args
    items: dict[str, Any] = {_RECORD: args.JsonSave(record.to_json())}
    for part, named in leaves.items():
        # Orbax refuses empty arrays and empty trees; the record tells their shapes.
        stored = {name: fingerprint.store(leaf) for name, leaf in named.items() if np.size(leaf)}
        if stored:
            copied = {
                name: array if isinstance(array, jax.Array) else np.array(array)
                for name, array in stored.items()
            }
            items[part] = args.PyTreeSave(fingerprint.nested(copied))
    return args.Composite(**items)


def remote(folder: epath.PathLike) -> bool:
    """Whether a folder lies in a bucket."""
    return "://" in os.fspath(folder)


def _absolute(folder: epath.Path) -> epath.Path:
    """The folder as Orbax wants it where several processes write or read."""
    return folder if remote(folder) else epath.Path(os.path.abspath(folder))


def steps(directory: epath.Path) -> list[int]:
    """The finished steps of a directory, oldest first; whether they are whole is not looked at."""
    if not directory.is_dir():
        return []
    found = _orbax().path.step.standard_name_format().find_all(directory)
    return sorted(step.step for step in found)


def unfinished(directory: epath.Path) -> list[epath.Path]:
    """The folders of steps that were not written to their end."""
    if not directory.is_dir():
        return []
    if not remote(directory):
        return list(directory.glob("*.orbax-checkpoint-tmp*"))
    # In a bucket a step has its name from the start, and one file more once it is whole. Orbax
    # would take every folder without that file for half a step, whatever it is, and delete it.
    return [
        folder
        for folder in directory.iterdir()
        if folder.name.isdecimal() and (folder / _FIRST).exists() and not (folder / _LAST).exists()
    ]


def read_rows(
    folder: epath.Path, leaves: Mapping[str, Leaf], pick: Callable[[str], slice | None]
) -> dict[str, Any]:
    """Reads some rows of some arrays of a part, onto the host.

    An array is checked as a whole, so it is read as a whole; but few at a time, and of each no
    more is kept than was asked for. Arrays of which nothing is asked for are not read.

    Args:
      folder: of the part.
      leaves: what its record says.
      pick: from a leaf's name to rows of its first axis, None for none of them.

    Raises:
      DamagedError: they are not what was saved.
    """
    found: dict[str, Any] = {}
    together: dict[str, Leaf] = {}
    size = 0
    wanted = {name: leaf for name, leaf in leaves.items() if pick(name) is not None}
    for index, (name, leaf) in enumerate(wanted.items()):
        together[name] = leaf
        size += leaf.size
        if size > _TOGETHER or index == len(wanted) - 1:
            for one, array in read(folder, together, {}, some=True).items():
                rows = pick(one)
                found[one] = array if rows == slice(None) else np.array(array[rows])
            together, size = {}, 0
    return found


def read(
    folder: epath.Path,
    leaves: Mapping[str, Leaf],
    where: Mapping[str, Any],
    *,
    some: bool = False,
) -> dict[str, Any]:
    """Reads the arrays of a part, and checks them.

    Args:
      folder: of the part.
      leaves: what its record says.
      where: a sharding for some of them; the others become NumPy arrays.
      some: the part has other arrays as well.

    Returns:
      The arrays by name.

    Raises:
      DamagedError: they are not what was saved.
    """
    ocp, absolute = _orbax(), _absolute(folder)
    found: dict[str, Any] = {}
    how: dict[str, Any] = {}
    for name, leaf in leaves.items():
        place = where.get(name)
        dtype = leaf.abstract().dtype
        if jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True) != dtype:
            place = None  # 64 bits, which devices would cut to 32
        if not leaf.size:
            nothing = np.zeros(leaf.shape, dtype)
            found[name] = nothing if place is None else jax.device_put(nothing, place)
        elif place is None:
            how[name] = ocp.RestoreArgs(restore_type=np.ndarray)
        else:
            how[name] = ocp.ArrayRestoreArgs(sharding=place)
    if how:
        tree = fingerprint.nested(how)
        restore = ocp.args.PyTreeRestore(
            item=jax.tree.map(lambda _: 0, tree), restore_args=tree, partial_restore=some
        )
        try:
            # By the handler alone: a checkpointer would wait for processes that have failed.
            stored = fingerprint.named(
                ocp.PyTreeCheckpointHandler().restore(absolute, args=restore)
            )
        except Exception as error:  # of placed arrays Orbax reports any with a bare Exception
            if not _is_damage(error):
                raise
            raise DamagedError(f"{folder.name} is unreadable: {reason(error)}") from error
        found |= {name: leaves[name].recover(array) for name, array in stored.items()}
    now = fingerprint.describe(found)
    wrong = [name for name, leaf in leaves.items() if now.get(name) != leaf]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DamagedError(f"{folder.name}/{wrong[0]}{more} has other values than were saved")
    return {name: found[name] for name in leaves}


def newest_whole(
    directory: epath.Path,
    step: int | None,
    read_step: Callable[[int], _T],
    *,
    together: bool = False,
) -> tuple[int, _T, list[int]]:
    """Reads a step, or the newest that can be read; a line in the log tells of each passed over.

    Args:
      directory: the stage.
      step: which; None for the newest.
      read_step: reads one, or raises a `DamagedError`.
      together: every process calls this, and all take the same step.

    Returns:
      The step, what was read, and the damaged steps after it.

    Raises:
      CheckpointError: there is no such step, or none is whole.
    """
    there = steps(directory)
    if not there:
        what = "holds no saved step" if directory.is_dir() else "is no directory"
        raise CheckpointError(f"{directory} {what}: give the directory of a trained stage")
    if step is not None and step not in there:
        raise CheckpointError(f"{directory} has no step {step}; it has {there}")
    damaged: dict[int, str] = {}
    for number in reversed(there) if step is None else [step]:
        try:
            value, problem = read_step(number), ""
        except DamagedError as error:
            problem = str(error)
        if everywhere(not problem) if together else not problem:
            for skipped, why in damaged.items():
                _log.warning("%s/%d is damaged: %s; %d serves", directory, skipped, why, number)
            return number, value, list(damaged)
        damaged[number] = problem or "another process cannot read it"
    reasons = "; ".join(f"{number}: {why}" for number, why in damaged.items())
    raise CheckpointError(f"{directory} holds no whole step ({reasons})")


def everywhere(fine: bool) -> bool:
    """Whether something holds in every process of the run, which all have to ask."""
    if jax.process_count() == 1:
        return fine
    return bool(np.all(multihost_utils.process_allgather(np.array(fine))))


def reason(error: BaseException) -> str:
    """Why something failed, in a few words."""
    for link in _chain(error):
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        if code := re.search(r"os_error_code='(\d+)'", str(link)):  # as tensorstore says it
            return os.strerror(int(code[1]))
    while error.__cause__ is not None:
        error = error.__cause__
    said = (str(error) or type(error).__name__).split("\n")[0]
    return re.split(r" \[(?:tensorstore_spec|http_response)", said)[0][:200]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, the last first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_damage(error: Exception) -> bool:
    """Whether files are to blame, and not a want of memory, or a mistake."""
    links = list(_chain(error))
    if any(isinstance(link, (MemoryError, jax.errors.JaxRuntimeError)) for link in links):
        return False
    return any(isinstance(link, (OSError, ValueError, KeyError)) for link in links)


@functools.cache
def _orbax() -> Any:
    """Orbax, imported when it is first needed, and without its running commentary.

    Nothing is lost: what goes wrong in it is raised as well, and becomes one line here.
    """
    from orbax import checkpoint

    logging.getLogger("absl").addFilter(lambda line: "orbax" not in line.pathname)
    logging.getLogger("asyncio").addFilter(
        lambda line: not any(name in line.getMessage() for name in ("orbax", "tensorstore"))
    )
    warnings.filterwarnings("ignore", LEFT_BEHIND, RuntimeWarning)
    show = sys.unraisablehook

    def show_others(failed: Any) -> None:
        # When one array fails, those that were on their way are left to themselves: their threads
        # report to an event loop that has ended, their coroutines are not waited for.
        code = getattr(failed.object, "cr_code", None)
        left = "orbax" in code.co_filename if code else str(failed.exc_value) == _ENDED
        if not left:
            show(failed)

    sys.unraisablehook = show_others
    return checkpoint
