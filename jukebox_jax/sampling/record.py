"""The record of a session: what it can be repeated from, and whether two ask for the same codes.

Where it lies is known to `session`.
"""

import importlib.metadata
import json
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.request import Arguments

_VERSIONS = ("jukebox-jax", "jax", "flax", "numpy")
_FREE = (
    "align",
    "batch",
    "chunk",
    "levels",
    "save_seconds",
)  # may differ when a session goes on: they change no code


def make(
    config: Mapping[str, Any], asked: Arguments, plan: Plan, folder: pathlib.Path
) -> dict[str, Any]:
    """All that a session can be repeated from, as JSON gives it back.

    Files of the session's own folder are named from there, so that it can be moved.

    Args:
      config: what was asked for.
      asked: the same, read.
      plan: the same, laid out.
      folder: the session's.
    """
    plain = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    codes = pathlib.Path(str(plain.get("codes") or ""))
    if plain.get("codes") and codes.parent.resolve() == folder.resolve():
        plain["codes"] = f"./{codes.name}"
    record = {
        "config": plain,
        "songs": [
            {**song.labels, "seed": seed}
            for song, seed in zip(asked.songs, plan.seeds, strict=True)
        ],
        "samples": plan.samples,
        "rate": asked.jukebox.rate,
        "hops": asked.jukebox.hops,
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS}
        | {"python": platform.python_version()},
    }
    return json.loads(json.dumps(record, default=str))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In what two records ask for different codes."""
    old, new = before.get("config", {}), after["config"]
    keys = [key for key in {**old, **new} if key not in _FREE]
    found = [
        f"config.{key} was {old.get(key)!r}, is {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    ]
    return found + [
        f"the {key} differ"
        for key in ("songs", "samples", "rate", "hops")
        if before.get(key) != after[key]
    ]
