"""Cross-entropy of vectors read as logits, without holding the logits of a whole context.

Of each position the logarithm of the sum of exponentials and one logit are kept; a long context is
read chunk by chunk, and the backward pass reads each chunk anew. Nothing here holds parameters.
"""

import jax
import jax.numpy as jnp
from jax import Array

_MOST_LOGITS = 1 << 21
"""Logits of a song, above which they are not there at once."""
_LEAST_CHUNK = 32
"""Positions below which a chunk is not worth its while."""


def bits(x: Array, kernel: Array, targets: Array, dtype: str, most: int = _MOST_LOGITS) -> Array:
    """Mean cross-entropy in bits.

    Args:
      x: [batch, positions, width], what logits are read from.
      kernel: f32[width, vocabulary], what they are read with.
      targets: i32[batch, positions].
      dtype: compute type of the product; its sums, the logits and their gradient are float32.
      most: logits of a song to compute at once.

    Returns:
      f32[].
    """
    batch, positions, width = x.shape

    def surprise(some: tuple[Array, Array]) -> Array:
        x, targets = some
        logits = jnp.einsum(
            "bpw,wv->bpv",
            x.astype(dtype),
            kernel.astype(dtype),
            preferred_element_type=jnp.float32,
        )
        picked = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        return jax.nn.logsumexp(logits, axis=-1) - picked

    chunk = _chunk(positions, kernel.shape[1], most)
    if chunk == positions:
        return jnp.mean(surprise((x, targets))) / jnp.log(2.0)
    chunks = (
        jnp.moveaxis(x.reshape(batch, -1, chunk, width), 1, 0),
        jnp.moveaxis(targets.reshape(batch, -1, chunk), 1, 0),
    )
    return jnp.mean(jax.lax.map(jax.checkpoint(surprise), chunks)) / jnp.log(2.0)


def of_logits(logits: Array, targets: Array) -> Array:
    """Cross-entropies in bits, f32[...], of logits f32[..., vocabulary] that are there."""
    picked = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return (jax.nn.logsumexp(logits, axis=-1) - picked) / jnp.log(2.0)


def _chunk(positions: int, vocabulary: int, most: int) -> int:
    """The largest part of the positions, all of one size, whose logits are not too many."""
    fits = [
        positions // parts
        for parts in range(1, positions // _LEAST_CHUNK + 1)
        if positions % parts == 0 and positions // parts * vocabulary <= most
    ]
    return fits[0] if fits else positions
