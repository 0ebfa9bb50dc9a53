"""A task that trains adapters beside a trained prior instead of the prior itself.

The directory of such a run holds the stage that it started from, as it was before the first step,
in the folder "base", which is a stage of its own; a checkpoint then holds the adapters alone. Who
loads the directory gets one set of weights, see `models.Stage`.
"""

import dataclasses
import functools
import logging
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from jax import Array

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.prior import adapters
from jukebox_jax.prior.conditioning import Label
from jukebox_jax.training import parts
from jukebox_jax.training.origin import Origin
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Batch, Metrics, Piece, Task

log = logging.getLogger(__name__)

_KNOWN = "known.json"
"""In the folder of the base: how many rows of each table of names it knew."""


def adapt(
    task: Task, settings: Settings, workdir: Any, mesh: jax.sharding.Mesh, origin: Origin | None
) -> Task:
    """The task of training adapters, where the config asks for any.

    Args:
      task: that of training the whole prior.
      settings: the run's config.
      workdir: the run's directory, where the base is kept.
      mesh: which the base is spread over.
      origin: the stage that it comes from; None if it is kept already.

    Raises:
      ValueError: no kernel of the model is to be adapted.
      CheckpointError: the base cannot be kept or is no longer there.
    """
    lora = settings.lora
    if not lora.rank:
        return task
    if not any(lora.adapts(path) for path, _ in parts.named(task.abstract)):
        raise ValueError(
            f"config.lora.targets = {','.join(lora.names)!r}: the model has none of them"
        )
    base, used = _base(task, settings, workdir, mesh, origin)

    def with_base(trained: Any, frozen: Any) -> Any:
        return adapters.attach(frozen["base"], trained)

    def merged(trained: Any, frozen: Any) -> Any:
        return adapters.merge(lora, frozen["base"], trained)

    def make(key: Array) -> Any:
        return adapters.init(lora, task.abstract, used, key)

    def loss(
        trained: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array, piece: Piece = (0, 1)
    ) -> tuple[Array, tuple[tuple, Metrics]]:
        params = with_base(trained, frozen)
        with adapters.applied(lora):
            return task.loss(params, codebooks, frozen["rest"], batch, key, piece)

    def measure(trained: Any, codebooks: tuple, frozen: Any, batch: Batch) -> Metrics:
        return task.measure(merged(trained, frozen), codebooks, frozen["rest"], batch)

    def examples(
        trained: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array
    ) -> dict[str, Array]:
        return task.examples(merged(trained, frozen), codebooks, frozen["rest"], batch, key)

    return dataclasses.replace(
        task,
        frozen={"base": base, "rest": task.frozen},
        abstract=jax.eval_shape(make, jax.random.key(0)),
        init=lambda key, places: jax.jit(make, out_shardings=places)(key),
        loss=loss,
        measure=measure,
        examples=examples,
        base=task.abstract,
    )


def _base(
    task: Task, settings: Settings, workdir: Any, mesh: jax.sharding.Mesh, origin: Origin | None
) -> tuple[Any, Mapping[str, int]]:
    """The weights that are added to, placed, and how many rows of each table they know."""
    folder = epath.Path(workdir) / models.BASE
    if origin is not None and not checkpoint.begun(folder):
        used = {
            name: origin.used[name]
            for name, signal in task.model.signals
            if isinstance(signal, Label) and name in origin.used
        }
        checkpoint.write_json(folder, _KNOWN, used)
        places = sharding.shardings(task.abstract, mesh)
        params = task.init(jax.random.key(settings.run.seed), places)
        plain = {name: value for name, value in settings.plain.items() if name != "lora"}
        names = {name: one.to_json() for name, one in task.vocabularies.items()}
        checkpoint.save_stage(folder, plain, {"params": params}, names)
        log.info("what the adapters are added to is kept in %s", folder)
        return params, used
    place = functools.partial(sharding.shardings, mesh=mesh)
    stage = models.Stage.load(folder, sharding=place)
    return stage.weights, checkpoint.read_json(folder, _KNOWN)
