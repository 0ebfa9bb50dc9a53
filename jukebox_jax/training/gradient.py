"""The gradient of a batch, at once or piece by piece.

A batch that is dealt out to pieces costs the memory of one piece and gives the same gradient, the
same codebooks and the same means: sums over pieces are float32. Item i of a batch goes to piece
i modulo their number, so that items stay on the device that holds them.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from jukebox_jax import sharding
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Metrics

Objective = Callable[[Any, Any, Array | int], tuple[Array, tuple[Any, Metrics]]]
"""From parameters, a piece of the batch and its number to the loss, and tallies with metrics."""


def of_batch(
    objective: Objective, params: Any, batch: Any, pieces: int, mesh: jax.sharding.Mesh
) -> tuple[Array, Any, Metrics, Any]:
    """The loss of a batch and its gradient.

    Args:
      objective: what is made small.
      params: what it depends on.
      batch: a tree of arrays [batch, ...].
      pieces: how many to compute after one another; a divisor of batch / devices.
      mesh: which the batch is spread over.

    Returns:
      The loss, f32[], the sum of the tallies, the means of the metrics, and the gradient.
    """
    compute = jax.value_and_grad(objective, has_aux=True)
    if pieces == 1:
        (loss, (tallies, metrics)), grads = compute(params, batch, 0)
        return loss, tallies, metrics, grads
    spread = sharding.batch(mesh)

    def deal(array: Array) -> Array:
        return jnp.swapaxes(array.reshape(-1, pieces, *array.shape[1:]), 0, 1)

    def one(piece: Any, index: Array) -> tuple[Any, Any]:
        piece = jax.lax.with_sharding_constraint(piece, spread)
        (loss, (tallies, metrics)), grads = compute(params, piece, index)
        return (loss, metrics, grads), tallies

    def add(sums: Any, some: tuple[Any, Array]) -> tuple[Any, None]:
        found = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), one(*some))
        return jax.tree.map(jnp.add, sums, found), None

    dealt = jax.tree.map(deal, batch), jnp.arange(pieces)
    shapes = jax.eval_shape(one, *jax.tree.map(lambda leaf: leaf[0], dealt))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shapes)
    (means, tallies), _ = jax.lax.scan(add, zeros, dealt)
    loss, metrics, grads = jax.tree.map(lambda leaf: leaf / pieces, means)
    return loss, tallies, metrics, grads


def check_batch(settings: Settings, mesh: Mesh) -> None:
    """Checks that a run's batch can be dealt out over a mesh, see `check_pieces`."""
    shares = math.prod(mesh.shape[axis] for axis in sharding.SONGS)
    check_pieces(settings.data.batch, settings.optimizer.accumulate, shares)


def check_pieces(batch: int, pieces: int, shares: int) -> None:
    """Checks that a batch can be dealt out.

    Args:
      batch: items of a step, over all devices.
      pieces: as in `of_batch`.
      shares: devices that hold items of their own.

    Raises:
      ValueError: a piece would not be whole on each device.
    """
    if batch % shares:
        raise ValueError(
            f"config.data.batch = {batch} cannot be divided over {shares} devices "
            "(mesh.data * mesh.fsdp): make it a multiple"
        )
    if batch % (shares * pieces):
        raise ValueError(
            f"config.data.batch = {batch} cannot be dealt out to config.optimizer.accumulate = "
            f"{pieces} pieces over {shares} devices: make it a multiple of {shares * pieces}"
        )
