"""A run starts from a trained stage, grows it, and then needs it no more."""

import functools
import logging
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.audio import song, wave
from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import loop, origin, settings, state, tasks
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook

ONE = jax.devices()[:1]
RATE, LENGTH = 8000, 6000
PERIOD = ["row"]  # compiles fastest
LYRICS = {"kind": "lyrics", "tokens": 8, "size": 12, "width": 8, "block": 4, "rate": RATE}
LYRICS["layout"] = [[["row"], 1]]
CODEC = {"downs": [2, 1], "strides": [2, 2], "multipliers": [1, 1], "bins": 16, "code_width": 4}
CODEC |= {"width": 4, "depth": 1, "linf_count": 64}


def trained(shapes: dict) -> dict:
    """Parameters of which none is zero."""
    rng = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), leaf.dtype)  # noqa: E731
    return jax.tree.map(draw, shapes)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Four songs with labels and lyrics."""
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    rows = []
    for number in range(4):
        wave.save(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, LENGTH), RATE)
        labels = {"artist": "BA"[number % 2], "genre": "x", "lyrics": "la le la"}
        rows.append({"path": f"{number}.wav", **labels})
    song.manifest.write(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture
def codec(tmp_path: pathlib.Path) -> pathlib.Path:
    """A VQ-VAE's stage as an import leaves it: without the averages of its codebooks."""
    config = {"stage": {"kind": "vqvae", "rate": RATE}, "model": CODEC, "data": {}}
    params = trained(vqvae.abstract(models.build(config)))
    codes = jnp.asarray(np.random.default_rng(1).normal(size=(2, 16, 4)), jnp.float32)
    books = tuple(Codebook(codes=one, sums=one, counts=jnp.ones(16)) for one in codes)
    parts = {"params": params, "codebooks": books}
    checkpoint.save_stage(tmp_path / "vqvae", {**config, "release": {"file": "x"}}, parts)
    return tmp_path / "vqvae"


@pytest.fixture
def old(codec: pathlib.Path) -> pathlib.Path:
    """A top prior's stage that knows one artist and no lyrics."""
    config = prior_config("", codec)
    del config["data"], config["run"]
    names = {
        "artist": {"normalise": "plain", "ids": {"B": 1}},
        "genre": {"normalise": "plain", "ids": {"y": 1}},
    }
    params = trained(prior.abstract(models.build(config)))
    checkpoint.save_stage(codec.parent / "old", config, {"params": params}, names, step=7)
    return codec.parent / "old"


def prior_config(songs: object, codec: pathlib.Path, start_from: object = "") -> dict:
    return {
        "stage": {"kind": "prior", "rate": RATE, "level": 1, "vqvae": str(codec)},
        "model": {"context": 64, "block": 8, "bins": 16, "width": 16, "layout": [[PERIOD, 1]]},
        "signals": {
            "artist": {"kind": "label", "size": 2},
            "genre": {"kind": "label", "size": 4, "most": 3},
        },
        "data": {"source": str(songs), "batch": 4, "held_out": 1, "loader": "numpy"},
        "optimizer": {"learning_rate": 1e-2, "warmup": 0},
        "mesh": {},
        "run": {
            "steps": 2,
            "evaluate_every": 0,
            "examples_every": 0,
            "checkpoint_every": 2,
            "start_from": str(start_from),
        },
    }


def grown_config(songs: object, codec: pathlib.Path, start_from: object) -> dict:
    config = prior_config(songs, codec, start_from)
    config["signals"]["artist"] = {"kind": "label", "size": 4}
    config["signals"]["lyrics"] = LYRICS
    config["model"]["layout"] = [[[*PERIOD, "memory"], 1]]
    return config


def logits(model: Prior, params: dict, artist: int = 1) -> np.ndarray:
    labels = {"artist": jnp.full((1, 1), artist), "genre": jnp.asarray([[1, -1, -1]])}
    labels["lyrics"] = jnp.arange(8)[None]
    codes = jnp.arange(64)[None] % 16
    return np.asarray(
        _logits(model, params, codes, {name: labels[name] for name, _ in model.signals})
    )


@functools.partial(jax.jit, static_argnums=0)
def _logits(model: Prior, params: dict, codes: jax.Array, labels: dict) -> jax.Array:
    return prior.logits(model, params, codes, prior.condition(model, params, labels))


def test_a_prior_learns_lyrics_and_artists(
    songs: pathlib.Path,
    codec: pathlib.Path,
    old: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, workdir = grown_config(songs, codec, old), codec.parent / "new"
    before = models.Stage.load(old)
    with caplog.at_level(logging.INFO):
        loop.train_and_evaluate(config, workdir, devices=ONE)
    assert "grown" in caplog.text and "memory layers" in caplog.text
    first, stage = models.Stage.load(workdir, step=0), models.Stage.load(workdir)
    for part in (first.weights, checkpoint.load(workdir, ("params",), step=0)["params"]):
        np.testing.assert_array_equal(
            logits(first.model, part), logits(before.model, before.weights)
        )
    assert np.any(logits(stage.model, stage.weights) != logits(first.model, first.weights))
    assert dict(stage.vocabularies["artist"].ids) == {"B": 1, "A": 2}
    assert dict(stage.vocabularies["genre"].ids) == {"y": 1, "x": 2}
    assert stage.vocabularies["lyrics"].characters == " ael"

    shutil.rmtree(old)  # from here on the run is on its own
    caplog.clear()
    config["run"]["steps"] = 3
    with caplog.at_level(logging.INFO):
        assert int(loop.train_and_evaluate(config, workdir, devices=ONE).step) == 3
    assert "going on from step 2" in caplog.text and "grown" not in caplog.text
    config["run"]["start_from"] = ""
    with pytest.raises(ValueError, match="start_from = '', but .* was begun with .*old"):
        loop.train_and_evaluate(config, workdir, devices=ONE)


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("model", {"width": 32}, "config.model.width = 32, but"),
        ("run", {"start_from": "nowhere"}, "nowhere"),
        ("data", {"normalise": "v2"}, "config.data.normalise = 'v2', but .*old reads artist as"),
        ("signals", {"artist": {"kind": "label", "size": 2}}, "and the songs have 2 names of art"),
    ],
)
def test_what_does_not_fit_is_one_line(
    songs: pathlib.Path,
    codec: pathlib.Path,
    old: pathlib.Path,
    section: str,
    changes: dict,
    message: str,
) -> None:
    config, workdir = grown_config(songs, codec, old), codec.parent / "new"
    config[section].update(changes)
    with pytest.raises(ValueError, match=message) as caught:
        loop.train_and_evaluate(config, workdir, devices=ONE)
    assert "\n" not in str(caught.value)
    assert section == "signals" or not workdir.exists()


def test_another_alphabet_is_refused(
    songs: pathlib.Path, codec: pathlib.Path, old: pathlib.Path
) -> None:
    config = grown_config(songs, codec, old)
    checkpoint.write_json(old, checkpoint.CONFIG, config)
    checkpoint.write_json(old, checkpoint.VOCABULARIES, {"lyrics": V2})
    with pytest.raises(ValueError, match="config.data.alphabet = 'characters', but .* 'v2'"):
        origin.read(settings.read(config))
    checkpoint.write_json(old, checkpoint.VOCABULARIES, {"lyrics": ALPHABET})
    assert origin.read(settings.read(config)).used == {"lyrics": 3}


ALPHABET = {"kind": "alphabet", "alphabet": "characters", "characters": "ab"}
V2 = {"kind": "alphabet", "alphabet": "v2"}


def vqvae_task(codec: pathlib.Path) -> tuple[settings.Settings, tasks.Task]:
    read = settings.read(
        {
            "stage": {"kind": "vqvae", "rate": RATE},
            "model": CODEC,
            "data": {"source": "songs", "batch": 4, "samples": 2304},
            "optimizer": {"learning_rate": 1e-2},
            "run": {"steps": 2, "start_from": str(codec)},
        }
    )
    size = {"l2": 1.0, "l1": 1.0, "spec": 1.0}
    return read, tasks.make(read, [], bandwidth=size, start_from=origin.read(read))


def test_a_vqvae_goes_on(codec: pathlib.Path) -> None:
    before = models.Stage.load(codec)
    read, task = vqvae_task(codec)
    places = state.abstract(read, task, sharding.make_mesh(devices=ONE))
    batch = {"audio": jnp.zeros((4, 2304, 1)), "labels": {}}
    begun = state.first(read, task, places, task.frozen, batch, jax.random.key(0))
    for part in (begun.params, begun.average):
        jax.tree.map(np.testing.assert_array_equal, part, before.weights.params)
    for book, known, hop in zip(begun.codebooks, before.weights.codebooks, (4, 8), strict=True):
        np.testing.assert_array_equal(book.codes, known.codes)
        share = 4 * 2304 / hop / 16
        np.testing.assert_allclose(book.counts, share)
        np.testing.assert_allclose(book.sums, share * known.codes, rtol=1e-6)


def test_a_vqvaes_averages_are_kept(codec: pathlib.Path) -> None:
    stage = models.Stage.load(codec)
    books = tuple(
        Codebook(codes=jnp.asarray(one.codes), sums=3 * one.codes, counts=jnp.full(16, 3.0))
        for one in stage.weights.codebooks
    )
    parts = {"params": jax.tree.map(jnp.asarray, stage.weights.params), "codebooks": books}
    checkpoint.save_stage(codec.parent / "run", stage.config, parts)
    _, task = vqvae_task(codec.parent / "run")
    found = task.start(None, None, {}, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, found, books)
