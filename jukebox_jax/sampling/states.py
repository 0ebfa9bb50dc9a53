"""Half-filled windows on disk: the decoding state as it is, so that what follows is the same.

A state is one file that appears whole or not at all, and names the windows that it belongs to; one
of other windows is passed over, and they are then read and drawn anew, to the same codes.
"""

import dataclasses
import json
import logging
import pathlib
import time
import zipfile
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio import files
from jukebox_jax.prior.cache import KV
from jukebox_jax.sampling.generate import Decoding

log = logging.getLogger(__name__)

_MOST = 4 << 30  # bytes; writing more would cost more than drawing a window again


@dataclasses.dataclass(frozen=True)
class Where:
    """Windows that are filled side by side.

    Attributes:
      level: their level.
      songs: whose they are.
      starts: the first code of each.
      known: codes of each that were known when they were begun.
    """

    level: int
    songs: tuple[int, ...]
    starts: tuple[int, ...]
    known: int


class States:
    """The latest decoding state of a session, in one file."""

    def __init__(self, file: pathlib.Path, every: float) -> None:
        """A state in `file`, written anew after so many seconds at the earliest."""
        self._file, self._every, self._written = file, every, time.monotonic()

    def save(self, where: Where, state: Decoding) -> bool:
        """Writes a state, if it is time to and it is not too large.

        Returns:
          Whether it was written.

        Raises:
          OSError: it cannot be written; the one before is as it was.
        """
        leaves = jax.tree.leaves(state)
        if time.monotonic() - self._written < self._every:
            return False
        if sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) > _MOST:
            return False
        arrays: dict[str, Any] = {"window": state.window, "position": state.position}
        for number, kv in enumerate(state.cache):
            arrays |= {f"key_{number}": kv.key, f"value_{number}": kv.value}
        held = {name: np.asarray(array) for name, array in jax.device_get(arrays).items()}
        types = {name: str(array.dtype) for name, array in held.items()}
        said = {**dataclasses.asdict(where), "types": types}
        plain: dict[str, Any] = {name: _bytes(array) for name, array in held.items()}
        with files.whole(self._file) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, where=np.array(json.dumps(said)), **plain)
        self._written = time.monotonic()
        return True

    def load(self, where: Where) -> Decoding | None:
        """The state of some windows, on the host; None if there is none of them."""
        try:
            with np.load(self._file) as arrays:
                said = json.loads(str(arrays["where"]))
                types = said.pop("types")
                if (
                    Where(
                        level=said["level"],
                        songs=tuple(said["songs"]),
                        starts=tuple(said["starts"]),
                        known=said["known"],
                    )
                    != where
                ):
                    return None
                held = {name: _typed(arrays[name], types[name]) for name in types}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be read (%s): the window is drawn again", self._file, error)
            return None
        layers = sum(name.startswith("key_") for name in held)
        cache = tuple(KV(held[f"key_{n}"], held[f"value_{n}"]) for n in range(layers))
        return Decoding(window=held["window"], cache=cache, position=held["position"])

    def clear(self) -> None:
        """Forgets what is there."""
        self._file.unlink(missing_ok=True)


def _bytes(array: np.ndarray) -> np.ndarray:
    """An array in a type that NumPy's files know."""
    return array.view(np.uint16) if array.dtype.itemsize == 2 and array.ndim else array


def _typed(array: np.ndarray, name: str) -> np.ndarray:
    return array.view(jax.numpy.dtype(name)) if str(array.dtype) != name else array
