"""Twenty kills at random moments, of training and of sampling: nothing of the result changes."""

import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint

ROOT = pathlib.Path(__file__).parent.parent
KILLS = int(os.environ.get("JUKEBOX_KILLS", "20"))
LONGEST = 14.0  # seconds from a start to its kill: start-up, compilation, steps, saves
SMALL = """--config.data.loader=numpy --config.data.source=band:songs=6,seconds=6
--config.data.samples=4096 --config.data.held_out=1 --config.optimizer.warmup=5
--config.optimizer.decay=20 --config.run.log_every=5 --config.run.checkpoint_every=15
--config.run.examples_every=40 --config.run.evaluate_every=30 --config.run.evaluate_batches=1
--config.model.width=8""".split()

pytestmark = pytest.mark.slow


def start(*arguments: str, **more: object) -> subprocess.Popen:
    """One of the ordinary commands, in a process of its own."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_PLATFORMS="cpu")
    environment["JAX_COMPILATION_CACHE_DIR"] = str(jax.config.jax_compilation_cache_dir)
    environment.pop("XLA_FLAGS", None)
    command = [sys.executable, str(ROOT / "launch" / arguments[0]), *arguments[1:]]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **more)


def finish(process: subprocess.Popen) -> str:
    said = process.communicate(timeout=1200)[1]
    assert process.returncode == 0, said[-2000:]
    return said


def kill_often(
    begin: Callable[[], subprocess.Popen],
    between: Callable[[int], None],
    longest: float = LONGEST,
) -> list[str]:
    """Starts a command until it was killed so often, and then lets it end.

    Args:
      begin: starts it.
      between: what befalls its folder after a kill, by the kill's number.
      longest: seconds from a start to its kill.

    Returns:
      How each of its lives ended: "KILL", "TERM", or "too late" where it was done before.
    """
    rng = random.Random(0)
    ends: list[str] = []
    while ends.count("KILL") + ends.count("TERM") < KILLS and "too late" not in ends:
        process = begin()
        way = rng.choice([signal.SIGKILL, signal.SIGTERM])
        try:
            said = process.communicate(timeout=rng.uniform(0.5, longest))[1]
            assert process.returncode == 0, said[-2000:]
            ends.append("too late")
            break
        except subprocess.TimeoutExpired:
            process.send_signal(way)
            process.communicate(timeout=120)
        if way == signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
        else:  # saved and gone, or ended before there was anything to save
            assert process.returncode in (0, 1, -signal.SIGTERM), process.returncode
        ends.append(way.name.removeprefix("SIG"))
        between(len(ends))
    return ends


def test_twenty_kills_of_training(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit the same parameters; on the way a damaged checkpoint and a full disk."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    steps = f"--config.run.steps={120 * KILLS}"
    config = ["--config", f"{ROOT}/configs/vqvae.py:tiny", *SMALL, steps]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begun = time.monotonic()
    undisturbed = start("train.py", *config, "--workdir", str(whole))
    while not (whole / "15").exists():
        assert undisturbed.poll() is None, undisturbed.communicate()[1][-2000:]
        time.sleep(0.1)
    longest = 1.5 * (time.monotonic() - begun)  # so that kills fall into all that happens
    finish(undisturbed)
    happened: list[str] = []

    def begin() -> subprocess.Popen:
        return start("train.py", *config, "--workdir", str(broken))

    def between(kills: int) -> None:
        saved = sorted(int(one.name) for one in broken.glob("[0-9]*") if one.name.isdecimal())
        if "damaged" not in happened and kills >= KILLS // 3 and len(saved) > 1:
            newest = broken / str(saved[-1])
            victim = max((f for f in newest.rglob("*") if f.is_file()), key=_size)
            content = bytearray(victim.read_bytes())
            content[len(content) // 2] ^= 0xFF
            victim.write_bytes(content)
            happened.append("damaged")
        elif "damaged" in happened and "full" not in happened and kills >= KILLS // 2:
            limited = start(
                "train.py",
                *config,
                "--workdir",
                str(broken),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
            )
            said = limited.communicate(timeout=300)[1]
            assert limited.returncode not in (0, None), said[-2000:]
            assert "Traceback" not in said and "cannot be written" in said, said[-2000:]
            happened.append("full")

    ends = kill_often(begin, between, longest)
    said = finish(begin())
    print(ends, happened, said[-300:])
    assert happened == ["damaged", "full"] and "too late" not in ends
    parts = ("params", "average", "codebooks", "optimizer")
    mine, theirs = (checkpoint.load(one, parts) for one in (whole, broken))
    jax.tree.map(np.testing.assert_array_equal, mine, theirs)
    steps = [[line["step"] for line in _lines(one)] for one in (whole, broken)]
    assert set(steps[0]) <= set(steps[1])  # and the first step after each start
    assert steps[1] == sorted(steps[1])


def test_twenty_kills_of_sampling(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same codes and the same sound, from a state that is written every few codes."""
    rng = np.random.default_rng(0)
    songs = [
        {"artist": "", "genre": "", "total_seconds": 60, "seed": int(n)}
        for n in rng.integers(99, size=2)
    ]
    (tmp_path / "songs.jsonl").write_text("".join(json.dumps(song) + "\n" for song in songs))
    tiny = [*SMALL, "--config.run.steps=2", "--config.run.examples_every=0"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vqvae = str(tmp_path / "vqvae")
    finish(
        start("train.py", "--config", f"{ROOT}/configs/vqvae.py:tiny", *tiny, "--workdir", vqvae)
    )
    data = [one for one in tiny if "data.samples" not in one and "model.width" not in one]
    priors = []
    for level, name in enumerate(
        ("upsampler.py:tiny,level=0", "upsampler.py:tiny,level=1", "prior.py:tiny")
    ):
        priors.append(str(tmp_path / f"level_{level}"))
        config = ["--config", f"{ROOT}/configs/{name}", f"--config.stage.vqvae={vqvae}", *data]
        finish(start("train.py", *config, "--workdir", priors[-1]))
    request = ["--config", f"{ROOT}/configs/sample.py", f"--config.vqvae={vqvae}"]
    request += [f"--config.priors={','.join(priors)}", f"--config.songs={tmp_path}/songs.jsonl"]
    request += ["--config.seconds=40", "--config.save_seconds=0.2", "--config.chunk=32"]
    request += ["--config.allow_unknown=True"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed = start("sample.py", *request, "--out", str(whole))

    def begin() -> subprocess.Popen:
        if (broken / "settings.json").exists():
            return start("sample.py", "--resume", str(broken))
        return start("sample.py", *request, "--out", str(broken))

    ends = kill_often(begin, lambda kills: None)
    finish(begin())
    finish(undisturbed)
    print(ends)
    assert "too late" not in ends
    files = sorted(one.relative_to(whole) for one in whole.rglob("*.wav"))
    assert len(files) == 6
    assert files == sorted(one.relative_to(broken) for one in broken.rglob("*.wav"))
    for file in files:
        assert (whole / file).read_bytes() == (broken / file).read_bytes(), file
    with np.load(whole / "codes.npz") as mine, np.load(broken / "codes.npz") as theirs:
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name])


def _size(file: pathlib.Path) -> int:
    return file.stat().st_size


def _lines(workdir: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
