"""What a training page shows of a stage's directory: curves, sounds over time, config, pace.

Everything comes from what a run writes as it goes: config.json, metrics.jsonl, examples/ and
parameters.txt. No weights are read, so that a page can be made while the run is at work.
"""

import dataclasses
import json
import logging
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.audio.wave import AudioError
from jukebox_jax.page import sounds
from jukebox_jax.page.document import Blocks

log = logging.getLogger(__name__)

EXAMPLES, PARAMETERS = "examples", "parameters.txt"

_POINTS = 400  # of a curve; more are averaged
_STEPS, _ITEMS = 8, 4  # of sounds that are shown
_LEVEL = re.compile(r"(.+)_l(\d+)")  # a figure of one level, counted from 1
_SOUND = re.compile(r"(\d+)_(\w+)\.wav")
_SPLITS = {"train": "training", "evaluate": "held out"}
_TITLES = {
    "bits_per_code": "Bits a code",
    "loss": "Loss",
    "spectral_convergence": "Spectral convergence",
    "codebook_use": "Codebook use",
    "codebook_entropy": "Codebook entropy, bits",
    "recons_loss": "Reconstruction loss",
    "seconds_per_second": "Seconds of music a second",
    "data_wait": "Share of the time that waits for data",
    "flop_utilisation": "Share of the device's peak",
    "gradient_norm": "Norm of the gradient",
    "learning_rate": "Learning rate",
}  # in this order; other figures follow


def page(folder: pathlib.Path, blocks: Blocks) -> dict[str, Any]:
    """What the page's program is given.

    Args:
      folder: a stage's directory, of a run that has taken a step or more.
      blocks: where sounds and pictures go.

    Raises:
      ValueError: no config can be read, or nothing has been told of the run yet.
    """
    try:
        config = json.loads((folder / checkpoint.CONFIG).read_text(encoding="utf-8"))
        stage = config["stage"]
        kind = stage["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / checkpoint.CONFIG}: cannot be read ({error})") from None
    lines = checkpoint.history(folder)
    examples = _examples(folder / EXAMPLES, blocks)
    if not lines and not examples:
        raise ValueError(
            f"{folder}: there is no {checkpoint.METRICS} and there are no {EXAMPLES}/ to show: "
            "only a stage that is trained here has a page"
        )
    rate = f"{stage.get('rate', 0) / 1000:g} kHz"
    what = "VQ-VAE" if kind == "vqvae" else f"Prior of level {stage.get('level', 0)}"
    return {
        "name": folder.resolve().name,
        "what": f"{what} · {rate}",
        "facts": _facts(folder, config, lines),
        "charts": charts(lines),
        "examples": examples,
        "config": [
            (section, sorted(_flat(values))) for section, values in config.items() if values
        ],
    }


def charts(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Figures over steps, one chart for the same figure in training and held out.

    Args:
      lines: of metrics.jsonl.

    Returns:
      name, title, main (whether it is among those that are shown first) and series: of each its
      split, its level or None, and points, [step, value or None].
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if "/" in name:
                value = math.nan if value is None else float(value)
                curves.setdefault(name, []).append((float(line["step"]), value))
    found: dict[str, list[dict[str, Any]]] = {}
    for name, points in curves.items():
        split, _, figure = name.partition("/")
        of_level = _LEVEL.fullmatch(figure)
        base = of_level[1] if of_level else figure
        series: dict[str, Any] = {
            "split": _SPLITS.get(split, split),
            "level": int(of_level[2]) - 1 if of_level else None,
            "points": thin(points),
        }
        found.setdefault(base, []).append(series)
    if "bits_per_code" in found:  # that is a prior's loss
        found.pop("loss", None)
    order = [*(name for name in _TITLES if name in found), *sorted(found.keys() - _TITLES.keys())]
    made = []
    for name in order:
        levels = [one for one in found[name] if one["level"] is not None]
        shown = levels if levels else found[name]
        if not any(value for one in shown for _, value in one["points"]):
            continue  # nothing but zeros, as of steps that were skipped
        shown.sort(key=lambda one: (one["level"] or 0, one["split"] != "training"))
        title = _TITLES.get(name, name.replace("_", " ").capitalize())
        made.append({"name": name, "title": title, "main": name in _TITLES, "series": shown})
    return made


def thin(points: Sequence[tuple[float, float]], most: int = _POINTS) -> list[list[float | None]]:
    """A curve of at most so many points: neighbours averaged, at the step of the last of them."""
    if len(points) <= most:
        groups = [np.array([point]) for point in points]
    else:
        groups = [one for one in np.array_split(np.array(points), most) if len(one)]
    thinned = []
    for group in groups:
        values = group[np.isfinite(group[:, 1]), 1]
        value = float(f"{values.mean():.5g}") if len(values) else None
        thinned.append([int(group[-1, 0]), value])
    return thinned


def _facts(
    folder: pathlib.Path, config: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """Where the run stands, as names and values."""
    run = config.get("run") or {}
    facts = []
    if lines:
        of = f" of {run['steps']:,}" if isinstance(run.get("steps"), int) else ""
        facts.append(("step", f"{lines[-1]['step']:,}{of}"))
    for title, names in (
        ("training loss", ["train/loss"]),
        ("held-out loss", ["evaluate/loss"]),
        ("music a second", ["train/seconds_per_second"]),
    ):
        values = [line[name] for line in lines for name in names if line.get(name) is not None]
        if values:
            facts.append((title, f"{values[-1]:.4g}" + (" s" if "music" in title else "")))
    file = folder / PARAMETERS
    if file.exists():
        total = re.findall(r"Total:? *:? *([\d,]+)", file.read_text(encoding="utf-8"))
        if total:
            facts.append(("parameters", total[-1]))
    return facts


def _examples(folder: pathlib.Path, blocks: Blocks) -> list[dict[str, Any]]:
    """Sounds by step: of each item its versions, the original first."""
    steps = sorted(
        (int(one.name), one) for one in folder.glob("*") if one.is_dir() and one.name.isdigit()
    )
    if len(steps) > _STEPS:
        kept = np.unique(np.linspace(0, len(steps) - 1, _STEPS).round().astype(int))
        steps = [steps[index] for index in kept]
    found = []
    for step, place in steps:
        items: dict[int, dict[str, Any]] = {}
        for file in sorted(place.glob("*.wav")):
            named = _SOUND.fullmatch(file.name)
            if named is None or int(named[1]) >= _ITEMS:
                continue
            try:
                sound, _ = sounds.add(blocks, file)
            except AudioError as error:  # one that is being written, or was cut short
                log.warning("%s", error)
                continue
            items.setdefault(int(named[1]), {})[named[2]] = dataclasses.asdict(sound)
        if items:
            versions = [
                dict(sorted(items[item].items(), key=lambda pair: (pair[0] != "original", pair[0])))
                for item in sorted(items)
            ]
            found.append({"step": step, "items": versions})
    return found


def _flat(values: Any, before: str = "") -> Iterable[tuple[str, str]]:
    """Keys and values of a part of a config as text, keys of keys joined by points."""
    if isinstance(values, Mapping) and values:
        for name, value in values.items():
            yield from _flat(value, f"{before}.{name}" if before else str(name))
    else:
        yield before, values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
