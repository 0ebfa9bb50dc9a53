"""The command makes takes from a session's folder, and refuses in one line what cannot be."""

import json
import os
import pathlib
import subprocess
import sys

import counting

from jukebox_jax.sampling import request, session

ROOT = pathlib.Path(__file__).parent.parent


def run(*arguments: str, command: str = "take") -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache"),
        "PYTHONWARNINGS": "ignore",
    }
    words = [sys.executable, f"launch/{command}.py", *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_from_a_session_to_a_chosen_song_and_its_scores(tmp_path: pathlib.Path) -> None:
    stages = counting.save(tmp_path / "stages")
    songs = [{"artist": "ada", "seed": seed} for seed in (5, 6)]
    session.run({**stages, "songs": songs, "seconds": 4.0, "levels": (2,)}, tmp_path / "out")
    done = run("pick", str(tmp_path / "out"), "--songs=1", f"--out={tmp_path / 'one'}", "--later")
    assert done.returncode == 0, done.stderr
    done = run(f"--resume={tmp_path / 'one'}", command="sample")
    assert done.returncode == 0, done.stderr
    codes = request.read_codes(tmp_path / "one")
    assert set(codes) == {0, 1, 2}
    assert (codes[2][0] == request.read_codes(tmp_path / "out")[2][1]).all()
    page = (tmp_path / "one" / "index.html").read_text()
    assert '"fully":false' in page
    done = run("score", str(tmp_path / "one"))
    assert done.returncode == 0 and "| 0 |" in done.stdout, done.stderr
    assert json.loads((tmp_path / "one" / "scores.json").read_text())[0]["level"] == 0
    assert '"fully":true' in (tmp_path / "one" / "index.html").read_text()
    out = f"--out={tmp_path / 'two'}"
    for arguments, message in (
        (("pick", str(tmp_path / "out"), "--songs=9", out), "song 9 is to be picked"),
        (("pick", str(tmp_path / "out"), "--songs=0"), "give --out"),
    ):
        done = run(*arguments)
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and message in lines[0], done.stderr
    assert not (tmp_path / "two").exists()
