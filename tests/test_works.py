"""The works by which speed is judged are found by name and do what they say."""

import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.report import works

ROOT = pathlib.Path(__file__).parent.parent


def test_works_have_the_names_that_others_are_set_beside() -> None:
    assert set(works.NAMES) >= {
        "vqvae_encode",
        "vqvae_decode",
        "vqvae_train",
        "prior_train",
        "prior_prefill_b1",
        "prior_decode_b1",
        "prior_decode_b8",
    }
    for name in (*works.NAMES, "decode_1b_b64", "attention_c32768"):
        assert works.find(name).name == name
    for name in ("vqvae", "decode_2b_b1", "decode_1b_b", "attention_cx"):
        with pytest.raises(ValueError, match=f"no work is called '{name}'"):
            works.find(name)


def test_the_floor_counts_the_matrices_that_a_step_multiplies_with() -> None:
    model = Prior(**works.SIZES["1b"])
    tree = prior.abstract(model)
    kernels = [
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if str(path[-1].key) == "kernel"
    ]
    assert works._matrices(model) == sum(kernels) + 2048 * 1920
    work = works.find("decode_1b_b16", "bfloat16")
    assert work.bytes == 2 * works._matrices(model)
    assert work.operations == 16 * 2 * works._matrices(model)


def test_the_command_writes_its_timings(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "timings.json"
    command = [sys.executable, "launch/bench.py", "--runs=1", f"--json={file}"]
    done = subprocess.run(
        [*command, "--works=attention_c2048"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text())
    found = record["works"]["attention_c2048"]
    assert 0 < found["least"] <= found["seconds"] < 60 and record["machine"]["operations"] > 1e9
    assert "| attention_c2048 |" in done.stdout
    wrong = subprocess.run([*command, "--works=x"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 1 and len(wrong.stderr.strip().splitlines()) == 1
    assert np.all("no work is called 'x'" in wrong.stderr)
