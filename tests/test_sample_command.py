"""The command samples what it is asked for, and says in one line why it cannot."""

import json
import os
import pathlib
import subprocess
import sys

import counting
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments that name stages and songs, in a folder of their own."""
    folder = tmp_path_factory.mktemp("command")
    stages = counting.save(folder)
    rows = [{"artist": "ada", "total_seconds": 20.0, "seed": 5}, {"artist": "the copper foxes"}]
    songs = folder / "songs.jsonl"
    songs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [f"--config.{key}={value}" for key, value in {**stages, "songs": str(songs)}.items()]


def run(out: pathlib.Path, *arguments: str, limit: str = "") -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache"),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "launch/sample.py", "--config=configs/sample.py", f"--out={out}"]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def refused(done: subprocess.CompletedProcess, message: str) -> None:
    assert done.returncode not in (0, -11), done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("sample: ") and message in lines[-1], done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_and_the_same_again(given: list[str], tmp_path: pathlib.Path) -> None:
    more = ["--config.seconds=4", "--config.temperature=0.9", "--config.hop_fraction=0.5"]
    done = run(tmp_path, *given, *more)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "codes.npz") as codes:
        assert {name: codes[name].shape for name in codes} == {
            "codes_0": (2, 160),
            "codes_1": (2, 80),
            "codes_2": (2, 40),
        }
    assert len(list(tmp_path.glob("level_*/item_*.wav"))) == 6
    assert "</html>" in (tmp_path / "index.html").read_text()
    took = json.loads((tmp_path / "timings.json").read_text())
    assert [(row["level"], row["codes"]) for row in took] == [(2, 80), (1, 160), (0, 320)]
    said = json.loads((tmp_path / "settings.json").read_text())
    assert said["config"]["hop_fraction"] == [0.5] and said["songs"][1]["seed"] == 1
    written = (tmp_path / "codes.npz").read_bytes()
    refused(run(tmp_path, *given, *more, "--config.seed=3"), "config.seed was 0, is 3")
    assert (tmp_path / "codes.npz").read_bytes() == written


def test_mistakes_are_one_line(given: list[str], tmp_path: pathlib.Path) -> None:
    refused(run(tmp_path, *given, "--config.secnds=4"), "secnds")
    songs = tmp_path / "songs.jsonl"
    songs.write_text('{"artist": "adda"}\n')
    done = run(tmp_path / "out", *given[:2], f"--config.songs={songs}")
    refused(done, "'adda' is none of the 2 names that the model knows (near names: 'ada')")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line(given: list[str], tmp_path: pathlib.Path) -> None:
    """Stood in for by a limit on the size of a file, in kilobytes."""
    more = ["--config.seconds=40", "--config.levels=2"]
    refused(run(tmp_path, *given, *more, limit="ulimit -f 2"), "File too large")
    assert not list(tmp_path.glob("**/.*"))  # nothing half written is left
