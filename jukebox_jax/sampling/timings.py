"""How long the levels of a session took, as timings.json beside its codes.

A line a level that was drawn, the highest first: its codes, and the seconds from the end of the
level before (or the start of the command) to its sounds on disk, and of these, as "drawing", those
to its last window. "partly" says that some of its codes were there already.
"""

import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import files
from jukebox_jax.sampling.plan import UNKNOWN

TIMINGS = "timings.json"


class Timings:
    """Measures one session; made when it starts.

    Args:
      folder: of the session.
      going_on: whether what the file says of levels that are complete still holds.
      codes: what there is of each level, finest first, i32[songs, length] or None.
    """

    def __init__(
        self, folder: pathlib.Path, going_on: bool, codes: Sequence[np.ndarray | None]
    ) -> None:
        self._file = folder / TIMINGS
        self._rows = {row["level"]: row for row in read(folder)} if going_on else {}
        self._partly = [one is not None and bool((one != UNKNOWN).any()) for one in codes]
        self._drawn: dict[int, float] = {}  # when the latest window of a level was
        self._since = time.monotonic()

    def window(self, level: int) -> None:
        """Notes that a window of a level was drawn."""
        self._drawn[level] = time.monotonic()

    def level(self, level: int, codes: np.ndarray) -> None:
        """Notes that a level, i32[songs, length], is complete and on disk."""
        since, self._since = self._since, time.monotonic()
        if level not in self._drawn:  # it was there
            return
        self._rows[level] = {
            "level": level,
            "codes": codes.size,
            "seconds": round(self._since - since, 3),
            "drawing": round(self._drawn[level] - since, 3),
            "partly": self._partly[level],
        }
        rows = [self._rows[one] for one in sorted(self._rows, reverse=True)]
        with files.whole(self._file) as unfinished:
            unfinished.write_text(json.dumps(rows) + "\n", encoding="utf-8")


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """What the file of a session's folder says; nothing where it is missing or no such file.

    "drawing" is None in files that do not say it, as older ones.
    """
    try:
        rows = json.loads((folder / TIMINGS).read_text(encoding="utf-8"))
        return [
            {
                "level": int(row["level"]),
                "codes": int(row["codes"]),
                "seconds": float(row["seconds"]),
                "drawing": None if row.get("drawing") is None else float(row["drawing"]),
                "partly": bool(row["partly"]),
            }
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
