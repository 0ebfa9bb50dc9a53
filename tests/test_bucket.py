"""A run whose directory lies in a bucket, gs://, served by this machine."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import pytest
from bucket import Bucket

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL = """
--config.data.loader=numpy --config.data.source=band:songs=4,seconds=6 --config.data.samples=4096
--config.data.held_out=1 --config.optimizer.warmup=2 --config.optimizer.decay=5
--config.model.width=8 --config.run.log_every=2 --config.run.checkpoint_every=4
--config.run.examples_every=4 --config.run.evaluate_every=0 --config.run.keep=2
""".split()

pytestmark = pytest.mark.slow
pytest.importorskip("gcsfs", reason="gcsfs is missing: install the extra `gs`")


def start(bucket: Bucket, workdir: str, steps: int) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "launch" / "train.py"), "--workdir", workdir]
    command += [f"--config={ROOT}/configs/vqvae.py:tiny", *SMALL, f"--config.run.steps={steps}"]
    cache = jax.config.jax_compilation_cache_dir
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_COMPILATION_CACHE_DIR=cache)
    return subprocess.Popen(
        command, env={**environment, **bucket.environment}, stderr=subprocess.PIPE, text=True
    )


def train(bucket: Bucket, workdir: str, steps: int) -> str:
    process = start(bucket, workdir, steps)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    return said


def prints(folder: pathlib.Path, step: int) -> dict:
    """The fingerprints of all parts of a step."""
    return json.loads((folder / str(step) / "fingerprint" / "metadata").read_text())


def test_a_run_is_killed_damaged_and_goes_on(tmp_path: pathlib.Path) -> None:
    """With the numbers of a run in a folder; what else lies there stays."""
    with Bucket() as bucket:
        train(bucket, str(tmp_path), 16)
        foreign = {"run/songs/a/a.wav": b"sound", "run/2024/report.txt": b"mine"}
        bucket.objects |= foreign
        bucket.generations |= dict.fromkeys(foreign, 1)
        process = start(bucket, "gs://bucket/run", 16)
        deadline = time.monotonic() + 200
        while "run/8/_CHECKPOINT_METADATA" not in bucket.objects:  # a step is under way
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        said = train(bucket, "gs://bucket/run", 12)
        assert "going on from step 4" in said or "going on from step 8" in said
        assert {f"run/{step}/commit_success.txt" for step in (8, 12)} <= bucket.objects.keys()
        assert not [name for name in bucket.objects if name.startswith("run/4/")]

        (part,) = [
            name
            for name in bucket.objects
            if name.startswith("run/12/params/") and name.endswith("_METADATA")
        ]
        bucket.put(part, b"no longer what it was", {})
        said = train(bucket, "gs://bucket/run", 16)
        assert "12 is damaged" in said and "going on from step 8" in said
        assert "run/damaged/12/commit_success.txt" in bucket.objects
        assert {name: bucket.objects.get(name) for name in foreign} == foreign
        sounds = [name.split("/")[2] for name in bucket.objects if name.endswith(".wav")]
        assert {f"{step:07d}" for step in (4, 8, 12, 16)} <= set(sounds)
        record = json.loads(bucket.objects["run/16/fingerprint/metadata"])
        assert record == prints(tmp_path, 16)
