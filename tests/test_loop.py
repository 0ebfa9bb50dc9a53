"""A stage is trained, interrupted, gone on with, and does not depend on the number of devices."""

import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import jukebox_jax as jb
from jukebox_jax import checkpoint, models
from jukebox_jax.audio import song, wave
from jukebox_jax.checkpoint import METRICS
from jukebox_jax.training import evaluation, journal, loop, settings, tasks

ROOT = pathlib.Path(__file__).parent.parent
ONE = jax.devices()[:1]  # compiles fastest; the mesh has a test of its own
RATE, LENGTH = 8000, 12000


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Six songs of two notes each, with labels."""
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    rows, seconds = [], np.arange(LENGTH) / RATE
    for number in range(6):
        tones = [np.sin(2 * np.pi * pitch * seconds) for pitch in rng.uniform(100, 900, 2)]
        wave.save(folder / f"{number}.wav", 0.3 * sum(tones), RATE)
        rows.append({"path": f"{number}.wav", "artist": "AB"[number % 2], "genre": "x,y"})
    song.manifest.write(folder / "manifest.jsonl", rows)
    return folder


def vqvae_config(songs: pathlib.Path, **changes) -> dict:
    config = {
        "stage": {"kind": "vqvae", "rate": RATE},
        "model": {
            "downs": [2, 1],
            "strides": [2, 2],
            "multipliers": [1, 1],
            "bins": 16,
            "code_width": 4,
            "width": 4,
            "depth": 1,
            "linf_count": 64,
        },
        "signals": {},
        "data": {
            "source": str(songs),
            "batch": 8,
            "samples": 2304,
            "held_out": 2,
            "loader": "numpy",
            "threads": 2,
        },
        "optimizer": {"learning_rate": 1e-2, "warmup": 2, "decay": 4},
        "mesh": {},
        "run": {
            "steps": 6,
            "log_every": 1,
            "evaluate_every": 3,
            "evaluate_batches": 2,
            "examples_every": 6,
            "checkpoint_every": 2,
        },
    }
    return change(config, changes)


def prior_config(songs: pathlib.Path, vqvae: pathlib.Path, level: int, **changes) -> dict:
    config = vqvae_config(songs)
    del config["data"]["samples"]
    config["stage"] = {"kind": "prior", "rate": RATE, "level": level, "vqvae": str(vqvae)}
    config["model"] = {
        "context": 64,
        "block": 8,
        "bins": 16,
        "width": 16,
        "layout": [[["row", "column", "previous"], 1]],
    }
    config["signals"] = {
        "artist": {"kind": "label", "size": 4},
        "genre": {"kind": "label", "size": 4, "most": 3},
    }
    if level == 0:
        config["signals"]["above"] = {
            "kind": "codes",
            "bins": 16,
            "width": 4,
            "depth": 1,
            "downs": 1,
        }
    else:
        config["signals"]["timing"] = {
            "kind": "timing",
            "bins": 8,
            "minimum_seconds": 0.5,
            "maximum_seconds": 5.0,
            "rate": RATE,
        }
    return change(config, changes)


def change(config: dict, changes: dict) -> dict:
    for path, value in changes.items():
        section, _, key = path.partition("__")
        config[section][key] = value
    return config


@pytest.fixture(scope="module")
def vqvae(songs: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A VQ-VAE that was trained without interruption."""
    workdir = tmp_path_factory.mktemp("runs") / "vqvae"
    loop.train_and_evaluate(vqvae_config(songs), workdir, devices=ONE)
    return workdir


def metrics(workdir: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / METRICS).read_text().splitlines()]


def losses(workdir: pathlib.Path) -> list[float]:
    return [line["train/loss"] for line in metrics(workdir) if "train/loss" in line]


def same(one: pathlib.Path, other: pathlib.Path, parts: tuple[str, ...]) -> None:
    first, second = (checkpoint.load(workdir, parts=parts) for workdir in (one, other))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert jax.tree.leaves(first)


def test_a_vqvae_is_a_directory(vqvae: pathlib.Path) -> None:
    names = {path.name for path in vqvae.iterdir()}
    assert {"config.json", "data.json", "parameters.txt", METRICS, "examples", "6"} <= names
    assert len(losses(vqvae)) == 6 and losses(vqvae)[-1] < losses(vqvae)[0]
    held = [line for line in metrics(vqvae) if "evaluate/loss" in line]
    assert [line["step"] for line in held] == [3, 6]
    assert 0 < held[-1]["evaluate/codebook_use_l2"] <= 1
    sounds = {path.name for path in (vqvae / "examples" / "0000006").iterdir()}
    assert {"0_original.wav", "0_level_0.wav", "1_level_1.wav"} <= sounds
    stage = models.Stage.load(vqvae)
    assert stage.kind == "vqvae" and stage.weights.codebooks[1].codes.shape == (16, 4)
    assert all(0 <= line["train/data_wait"] <= 1 for line in metrics(vqvae) if "train/loss" in line)
    assert metrics(vqvae)[-2]["train/seconds_per_second"] > 0
    table = (vqvae / "parameters.txt").read_text()
    assert "encoder_0" in table and "decoder_1" in table


@pytest.fixture(scope="module")
def priors(
    songs: pathlib.Path, vqvae: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, ...]:
    """A prior of each level, finest first."""
    folder = tmp_path_factory.mktemp("priors")
    workdirs = tuple(folder / f"level_{level}" for level in (0, 1))
    for level, workdir in enumerate(workdirs):
        config = prior_config(songs, vqvae, level, run__steps=20, run__examples_every=20)
        loop.train_and_evaluate(config, workdir, devices=ONE)
    return workdirs


@pytest.mark.parametrize("level", [1, 0])
def test_a_prior_is_a_directory(priors: tuple[pathlib.Path, ...], level: int) -> None:
    workdir = priors[level]
    found = losses(workdir)
    assert found[0] == pytest.approx(4.0, abs=0.5)  # bits of 16 codes
    assert np.mean(found[-3:]) < np.mean(found[:3])
    stage = models.Stage.load(workdir)
    assert dict(stage.vocabularies["artist"].ids) == {"A": 1, "B": 2}
    assert dict(stage.vocabularies["genre"].ids) == {"x": 1, "y": 2}
    sounds = {path.name for path in (workdir / "examples" / "0000020").iterdir()}
    assert {"0_original.wav", "0_reconstructed.wav", "0_sampled.wav"} <= sounds


def test_from_songs_to_a_song(
    vqvae: pathlib.Path, priors: tuple[pathlib.Path, ...], tmp_path: pathlib.Path
) -> None:
    """The whole story: files were trained on, their stages are opened, new files are written."""
    box = jb.Jukebox.load(vqvae=vqvae, priors=priors)
    shared = {"genre": "x", "total_seconds": 1.5}
    wanted = [jb.Song("", 0, {**shared, "artist": artist, "seed": ord(artist)}) for artist in "AB"]
    recording = jb.sample(box, wanted, seconds=0.5, progress=False)
    for level, hop in enumerate(box.hops):
        assert recording.codes[level].shape == (2, 4000 // hop)
        for number, sound in enumerate(recording.audio[level]):
            file = tmp_path / f"level_{level}" / f"{number}.wav"
            wave.save(file, np.clip(sound, -1, 1), box.rate)
            assert wave.load(file, box.rate).std() > 1e-3
    alone = jb.sample(box, wanted[1:], seconds=0.5, progress=False)
    for one, other in zip(alone.codes, recording.codes, strict=True):
        np.testing.assert_array_equal(one, other[1:])  # its neighbour does not matter


class Crash(Exception):
    """Stands for whatever ends a process."""


QUIET = {"run__evaluate_every": 0, "run__examples_every": 0}  # fewer functions to compile


@pytest.mark.parametrize("at", [1, 5])
def test_going_on_changes_nothing(
    songs: pathlib.Path,
    vqvae: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """What follows a crash is what would have been, to the last bit."""
    workdir, progress = tmp_path / "vqvae", journal.Journal.progress

    def crash(self: journal.Journal, step: int, values: dict) -> None:
        progress(self, step, values)
        if step == at:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "progress", crash)
        with pytest.raises(Crash):
            loop.train_and_evaluate(vqvae_config(songs, **QUIET), workdir, devices=ONE)
    loop.train_and_evaluate(vqvae_config(songs, **QUIET), workdir, devices=ONE)
    same(workdir, vqvae, ("params", "average", "codebooks", "optimizer"))
    assert losses(workdir) == losses(vqvae)


def test_nothing_compiles_twice(
    songs: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first step, evaluation, sounds and checkpoint, the compiler has nothing to do."""
    lowered, seen = [], {}
    scalars = journal.Journal.scalars

    def note(self: journal.Journal, step: int, values: dict) -> None:
        seen.setdefault(step, len(lowered))
        scalars(self, step, values)

    def listen(event: str, seconds: float, **_: object) -> None:
        if event.endswith("jaxpr_to_mlir_module_duration"):
            lowered.append(event)

    monkeypatch.setattr(journal.Journal, "scalars", note)
    changes = {"run__evaluate_every": 2, "run__examples_every": 2}
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        loop.train_and_evaluate(vqvae_config(songs, **changes), tmp_path, devices=ONE)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert seen[3] > seen[1] > 0 and seen[6] == seen[3], seen


def test_nothing_is_done_twice(songs: pathlib.Path, vqvae: pathlib.Path) -> None:
    before = (vqvae / METRICS).read_text()
    state = loop.train_and_evaluate(vqvae_config(songs), vqvae, devices=ONE)
    assert int(state.step) == 6 and (vqvae / METRICS).read_text() == before


def test_going_on_with_another_mesh(
    songs: pathlib.Path,
    vqvae: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same songs and the same losses, wherever the run goes on."""
    progress = journal.Journal.progress

    def crash(self: journal.Journal, step: int, values: dict) -> None:
        progress(self, step, values)
        if step == 5:
            raise Crash

    config = vqvae_config(songs, **QUIET)
    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "progress", crash)
        with pytest.raises(Crash):
            loop.train_and_evaluate({**config, "mesh": {"data": 8}}, tmp_path)
    loop.train_and_evaluate({**config, "mesh": {"data": 2, "fsdp": 2, "tensor": 2}}, tmp_path)
    np.testing.assert_allclose(losses(tmp_path), losses(vqvae), rtol=1e-5)


def test_tf_data_feeds_the_same(
    songs: pathlib.Path, vqvae: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    config = vqvae_config(songs, data__loader="tf", **QUIET)
    loop.train_and_evaluate(config, tmp_path, devices=ONE)
    same(tmp_path, vqvae, ("params",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__width": 8}, "holds another stage (config.model.width: was 4, is 8)"),
        ({"model__widht": 8}, "holds another stage"),
        ({"data__source": "nowhere"}, "nowhere: no such folder or list of songs"),
        ({"data__samples": 2301}, "config.data.samples = 2301 is no multiple of"),
        ({"data__samples": 2048}, "the spectral losses need more than 2048"),
        ({"mesh__fsdp": 3}, "1 devices are no multiple of 3"),
    ],
)
def test_what_does_not_fit_is_one_line(
    songs: pathlib.Path, vqvae: pathlib.Path, changes: dict, message: str
) -> None:
    before = {path: path.read_bytes() for path in vqvae.rglob("*.json")}
    with pytest.raises(ValueError) as caught:
        loop.train_and_evaluate(vqvae_config(songs, **changes), vqvae, devices=ONE)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert before == {path: path.read_bytes() for path in vqvae.rglob("*.json")}


def test_a_batch_that_devices_cannot_share(songs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = vqvae_config(songs, data__batch=12)
    with pytest.raises(ValueError, match="batch = 12 cannot be divided over 8 devices"):
        loop.train_and_evaluate(config, tmp_path / "vqvae")
    config = vqvae_config(songs, optimizer__accumulate=3)
    with pytest.raises(ValueError, match="batch = 8 cannot be dealt out .* multiple of 3"):
        loop.train_and_evaluate(config, tmp_path / "vqvae", devices=ONE)
    assert not (tmp_path / "vqvae").exists()


def attempt(config: dict, workdir: pathlib.Path) -> dict:
    """A start that ends before the first checkpoint; what it found out of its songs."""

    def stop(*_: object) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_run", stop)
        with pytest.raises(Crash):
            loop.train_and_evaluate(config, workdir, devices=ONE)
    return json.loads((workdir / "data.json").read_text())


def test_an_attempt_without_a_checkpoint_decides_nothing(tmp_path: pathlib.Path) -> None:
    """Neither the sound's size nor the model; and songs are counted at the stage's own rate."""
    rng = np.random.default_rng(0)
    sounds = {name: size * rng.uniform(-1, 1, 2 * LENGTH) for name, size in (("a", 1e-3), ("b", 1))}
    for name, sound in sounds.items():
        wave.save(tmp_path / name / "0.wav", sound, 2 * RATE)
    workdir, changes = tmp_path / "run", {"data__held_out": 0}
    quiet = attempt(vqvae_config(tmp_path / "a", model__width=8, **changes), workdir)
    loud = attempt(vqvae_config(tmp_path / "b", **changes), workdir)
    assert loud["bandwidth"]["l2"] > 1e5 * quiet["bandwidth"]["l2"]
    assert (loud["songs"], loud["samples"]) == (1, LENGTH)
    assert checkpoint.read_json(workdir, "config.json")["model"]["width"] == 4


def test_names_are_learnt_until_the_first_checkpoint(
    songs: pathlib.Path,
    vqvae: pathlib.Path,
    priors: tuple[pathlib.Path, ...],
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And from then on what is new counts as unknown, which is told."""
    folder, workdir = shutil.copytree(songs, tmp_path / "songs"), tmp_path / "run"
    rows = [json.loads(line) for line in (songs / "manifest.jsonl").read_text().splitlines()]
    more = [{**row, "artist": f"{row['artist']}{place}"} for place, row in enumerate(rows)]

    def names(workdir: pathlib.Path) -> dict[str, int]:
        return json.loads((workdir / "vocabularies.json").read_text())["artist"]["ids"]

    config = prior_config(folder, vqvae, 1)
    (folder / "manifest.jsonl").unlink()
    attempt(config, workdir)
    assert names(workdir) == {}
    song.manifest.write(folder / "manifest.jsonl", rows)
    attempt(config, workdir)
    assert names(workdir) == {"A": 1, "B": 2}

    begun = shutil.copytree(priors[1], tmp_path / "begun")
    song.manifest.write(folder / "manifest.jsonl", [*rows[:4], *more[4:]])
    with caplog.at_level(logging.WARNING):
        attempt({**config, "data": {**config["data"], "held_out": 0}}, begun)
    assert names(begun) == {"A": 1, "B": 2}
    assert "2 names of artist in the songs are none of the 2 that the run began" in caplog.text


def test_what_was_refused_may_be_put_right(
    songs: pathlib.Path, vqvae: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Nothing is written down before all is checked."""
    with pytest.raises(ValueError, match=r"config\.model\.bins = 32, but the VQ-VAE has 16"):
        loop.train_and_evaluate(prior_config(songs, vqvae, 1, model__bins=32), tmp_path / "prior")
    with pytest.raises(ValueError, match="freeze"):
        wrong = prior_config(songs, vqvae, 1, optimizer__freeze="nothing")
        loop.train_and_evaluate(wrong, tmp_path / "prior", devices=ONE)
    assert not (tmp_path / "prior").exists()


def test_a_prior_stays_with_its_vqvae(
    songs: pathlib.Path,
    vqvae: pathlib.Path,
    priors: tuple[pathlib.Path, ...],
    tmp_path: pathlib.Path,
) -> None:
    """Wherever that lies; another one of the same shapes is refused."""
    workdir = shutil.copytree(priors[1], tmp_path / "prior")
    moved, other = shutil.copytree(vqvae, tmp_path / "moved"), tmp_path / "other"
    name = models.identity(models.Stage.load(vqvae))
    assert attempt(prior_config(songs, moved, 1), workdir)["vqvae"] == name
    assert models.Stage.load(workdir).vqvae == name

    parts = checkpoint.load(vqvae, parts=("params", "codebooks"))
    parts["codebooks"]["0"]["codes"] += 1
    checkpoint.save_stage(other, checkpoint.read_json(vqvae, "config.json"), parts)
    with pytest.raises(ValueError, match="makes other codes .* or choose another") as caught:
        loop.train_and_evaluate(prior_config(songs, other, 1), workdir, devices=ONE)
    assert "\n" not in str(caught.value)

    checkpoint.write_json(workdir, "data.json", {"songs": 4})  # of a run that kept no name
    assert attempt(prior_config(songs, moved, 1), workdir)["vqvae"] == name


def test_the_base_of_adapters_is_not_mistaken(
    songs: pathlib.Path,
    vqvae: pathlib.Path,
    priors: tuple[pathlib.Path, ...],
    tmp_path: pathlib.Path,
) -> None:
    """An attempt may have kept it: then it is of the stage that this one started from."""
    config = prior_config(songs, vqvae, 1, run__start_from=str(priors[1]))
    config["lora"] = {"rank": 2}
    before = {**config, "run": {**config["run"], "start_from": "elsewhere"}}
    checkpoint.save_stage(tmp_path / "base", before, {"params": {"x": np.zeros(1)}})
    with pytest.raises(ValueError, match="start_from = .* was begun with 'elsewhere'"):
        loop.train_and_evaluate(config, tmp_path, devices=ONE)


def test_held_out_songs_are_checked_before_the_model_is_made(
    songs: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where something is to be found out of them."""
    short = jb.Song("short.wav", 2000, {}, RATE)
    monkeypatch.setattr(song, "split", lambda songs, share: (songs, (short,)))
    monkeypatch.setattr(loop, "_run", lambda *_: "run")
    with pytest.raises(song.SongError, match="no held-out song holds a window of 2304 samples"):
        loop.train_and_evaluate(vqvae_config(songs), tmp_path / "run", devices=ONE)
    assert not (tmp_path / "run").exists()
    assert loop.train_and_evaluate(vqvae_config(songs, **QUIET), tmp_path, devices=ONE) == "run"


def test_the_entropy_of_codes_is_told_in_bits(songs: pathlib.Path) -> None:
    one = {"l2": 1.0, "l1": 1.0, "spec": 1.0}
    task = tasks.make(settings.read(vqvae_config(songs)), [], bandwidth=one)
    figures = task.summarise({"loss": np.float32(0.5), "counts_l1": np.array([3, 0, 3, 3, 3])})
    assert figures["codebook_entropy_l1"] == pytest.approx(2)
    assert (figures["loss"], figures["codebook_use_l1"]) == (0.5, 0.8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage__level": 2}, "config.stage.level = 2: the VQ-VAE has levels 0 to 1"),
        ({"stage__rate": 16000}, "the VQ-VAE hears 8000 samples a second"),
        ({"model__bins": 32}, "config.model.bins = 32, but the VQ-VAE has 16"),
        (
            {"signals__above": {"kind": "codes", "bins": 16, "width": 4, "depth": 1, "downs": 1}},
            "is the top, and no codes lie above it",
        ),
        ({"signals__artist": {"kind": "label", "size": 2}}, "the songs have 2 names of artist"),
        ({"stage__vqvae": "nowhere"}, "nowhere"),
    ],
)
def test_a_prior_that_does_not_fit_is_one_line(
    songs: pathlib.Path, vqvae: pathlib.Path, tmp_path: pathlib.Path, changes: dict, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        loop.train_and_evaluate(
            prior_config(songs, vqvae, 1, **changes), tmp_path / "prior", devices=ONE
        )
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_bad_steps_end_the_run(
    songs: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = evaluation.batches

    def damaged(*arguments, **keywords):
        for number, batch in enumerate(batches(*arguments, **keywords)):
            yield {**batch, "audio": batch["audio"] * np.float32(np.nan if number else 1)}

    monkeypatch.setattr(evaluation, "batches", damaged)
    config = vqvae_config(songs, **QUIET, run__give_up_after=2)
    with pytest.raises(loop.TrainingError, match="steps in a row are not finite") as caught:
        loop.train_and_evaluate(config, tmp_path, devices=ONE)
    assert "\n" not in str(caught.value)
    saved = np.load(next(tmp_path.glob("batch_*.npz")))
    assert saved["audio"].shape == (8, 2304, 1) and np.isnan(saved["audio"]).all()


def test_the_command_is_killed_and_goes_on(songs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """SIGTERM saves and ends well; kill -9 loses what came after the last checkpoint."""
    (tmp_path / "config.json").write_text(json.dumps(vqvae_config(songs)))
    (tmp_path / "config.py").write_text(
        "import json, pathlib, ml_collections\n"
        "def get_config():\n"
        "    text = pathlib.Path(__file__).with_name('config.json').read_text()\n"
        "    return ml_collections.ConfigDict(json.loads(text))\n"
    )
    command = [sys.executable, str(ROOT / "launch" / "train.py"), "--workdir"]
    config = [f"--config={tmp_path}/config.py", "--config.run.steps=60"]
    config += ["--config.run.evaluate_every=0", "--config.run.examples_every=0"]
    config += ["--config.run.checkpoint_every=10", "--config.run.log_every=10"]
    cache = jax.config.jax_compilation_cache_dir
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_COMPILATION_CACHE_DIR=cache)
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def start(workdir: pathlib.Path) -> subprocess.Popen:
        return subprocess.Popen(
            [*command, str(workdir), *config],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = start(whole)
    ended = start(broken)
    for way, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        wait_for_steps(broken, 2)
        ended.send_signal(way)
        errors = ended.communicate(timeout=120)[1]
        assert ended.returncode == code, errors
        ended = start(broken)
    assert ended.wait(timeout=120) == 0, ended.communicate()[1]
    assert process.wait(timeout=120) == 0, process.communicate()[1]
    same(whole, broken, ("params", "average", "codebooks", "optimizer"))
    steps = [line["step"] for line in metrics(broken)]
    assert steps == sorted(set(steps)) and steps[-1] == 60


def wait_for_steps(workdir: pathlib.Path, count: int) -> None:
    """Until so many lines more have been written."""
    deadline = time.monotonic() + 120
    before = len(losses(workdir)) if (workdir / METRICS).exists() else 0
    while time.monotonic() < deadline:
        if (workdir / METRICS).exists() and len(losses(workdir)) >= before + count:
            return
        time.sleep(0.05)
    raise AssertionError("no step was taken in two minutes")


@pytest.mark.slow
def test_a_prior_learns_with_what_is_measured(vqvae, songs, tmp_path) -> None:
    """Labels over time where there are none: measured once, learnt, and saved with the stage."""
    config = prior_config(songs, vqvae, 1)
    config["signals"] |= {
        "tempo": {"kind": "curve", "minimum": 40, "maximum": 240, "bins": 8, "rate": RATE},
        "loudness": {"kind": "curve", "minimum": -60, "maximum": 0, "bins": 8, "rate": RATE},
        "chords": {"kind": "track", "size": 26, "rate": RATE},
        "activity": {"kind": "events", "size": 4, "rate": RATE},
    }
    loop.train_and_evaluate(config, tmp_path / "run", devices=ONE)
    stage = models.Stage.load(tmp_path / "run")
    assert 1 <= len(stage.vocabularies["chords"].ids) <= 25
    rows = stage.weights["conditioning"]["loudness"]["rows"]["embedding"]
    assert rows.shape == (9, 16) and np.abs(rows).max() > 0
