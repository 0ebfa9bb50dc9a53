"""Dilated residual stacks, and the strided blocks that encode and decode with them.

Modules on [batch, length, width]; a block that decodes also serves a prior that is conditioned on
the codes above. Nothing here knows of codes, codebooks or losses.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jukebox_jax.vqvae import convolution
from jukebox_jax.vqvae.convolution import Convolution, Kernel


def dilations(
    depth: int, growth: int = 3, cycle: int | None = None, reverse: bool = False
) -> tuple[int, ...]:
    """Dilation of each unit of a stack, in the order in which they are applied."""
    values = tuple(growth ** (unit % cycle if cycle else unit) for unit in range(depth))
    return values[::-1] if reverse else values


class Unit(nn.Module):
    """One residual unit: relu, dilated convolution, relu, mix of channels.

    Attributes:
      width: channels in and out.
      hidden: channels between the two convolutions.
      dilation: of the first one.
      scale: of what is added.
      dtype: compute type.
    """

    width: int
    hidden: int
    dilation: int
    scale: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[batch, length, width] to the same."""
        y = Convolution(
            self.width, self.hidden, 3, self.dilation, dtype=self.dtype, name="dilated"
        )(nn.relu(x))
        y = Convolution(self.hidden, self.width, 1, dtype=self.dtype, name="mix")(nn.relu(y))
        return x + (y if self.scale == 1 else self.scale * y)


class Stack(nn.Module):
    """Residual units whose dilations grow.

    `unit_0` is applied first, whichever its dilation.

    Attributes:
      width: channels in and out.
      depth: units.
      dilation_growth: dilation of a unit, as a multiple of the one before.
      dilation_cycle: start again at 1 after so many units; None for never.
      conv_multiplier: hidden width of a unit, as a multiple of `width`.
      scale_residual: scale what a unit adds by 1 / sqrt(depth).
      reverse: apply the largest dilation first.
      dtype: compute type.
    """

    width: int
    depth: int
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    conv_multiplier: float = 1.0
    scale_residual: bool = False
    reverse: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[batch, length, width] to the same."""
        scale = 1 / math.sqrt(self.depth) if self.scale_residual else 1.0
        hidden = int(self.conv_multiplier * self.width)
        for number, dilation in enumerate(
            dilations(self.depth, self.dilation_growth, self.dilation_cycle, self.reverse)
        ):
            name = f"unit_{number}"
            x = Unit(self.width, hidden, dilation, scale, self.dtype, name=name)(x)
        return x


class _Stage(nn.Module):
    """A strided convolution and a stack (`down`), or a stack and a transposed one (`up`)."""

    width: int
    out_width: int
    stride: int
    stack: tuple[tuple[str, Any], ...]
    up: bool
    dtype: str

    @nn.compact
    def __call__(self, x: Array, out: Kernel | None = None) -> Array:
        resize = Convolution(
            x.shape[-1],
            self.out_width,
            2 * self.stride,
            transposed=self.up,
            dtype=self.dtype,
            name="up" if self.up else "down",
        )
        stack = Stack(self.width, dtype=self.dtype, name="stack", **dict(self.stack))
        if not self.up:
            x = convolution.downsample(x.astype(self.dtype), *resize.cast(), stride=self.stride)
            return stack(x)
        x = stack(x)
        if out is None:
            return convolution.upsample(x, *resize.cast(), stride=self.stride)
        x = x.astype(jnp.float32)  # audio is made in full, it costs next to nothing
        return convolution.upsample_convolve(x, resize.arrays(), out, stride=self.stride)


class DownBlock(nn.Module):
    """Strided stages, each followed by a stack, and a convolution to `out_width`.

    Attributes:
      width: channels within.
      out_width: channels out.
      depth: units of a stack.
      stages: how often the length is divided by `stride`.
      stride: inputs an output, of each stage.
      dilation_growth: see `Stack`.
      dilation_cycle: see `Stack`.
      conv_multiplier: see `Stack`.
      scale_residual: see `Stack`.
      dtype: compute type.
    """

    width: int
    out_width: int
    depth: int
    stages: int
    stride: int = 2
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    conv_multiplier: float = 1.0
    scale_residual: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[batch, length, any] to [batch, length / stride**stages, out_width]."""
        stack = tuple(_stack(self).items())
        for number in range(self.stages):
            name = f"stage_{number}"
            x = _Stage(self.width, self.width, self.stride, stack, False, self.dtype, name=name)(x)
        return Convolution(self.width, self.out_width, 3, dtype=self.dtype, name="out")(x)


class UpBlock(nn.Module):
    """A convolution to `width`, and stages of a stack and a transposed convolution.

    Attributes:
      width: channels within.
      out_width: channels out.
      depth: units of a stack.
      stages: how often the length is multiplied by `stride`.
      stride: outputs an input, of each stage.
      dilation_growth: see `Stack`.
      dilation_cycle: see `Stack`.
      scale_residual: see `Stack`.
      conv_multiplier: see `Stack`.
      reverse: see `Stack`.
      dtype: compute type.
    """

    width: int
    out_width: int
    depth: int
    stages: int
    stride: int = 2
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    scale_residual: bool = False
    conv_multiplier: float = 1.0
    reverse: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array, out: Kernel | None = None) -> Array:
        """[batch, length, any] to [batch, length * stride**stages, out_width].

        Args:
          x: vectors.
          out: a last convolution to apply as well, and then its outputs are returned, float32.
        """
        stack = (*_stack(self).items(), ("reverse", self.reverse))
        x = Convolution(x.shape[-1], self.width, 3, dtype=self.dtype, name="in")(x)
        for number in range(self.stages):
            name, last = f"stage_{number}", number == self.stages - 1
            outputs = self.out_width if last else self.width
            stage = _Stage(self.width, outputs, self.stride, stack, True, self.dtype, name=name)
            x = stage(x, out if last else None)
        return x


class Encoder(nn.Module):
    """Blocks that lead from audio up to one level's vectors.

    Attributes:
      downs: stages of each block, finest first.
      strides: of each block's stages.
      width: channels within.
      out_width: channels between blocks and out.
      depth: units of a stack.
      dilation_growth: see `Stack`.
      dilation_cycle: see `Stack`.
      conv_multiplier: see `Stack`.
      scale_residual: see `Stack`.
      dtype: compute type.
    """

    downs: tuple[int, ...]
    strides: tuple[int, ...]
    width: int
    out_width: int
    depth: int
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    conv_multiplier: float = 1.0
    scale_residual: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, audio: Array) -> Array:
        """f32[batch, samples, 1] to f32[batch, samples / hop, out_width]."""
        x = audio
        for number, (stages, stride) in enumerate(zip(self.downs, self.strides, strict=True)):
            x = DownBlock(
                self.width,
                self.out_width,
                stages=stages,
                stride=stride,
                dtype=self.dtype,
                name=f"block_{number}",
                **_stack(self),
            )(x)
        return x.astype(jnp.float32)


class Decoder(nn.Module):
    """The blocks of an `Encoder` mirrored, and a last convolution that makes audio.

    Attributes: those of `Encoder`, with `in_width` for `out_width`.
    """

    downs: tuple[int, ...]
    strides: tuple[int, ...]
    width: int
    in_width: int
    depth: int
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    conv_multiplier: float = 1.0
    scale_residual: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """f32[batch, length, in_width] to f32[batch, length * hop, 1]."""
        out = Convolution(self.in_width, 1, 3, name="out").arrays()
        for number, (stages, stride) in reversed(
            list(enumerate(zip(self.downs, self.strides, strict=True)))
        ):
            block = UpBlock(
                self.width,
                self.in_width,
                stages=stages,
                stride=stride,
                dtype=self.dtype,
                name=f"block_{number}",
                **_stack(self),
            )
            x = block(x, None if number else out)
        return x


def _stack(module: Any) -> dict[str, Any]:
    """What a block tells its stacks, and an encoder its blocks."""
    names = "depth dilation_growth dilation_cycle conv_multiplier scale_residual".split()
    return {name: getattr(module, name) for name in names}
