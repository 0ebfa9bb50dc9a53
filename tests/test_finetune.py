"""Adapters are trained on an artist that a prior does not know; nothing else of it changes."""

import json
import logging
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import checkpoint, models
from jukebox_jax.audio import band, song, wave
from jukebox_jax.prior import prior
from jukebox_jax.training import loop, settings
from jukebox_jax.vqvae import vqvae

ONE = jax.devices()[:1]
RATE, SECONDS = 8000, 2.0
CODEC = {"downs": [4], "strides": [2], "multipliers": [1], "bins": 16, "code_width": 4}
CODEC |= {"width": 4, "depth": 1, "linf_count": 64}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """Songs of two of the band's artists, and one of a third."""
    folders = tuple(tmp_path_factory.mktemp(name) for name in ("known", "new"))
    rows: tuple[list, list] = ([], [])
    for number in range(3):
        score, at = band.song(number, seconds=SECONDS, seed=0), number == 2
        wave.save(folders[at] / f"{number}.wav", band.render(score, RATE), RATE)
        rows[at].append({"path": f"{number}.wav", "artist": score.artist})
    for folder, some in zip(folders, rows, strict=True):
        song.manifest.write(folder / "manifest.jsonl", some)
    return folders


@pytest.fixture(scope="module")
def codec(songs: tuple, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A VQ-VAE whose codes are vectors of the first song's."""
    workdir = tmp_path_factory.mktemp("codec") / "vqvae"
    config = {"stage": {"kind": "vqvae", "rate": RATE}, "model": CODEC}
    model = models.build(config)
    params = vqvae.init(model, jax.random.key(0))
    audio = wave.load(songs[0] / "0.wav", RATE)[None, :8192, :1]
    books = vqvae.start(model, params, audio, jax.random.key(1))
    checkpoint.save_stage(workdir, config, {"params": params, "codebooks": books})
    return workdir


def config_of(source: pathlib.Path, codec: pathlib.Path, steps: int, **sections) -> dict:
    config = {
        "stage": {"kind": "prior", "rate": RATE, "level": 0, "vqvae": str(codec)},
        "model": {
            "context": 64,
            "block": 8,
            "bins": 16,
            "width": 16,
            "layout": [[["row"], 2]],
            "remat": "full",
        },
        "signals": {"artist": {"kind": "label", "size": 6}},
        "data": {"source": str(source), "batch": 4, "held_out": 0, "loader": "numpy"},
        "optimizer": {"learning_rate": 2e-2, "warmup": 0, "average_decay": 0.5},
        "run": {
            "steps": steps,
            "log_every": 10,
            "evaluate_every": 0,
            "examples_every": 0,
            "checkpoint_every": 10,
        },
    }
    for name, values in sections.items():
        config[name] = {**config.get(name, {}), **values}
    return config


@pytest.fixture(scope="module")
def old(songs: tuple, codec: pathlib.Path) -> pathlib.Path:
    """A prior that was trained on the two known artists."""
    workdir = codec.parent / "old"
    loop.train_and_evaluate(config_of(songs[0], codec, 20), workdir, devices=ONE)
    return workdir


def test_adapters_learn_an_artist_and_nothing_else_changes(
    songs: tuple, codec: pathlib.Path, old: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin, workdir = codec.parent / "origin", codec.parent / "tuned"
    shutil.copytree(old, origin)
    lora = {"rank": 2, "alpha": 8.0, "targets": "attention,mlp"}
    tuned = {"run": {"start_from": str(origin)}, "lora": lora}
    with caplog.at_level(logging.INFO):
        first = config_of(songs[1], codec, 10, **tuned)
        first["run"]["steps"] = 10
        loop.train_and_evaluate(first, workdir, devices=ONE)
    before = models.Stage.load(origin)
    shutil.rmtree(origin)  # the run is on its own
    again = config_of(songs[1], codec, 30, **tuned)
    state = loop.train_and_evaluate(again, workdir, devices=ONE)

    # What is saved is small: the adapters, their moments and their average.
    arrays = checkpoint.load(workdir, ("params", "average"))
    names = {
        jax.tree_util.keystr(path, simple=True, separator="/").split("/")[-1]
        for path, _ in jax.tree_util.tree_leaves_with_path(arrays["params"])
    }
    assert names == {"lora_a", "lora_b", "lora_rows"}
    moments = jax.tree.leaves(state.optimizer.moments[0].mu)
    assert len(moments) == len(jax.tree.leaves(arrays["params"]))
    trained = sum(leaf.size for leaf in moments)
    assert f"{trained:,}" in caplog.text and "transformer (base)" in caplog.text

    # What is loaded is a prior as any other, the base's own weights among its parts.
    stage, base = models.Stage.load(workdir), models.Stage.load(workdir / "base")
    assert jax.tree.structure(stage.weights) == jax.tree.structure(prior.abstract(stage.model))
    assert list(stage.vocabularies["artist"].ids.values()) == [1, 2, 3]
    rows = [one.weights["conditioning"]["artist"]["rows"]["embedding"] for one in (stage, base)]
    np.testing.assert_array_equal(rows[0][:3], rows[1][:3])
    np.testing.assert_array_equal(
        rows[1][:3], before.weights["conditioning"]["artist"]["rows"]["embedding"][:3]
    )
    assert np.abs(rows[0][3] - rows[1][3]).max() > 1e-3
    for part in ("codes", "positions", "transformer"):
        jax.tree.map(np.testing.assert_array_equal, base.weights[part], before.weights[part])
    changed = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, same in jax.tree_util.tree_leaves_with_path(
            jax.tree.map(np.array_equal, stage.weights, base.weights)
        )
        if not same
    }
    kernels = {"attention/key", "attention/out", "attention/query", "attention/value"}
    kernels |= {"mlp/down", "mlp/up"}
    expected = {f"transformer/group_0/layer_0/{name}/kernel" for name in kernels}
    assert changed == expected | {"conditioning/artist/rows/embedding"}

    # The new artist's songs are less of a surprise.
    sound = models.Stage.load(codec)
    audio = wave.load(songs[1] / "2.wav", RATE)[None, : 64 * 16, :1]
    codes = vqvae.encode(sound.model, sound.weights, audio)[0]
    labels = {"artist": jnp.full((1, 1), 3)}
    bits = jax.jit(lambda params: prior.loss(stage.model, params, codes, labels)[0])
    assert bits(stage.weights) < bits(base.weights) - 0.1

    # Another form of adapters is another run.
    again["lora"] = {**lora, "rank": 3}
    with pytest.raises(ValueError, match=r"config.lora.rank: was 2, is 3"):
        loop.train_and_evaluate(again, workdir, devices=ONE)
    assert json.loads((workdir / "config.json").read_text())["lora"]["rank"] == 2


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("run", {"start_from": ""}, "config.lora.rank = 2, but config.run.start_from is empty"),
        ("stage", {"kind": "vqvae"}, "config.lora.rank = 2: adapters are for a prior's layers"),
        ("lora", {"rang": 2}, "config.lora.rang: no such key; did you mean 'rank'?"),
    ],
)
def test_what_does_not_fit_is_one_line(section: str, changes: dict, message: str) -> None:
    config = config_of(pathlib.Path("songs"), pathlib.Path("codec"), 1, lora={"rank": 2})
    config["run"]["start_from"] = "old"
    config[section].update(changes)
    with pytest.raises(ValueError) as caught:
        settings.read(config)
    assert message in str(caught.value) and "\n" not in str(caught.value)
