"""A trained stage as others get it: its weights alone, and a card that says what it is.

The card is written from the stage's own record, its config, its names and its metrics, so that it
cannot say more than is known. What a person has to add, what it is for and what it is not, is
given as notes. Nothing here trains or samples.
"""

import dataclasses
import json
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from jukebox_jax import checkpoint
from jukebox_jax.models import DATA, Stage
from jukebox_jax.vqvae.vqvae import VQVAE

CARD = "README.md"
_NAMES = 12  # of a vocabulary, shown
_POINTS = 8  # of a curve, shown
_FIGURES = {  # of a record's lines, how the card calls them
    "loss": "loss",
    "bits_per_code": "bits a code",
    "spectral_convergence": "spectral convergence, dB",
    "codebook_use": "codebook use, %",
    "codebook_entropy": "codebook entropy, bits",
}


def publish(
    directory: epath.PathLike,
    out: epath.PathLike,
    notes: str = "",
    licence: str = "Apache-2.0",
    source: str = "",
) -> int:
    """Writes a stage without what only its training needs: averaged weights, config, names, card.

    Args:
      directory: of a trained stage; adapters are merged.
      out: the new stage's directory.
      notes: Markdown for the card: what the stage is for, what it is not, where its songs are from.
      licence: of the weights. What stems from a released checkpoint keeps that one's.
      source: what to call the songs that it was trained on; by default as its config does, of
        which only the last name is kept where it is a path of this machine.

    Returns:
      How many parameters it has.

    Raises:
      CheckpointError: there is no whole stage, or `out` holds one already.
      ValueError: a licence of one's own for weights that stem from a released checkpoint.
    """
    stage = Stage.load(directory)
    origin = stage.config.get("release")
    if origin and licence not in ("", "Apache-2.0"):
        raise ValueError(
            f"licence={licence!r}: {directory} stems from a released checkpoint and keeps its "
            "licence; leave it out"
        )
    config = _without_paths(stage.config, source)
    parts: dict[str, Any] = {"params": stage.weights}
    if isinstance(stage.model, VQVAE):
        parts = {"params": stage.weights.params, "codebooks": stage.weights.codebooks}
    parts = jax.tree.map(jax.numpy.asarray, parts)
    names = {name: one.to_json() for name, one in stage.vocabularies.items()}
    step = checkpoint.latest(directory)
    lines = [line for line in checkpoint.history(directory) if line["step"] <= step]
    checkpoint.save_stage(out, config, parts, names, step=step)
    if stage.alignment:
        checkpoint.write_json(out, checkpoint.ALIGNMENT, dict(stage.alignment))
    folder = epath.Path(out)
    record = "".join(json.dumps(line) + "\n" for line in lines)
    if record:
        (folder / checkpoint.METRICS).write_text(record)
    if stage.vqvae:
        checkpoint.write_json(out, DATA, {"vqvae": stage.vqvae})
    data = checkpoint.read_json(directory, DATA, missing={})
    told = dataclasses.replace(stage, config=config)
    (folder / CARD).write_text(card(told, lines, data, notes, licence))
    return parameters(stage)


def parameters(stage: Stage) -> int:
    """How many numbers a stage has learnt, codebooks apart."""
    weights = stage.weights.params if isinstance(stage.model, VQVAE) else stage.weights
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(weights))


def card(
    stage: Stage,
    lines: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    notes: str = "",
    licence: str = "Apache-2.0",
) -> str:
    """A stage's model card, in Markdown.

    Args:
      stage: which.
      lines: its record, as `history` reads it.
      data: what its training found out about the songs: how many, and samples in all, at the
        rate of the stage.
      notes: Markdown of a person's own.
      licence: of the weights.
    """
    config = stage.config
    about, rate = config["stage"], int(config["stage"]["rate"])
    vqvae = isinstance(stage.model, VQVAE)
    what = "VQ-VAE" if vqvae else f"prior of level {about.get('level', 0)}"
    head = [f"# {what}", "", f"{parameters(stage):,} parameters, {rate / 1000:g} kHz."]
    if isinstance(stage.model, VQVAE):
        hops = ", ".join(map(str, stage.model.hops))
        head.append(
            f"Levels of {hops} samples a code, {stage.model.bins} codes each; "
            + ", ".join(f"{bits:.2f}" for bits in _bitrates(stage.model, rate))
            + " kilobits a second at most."
        )
    else:
        head.append(f"It reads {stage.model.context} codes at once.")
    rows = [*head, *_signals(stage), *_training(config, data), *_curve(lines)]
    origin = config.get("release")
    rows += ["", "## Licence", ""]
    rows.append(
        f"The licence of the released checkpoint that it stems from ({origin})."
        if origin
        else licence
    )
    if notes.strip():
        rows += ["", notes.strip()]
    return "\n".join(rows) + "\n"


def _without_paths(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A config of weights alone, that names no folder of this machine."""
    kept = {key: value for key, value in config.items() if key != "lora"}
    kept["stage"] = dict(kept["stage"])
    if kept["stage"].get("vqvae"):
        kept["stage"]["vqvae"] = pathlib.PurePath(kept["stage"]["vqvae"]).name
    for section, key in (("data", "source"), ("run", "start_from")):
        given = (kept.get(section) or {}).get(key)
        if key == "source" and source:
            kept[section] = {**(kept.get(section) or {}), key: source}
        elif isinstance(given, str) and not given.startswith(("band:", "tfds:")):
            kept[section] = {**kept[section], key: pathlib.PurePath(given).name}
    return kept


def _bitrates(model: VQVAE, rate: int) -> list[float]:
    return [rate / hop * math.log2(model.bins) / 1000 for hop in model.hops]


def _signals(stage: Stage) -> list[str]:
    signals = stage.config.get("signals") or {}
    if not signals:
        return []
    rows = ["", "## What it is told", "", "| signal | kind | names |", "|---|---|---|"]
    for name, spec in signals.items():
        ids = getattr(stage.vocabularies.get(name), "ids", {})
        known = [str(word) for word, number in ids.items() if number > 0]
        shown = ", ".join(known[:_NAMES]) + (", ..." if len(known) > _NAMES else "")
        rows.append(f"| {name} | {spec['kind']} | {shown.replace('|', '/')} |")
    return rows


def _training(config: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    given, run = config.get("data") or {}, config.get("run") or {}
    rows = ["", "## Training", ""]
    if given.get("source"):
        heard = ""
        if data.get("songs"):
            minutes = data["samples"] / int(config["stage"]["rate"]) / 60
            heard = f": {data['songs']} songs, {minutes:.0f} minutes"
        rows.append(f"Songs: `{given['source']}`{heard}; order and shifts by seed {given['seed']}.")
    if run.get("steps"):
        rows.append(
            f"{run['steps']} steps of {given.get('batch')} windows, seed {run['seed']}; "
            "`config.json` has every value, and `metrics.jsonl` the whole curve."
        )
    return rows


def _curve(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of the held-out figures over the run."""
    held = [line for line in lines if any(key.startswith("evaluate/") for key in line)]
    if not held:
        return []
    keys: list[str] = []
    for name in _FIGURES:
        levels = [key for key in held[-1] if re.fullmatch(rf"evaluate/{name}_l\d+", key)]
        keys += levels or [key for key in held[-1] if key == f"evaluate/{name}"]
    picked = sorted({round(at) for at in np.linspace(0, len(held) - 1, min(_POINTS, len(held)))})
    titles = [_title(key) for key in keys]
    rows = ["", "Held-out songs:", "", "| step | " + " | ".join(titles) + " |"]
    rows.append("|---" * (len(keys) + 1) + "|")
    for at in picked:
        figures = [_figure(key, held[at].get(key)) for key in keys]
        rows.append(f"| {held[at]['step']} | " + " | ".join(figures) + " |")
    return rows


def _title(key: str) -> str:
    name, _, level = key.removeprefix("evaluate/").rpartition("_l")
    if name in _FIGURES and level.isdigit():
        return f"{_FIGURES[name]}, level {int(level) - 1}"
    return _FIGURES[key.removeprefix("evaluate/")]


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if "spectral_convergence" in key:
        return f"{20 * math.log10(max(value, 1e-9)):.1f}"
    return f"{100 * value:.0f}" if "codebook_use" in key else f"{value:.3f}"
