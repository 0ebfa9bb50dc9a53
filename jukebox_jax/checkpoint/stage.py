"""Reading a stage from its directory alone: its JSON files, and parts of a step.

Parts come back as nested dictionaries of arrays, checked against their fingerprints, on the host
or on any mesh. What a config means, and what the parts are for, is known elsewhere.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
from etils import epath

from jukebox_jax.checkpoint import disk, fingerprint, places
from jukebox_jax.checkpoint.disk import CheckpointError

CONFIG = "config.json"
VOCABULARIES = "vocabularies.json"
ALIGNMENT = "alignment.json"
METRICS = "metrics.jsonl"

_REQUIRED: Any = object()


def read_json(directory: epath.PathLike, name: str, missing: Any = _REQUIRED) -> Any:
    """Reads a JSON file of a stage.

    Args:
      directory: the stage.
      name: the file's name.
      missing: what to return if there is no such file; by default that is an error.

    Raises:
      CheckpointError: there is no such file, or it holds no JSON.
    """
    path = places.located(directory) / name
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        if missing is not _REQUIRED:
            return missing
        raise CheckpointError(f"{path} is missing: give the directory of a stage") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {disk.reason(error)}") from error


def history(directory: epath.PathLike) -> list[dict[str, Any]]:
    """The lines of a run's record, each with its "step"; none if it has none.

    A line that is being written, or that a crash cut short, is left out.
    """
    path = places.located(directory) / METRICS
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
            found.append({**row, "step": int(row["step"])})
        except (ValueError, KeyError, TypeError):
            continue
    return found


def write_json(directory: epath.PathLike, name: str, value: Any) -> None:
    """Writes a JSON file of a stage, whole or not at all; process 0 does it for all.

    Args:
      directory: the stage; it is made if need be.
      name: the file's name.
      value: of JSON's types.

    Raises:
      CheckpointError: it cannot be written.
    """
    write_text(directory, name, json.dumps(value, indent=2) + "\n")


def write_text(directory: epath.PathLike, name: str, text: str) -> None:
    """Writes a file of a stage, whole or not at all; process 0 does it for all.

    Raises:
      CheckpointError: it cannot be written.
    """
    if jax.process_index():
        return
    path = places.located(directory) / name
    half = path.parent / f".{name}.half"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text)
        half.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {disk.reason(error)}") from error


def begun(directory: epath.PathLike) -> bool:
    """Whether a step was saved, whole or not."""
    return bool(disk.steps(places.located(directory)))


def latest(directory: epath.PathLike) -> int:
    """The newest step with a readable record.

    Raises:
      CheckpointError: there is none.
    """
    directory = places.located(directory)
    return disk.newest_whole(directory, None, functools.partial(disk.Record.read, directory))[0]


def parts(directory: epath.PathLike, step: int | None = None) -> tuple[str, ...]:
    """The names of the parts of a step that hold arrays.

    Args:
      directory: the stage.
      step: which; by default the newest with a readable record.

    Raises:
      CheckpointError: there is no such step.
    """
    directory = places.located(directory)
    read = functools.partial(disk.Record.read, directory)
    record = disk.newest_whole(directory, step, read)[1]
    return tuple(part for part, leaves in record.parts.items() if leaves)


def weights_part(directory: epath.PathLike, step: int | None = None, average: bool = True) -> str:
    """The part to sample with: "average" if wanted and there, else "params".

    Args:
      directory: the stage.
      step: which; by default the newest with a readable record.
      average: whether the moving average is wanted.

    Raises:
      CheckpointError: there is no such step.
    """
    return "average" if average and "average" in parts(directory, step) else "params"


def load(
    directory: epath.PathLike,
    parts: Iterable[str] = ("params",),
    step: int | None = None,
    sharding: Any = None,
    *,
    like: Mapping[str, Any] | None = None,
    pick: Callable[[str], slice | None] | None = None,
) -> dict[str, Any]:
    """Reads parts of a stage.

    Args:
      directory: the stage.
      parts: which ones.
      step: of which step; the newest whole one by default, and then a line in the log tells of
        each damaged one that was passed over.
      sharding: where to put the arrays, as {part: tree of shardings}, as one sharding for all, or
        as a function from {part: tree of shapes} to either; NumPy arrays on the host by default.
      like: for some parts, a tree of the right shapes; types are as they were saved.
      pick: which rows of the first axis of each array are kept, by the array's name; None for an
        array that is not read. Only where the arrays stay on the host.

    Returns:
      For each part, nested dictionaries of arrays.

    Raises:
      CheckpointError: no step is whole, or it lacks a part, or has other shapes than `like`.
    """
    directory, names = places.located(directory), tuple(parts)
    wanted = {part: fingerprint.named(tree) for part, tree in (like or {}).items()}

    def read(number: int) -> dict[str, Any]:
        record = disk.Record.read(directory, number)
        folder = directory / str(number)
        record.check(folder, names, wanted, types=False)
        leaves = {part: record.parts[part] for part in names}
        if pick is not None:
            return {
                part: fingerprint.nested(disk.read_rows(folder / part, saved, pick))
                for part, saved in leaves.items()
            }
        places: dict[str, Any] = dict.fromkeys(names, {})
        if sharding is not None:
            abstract = {
                part: fingerprint.nested({name: leaf.abstract() for name, leaf in saved.items()})
                for part, saved in leaves.items()
            }
            where = sharding(abstract) if callable(sharding) else sharding
            where = jax.tree.broadcast(where, abstract)
            places = {part: fingerprint.named(tree) for part, tree in where.items()}
        return {
            part: fingerprint.nested(disk.read(folder / part, saved, places[part]))
            for part, saved in leaves.items()
        }

    return disk.newest_whole(directory, step, read, together=sharding is not None)[1]
