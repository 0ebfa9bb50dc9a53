"""What a training run remembers between steps, and the step that takes one state to the next.

The state is a value. Together with the config it is all there is, for the data order, the random
keys and the schedules are functions of the step number. Shapes and places of a state are known
before any array is made, so that a checkpoint can be read straight onto a mesh.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.training import gradient, parts
from jukebox_jax.training import optimizer as optimizers
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Task
from jukebox_jax.vqvae.quantizer import Codebook

PARTS = ("params", "average", "codebooks", "optimizer")
"""The fields that are saved, each as a part that loads alone; empty ones are left out."""

_INIT, _STEP = 0, 1  # what a key is for


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """What training remembers.

    Attributes:
      step: i32[], steps taken, which is also the position in the data.
      params: the parameters being trained, f32.
      average: their exponential moving average, which is what is evaluated and sampled from;
        None where none is kept.
      codebooks: a VQ-VAE's codebooks, finest level first; () for a prior.
      optimizer: the optimizer's moments and counts.
    """

    step: Array
    params: Any
    average: Any
    codebooks: tuple[Codebook, ...]
    optimizer: Any

    @property
    def best(self) -> Any:
        """The parameters to evaluate and to use: the average where there is one."""
        return self.params if self.average is None else self.average

    def parts(self) -> dict[str, Any]:
        """The state as named parts, for saving."""
        parts = {name: getattr(self, name) for name in PARTS}
        parts = {name: part for name, part in parts.items() if jax.tree.leaves(part)}
        return {**parts, "data": {"step": self.step}}

    def with_parts(self, parts: Mapping[str, Any]) -> "TrainState":
        """This state with what was saved of another in its place."""
        saved = {name: part for name, part in parts.items() if name in PARTS}
        return dataclasses.replace(self, step=parts["data"]["step"], **saved)


def abstract(settings: Settings, task: Task, mesh: jax.sharding.Mesh) -> TrainState:
    """A state's shapes, types and places on the mesh, without any array."""
    shapes = jax.eval_shape(
        functools.partial(_begin, settings, task),
        task.abstract,
        task.frozen,
        task.example(settings.data.batch),
        jax.random.key(0),
    )
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        shapes,
        sharding.shardings(shapes, mesh),
    )


def first(
    settings: Settings, task: Task, places: TrainState, frozen: Any, batch: Any, key: Array
) -> TrainState:
    """The state before the first step.

    Args:
      settings: the run's config.
      task: what is trained.
      places: what `abstract` gave.
      frozen: the task's frozen arrays, placed.
      batch: the first batch, which a VQ-VAE takes its codebooks from.
      key: the run's key.
    """
    params_key, start_key = jax.random.split(jax.random.fold_in(key, _INIT))
    params = task.init(params_key, _places(places.params))
    begin = jax.jit(functools.partial(_begin, settings, task), out_shardings=_places(places))
    return begin(params, frozen, batch, start_key)


def compile_step(settings: Settings, task: Task, places: TrainState) -> Any:
    """The function (state, frozen, batch, key) -> (state, metrics) that takes one step.

    It gives the old state's memory to the new one. A step whose gradient is not finite changes
    nothing but the step number and the counts of such steps. What is frozen stays as it is.
    """
    optimizer, steps = settings.optimizer, settings.run.steps
    selection, pieces = optimizer.selection, optimizer.accumulate
    mesh = jax.tree.leaves(places)[0].sharding.mesh
    decay = optimizer.average_decay_for(settings.data.batch)

    def step(
        state: TrainState, frozen: Any, batch: Any, key: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        step_key = jax.random.fold_in(jax.random.fold_in(key, _STEP), state.step)
        trained, kept = selection.split(state.params)

        def objective(trained: Any, some: Any, index: Array | int) -> Any:
            params, piece = parts.join(trained, kept), (index, pieces)
            return task.loss(params, state.codebooks, frozen, some, step_key, piece)

        batch = task.prepare(batch, step_key)
        loss, tallies, metrics, grads = gradient.of_batch(objective, trained, batch, pieces, mesh)
        trained, moments, finite, more = optimizer.update(
            trained, grads, state.optimizer, state.step, steps
        )
        params = parts.join(trained, kept)
        codebooks, moved = task.follow(state.codebooks, tallies)
        finite &= selection.trains(parts.CODEBOOKS)
        codebooks = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), codebooks, state.codebooks
        )
        average = state.average
        if average is not None:
            average = optimizers.follow(average, params, decay)
        following = TrainState(state.step + 1, params, average, codebooks, moments)
        return following, {"loss": loss, **metrics, **moved, **more}

    return jax.jit(step, out_shardings=(_places(places), None), donate_argnums=0)


def _begin(
    settings: Settings, task: Task, params: Any, frozen: Any, batch: Any, key: Array
) -> TrainState:
    keeps_average = settings.optimizer.average_decay_for(settings.data.batch) > 0
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=jax.tree.map(jnp.array, params) if keeps_average else None,
        codebooks=task.start(params, frozen, batch, key),
        optimizer=settings.optimizer.init(settings.optimizer.selection.split(params)[0]),
    )


def _places(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, tree)
