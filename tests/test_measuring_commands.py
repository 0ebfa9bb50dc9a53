"""The commands that align, evaluate and measure do so from a shell, or say in one line why not."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import singing

ROOT = pathlib.Path(__file__).parent.parent


def run(name: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache"),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, f"launch/{name}.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def refused(done: subprocess.CompletedProcess, message: str) -> None:
    assert done.returncode == 1, done.stderr
    assert message in done.stderr.strip().splitlines()[-1] and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[str]]:
    """A folder with songs and stages, and the arguments that name the VQ-VAE and the songs.

    Of the songs two have the same name in different folders.
    """
    folder = tmp_path_factory.mktemp("given")
    codec, _ = singing.save(folder)
    listed = singing.songs(folder) / "manifest.jsonl"
    (folder / "below").mkdir()
    (folder / "3.wav").rename(folder / "below" / "0.wav")
    listed.write_text(listed.read_text().replace("3.wav", "below/0.wav"))
    return folder, [f"--vqvae={codec}", f"--songs={folder}"]


def test_align_stores_a_head_and_writes_words(given: tuple[pathlib.Path, list[str]]) -> None:
    folder, arguments = given
    prior = folder / "prior"
    done = run("align", *arguments, f"--prior={prior}", f"--out={folder / 'words'}")
    assert done.returncode == 0, done.stderr
    assert "judged by 11 words" in done.stdout
    stored = json.loads((prior / "alignment.json").read_text())
    assert f"stored in {prior}: layer 0, head {stored['head']}" in done.stdout
    words = folder / "words"
    names = {str(path.relative_to(words)) for path in words.rglob("*.*")}
    stems = ("0", "1", "2", "below/0")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("lrc", "srt", "json")}
    more = ["--samples=2", "--sampled_seconds=0.2", f"--json={folder / 'figures.json'}"]
    measured = [f"--priors={prior}", "--measures=alignment,lyrics"]
    done = run("evaluate", *arguments, *measured, *more)
    assert done.returncode == 0, done.stderr
    assert "words begin off by, median" in done.stdout
    kept = json.loads((folder / "figures.json").read_text())
    assert {one["measure"] for one in kept["figures"]} == {"alignment", "lyrics"}
    assert kept["figures"][0]["note"].startswith(f"layer 0, head {stored['head']}; 11 words")


def test_evaluate_measures_what_it_can(given: tuple[pathlib.Path, list[str]]) -> None:
    folder, arguments = given
    page = folder / "figures.html"
    more = ["--samples=2", "--sampled_seconds=0.2", f"--page={page}"]
    done = run("evaluate", *arguments, f"--priors={folder / 'prior'}", *more)
    assert done.returncode == 0, done.stderr
    for said in ("level 0: spectral convergence", "level 0: a code", "jumps at windows of level 0"):
        assert said in done.stdout, said
    assert "refused: labels: only labels of the procedural band" in done.stdout
    assert "measure 4 of 4: labels" in done.stderr and "<svg" in page.read_text()
    done = run("evaluate", *arguments, "--measures=reconstruction,bits")
    assert done.returncode == 0 and "refused: bits: there is no prior" in done.stdout


def test_mistakes_are_one_line(given: tuple[pathlib.Path, list[str]]) -> None:
    folder, arguments = given
    refused(run("align", *arguments, f"--prior={folder / 'vqvae'}"), "is a vqvae, not a prior")
    refused(
        run("evaluate", *arguments, f"--priors={folder / 'prior'}", "--measures=words"),
        "measure 'words' is unknown; known: reconstruction",
    )
    refused(run("measure", "--songs=nowhere", "--labels=loudness"), "no such folder or list")


def test_measure_adds_labels(tmp_path: pathlib.Path) -> None:
    folder = singing.songs(tmp_path)
    done = run("measure", f"--songs={folder}", "--labels=loudness")
    assert "4 songs: labels added to 4, 0 files" in done.stdout, done.stderr
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert all(row["loudness"] and row["lyrics"] for row in rows)
