"""Several processes on one machine are one run: the same losses, one end, and one way on.

By default two processes, once. JUKEBOX_PROCESSES=4 in the environment runs the same with four.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jukebox_jax.audio import song, wave
from jukebox_jax.checkpoint import METRICS
from jukebox_jax.training import loop

ROOT = pathlib.Path(__file__).parent.parent
COUNT = int(os.environ.get("JUKEBOX_PROCESSES", "2"))
RATE, STEPS, SAVED = 8000, 400, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Songs, and a config of a tiny VQ-VAE that is trained on them."""
    folder, rng = tmp_path_factory.mktemp("pod"), np.random.default_rng(0)
    rows, seconds = [], np.arange(12000) / RATE
    for number in range(5):
        tones = [np.sin(2 * np.pi * pitch * seconds) for pitch in rng.uniform(100, 900, 2)]
        wave.save(folder / "songs" / f"{number}.wav", 0.3 * sum(tones), RATE)
        label = {"artist": "ab"[number % 2], "lyrics": "la di da" * 2}
        rows.append({"path": f"{number}.wav", **label})
    song.manifest.write(folder / "songs" / "manifest.jsonl", rows)
    config = {
        "stage": {"kind": "vqvae", "rate": RATE},
        "model": {
            "downs": [2],
            "strides": [2],
            "multipliers": [1],
            "bins": 8,
            "code_width": 4,
            "width": 4,
            "depth": 1,
            "linf_count": 64,
        },
        "signals": {},
        "data": {
            "source": str(folder / "songs"),
            "batch": 8,
            "samples": 2304,
            "held_out": 1,
            "loader": "numpy",
            "threads": 1,
        },
        "optimizer": {"learning_rate": 1e-3, "warmup": 2},
        "mesh": {},
        "run": {
            "steps": STEPS,
            "log_every": 1,
            "evaluate_every": 0,
            "examples_every": 0,
            "checkpoint_every": SAVED,
            "stall_minutes": 10.0,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "config.py").write_text(
        "import json, pathlib, ml_collections\n"
        "def get_config():\n"
        "    text = pathlib.Path(__file__).with_name('config.json').read_text()\n"
        "    return ml_collections.ConfigDict(json.loads(text))\n"
    )
    return folder


def start(folder: pathlib.Path, workdir: str, *more: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "launch" / "train.py"), f"--processes={COUNT}"]
    command += ["--config", "config.py", "--workdir", workdir, *more]  # a relative one
    cache = jax.config.jax_compilation_cache_dir
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_COMPILATION_CACHE_DIR=cache)
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def losses(workdir: pathlib.Path) -> dict[int, float]:
    if not (workdir / METRICS).exists():
        return {}
    lines = (workdir / METRICS).read_text().splitlines()
    return {line["step"]: line["train/loss"] for line in map(json.loads, lines)}


def children(process: subprocess.Popen) -> list[int]:
    """The processes that it began, in the order of their numbers."""
    listed = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(one) for one in listed.split()]


def wait_for(condition, process: subprocess.Popen, what: str) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, f"ended before {what}: {process.communicate()[1]}"
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_a_lost_process_ends_all_and_the_run_goes_on(folder: pathlib.Path) -> None:
    workdir = folder / "run"
    process = start(folder, "run")
    wait_for(lambda: (workdir / str(SAVED)).exists(), process, "a checkpoint")
    os.kill(children(process)[-1], signal.SIGKILL)
    killed = time.monotonic()
    errors = process.communicate(timeout=60)[1]
    assert time.monotonic() - killed < 30
    assert process.returncode not in (0, 1)
    lines = [line for line in errors.splitlines() if line.startswith("train: ")]
    assert lines and "ending the others; the same command goes on" in lines[0], errors
    before = losses(workdir)
    assert len(before) < STEPS

    process = start(folder, "run", "--config.run.checkpoint_every=0", "--stopped=3")
    further = max(before) + SAVED
    wait_for(lambda: max(losses(workdir)) >= further, process, "further steps")
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 3, errors
    begun = int(re.search(r"going on from step (\d+) of run", errors)[1])
    assert SAVED <= begun <= max(before) and begun % SAVED == 0
    (last,) = map(int, re.findall(r"asked to stop: step (\d+) is saved", errors))  # one speaks
    assert last >= further and (workdir / str(last)).exists()
    assert sorted(losses(workdir)) == list(range(1, last + 1))

    config = json.loads((folder / "config.json").read_text())
    config["run"] |= {"steps": begun + 3, "checkpoint_every": 0}
    loop.train_and_evaluate(config, folder / "alone", devices=jax.devices()[:1])
    alone, together = losses(folder / "alone"), losses(workdir)
    compared = [*range(1, 9), *range(begun + 1, begun + 4)]
    np.testing.assert_allclose(
        [together[step] for step in compared], [alone[step] for step in compared], rtol=1e-5
    )


LYRICS = {
    "kind": "lyrics",
    "tokens": 8,
    "size": 16,
    "width": 16,
    "layout": [[["row"], 1]],
    "block": 4,
    "rate": RATE,
}
ABOVE = {"kind": "codes", "bins": 8, "width": 8, "depth": 1, "downs": 1, "stride": 2}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["top", "upsampler", "adapters"])
def test_priors_learn_the_same_together(folder: pathlib.Path, kind: str) -> None:
    """A prior with lyrics, an upsampler, and adapters: as one process alone, to 1e-5."""
    sound = json.loads((folder / "config.json").read_text())
    sound["model"] |= {"downs": [2, 1], "strides": [2, 2], "multipliers": [1, 1]}
    sound["run"] |= {"steps": 2, "checkpoint_every": 2}
    codec = folder / "codec"
    if not codec.exists():
        loop.train_and_evaluate(sound, codec, devices=jax.devices()[:1])
    prior = {
        "stage": {"kind": "prior", "rate": RATE, "level": 1, "vqvae": str(codec)},
        "model": {
            "context": 32,
            "block": 8,
            "bins": 8,
            "width": 16,
            "heads": 2,
            "layout": [[["row", "column", "memory"], 1]],
        },
        "signals": {"artist": {"kind": "label", "size": 8}, "lyrics": LYRICS},
        "data": {key: value for key, value in sound["data"].items() if key != "samples"},
        "optimizer": sound["optimizer"],
        "run": {**sound["run"], "steps": 6},
    }
    if kind == "upsampler":
        prior["stage"]["level"] = 0
        prior["model"]["layout"] = [[["row", "column", "previous"], 1]]
        prior["signals"] = {"above": ABOVE}
    if kind == "adapters":
        base = folder / "base"
        loop.train_and_evaluate(prior, base, devices=jax.devices()[:1])
        prior["lora"] = {"rank": 2}
        prior["run"]["start_from"] = str(base)
    own = folder / kind
    own.mkdir()
    (own / "config.json").write_text(json.dumps(prior))
    (own / "config.py").write_text((folder / "config.py").read_text())
    process = start(own, "together")
    loop.train_and_evaluate(prior, own / "alone", devices=jax.devices()[:1])
    errors = process.communicate(timeout=600)[1]
    assert process.returncode == 0, errors
    alone, together = losses(own / "alone"), losses(own / "together")
    assert sorted(alone) == sorted(together) == list(range(1, 7))
    np.testing.assert_allclose(
        [together[step] for step in alone], [alone[step] for step in alone], rtol=1e-5
    )
