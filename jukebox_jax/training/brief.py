"""Trainings of minutes that leave no stage behind: for what is only to be compared.

The steps are those of `loop`: the same batches in the same order, the same optimizer, average and
codebooks. There are no checkpoints, no evaluation and no journal.
"""

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.audio.song import Song
from jukebox_jax.training import evaluation, tasks
from jukebox_jax.training import settings as configs
from jukebox_jax.training import state as states
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Batch, Metrics, Piece, Task
from jukebox_jax.vqvae import joint
from jukebox_jax.vqvae.vqvae import Weights

log = logging.getLogger(__name__)


def joint_task(settings: Settings, songs: Sequence[Song]) -> Task:
    """The task of the joint VQ-VAE: that of the separate ones, with another model and loss.

    Args:
      settings: of a VQ-VAE's run.
      songs: those to train on.

    Raises:
      ValueError: parts of the config do not fit one another, or ask for what only separate
        levels have.
    """
    if settings.optimizer.accumulate != 1:
        raise ValueError("config.optimizer.accumulate: a joint VQ-VAE takes each batch in one")
    task = tasks.make(settings, songs)
    model = task.model

    def loss(
        params: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array, piece: Piece = (0, 1)
    ) -> tuple[Array, tuple[tuple, Metrics]]:
        return joint.loss(model, params, codebooks, batch["audio"], key, bandwidth=frozen)

    return dataclasses.replace(
        task,
        abstract=joint.abstract(model),
        init=lambda key, places: sharding.place(joint.init(model, key), places),
        start=lambda params, frozen, batch, key: joint.start(model, params, batch["audio"], key),
        loss=loss,
    )


def train_joint(config: Any, songs: Sequence[Song]) -> Weights:
    """Trains a joint VQ-VAE, with a line now and then.

    Args:
      config: that of separate ones.
      songs: those to train on.

    Returns:
      What it has learnt, on the host.

    Raises:
      ValueError: what `joint_task` raises.
    """
    settings = configs.read(config)
    task = joint_task(settings, songs)
    mesh = sharding.make_mesh(**dataclasses.asdict(settings.mesh))
    frozen = sharding.place(task.frozen, sharding.shardings(task.frozen, mesh))
    places = states.abstract(settings, task, mesh)
    key, begun = jax.random.key(settings.run.seed), time.monotonic()
    with jax.set_mesh(mesh):
        batch = next(evaluation.batches(settings, task, mesh, songs))
        state = states.first(settings, task, places, frozen, batch, key)
        take = states.compile_step(settings, task, places)
        stream = evaluation.batches(settings, task, mesh, songs)
        for step in range(1, settings.run.steps + 1):
            state, metrics = take(state, frozen, next(stream), key)
            if settings.run.due(settings.run.log_every, step):
                loss = float(np.asarray(metrics["loss"]))
                left = (time.monotonic() - begun) * (settings.run.steps / step - 1)
                told = (step, settings.run.steps, loss, int(left) // 60, int(left) % 60)
                log.info("step %d of %d: loss %.4g, %d:%02d left", *told)
    return jax.device_get(Weights(params=state.best, codebooks=state.codebooks))
