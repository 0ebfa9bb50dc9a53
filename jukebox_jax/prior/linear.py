"""A linear map whose kernel is of floats, or of 8-bit whole numbers with a scale for each output.

With floats it is Flax's `Dense`, to the bit, written so that a CPU is fast at its gradient too. A
CPU that decodes reads a kernel faster where the numbers of one output lie side by side, and with
all of its cores: `turn` lays them so.

Whole numbers are made once, by `quantize`, from the parameters that decoding reads: a step of
decoding reads all kernels and does little else, so a kernel of a quarter of the bytes is what makes
it faster, where a device turns numbers as it reads them. The scale multiplies the product, not the
kernel, so no kernel of floats is ever formed outside the product. On a CPU products of whole
numbers are slower than those of floats.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

DEEP = 512
"""Inputs from which on a kernel is turned: of fewer, a CPU reads it faster as it is."""

_PARTS = 4
"""Parts that a CPU reads a matrix in, by one vector: it gives them to its cores, and takes each in
long vectors. A product of one matrix and one vector it takes number by number, or on one core."""

LARGEST = 127
"""The largest whole number; the smallest is its negative, so that scales are symmetric."""


class Dense(nn.Module):
    """A linear map of the last axis, with a bias.

    Attributes:
      features: width of the output.
      dtype: compute type.
      kernel_init: how the kernel starts; the bias starts at 0.
    """

    features: int
    dtype: str
    kernel_init: Callable[..., Any]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[..., any width] to [..., features]."""
        if self.has_variable("params", "turned"):
            return self._by_output(x)
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = (each.astype(self.dtype) for each in (x, kernel, bias))
        last = (((x.ndim - 1,), (0,)), ((), ()))
        if not self.has_variable("params", "scale"):
            return linear(x, kernel, bias)
        product = jax.lax.dot_general(x, kernel, last, preferred_element_type=jnp.float32)
        return (product * self.get_variable("params", "scale")).astype(self.dtype) + bias

    def _by_output(self, x: Array) -> Array:
        kernel, bias = (self.get_variable("params", name) for name in ("turned", "bias"))
        if x.ndim > 2:
            return jax.lax.dot_general(x, kernel, (((x.ndim - 1,), (1,)), ((), ()))) + bias
        return by_output(x, kernel) + bias


def by_output(x: Array, kernel: Array) -> Array:
    """The product of vectors and a kernel in which the numbers of one output lie side by side.

    Args:
      x: [batch, width].
      kernel: [features, width].

    Returns:
      [batch, features], float32 if the inputs are less.
    """
    batch, width = x.shape
    # With what follows inside, XLA would read the kernel on one core; turned back inside, slower.
    apart = jax.lax.optimization_barrier
    if batch == 1 and len(kernel) % _PARTS == 0:
        parts, x = kernel.reshape(_PARTS, -1, width), jnp.broadcast_to(x, (_PARTS, width))
        dimensions = (((2,), (1,)), ((0,), (0,)))
        return apart(_product(parts, x, dimensions)).reshape(1, -1)
    return apart(_product(kernel, x, (((1,), (1,)), ((), ())))).T


def by_input(x: Array, kernel: Array) -> Array:
    """The product of vectors and a kernel in which the numbers of one input lie side by side.

    Args:
      x: [batch, width].
      kernel: [width, features].

    Returns:
      [batch, features], of the same type.
    """

    def whole(x: Array, kernel: Array) -> Array:
        return jax.lax.dot_general(x, kernel, (((1,), (0,)), ((), ())))

    def in_parts(x: Array, kernel: Array) -> Array:
        x, parts = x.reshape(_PARTS, -1), kernel.reshape(_PARTS, -1, kernel.shape[-1])
        product = _product(x, parts, (((1,), (1,)), ((0,), (0,))))
        apart = jax.lax.optimization_barrier(product)  # as above
        return functools.reduce(jnp.add, jnp.split(apart, _PARTS)).astype(x.dtype)

    if len(x) > 1 or len(kernel) % _PARTS:
        return whole(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=in_parts, default=whole)


def _product(one: Array, other: Array, dimensions: Any) -> Array:
    return jax.lax.dot_general(one, other, dimensions, preferred_element_type=jnp.float32)


def linear(x: Array, kernel: Array, bias: Array) -> Array:
    """The product of vectors and a kernel, and a bias, all of one type.

    Two axes are all that the product is given: XLA would transpose copies for the gradient of more.

    Args:
      x: [..., width].
      kernel: [width, features].
      bias: [features].
    """
    flat = x.reshape(-1, x.shape[-1])
    return _add(by_input(flat, kernel), bias).reshape(*x.shape[:-1], -1)


@jax.custom_vjp
def _add(product: Array, bias: Array) -> Array:
    return product + bias


_add.defvjp(lambda product, bias: (product + bias, None), lambda _, change: (change, total(change)))


def total(changes: Array) -> Array:
    """The sum over all axes but the last, [..., width] to [width].

    As a product, for gradients: XLA takes a long sum on a CPU in slow steps. It stays as exact as a
    sum, which no accelerator rounds.
    """
    flat = changes.reshape(-1, changes.shape[-1])
    exact = jax.lax.Precision.HIGHEST
    ones = jnp.ones(len(flat), flat.dtype)
    return jax.lax.dot_general(ones, flat, (((0,), (0,)), ((), ())), precision=exact)


def turn(params: Mapping[str, Any]) -> dict[str, Any]:
    """Kernels of layers with the numbers of one output side by side, for decoding on a CPU.

    Args:
      params: what `prior.unstack` gave, on the host or on a device. What is turned already comes
        back as it is; so do kernels of fewer than `DEEP` inputs, and of other types than float32.

    Returns:
      The tree, where such a kernel is f32[features, width], called `turned`.
    """
    return _of_layers(params, _turned)


def quantize(params: Mapping[str, Any]) -> dict[str, Any]:
    """Kernels of layers as 8-bit whole numbers, each output with a scale of its own.

    Args:
      params: what `prior.unstack` gave, on the host or on a device. What is quantised already
        comes back as it is; embeddings, norms and biases stay as they are, and so do the heads.

    Returns:
      The tree, where beside each such kernel, i8[width, features], stands f32[features], `scale`.
    """
    return _of_layers(params, _quantized)


def _of_layers(
    params: Mapping[str, Any], change: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The tree with every linear map of its layers changed, a map at a time."""

    def visit(tree: Mapping[str, Any]) -> dict[str, Any]:
        if "kernel" in tree:
            return change(tree)
        return {key: visit(one) if isinstance(one, Mapping) else one for key, one in tree.items()}

    stack = {
        name: visit(part) if name.startswith("layer_") else part
        for name, part in params["transformer"].items()
    }
    return {**params, "transformer": stack}


def _turned(tree: Mapping[str, Any]) -> dict[str, Any]:
    kernel = tree["kernel"]
    if kernel.shape[0] < DEEP or kernel.dtype != jnp.float32:
        return dict(tree)
    turned = np.ascontiguousarray(kernel.T) if isinstance(kernel, np.ndarray) else kernel.T
    return {**{key: one for key, one in tree.items() if key != "kernel"}, "turned": turned}


def _quantized(tree: Mapping[str, Any]) -> dict[str, Any]:
    if "scale" in tree:
        return dict(tree)
    kernel = np.asarray(tree["kernel"], np.float32)
    most = np.abs(kernel).max(axis=0)
    scale = np.where(most > 0, most / LARGEST, 1.0).astype(np.float32)
    whole = np.clip(np.rint(kernel / scale), -LARGEST, LARGEST).astype(np.int8)
    return {**tree, "kernel": whole, "scale": scale}
