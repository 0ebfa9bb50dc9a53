"""A LayerNorm whose gradient a CPU computes as fast as an accelerator.

It is Flax's, forward to the bit. Backward, the sums over all positions are those of `linear.total`.
Nothing here knows of codes, labels or layers.
"""

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
    mean = wide.mean(axis=-1, keepdims=True)
    inverse = jax.lax.rsqrt(jnp.square(wide - mean).mean(axis=-1, keepdims=True) + EPSILON)
    return (wide - mean) * (inverse * scale) + bias, (x, scale, mean, inverse)


def _backward(kept: tuple[Array, ...], change: Array) -> tuple[Array, Array, Array]:
    x, scale, mean, inverse = kept
    normal = (x.astype(jnp.float32) - mean) * inverse
    scaled = change * scale
    along = (scaled * normal).mean(axis=-1, keepdims=True)
    back = inverse * (scaled - scaled.mean(axis=-1, keepdims=True) - normal * along)
    return back.astype(x.dtype), total(change * normal), total(change)


_normalize.defvjp(_forward, _backward)
