"""Features of many files end in one, and a run that was stopped goes on."""

import os
import pathlib
import subprocess
import sys

import counting
import numpy as np
import pytest

from jukebox_jax import features
from jukebox_jax.analysis import collection
from jukebox_jax.analysis import features as analysis
from jukebox_jax.audio import song, wave
from jukebox_jax.audio.song import Song

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Song, ...]:
    """Three songs of different length at the stages' rate, and a file that is none."""
    folder = tmp_path_factory.mktemp("songs")
    for index, samples in enumerate((50, 400, 90)):
        noise = np.random.default_rng(index).normal(scale=0.2, size=(samples, 1 + index % 2))
        wave.save(folder / f"{index}.wav", np.clip(noise, -1, 1), counting.RATE)
    (folder / "broken.wav").write_text("no sound")
    return song.find(folder, rate=counting.RATE)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return counting.save(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def plan(stages: dict[str, str]) -> analysis.Plan:
    prior = stages["priors"].split(",")[1]
    return analysis.prepare(collection.load(stages["vqvae"], prior, (1,)), batch=2)


def test_a_prior_is_loaded_as_that_of_its_level(plan: analysis.Plan) -> None:
    assert (plan.level, plan.layers, plan.factor) == (1, (1,), 2)
    assert "logits" not in plan.params


def test_stages_of_another_kind_are_named(stages: dict[str, str]) -> None:
    prior = stages["priors"].split(",")[1]
    with pytest.raises(ValueError, match=f"--vqvae={prior} is a prior, not a vqvae"):
        collection.load(prior, stages["vqvae"], (1,))
    with pytest.raises(ValueError, match="is a vqvae, not a prior"):
        collection.load(stages["vqvae"], stages["vqvae"], (1,))


def test_a_song_without_samples_is_left_out(
    songs: tuple[Song, ...],
    plan: analysis.Plan,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wave.save(tmp_path / "tiny.wav", np.zeros((1, 1)), 8000)
    found = (Song(str(tmp_path / "tiny.wav"), 1, {}, 8000), songs[0])
    with np.load(collection.extract(plan, found, tmp_path / "features.npz")) as arrays:
        assert arrays["paths"].tolist() == [songs[0].path]
    assert "tiny.wav: holds no samples at 80 Hz; remove it; left out" in caplog.text


def test_a_run_goes_on_where_it_stopped(
    songs: tuple[Song, ...],
    plan: analysis.Plan,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, stop = [], [2]

    def load(path: str, rate: int) -> np.ndarray:
        if len(read) == stop[0]:
            raise KeyboardInterrupt
        read.append(pathlib.Path(path).name)
        return wave.load(path, rate)

    monkeypatch.setattr(collection, "_read", lambda one, rate: load(one.path, rate))
    out = tmp_path / "features.npz"
    with pytest.raises(KeyboardInterrupt):
        collection.extract(plan, songs, out)
    assert not out.exists() and read == ["0.wav", "1.wav"]
    done = len(list((tmp_path / "features.npz.parts").glob("*.npz")))
    assert done >= 1
    with pytest.raises(ValueError, match="beginnings of other features"):
        collection.extract(plan, songs, out, asked={"labels": True})
    stop[0] = 100
    collection.extract(plan, songs, out)
    assert len(read) == 2 + 3 - done
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npz"]
    with np.load(out) as found:
        assert [pathlib.Path(name).name for name in found["paths"]] == ["0.wav", "1.wav", "2.wav"]
        assert found["rows"].tolist() == [1, 1, 1]
        assert found["seconds"].tolist() == [50 / 80, 5, 90 / 80]
        for one, row in zip(songs, found["layer_1"], strict=True):
            audio = wave.mono(wave.load(one.path, counting.RATE))
            wanted = features(plan.jukebox, audio[None], layers=(1,))[1][0]
            np.testing.assert_allclose(row, wanted, atol=1e-5)
    with pytest.raises(ValueError, match="is there already"):
        collection.extract(plan, songs, out)


def test_a_dataset_of_features(
    songs: tuple[Song, ...], plan: analysis.Plan, tmp_path: pathlib.Path
) -> None:
    import tensorflow_datasets as tfds

    collection.extract(plan, songs, f"tfds:heard@{tmp_path}")
    records = list(tfds.data_source("heard", split="train", data_dir=tmp_path))
    assert [record["layer_1"].shape for record in records] == [(1, counting.BINS)] * 3
    assert [pathlib.Path(record["path"].decode()).name for record in records] == [
        "0.wav",
        "1.wav",
        "2.wav",
    ]


def test_the_command_writes_rows_for_stretches(
    songs: tuple[Song, ...], stages: dict[str, str], tmp_path: pathlib.Path
) -> None:
    """And needs no TensorFlow."""
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was asked for')")
    prior = stages["priors"].split(",")[2]
    command = [
        sys.executable,
        "launch/features.py",
        f"--songs={pathlib.Path(songs[0].path).parent}",
    ]
    command += [f"--vqvae={stages['vqvae']}", f"--prior={prior}", "--pool=1.0"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "JAX_PLATFORMS": "cpu"}
    out = tmp_path / "found.npz"

    def run(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    done = run("--layers=1", f"--out={out}")
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        assert found["rows"].tolist() == [1, 5, 2]
        assert found["layer_1"].shape == (8, counting.BINS) and np.isfinite(found["layer_1"]).all()
    done = run("--layers=7", f"--out={tmp_path / 'other.npz'}")
    assert done.returncode and "layers 1 to 1" in done.stderr and "Traceback" not in done.stderr
