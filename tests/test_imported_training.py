"""Stages imported from the 2020 release are trained on, and carry what they said of themselves."""

import json
import pathlib

import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint, models
from jukebox_jax.audio import manifest, song, wave
from jukebox_jax.release import hyperparameters, published, stages
from jukebox_jax.training import loop, origin, settings, surgery, tasks

ROOT = pathlib.Path(__file__).parent.parent
ONE = jax.devices()[:1]
RATE, SECONDS = 44100, 1.5


@pytest.fixture(scope="module")
def imported(reference: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A VQ-VAE of three levels and a top prior with labels, as an import leaves them."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / "files").mkdir()
    for name, source in (("vqvae", "vqvae"), ("prior_level_2", "prior_labels")):
        (folder / "files" / f"{name}.pth.tar").symlink_to(reference / f"{source}.pth.tar")
    out = folder / "stages"
    stages.import_model(folder / "files", out, ids=reference / "ids", say=lambda line: None)
    return out


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two songs of noise, of names that the import knows."""
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    rows = []
    for number in range(2):
        wave.save(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, int(SECONDS * RATE)), RATE)
        rows.append({"path": f"{number}.wav", "genre": "rock", "lyrics": "la la"})
    manifest.write(folder / "manifest.jsonl", rows)
    return folder


def config_of(stage: pathlib.Path, songs: pathlib.Path, **data: object) -> dict:
    """An imported stage's own config, with what a run needs besides."""
    config = checkpoint.read_json(stage, checkpoint.CONFIG)
    config["data"] |= {"source": str(songs), "batch": 1, "held_out": 1, "loader": "numpy", **data}
    config["optimizer"] = {"learning_rate": 1e-3, "warmup": 0}
    config["run"] = {"steps": 1, "evaluate_every": 0, "examples_every": 0, "checkpoint_every": 1}
    config["run"]["start_from"] = str(stage)
    return config


def without_run(config: dict) -> dict:
    return {name: value for name, value in config.items() if name not in ("run", "optimizer")}


def test_an_imported_prior_goes_on(
    imported: pathlib.Path, songs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """On the imported VQ-VAE, which stays as it is; the config may be the stage's own."""
    before = models.Stage.load(imported / "level_2")
    config = config_of(imported / "level_2", songs, minimum_seconds=0.0, normalise="v2")
    config["release"]["alignment"] = {"layer": 1, "head": 0}
    checkpoint.write_json(imported / "level_2", checkpoint.CONFIG, without_run(config))
    loop.train_and_evaluate(config, tmp_path / "on", devices=ONE)
    first = models.Stage.load(tmp_path / "on", step=0)
    after = models.Stage.load(tmp_path / "on", average=False)
    jax.tree.map(np.testing.assert_array_equal, first.weights, before.weights)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.weights, before.weights)
    assert all(jax.tree.leaves(moved["transformer"]))
    assert after.vocabularies["genre"].ids == before.vocabularies["genre"].ids
    assert after.config["release"]["file"] == "prior_level_2.pth.tar"
    assert after.alignment == {"layer": 1, "head": 0}

    del config["release"]  # as from a config file, which says nothing of a release
    loop.train_and_evaluate(config, tmp_path / "on", devices=ONE)
    again = models.Stage.load(tmp_path / "on")
    assert "non-commercial" in again.config["release"]["licence"]


def test_a_new_prior_learns_imported_codes(imported: pathlib.Path, songs: pathlib.Path) -> None:
    """Its shapes are traced; a step upon the frozen VQ-VAE is taken above."""
    old = checkpoint.read_json(imported / "level_2", checkpoint.CONFIG)
    config = config_of(imported / "level_2", songs, minimum_seconds=0.0)
    config.pop("release")
    del config["run"]["start_from"]
    config["signals"] = {"genre": {"kind": "label", "size": 4}}
    config["model"] = {"context": 64, "block": 8, "bins": old["model"]["bins"], "width": 8}
    config["model"]["layout"] = [[["row"], 1]]
    read = settings.read(config)
    task = tasks.make(read, song.find(songs, rate=RATE))
    loss, (_, metrics) = jax.eval_shape(
        task.loss, task.abstract, (), task.frozen, task.example(1), jax.random.key(0)
    )
    assert loss.shape == () and "bits_per_code" in metrics
    for book, was in zip(
        task.frozen.codebooks,
        models.Stage.load(imported / "vqvae").weights.codebooks,
        strict=True,
    ):
        np.testing.assert_array_equal(book.codes, was.codes)


def test_an_imported_vqvae_goes_on(imported: pathlib.Path, songs: pathlib.Path) -> None:
    read = settings.read(config_of(imported / "vqvae", songs, samples=2560, batch=8))
    begun = origin.read(read)
    size = {"l2": 1.0, "l1": 1.0, "spec": 1.0}
    task = tasks.make(read, [], bandwidth=size, start_from=begun)
    assert "non-commercial" in begun.release["licence"]
    before = models.Stage.load(imported / "vqvae").weights.codebooks
    for book, was in zip(task.start(None, None, {}, jax.random.key(0)), before, strict=True):
        np.testing.assert_array_equal(book.codes, was.codes)


@pytest.mark.parametrize("name", ["5b", "5b_lyrics", "1b_lyrics"])
def test_our_configs_describe_the_published_models(name: str) -> None:
    """So that a run of `configs/` can start from an import of these, without any change."""
    import sys

    sys.path.insert(0, str(ROOT / "configs"))
    import prior as configs

    hps = published.find(name)
    codec = models.build(json.loads(json.dumps(VQVAE)))
    fields = hyperparameters.prior_fields({**hps["priors"][2], "level": 2}, codec)
    old = models.Prior(**fields)
    new = models.build(configs.get_config(name).to_dict())
    surgery.check(new, old, name)


VQVAE = {"stage": {"kind": "vqvae"}, "model": {"downs": [3, 2, 2], "strides": [2, 2, 2]}}
VQVAE["model"] |= {"multipliers": [2, 1, 1], "bins": 2048}
