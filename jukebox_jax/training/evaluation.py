"""Batches for training, and figures and sounds of songs that are held out.

Evaluation hears the same windows every time, unshifted, with the averaged parameters. What is
measured is the task's business.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.audio import windows
from jukebox_jax.audio.song import Song, SongError
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.state import TrainState
from jukebox_jax.training.tasks import Task


def batches(
    settings: Settings,
    task: Task,
    mesh: jax.sharding.Mesh,
    songs: Sequence[Song],
    *,
    start_step: int = 0,
    augment: bool = True,
) -> Iterator[Any]:
    """Endless batches on the mesh, each host reading its own share.

    Args:
      settings: the run's config.
      task: whose windows they are.
      mesh: where they go.
      songs: where they come from.
      start_step: the first step.
      augment: shift and blend as the config says; otherwise not at all.
    """
    data = settings.data
    make: Any = windows.tf_batches if data.loader == "tf" else windows.numpy_batches
    stream = make(
        songs,
        rate=settings.stage.rate,
        samples=task.samples,
        batch=data.batch,
        describe=task.describe,
        seed=data.seed,
        host=sharding.share(mesh),
        start_step=start_step,
        shift=data.shift and augment,
        blend=data.blend and augment,
        threads=data.threads,
        reader=task.reader,
    )
    for batch in stream:
        yield sharding.place_batch(batch, mesh)


class Evaluation:
    """Measures a state on held-out songs.

    Args:
      settings: the run's config.
      task: what is trained.
      mesh: where it is trained.
      songs: those held out.

    Raises:
      SongError: none of them is as long as a window, and one is asked for.
    """

    def __init__(
        self, settings: Settings, task: Task, mesh: jax.sharding.Mesh, songs: Sequence[Song]
    ) -> None:
        self._settings, self._task, self._mesh = settings, task, mesh
        rate = settings.stage.rate
        self._songs = [one for one in songs if one.length(rate) >= task.samples]
        held = sum(one.length(rate) // task.samples for one in self._songs)
        if not held and (settings.run.evaluate_every or settings.run.examples_every):
            longest = max((one.length(rate) for one in songs), default=0)
            raise SongError(
                f"no held-out song holds a window of {task.samples} samples (the longest has "
                f"{longest}); hold out more songs, use a shorter window, or set "
                "config.run.evaluate_every and config.run.examples_every to 0"
            )
        self._count = min(settings.run.evaluate_batches, -(-held // settings.data.batch))
        count = settings.run.examples

        def sounds(*arguments: Any) -> dict[str, Array]:
            return {name: items[:count] for name, items in task.examples(*arguments).items()}

        everywhere = sharding.replicated(mesh)  # where each process can read it
        self._measure = jax.jit(task.measure, out_shardings=everywhere)
        self._sound = jax.jit(sounds, out_shardings=everywhere)

    def __call__(self, state: TrainState, frozen: Any) -> dict[str, float]:
        """The task's figures over the held-out windows."""
        found = []
        for batch in itertools.islice(self._batches(), self._count):
            metrics = self._measure(state.best, state.codebooks, frozen, batch)
            found.append(jax.device_get(metrics))
        means = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
        return self._task.summarise(means)

    def examples(self, state: TrainState, frozen: Any, key: Array) -> dict[str, np.ndarray]:
        """Sounds by name, f32[examples, samples, 1]."""
        batch = next(self._batches())
        sounds = self._sound(state.best, state.codebooks, frozen, batch, key)
        return {name: np.asarray(items) for name, items in sounds.items()}

    def _batches(self) -> Iterator[Any]:
        return batches(self._settings, self._task, self._mesh, self._songs, augment=False)
