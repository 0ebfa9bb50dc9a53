"""Convolutions on [batch, length, channels] that keep, divide or multiply the length.

Kernels are parameters [size, inputs, outputs]: position k of a plain one meets the input at offset
k, and position k of a transposed one adds to the output at offset k, as in
output[i * stride - stride // 2 + k] += input[i] @ kernel[k]. How a kernel is rearranged to be
computed fast is made anew at each call and never stored. Pure functions, and one module that
holds a kernel and a bias.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jukebox_jax import sharding

Kernel = tuple[Array, Array]
"""The kernel [size, inputs, outputs] and the bias [outputs] of a convolution."""


def convolve(x: Array, kernel: Array, bias: Array, *, dilation: int = 1) -> Array:
    """A convolution that keeps the length; zeros stand beyond both ends.

    Args:
      x: [batch, length, inputs].
      kernel: [size, inputs, outputs], of odd size.
      bias: [outputs].
      dilation: distance of neighbouring positions of the kernel.

    Returns:
      [batch, length, outputs], in the type of `x`.
    """
    return _convolution(x, kernel, kernel.shape[0] // 2 * dilation, dilation) + bias


def downsample(x: Array, kernel: Array, bias: Array, *, stride: int) -> Array:
    """A convolution of size 2 * stride at every stride-th position.

    It sees stride // 2 zeros before the first input and the rest of `stride` after the last.
    Computed with `stride` neighbours side by side and a kernel of size 2, for which the backward
    pass is twice as fast as for a strided one.

    Args:
      x: [batch, length, inputs]; length is a multiple of stride.
      kernel: [2 * stride, inputs, outputs].
      bias: [outputs].
      stride: inputs an output.

    Returns:
      [batch, length / stride, outputs].
    """
    batch, length, inputs = x.shape
    if length % stride:
        raise ValueError(f"a length of {length} is not a multiple of the stride {stride}")
    x = jnp.pad(x, ((0, 0), (stride // 2, stride - stride // 2), (0, 0)))
    x = x.reshape(batch, length // stride + 1, stride * inputs)
    return _convolution(x, kernel.reshape(2, stride * inputs, -1)) + bias


def upsample(x: Array, kernel: Array, bias: Array, *, stride: int) -> Array:
    """The transposed convolution of size 2 * stride, trimmed to a multiple of the length.

    Each output sees two inputs. So it is computed as a convolution of size 2 to `stride` times
    the channels, laid out in time and shifted by stride // 2; the form with a dilated input is an
    order of magnitude slower backward.

    Args:
      x: [batch, length, inputs].
      kernel: [2 * stride, inputs, outputs], see the head of this file.
      bias: [outputs].
      stride: outputs an input.

    Returns:
      [batch, length * stride, outputs].
    """
    batch, length, inputs = x.shape
    outputs = kernel.shape[2]
    halves = kernel.reshape(2, stride, inputs, outputs)[::-1]  # of the input before, of this one
    halves = halves.transpose(0, 2, 1, 3).reshape(2, inputs, stride * outputs)
    # Padding by the convolution itself makes its backward pass 30 times slower on a CPU.
    x = _convolution(jnp.pad(x, ((0, 0), (1, 1), (0, 0))), halves)
    x = x.reshape(batch, (length + 1) * stride, outputs)
    return x[:, stride // 2 : stride // 2 + length * stride] + bias


def upsample_convolve(x: Array, up: Kernel, out: Kernel, *, stride: int) -> Array:
    """`upsample` and then `convolve`, without ever making what lies between them.

    No nonlinearity stands between the two, so each position of the second kernel is multiplied
    into the first; its shifts are added afterwards, which keeps the ends exact. Worth it when
    the second has few outputs, as the one that makes audio.

    Args:
      x: [batch, length, inputs].
      up: kernel [2 * stride, inputs, between] and bias [between].
      out: kernel [size, between, outputs] and bias [outputs], of odd size.
      stride: outputs an input.

    Returns:
      [batch, length * stride, outputs].
    """
    size, _, outputs = out[0].shape
    both = [
        jnp.einsum("...i,kio->...ko", one, out[0], precision=lax.Precision.HIGHEST) for one in up
    ]
    kernel = both[0].reshape(*up[0].shape[:2], size * outputs)
    x = upsample(x, kernel, both[1].reshape(size * outputs), stride=stride)
    length, reach = x.shape[1], size // 2
    x = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    shifted = (
        x[:, shift : shift + length, shift * outputs : (shift + 1) * outputs]
        for shift in range(size)
    )
    return sum(shifted, start=out[1])


def _convolution(x: Array, kernel: Array, padding: int = 0, dilation: int = 1) -> Array:
    """float32 means float32: without saying so a GPU would round the factors to 11 bits."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding=[(padding, padding)],
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
        precision=lax.Precision.HIGHEST if x.dtype == jnp.float32 else None,
    )


def bound(shape: tuple[int, ...], transposed: bool = False) -> float:
    """Kernel and bias start uniform between this and its negative: 1 / sqrt(fan_in).

    Args:
      shape: of the kernel, (size, inputs, outputs).
      transposed: count outputs for inputs, as is the custom for transposed convolutions.
    """
    size, inputs, outputs = shape
    return 1 / math.sqrt(size * (outputs if transposed else inputs))


def fill(shapes: Any, key: Array) -> dict[str, Any]:
    """Parameters of convolutions at the start, from their shapes.

    All are drawn at once and dealt out on the host: a model has hundreds of kernels, and a
    compiler takes minutes over as many draws.
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(shapes)]
    numbers = _draw(key, sum(sizes))
    if isinstance(numbers, jax.core.Tracer):
        return _deal(shapes, iter(jnp.split(numbers, np.cumsum(sizes)[:-1])))
    parts = np.split(np.asarray(numbers), np.cumsum(sizes)[:-1])
    return jax.device_put(_deal(shapes, iter(parts)))


@functools.partial(jax.jit, static_argnums=1)
def _draw(key: Array, count: int) -> Array:
    return jax.random.uniform(key, (count,), jnp.float32, -1.0, 1.0)


def _deal(shapes: Any, numbers: Iterator[Array], name: str = "") -> Any:
    """Fills a tree of shapes with numbers from -1 to 1, scaled as each convolution starts."""
    if "kernel" not in shapes:
        return {name: _deal(shapes[name], numbers, name) for name in sorted(shapes)}
    most = bound(shapes["kernel"].shape, transposed=name == "up")
    return {name: most * next(numbers).reshape(shapes[name].shape) for name in sorted(shapes)}


class Convolution(nn.Module):
    """Kernel and bias of a convolution, and the plain convolution with them.

    Attributes:
      inputs: channels in.
      outputs: channels out.
      size: positions of the kernel.
      dilation: distance of neighbouring positions.
      transposed: for the start alone, see `bound`.
      dtype: compute type; parameters are float32.
    """

    inputs: int
    outputs: int
    size: int
    dilation: int = 1
    transposed: bool = False
    dtype: str = "float32"

    def setup(self) -> None:
        """Makes the parameters."""
        shape = (self.size, self.inputs, self.outputs)
        most = bound(shape, self.transposed)

        def uniform(key: Array, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, jnp.float32, -most, most)

        self.kernel = self.param("kernel", uniform, shape)
        self.bias = self.param("bias", uniform, (self.outputs,))

    def __call__(self, x: Array) -> Array:
        """[batch, length, inputs] to [batch, length, outputs]."""
        return convolve(x.astype(self.dtype), *self.cast(), dilation=self.dilation)

    def arrays(self) -> Kernel:
        """Kernel and bias, float32."""
        return self.kernel, self.bias

    def cast(self) -> Kernel:
        """Kernel and bias in the compute type, whole on every device."""
        return sharding.whole(self.kernel.astype(self.dtype)), self.bias.astype(self.dtype)
