"""The VQ-VAE's module: one encoder and one decoder for each level, and what a trained one weighs.

It describes shapes and names parts. Audio, vectors and arrays of parameters come in and go out of
the functions in `vqvae`; codebooks are plain values, which this file only names.
"""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
from jax import Array

from jukebox_jax.vqvae import coder
from jukebox_jax.vqvae.quantizer import Codebook


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Weights:
    """All that a trained VQ-VAE has learnt.

    Attributes:
      params: parameters of encoders and decoders, by name.
      codebooks: one a level, finest first.
    """

    params: Any
    codebooks: tuple[Codebook, ...]


class VQVAE(nn.Module):
    """One encoder and one decoder for each level.

    Attributes:
      downs: for each level, finest first, how often it divides the length by its stride, beyond
        the level below.
      strides: for each level, by how much at a time.
      bins: codes of a codebook.
      code_width: width of a code's vector.
      width: channels of encoders and decoders, times the level's multiplier.
      depth: units of a residual stack, times the level's multiplier.
      multipliers: for each level, see `width` and `depth`.
      dilation_growth: dilation of a unit, as a multiple of the one before.
      dilation_cycle: start again at 1 after so many units; None for never.
      conv_multiplier: hidden width of a unit, as a multiple of its width.
      scale_residual: scale what a unit adds by 1 / sqrt(depth).
      decay: of the codebooks' moving averages.
      restart_threshold: a code whose average count falls below restarts.
      commit: weight of the encoders' distance to their codes.
      l2: weight of the mean squared error.
      l1: weight of the mean absolute error.
      linf: weight of the mean of the `linf_count` largest squared errors of each item.
      linf_count: see `linf`.
      spectral: weight of the spectral distance at a single scale.
      multispectral: weight of the spectral distance at several scales.
      dtype: compute type of convolutions; parameters, code search and losses are float32.
    """

    downs: tuple[int, ...] = (3, 2, 2)
    strides: tuple[int, ...] = (2, 2, 2)
    bins: int = 2048
    code_width: int = 64
    width: int = 32
    depth: int = 4
    multipliers: tuple[int, ...] = (2, 1, 1)
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    conv_multiplier: float = 1.0
    scale_residual: bool = False
    decay: float = 0.99
    restart_threshold: float = 1.0
    commit: float = 0.02
    l2: float = 1.0
    l1: float = 0.0
    linf: float = 0.02
    linf_count: int = 2048
    spectral: float = 0.0
    multispectral: float = 1.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Checks that there is one value a level.

        Raises:
          ValueError: the levels are described by tuples of different lengths, or a level has
            no stage or no stride.
        """
        super().__post_init__()
        for name in ("strides", "multipliers"):
            if len(getattr(self, name)) != len(self.downs):
                raise ValueError(
                    f"{name} = {getattr(self, name)} for downs = {self.downs}: give one a level"
                )
        for name, least in (("downs", 1), ("strides", 2), ("multipliers", 1)):
            if not self.downs or min(getattr(self, name)) < least:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: give {least} or more for each level, and "
                    "one level at least"
                )

    @property
    def levels(self) -> int:
        """How many."""
        return len(self.downs)

    @property
    def hops(self) -> tuple[int, ...]:
        """Audio samples a code, finest level first."""
        factors = [stride**down for down, stride in zip(self.downs, self.strides, strict=True)]
        return tuple(math.prod(factors[: level + 1]) for level in range(self.levels))

    def setup(self) -> None:
        """Names the parts, `encoder_0`, `decoder_0` and so on."""
        names = "dilation_growth dilation_cycle conv_multiplier scale_residual dtype".split()
        shared = {name: getattr(self, name) for name in names}
        for level, multiplier in enumerate(self.multipliers):
            sizes = (
                self.downs[: level + 1],
                self.strides[: level + 1],
                self.width * multiplier,
                self.code_width,
                self.depth * multiplier,
            )
            setattr(self, f"encoder_{level}", coder.Encoder(*sizes, **shared))
            setattr(self, f"decoder_{level}", coder.Decoder(*sizes, **shared))

    def sizes(self, level: int) -> tuple[tuple[int, ...], tuple[int, ...], int, int, int | None]:
        """What a level's reach in time depends on, see `pieces.encoder_margin`."""
        return (
            self.downs[: level + 1],
            self.strides[: level + 1],
            self.depth * self.multipliers[level],
            self.dilation_growth,
            self.dilation_cycle,
        )

    def __call__(self, audio: Array) -> tuple[Array, ...]:
        """Each level's decoding of its own encoding, unrounded, f32[batch, samples, 1]."""
        return tuple(
            self.synthesise(self.analyse(audio, level), level) for level in range(self.levels)
        )

    def analyse(self, audio: Array, level: int) -> Array:
        """f32[batch, samples, 1] to vectors f32[batch, samples / hop, code_width]."""
        return getattr(self, f"encoder_{level}")(audio)

    def synthesise(self, vectors: Array, level: int) -> Array:
        """Vectors f32[batch, length, code_width] to f32[batch, length * hop, 1]."""
        return getattr(self, f"decoder_{level}")(vectors)
