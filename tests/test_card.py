"""A published stage computes what the trained one does, and its card says what its record says."""

import json
import pathlib
import shutil
import subprocess
import sys

import counting
import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint, models
from jukebox_jax.prior import prior
from jukebox_jax.report import card

ROOT = pathlib.Path(__file__).parent.parent
DATA = {"songs": 7, "samples": 80 * 60 * 7, "vqvae": "0123456789abcdef"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A prior's directory as training leaves it: two steps, each with more than its weights."""
    stage = counting.stage(2, "before")
    folder = tmp_path_factory.mktemp("trained")
    config = {
        **stage.config,
        "model": {name: getattr(stage.model, name) for name in counting.PRIOR_FIELDS},
        "signals": {"artist": {"kind": "label", "size": 4}},
        "data": {"source": "/home/ada/songs", "batch": 4, "seed": 3},
        "run": {"steps": 20, "seed": 0},
    }
    model = models.build(config)
    params = prior.init(model, jax.random.key(0))
    average = jax.tree.map(lambda leaf: leaf + 1, params)
    names = {"artist": {"normalise": "plain", "ids": {"Ada | Co": 1, "Bo": 2}}}
    parts = {"params": params, "average": average, "optimizer": {"mu": params}}
    checkpoint.save_stage(folder, config, parts, names, step=20)
    lines = [
        {"step": 10, "train/loss": 3.5},
        {"step": 10, "evaluate/loss": 3.25, "evaluate/bits_per_code": 4.688},
        {"step": 20, "evaluate/loss": 3.0, "evaluate/bits_per_code": 4.328},
        {"step": 30, "evaluate/loss": 1.0},  # of a step that was not saved
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "data.json").write_text(json.dumps(DATA))
    return folder


def test_the_average_alone_is_published(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    count = card.publish(trained, tmp_path / "out")
    before, after = models.Stage.load(trained), models.Stage.load(tmp_path / "out")
    assert checkpoint.parts(tmp_path / "out") == ("params",)
    jax.tree.map(np.testing.assert_array_equal, before.weights, after.weights)
    assert count == sum(np.size(leaf) for leaf in jax.tree.leaves(after.weights))
    assert after.vocabularies == before.vocabularies and after.model == before.model
    assert after.vqvae == "0123456789abcdef"  # whose codes it models
    assert checkpoint.latest(tmp_path / "out") == 20
    with pytest.raises(checkpoint.CheckpointError, match="holds a stage already"):
        card.publish(trained, tmp_path / "out")


def test_a_vqvae_keeps_its_codebooks(tmp_path: pathlib.Path) -> None:
    stages = counting.save(tmp_path / "stages")
    card.publish(stages["vqvae"], tmp_path / "out")
    one, two = models.Stage.load(stages["vqvae"]), models.Stage.load(tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, one.weights, two.weights)
    said = (tmp_path / "out" / "README.md").read_text()
    assert "Levels of 2, 4, 8 samples a code, 13 codes each" in said


def test_the_card_says_what_the_record_says(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("## Limits\n\nIt only counts.\n")
    command = [sys.executable, str(ROOT / "launch" / "publish.py"), str(trained)]
    command += ["--out", str(tmp_path / "out"), "--notes", str(notes)]
    subprocess.run(command, check=True, cwd=ROOT)
    said = (tmp_path / "out" / "README.md").read_text()
    assert said.startswith("# prior of level 2\n")
    assert "| artist | label | Ada / Co, Bo |" in said
    assert "Songs: `songs`: 7 songs, 7 minutes; order and shifts by seed 3." in said
    assert "| step | loss | bits a code |" in said and "| 20 | 3.000 | 4.328 |" in said
    assert "| 30 |" not in said
    assert said.endswith("## Limits\n\nIt only counts.\n")
    assert "ada" not in (tmp_path / "out" / "config.json").read_text()
    kept = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in kept] == [10, 10, 20]


def test_a_released_checkpoint_keeps_its_licence(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = shutil.copytree(trained, tmp_path / "imported")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "release": {"file": "prior.pth"}}))
    with pytest.raises(ValueError, match="keeps its licence"):
        card.publish(other, tmp_path / "out", licence="MIT")
    card.publish(other, tmp_path / "out")
    assert "licence of the released checkpoint" in (tmp_path / "out" / "README.md").read_text()
    assert "Apache" not in (tmp_path / "out" / "README.md").read_text()
