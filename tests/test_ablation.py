"""Variants are compared song by song, and what the paper found is told from what it did not."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import coding
import jax
import numpy as np
import pytest

from jukebox_jax.audio import song
from jukebox_jax.evaluation import ablation
from jukebox_jax.evaluation.ablation import ENTROPY, Result
from jukebox_jax.evaluation.reconstruction import UNITS, Coded
from jukebox_jax.models import Stage
from jukebox_jax.vqvae import joint
from jukebox_jax.vqvae.vqvae import Weights

ROOT = pathlib.Path(__file__).parent.parent
SOUNDS = [coding.sound(8192, seed) for seed in range(3)]


def result(name: str, convergence: list[float], entropy: float = 3.0) -> Result:
    level = {figure: [0.0] * len(convergence) for figure in UNITS}
    level |= {"spectral convergence": convergence, ENTROPY: [entropy] * len(convergence)}
    return Result(name, [level, level], [1.0, 1.0], [7.0, 1.0])


def verdicts(*results: Result) -> dict[str, str]:
    return {one.name: one.note.split(";")[0] for one in ablation.compared(results)}


def test_verdicts_follow_the_songs() -> None:
    full = result("full", [-10.0, -20.0, -15.0])
    joint_ = result("joint", [-9.0, -18.0, -14.5])  # worse on each song
    found = verdicts(full, joint_)
    assert found == {
        "separate levels beat joint ones at the top: full over joint, level 1": "as in the paper"
    }
    turned = verdicts(full, result("joint", [-11.0, -22.0, -16.0]))
    assert list(turned.values()) == ["against the paper"]
    mixed = verdicts(full, result("joint", [-11.0, -18.0, -15.0]))
    assert list(mixed.values()) == ["not shown"]


def test_one_song_shows_nothing_of_others() -> None:
    both = result("full", [-9.0]), result("without_spectral_loss", [-9.0])
    assert set(verdicts(*both).values()) == {"not shown"}
    assert " to " not in ablation.table(both)[1]


def test_restarts_are_judged_by_entropy_too() -> None:
    full = result("full", [-10.0, -20.0], entropy=6.5)
    without = result("without_restarts", [-10.0, -20.0], entropy=2.0)
    found = verdicts(full, without)
    assert found["restarts prevent collapse: full over without_restarts, level 0"] == (
        "as in the paper"
    )
    assert found["restarts reconstruct better: full over without_restarts, level 0"] == "not shown"


def test_the_same_waveform_error_is_a_claim() -> None:
    full, without = result("full", [-9.0, -8.0]), result("without_spectral_loss", [-5.0, -5.0])
    found = verdicts(full, without)
    title = "and costs no waveform error: full over without_spectral_loss, level 1"
    assert found[title] == "as in the paper"
    far = dataclasses.replace(
        without, levels=[{**one, "waveform error": [3.0, 4.0]} for one in without.levels]
    )
    assert verdicts(full, far)[title] == "not alike here"


def test_measuring_a_stage_and_a_joint_one(tmp_path: pathlib.Path) -> None:
    stage = Stage.load(coding.stage(tmp_path / "stage"))
    found = ablation.measure(
        "full", ablation.by_stage(stage, SOUNDS), coding.RATE, [8.0, 4.0], coding.MODEL.bins
    )
    assert len(found.levels) == 2 and all(
        len(values) == 3 for way in found.levels for values in way.values()
    )
    assert 0 < found.levels[0][ENTROPY][0] <= 4 and 0 < found.use[0] <= 1
    again = Result.of_json(json.loads(json.dumps(dataclasses.asdict(found))))
    assert again == found
    lines = ablation.table([found])
    assert len(lines) == 3 and lines[1].startswith("full") and lines[1].endswith("8")
    assert any(one.name == f"full, level 1: {ENTROPY}" for one in ablation.all_figures([found]))

    params = joint.init(coding.MODEL, jax.random.key(0))
    books = joint.start(coding.MODEL, params, np.stack(SOUNDS), jax.random.key(1))
    coded = list(ablation.by_joint(coding.MODEL, Weights(params, books), SOUNDS[:1]))
    assert [one.shape for one in coded[0].outputs] == [(8192, 1)] * 2
    assert [len(one) for one in coded[0].codes] == [2048, 1024]


def test_a_perfect_copy_has_no_codes_to_count() -> None:
    found = ablation.measure("copy", [Coded(SOUNDS[0], [SOUNDS[0]])], coding.RATE, [64.0])
    assert found.use == [] and ENTROPY not in found.levels[0]
    assert found.levels[0]["mel distance"] == [0.0] and found.levels[0]["SI-SDR"][0] > 60


def test_songs_that_are_measured(tmp_path: pathlib.Path) -> None:
    songs = song.find(coding.songs(tmp_path, [4000, 9000, 8000]), rate=coding.RATE)
    found = ablation.windows(songs, coding.RATE, 1.0, 8)
    assert [one.shape for one in found] == [(8000, 1)] * 2
    with pytest.raises(ValueError, match="no held-out song lasts 2.00 s"):
        ablation.windows(songs, coding.RATE, 2.0, 8)


@pytest.mark.slow
def test_the_command_trains_each_variant_once(tmp_path: pathlib.Path) -> None:
    coding.songs(tmp_path, [24000] * 4)
    out = tmp_path / "out"
    small = {
        "all.data.source": tmp_path, "all.data.held_out": 1, "all.data.batch": 2,
        "all.data.samples": 4096, "all.run.steps": 2, "all.optimizer.decay": 0,
        "only": "full,joint", "seconds": 2.0,
    }  # fmt: skip
    command = [sys.executable, "launch/ablate.py", "--config=configs/ablations.py:tiny"]
    command += [f"--out={out}", *(f"--config.{key}={value}" for key, value in small.items())]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache")}
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **cache}

    def run(*more: str) -> subprocess.CompletedProcess:
        done = [*command, *more]
        return subprocess.run(done, cwd=ROOT, env=environment, capture_output=True, text=True)

    first = run()
    assert first.returncode == 0, first.stderr
    assert "separate levels beat joint ones at the top" in first.stdout
    assert (out / "figures.html").exists() and (out / "joint" / "level_2.wav").exists()
    before = (out / "full" / "result.json").stat().st_mtime_ns
    again = run()
    assert "full is there already" in again.stderr and "joint is there already" in again.stderr
    assert (out / "full" / "result.json").stat().st_mtime_ns == before
    other = run("--config.all.run.steps=3")
    assert other.returncode and "holds a variant of another config" in other.stderr
