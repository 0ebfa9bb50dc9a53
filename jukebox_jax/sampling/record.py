"""The record of a session: what it can be repeated from, and whether two ask for the same codes.

Where it lies is known to `session`.
"""

import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import takes
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
    plain = _located(config.to_dict() if hasattr(config, "to_dict") else dict(config))
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
        "given": takes.fingerprint(_given(asked)),
        "stages": _stages(asked.jukebox),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS}
        | {"python": platform.python_version()},
    }
    return json.loads(json.dumps(record, default=str))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In what two records ask for different codes.

    Files are compared by what was read of them, where both say so.
    """
    old, new = (_located(one.get("config", {})) for one in (before, after))
    read = ("songs", *(("codes", "prompt", "prompt_seconds") if "given" in before else ()))
    keys = [key for key in {**old, **new} if key not in (*_FREE, *read)]
    found = [
        f"config.{key} was {old.get(key)!r}, is {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    ]
    found += [
        f"the {key} differ"
        for key in ("songs", "samples", "rate", "hops", "given")
        if key in before and before[key] != after[key]
    ]
    stages = before.get("stages", {})
    return found + [
        f"the weights of {name} have changed"
        for name, held in after.get("stages", {}).items()
        if stages.get(name, held) != held
    ]


def _given(asked: Arguments) -> dict[int, np.ndarray]:
    """The codes that were there before, those behind gaps among them."""
    pairs = zip(asked.codes, asked.forced or asked.codes, strict=True)
    return {
        level: begun if with_gaps is None else with_gaps
        for level, (begun, with_gaps) in enumerate(pairs)
        if begun is not None
    }


def _stages(jukebox: Jukebox) -> dict[str, str]:
    named = {"the VQ-VAE": jukebox.vqvae}
    for level, stage in enumerate(jukebox.priors):
        if stage is not None:
            named[f"level {level}"] = stage
    return {name: stage.fingerprint() for name, stage in named.items()}


def _located(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose paths hold wherever it is read, those of its own folder excepted."""

    def whole(path: str) -> str:
        inside = path.startswith("./") or "://" in path or not path.strip("- ")
        return path if inside else os.path.abspath(path)

    found = dict(config)
    for key in ("vqvae", "priors", "codes", "prompt", "songs"):
        value = found.get(key)
        if isinstance(value, str):
            if key != "songs":
                found[key] = ",".join(whole(part.strip()) for part in value.split(","))
            elif value.lstrip()[:1] not in ("[", "{", ""):
                found[key] = whole(value)
        elif key != "songs" and isinstance(value, (list, tuple)):
            found[key] = [whole("" if part is None else str(part)) for part in value]
    return found
