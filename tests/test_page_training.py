"""A training page is given what a run has told so far, in curves that can be drawn."""

import json
import math
import pathlib

import pages
import pytest

from jukebox_jax.page import training
from jukebox_jax.page.document import Blocks


def test_a_run_so_far(tmp_path: pathlib.Path) -> None:
    folder = pages.training(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 41, "train/lo')  # as a run that is at work may leave it
    (folder / "examples" / "0000040" / "1_level_1.wav").write_bytes(b"RIFF")
    data = training.page(folder, Blocks())
    assert data["what"] == "VQ-VAE · 8 kHz" and ("step", "40 of 80") in data["facts"]
    assert ("held-out loss", "0.0875") in data["facts"]
    loss, use, *_ = data["charts"]
    assert loss["title"] == "Loss" and loss["main"]
    assert [(one["split"], len(one["points"])) for one in loss["series"]] == [
        ("training", 40),
        ("held out", 4),
    ]
    assert loss["series"][1]["points"][-1] == [40, 3.5 / 40]
    assert use["title"] == "Codebook use" and use["series"][0]["level"] == 0
    assert [chart["title"] for chart in data["charts"] if not chart["main"]] == ["Steps per second"]
    assert [one["step"] for one in data["examples"]] == [20, 40]
    first, last = (one["items"] for one in data["examples"])
    assert list(first[1]) == ["original", "level_0", "level_1"]
    assert list(last[1]) == ["original", "level_0"]  # one sound was cut short
    assert first[0]["original"] == last[0]["original"]  # the same sound lies in the page once
    assert dict(data["config"])["data"] == [("source", pages.HOSTILE)]


def test_long_curves_are_thinned() -> None:
    points = [(float(step), 2.0 * step) for step in range(1, 100_001)]
    points[5] = (6.0, math.nan)
    found = training.thin(points)
    assert len(found) == 400 and found[-1] == [100_000, pytest.approx(2 * 99_875.5, rel=1e-4)]
    assert found[0][0] == 250 and found[0][1] == pytest.approx(251, abs=1)
    assert training.thin([(1.0, math.nan)]) == [[1, None]]


def test_a_prior_is_told_in_bits() -> None:
    lines = [
        {"step": step, "train/loss": 7.0, "train/bits_per_code": 7.0, "train/skipped": 0.0}
        for step in (1, 2)
    ]
    assert [chart["name"] for chart in training.charts(lines)] == ["bits_per_code"]


def test_many_steps_of_sounds_become_eight(tmp_path: pathlib.Path) -> None:
    folder = pages.training(tmp_path / "run")
    shown = folder / "examples" / "0000020"
    for step in range(100, 130):
        (folder / "examples" / f"{step:07d}").symlink_to(shown)
    steps = [one["step"] for one in training.page(folder, Blocks())["examples"]]
    assert len(steps) == 8 and steps[0] == 20 and steps[-1] == 129


def test_nothing_to_show_is_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"stage": {"kind": "vqvae"}}))
    with pytest.raises(ValueError, match="there is no metrics.jsonl and there are no examples/"):
        training.page(tmp_path, Blocks())
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json: cannot be read"):
        training.page(tmp_path, Blocks())
