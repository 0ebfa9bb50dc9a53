"""Losses and gradients of every kind of stage do not depend on how devices are divided."""

import copy
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import models, sharding
from jukebox_jax.prior import adapters
from jukebox_jax.prior.adapters import Lora
from jukebox_jax.training import settings, tasks
from jukebox_jax.vqvae import vqvae

MESHES = [(1, 8, 1), (2, 2, 2)]  # of which the second splits all that (8, 1, 1) does
CODEC: dict[str, Any] = {
    "stage": {"kind": "vqvae", "rate": 8000},
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
    "data": {"source": "none", "batch": 8, "samples": 2304},
    "run": {"steps": 1},
}
TOP: dict[str, Any] = {
    "stage": {"kind": "prior", "rate": 8000, "level": 1, "vqvae": "none"},
    "model": {
        "context": 64,
        "block": 8,
        "bins": 16,
        "width": 32,
        "heads": 2,
        "layout": [[["row", "previous", "memory"], 2]],
    },
    "signals": {
        "artist": {"kind": "label", "size": 8},
        "lyrics": {
            "kind": "lyrics",
            "tokens": 16,
            "size": 16,
            "width": 16,
            "layout": [[["row"], 1]],
            "block": 4,
            "rate": 8000,
        },
    },
    "data": {"source": "none", "batch": 8},
    "run": {"steps": 1},
}
LOWER = copy.deepcopy(TOP)
LOWER["stage"]["level"] = 0
LOWER["model"]["layout"] = [[["column"], 2]]
LOWER["signals"] = {"above": {"kind": "codes", "bins": 16, "width": 8, "depth": 1, "downs": 1}}


def make(config: dict) -> tuple[tasks.Task, Any]:
    """The task, and all that its loss takes: parameters, codebooks, frozen arrays, a batch."""
    codec, rng = models.build(CODEC), np.random.default_rng(0)
    params = vqvae.init(codec, jax.random.key(1))
    audio = 0.3 * rng.normal(size=(8, 2304, 1)).astype(np.float32)
    books = vqvae.start(codec, params, audio, jax.random.key(2))
    if config is CODEC:
        even = {field.name: 1.0 for field in dataclasses.fields(vqvae.Bandwidth)}
        task = tasks.make(settings.read(config), (), bandwidth=even)
        return task, (params, books, task.frozen, {"audio": audio, "labels": {}})
    below = models.Stage(codec, vqvae.Weights(params, books), CODEC)
    names = dict.fromkeys(config["signals"])
    task = tasks.make(settings.read(config), (), vocabularies=names, below=below)
    batch = jax.tree.map(np.array, task.example(8)["labels"])
    batch = {name: rng.integers(0, 8, leaf.shape, np.int32) for name, leaf in batch.items()}
    whole = {"audio": audio[:, : task.samples], "labels": batch}
    return task, (task.init(jax.random.key(3), None), (), task.frozen, whole)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(CODEC, marks=pytest.mark.slow, id="vqvae"),
        pytest.param(LOWER, marks=pytest.mark.slow, id="upsampler"),
        pytest.param(TOP, id="top"),  # has every kind of parameter
    ],
)
def test_losses_and_gradients(config: dict) -> None:
    task, (params, books, frozen, batch) = make(config)
    check(task.loss, params, books, frozen, batch)


@pytest.mark.slow
def test_losses_and_gradients_of_adapters() -> None:
    """The prior that they are added to is split as it is trained; they lie on every device."""
    task, (params, books, frozen, batch) = make(TOP)
    lora = Lora(2, targets="attention,mlp")
    rng = np.random.default_rng(5)
    added = adapters.init(lora, params, {}, jax.random.key(6))
    added = jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype(np.float32), added)

    def loss(added: Any, books: Any, frozen: Any, batch: Any, key: jax.Array) -> Any:
        with adapters.applied(lora):
            whole = adapters.attach(frozen["base"], added)
            return task.loss(whole, books, frozen["rest"], batch, key)

    check(loss, added, books, {"base": params, "rest": frozen}, batch)


def check(loss_of: Any, params: Any, books: Any, frozen: Any, batch: Any) -> None:
    """Fails unless a loss and its gradient are those of one device on every mesh."""

    def found(sizes: tuple[int, int, int], devices: list[jax.Device]) -> tuple[float, Any]:
        mesh = sharding.make_mesh(*sizes, devices=devices)
        where = sharding.shardings(params, mesh)
        everywhere = sharding.replicated(mesh)

        def loss(params: Any, books: Any, frozen: Any, batch: Any) -> jax.Array:
            return loss_of(params, books, frozen, batch, jax.random.key(4))[0]

        with jax.set_mesh(mesh):
            quick = {"xla_backend_optimization_level": 0}  # to compile
            step = jax.jit(
                jax.value_and_grad(loss),
                out_shardings=(everywhere, where),
                compiler_options=quick,
            )
            value, slope = step(
                sharding.place(params, where),
                sharding.place(books, everywhere),
                sharding.place(frozen, sharding.shardings(frozen, mesh)),
                sharding.place_batch(batch, mesh),
            )
        return float(value), jax.device_get(slope)

    expected, expected_slope = found((1, 1, 1), jax.devices()[:1])
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(expected_slope)))
    assert np.isfinite(expected) and norm > 1e-3
    for sizes in MESHES:
        value, slope = found(sizes, jax.devices()[: int(np.prod(sizes))])
        assert value == pytest.approx(expected, rel=1e-5), sizes
        apart = jax.tree.map(
            lambda one, other: jnp.sum(jnp.square(one - other)), slope, expected_slope
        )
        assert np.sqrt(sum(jax.tree.leaves(apart))) <= 1e-5 * norm, sizes
