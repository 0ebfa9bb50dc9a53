"""A batch that is dealt out to pieces teaches what it teaches in one."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.prior.conditioning import Vocabulary
from jukebox_jax.training import gradient, settings, state, tasks
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook

RATE = 8000
CODEC = {"downs": [2], "strides": [2], "multipliers": [1], "bins": 16, "code_width": 4}
CODEC |= {"width": 4, "depth": 1, "linf_count": 64}
PRIOR = {"context": 64, "block": 8, "bins": 16, "width": 16, "layout": [[["row", "previous"], 1]]}
PRIOR |= {"label_dropout": 0.5}
SOUND = np.random.default_rng(0).normal(0, 0.3, (8, 2304, 1)).astype(np.float32)


def config_of(stage: dict, model: dict, pieces: int, **more) -> dict:
    optimizer = {"learning_rate": 1e-2, "warmup": 0, "epsilon": 1e-3, "accumulate": pieces}
    data = {"source": "songs", "batch": 8, "loader": "numpy"}
    config = {"stage": {"rate": RATE, **stage}, "model": model, "data": data, "run": {"steps": 9}}
    return {**config, "optimizer": optimizer, **more}


def take(read: settings.Settings, task: tasks.Task, batch: dict, devices: int) -> tuple:
    """The state before and after one step, and its metrics, on the host."""
    mesh = sharding.make_mesh(devices=jax.devices()[:devices])
    places = state.abstract(read, task, mesh)
    frozen = sharding.place(task.frozen, sharding.replicated(mesh))
    placed, key = sharding.place_batch(batch, mesh), jax.random.key(0)
    with jax.set_mesh(mesh):
        made = state.first(read, task, places, frozen, placed, key)
        before = jax.device_get(made)
        after = state.compile_step(read, task, places)(made, frozen, placed, key)
    return before, *jax.device_get(after)


def apart(one, other) -> float:
    """How far trees are apart, relative to their size."""
    squares = [
        jax.tree.map(lambda a, b: np.sum(np.square(np.float64(a - b))), one, other),
        jax.tree.map(lambda a: np.sum(np.square(np.float64(a))), other),
    ]
    return float(np.sqrt(np.divide(*(sum(jax.tree.leaves(each)) for each in squares))))


def compare(config, make, batch: dict) -> tuple:
    """One step of the whole batch, and one of four pieces on two devices."""
    found = []
    for pieces, devices in ((1, 1), (4, 2)):
        read = settings.read(config(pieces))
        found.append(take(read, make(read), batch, devices))
    (before, whole, figures), (_, dealt, others) = found
    assert apart(dealt.optimizer.moments[0].mu, whole.optimizer.moments[0].mu) < 1e-5
    assert apart(dealt.params, whole.params) < 1e-5
    assert apart(whole.params, before.params) > 1e-3
    assert figures.keys() == others.keys()
    for name in figures:
        if name != "pn":  # of each piece, where it is a standard deviation
            np.testing.assert_allclose(others[name], figures[name], rtol=1e-5, err_msg=name)
    return before, whole, dealt


def test_pieces_of_a_vqvaes_batch() -> None:
    def config(pieces: int) -> dict:
        read = config_of({"kind": "vqvae"}, {**CODEC, "restart_threshold": 3.5}, pieces)
        read["data"]["samples"] = 2304
        return read

    def make(read: settings.Settings) -> tasks.Task:
        return tasks.make(read, [], bandwidth={"l2": 0.1, "l1": 0.2, "spec": 20.0})

    batch = {"audio": SOUND, "labels": {}}
    before, whole, dealt = compare(config, make, batch)
    for one, other in zip(dealt.codebooks, whole.codebooks, strict=True):
        assert apart(one, other) < 1e-5
    restarted = whole.codebooks[0].counts < 3.5
    assert 0 < restarted.sum() < 16  # from the same vectors, whichever piece they are in
    assert np.abs(whole.codebooks[0].codes - before.codebooks[0].codes)[restarted].max() > 0


@pytest.fixture
def codec(tmp_path: pathlib.Path) -> pathlib.Path:
    config = {"stage": {"kind": "vqvae", "rate": RATE}, "model": CODEC}
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32),
        vqvae.abstract(models.build(config)),
    )
    codes = jnp.asarray(rng.normal(size=(16, 4)), jnp.float32)
    book = Codebook(codes=codes, sums=codes, counts=jnp.ones(16))
    checkpoint.save_stage(tmp_path / "vqvae", config, {"params": params, "codebooks": (book,)})
    return tmp_path / "vqvae"


def test_pieces_of_a_priors_batch(codec: pathlib.Path) -> None:
    def config(pieces: int) -> dict:
        stage = {"kind": "prior", "level": 0, "vqvae": str(codec)}
        signals = {"artist": {"kind": "label", "size": 4}}
        return config_of(stage, PRIOR, pieces, signals=signals)

    def make(read: settings.Settings) -> tasks.Task:
        names = {"artist": Vocabulary(ids={"a": 1, "b": 2, "c": 3})}
        return tasks.make(read, [], vocabularies=names)

    artists = np.arange(8, dtype=np.int32)[:, None] % 3 + 1
    compare(config, make, {"audio": SOUND[:, :256], "labels": {"artist": artists}})


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    gradient.check_pieces(16, 2, 8)
    with pytest.raises(ValueError, match="accumulate = 4 pieces over 8 devices: .* of 32"):
        gradient.check_pieces(16, 4, 8)
