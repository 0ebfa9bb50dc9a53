"""A state is known by its shapes before it is made, and a step is a pure function of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.training import settings, state
from jukebox_jax.training.tasks import Task
from jukebox_jax.vqvae.quantizer import Codebook


def line_task() -> Task:
    """A task small enough to compute by hand: audio's first sample times a weight is its second."""

    def loss(params, codebooks, frozen, batch, key, piece=(0, 1)):
        error = batch["audio"][:, 0] * params["kernel"] - batch["audio"][:, 1]
        noise = jax.random.uniform(key)
        return frozen * jnp.mean(error**2), ((), {"noise": noise})

    return Task(
        model=None,
        samples=2,
        vocabularies={},
        describe=lambda song, span: {},
        frozen=jnp.float32(2.0),
        abstract={"kernel": jax.ShapeDtypeStruct((1,), jnp.float32)},
        init=lambda key, places: sharding.place({"kernel": jax.random.normal(key, (1,))}, places),
        start=lambda params, frozen, batch, key: (),
        loss=loss,
        measure=lambda params, codebooks, frozen, batch: {},
        summarise=lambda means: {},
        examples=lambda params, codebooks, frozen, batch, key: {},
        example=lambda batch: {
            "audio": jax.ShapeDtypeStruct((batch, 2, 1), jnp.float32),
            "labels": {},
        },
    )


def run_settings(**optimizer) -> settings.Settings:
    return settings.read(
        {
            "stage": {"kind": "vqvae"},
            "model": {},
            "data": {"source": "songs", "batch": 8},
            "optimizer": {"learning_rate": 0.1, "warmup": 0, **optimizer},
            "run": {"steps": 50},
        }
    )


def batch(value: float = 1.0) -> dict:
    audio = np.linspace(0.5, 1.5, 8, dtype=np.float32)[:, None, None] * np.array([[[1.0], [value]]])
    return {"audio": audio.astype(np.float32).reshape(8, 2, 1), "labels": {}}


def begin(**optimizer):
    task, read, mesh = line_task(), run_settings(**optimizer), sharding.make_mesh()
    places = state.abstract(read, task, mesh)
    placed = sharding.place_batch(batch(), mesh)
    key = jax.random.key(read.run.seed)
    return task, read, mesh, places, state.first(read, task, places, task.frozen, placed, key), key


def test_shapes_come_first() -> None:
    _, _, _, places, made, _ = begin()
    jax.tree.map(
        lambda shape, leaf: (shape.shape, shape.dtype) == (leaf.shape, leaf.dtype) or 1 / 0,
        places,
        made,
    )
    assert jax.tree.structure(places) == jax.tree.structure(made)
    assert made.params["kernel"].sharding.is_fully_replicated
    np.testing.assert_array_equal(made.average["kernel"], made.params["kernel"])


def test_steps_learn_and_repeat() -> None:
    task, read, mesh, places, made, key = begin(average_decay=0.5)
    step = state.compile_step(read, task, places)
    placed = sharding.place_batch(batch(3.0), mesh)
    losses, noises = [], set()
    for _ in range(50):
        made, metrics = step(made, task.frozen, placed, key)
        losses.append(float(metrics["loss"]))
        noises.add(float(metrics["noise"]))
    assert losses[-1] < 0.05 * losses[0] and int(made.step) == 50
    assert len(noises) == 50  # each step has a key of its own
    assert made.params["kernel"][0] == pytest.approx(3.0, abs=0.5)
    assert made.average["kernel"][0] != made.params["kernel"][0]
    again = begin(average_decay=0.5)[4]
    for _ in range(50):
        again, metrics = step(again, task.frozen, placed, key)
    np.testing.assert_array_equal(again.params["kernel"], made.params["kernel"])


def test_a_bad_batch_is_left_out() -> None:
    task, read, mesh, places, made, key = begin()
    step = state.compile_step(read, task, places)
    before = np.asarray(made.params["kernel"])
    made, metrics = step(made, task.frozen, sharding.place_batch(batch(np.nan), mesh), key)
    np.testing.assert_array_equal(made.params["kernel"], before)
    np.testing.assert_array_equal(made.average["kernel"], before)
    assert int(made.step) == 1 and int(metrics["skipped"]) == 1


def test_parts_go_and_come_back() -> None:
    made = begin()[4]
    parts = made.parts()
    assert set(parts) == {"params", "average", "optimizer", "data"}  # no codebooks: not empty
    other = state.TrainState(jnp.int32(0), None, None, (), None).with_parts(parts)
    assert other == made
    without = begin(average_decay=0.0)[4]
    assert without.average is None and without.best is without.params
    assert "average" not in without.parts()


def test_the_state_gives_its_memory_to_the_next() -> None:
    task, read, mesh, places, made, key = begin(average_decay=0.5)
    placed = sharding.place_batch(batch(), mesh)
    program = state.compile_step(read, task, places).lower(made, task.frozen, placed, key).compile()
    given = program.as_text().split("input_output_alias={", 1)[1].split("entry_computation", 1)[0]
    assert given.count("may-alias") + given.count("must-alias") == len(jax.tree.leaves(made))
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(made))
    assert program.memory_analysis().alias_size_in_bytes == whole


def test_steps_compile_once() -> None:
    task, read, mesh, places, made, key = begin()
    step = state.compile_step(read, task, places)
    for value in (1.0, 2.0, 3.0):
        made, _ = step(made, task.frozen, sharding.place_batch(batch(value), mesh), key)
    assert step._cache_size() == 1


def test_what_is_frozen_stays_and_has_no_moments() -> None:
    task, line = line_task(), line_task().loss
    extra = {"tail": {"kernel": jax.ShapeDtypeStruct((3,), jnp.float32)}, **task.abstract}

    def init(key, places):
        params = {"tail": {"kernel": jnp.arange(3.0)}, "kernel": jnp.ones(1)}
        return sharding.place(params, places)

    def loss(params, *rest):
        total, found = line(params, *rest)
        return total + jnp.sum(params["tail"]["kernel"] ** 2), found

    book = Codebook(codes=jnp.ones((2, 3)), sums=jnp.ones((2, 3)), counts=jnp.ones(2))
    task = dataclasses.replace(
        task,
        abstract=extra,
        init=init,
        loss=loss,
        start=lambda params, frozen, batch, key: (jax.tree.map(jnp.array, book),),
        follow=lambda books, tallies: (jax.tree.map(lambda leaf: 2 * leaf, books), {}),
    )
    read = run_settings(freeze="tail,codebooks", average_decay=0.5, weight_decay=0.1)
    mesh, key = sharding.make_mesh(), jax.random.key(0)
    places = state.abstract(read, task, mesh)
    placed = sharding.place_batch(batch(3.0), mesh)
    made = state.first(read, task, places, task.frozen, placed, key)
    shapes = [leaf.shape for leaf in jax.tree.leaves(made.optimizer.moments)]
    assert (3,) not in shapes and shapes.count((1,)) == 2
    made, _ = state.compile_step(read, task, places)(made, task.frozen, placed, key)
    for params in (made.params, made.average):
        np.testing.assert_array_equal(params["tail"]["kernel"], [0.0, 1.0, 2.0])
        assert params["kernel"][0] != 1.0
    jax.tree.map(np.testing.assert_array_equal, made.codebooks, (book,))
