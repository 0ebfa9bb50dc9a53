"""A LayerNorm whose sums a CPU takes as fast as an accelerator.

It is Flax's, of several positions to the bit. Backward, the sums over all positions are those of
`linear.total`; of one position, as in decoding, those over its numbers are products too.
Nothing here knows of codes, labels or layers.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior.linear import total

EPSILON = 1e-5
"""Added to the variance."""


class LayerNorm(nn.Module):
    """The last axis with mean 0 and variance 1, then scaled and moved.

    Attributes:
      dtype: type of what comes out; statistics are float32 whatever it is.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[..., width] to the same."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        return _normalize(x, scale, bias).astype(self.dtype)


@jax.custom_vjp
def _normalize(x: Array, scale: Array, bias: Array) -> Array:
    return _forward(x, scale, bias)[0]


def _forward(x: Array, scale: Array, bias: Array) -> tuple[Array, tuple[Array, ...]]:
    wide = x.astype(jnp.float32)
    mean = _mean(wide)
    inverse = jax.lax.rsqrt(_mean(jnp.square(wide - mean)) + EPSILON)
    return (wide - mean) * (inverse * scale) + bias, (x, scale, mean, inverse)


def _mean(x: Array) -> Array:
    """The mean over the last axis, which stays."""

    def by_product(x: Array) -> Array:
        halves = x.reshape(2, -1)  # a CPU takes one vector number by number
        sums = halves @ jnp.full((halves.shape[-1], 1), 1.0 / x.shape[-1], jnp.float32)
        return sums[:1] + sums[1:]

    plain = functools.partial(jnp.mean, axis=-1, keepdims=True)
    if x.ndim != 2 or len(x) > 1 or x.shape[-1] % 2:
        return plain(x)
    return jax.lax.platform_dependent(x, cpu=by_product, default=plain)


def _backward(kept: tuple[Array, ...], change: Array) -> tuple[Array, Array, Array]:
    x, scale, mean, inverse = kept
    normal = (x.astype(jnp.float32) - mean) * inverse
    scaled = change * scale
    along = (scaled * normal).mean(axis=-1, keepdims=True)
    back = inverse * (scaled - scaled.mean(axis=-1, keepdims=True) - normal * along)
    return back.astype(x.dtype), total(change * normal), total(change)


_normalize.defvjp(_forward, _backward)
