"""The signals that a prior can be conditioned on, but for lyrics: labels, timing, codes above.

Each kind of signal is one frozen record with both halves: `encode` on the host, which training
and sampling both call, so that arithmetic on windows stands here alone, and `embed` on the
device. `conditioning` knows which kinds there are and brings them together.
"""

import dataclasses
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import layer
from jukebox_jax.prior.mixture import Mixture
from jukebox_jax.prior.norm import LayerNorm
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, Vocabulary
from jukebox_jax.vqvae import coder

UNUSED = -1
"""Fills the slots of a bag of words that hold none."""


class Signal(Protocol):
    """What every kind of signal offers."""

    @property
    def door(self) -> str:
        """Where it enters: "start", "track", "memory" or "prefix"."""

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray | None:
        """The signal over a span of a song, on the host; None where codes carry it."""

    def embed(self, values: Array, context: int, width: int, init_scale: float, dtype: str) -> Any:
        """The embedded signal; called inside a compact module, which holds the parameters."""


@dataclasses.dataclass(frozen=True)
class Label:
    """A label of a whole song, or a bag of them: artist, genre, mood, instrument, ...

    Encoded as i32[most]: ids, with -1 for unused slots. Embedded as the sum of what is in use. A
    `Mixture` is embedded as the weighted sum of its labels.

    Attributes:
      size: rows of the embedding; ids lie below it, and 0 is reserved for the unknown.
      most: slots of the bag.
    """

    size: int
    most: int = 1
    door: ClassVar[str] = "start"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The label's ids, i32[most].

        Raises:
          LabelError: the label is missing or unknown, unless that is allowed; or it has more
            words than slots, or an id that the embedding has no row for.
        """
        value = song.labels.get(name)
        if vocabulary is None:
            raise LabelError(f"signal {name!r} has no vocabulary: give one under its name")
        if value is None or value in ([], ()):
            if not allow_unknown and vocabulary.ids:  # a model that knows no names asks for none
                raise LabelError(
                    f"{of(song)} has no label {name!r}: give it one, or allow unknown labels"
                )
            return self.nothing()
        words = vocabulary.words(value, self.most)
        if len(words) > self.most:
            raise LabelError(
                f"{name} {value!r} of {of(song)} has {len(words)} words, but the signal has "
                f"{self.most} slots: shorten it, or train with most={len(words)}"
            )
        try:
            ids = [vocabulary.id(word, allow_unknown) for word in words]
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        if max(ids) >= self.size:
            raise LabelError(
                f"{name} {value!r} has id {max(ids)}, but the signal has size={self.size}: this "
                "vocabulary belongs to another model"
            )
        return np.array(ids + [UNUSED] * (self.most - len(ids)), np.int32)

    def embed(
        self, values: Array | Mixture, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, most] to [batch, 1, width]."""
        embed = table(self.size, width, init_scale, dtype)
        ids = values.ids if isinstance(values, Mixture) else values
        rows = jnp.where((ids >= 0)[..., None], embed(jnp.maximum(ids, 0)), 0)
        if isinstance(values, Mixture):
            rows = rows * values.weights[..., None].astype(rows.dtype)
        return jnp.sum(rows, axis=1, keepdims=True)

    def nothing(self) -> np.ndarray:
        """The values of a song about which nothing is known."""
        return np.array([UNKNOWN] + [UNUSED] * (self.most - 1), np.int32)


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long the song is, and where in it each code stands.

    Encoded as i32[3]: total, start and length in samples. Embedded as the sum of three tables,
    of the song's length, of the time since its start, and of that as a part of the whole, each
    cut into equal bins. Bins are found in float32.

    Attributes:
      bins: bins of each table.
      minimum_seconds: the shortest song; shorter ones fall into the first bin.
      maximum_seconds: the longest song; longer ones fall into the last bin.
      rate: audio samples a second.
    """

    bins: int
    minimum_seconds: float
    maximum_seconds: float
    rate: int = 44100
    door: ClassVar[str] = "track"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """Total, start and length of the span, i32[3] in samples.

        13 hours at 44.1 kHz are as long as a song gets.
        """
        samples = np.array([span.total, span.start, span.length], np.int64)
        return np.minimum(samples, np.iinfo(np.int32).max).astype(np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, 3] to [batch, context, width]."""
        total, start, length = (values[:, i : i + 1].astype(jnp.float32) for i in range(3))
        # An array, not a constant: a division by a constant would be compiled as a product with
        # its reciprocal, which moves what stands on the edge of two bins into the wrong one.
        nothing = 0.0 * total
        least, most = self.minimum_seconds * self.rate, self.maximum_seconds * self.rate + nothing
        part = np.arange(context, dtype=np.float32) / np.float32(context)
        end = start + length
        absolute = start + (end - start) * part
        first, last = start / total, jnp.minimum(end / total, 1.0)
        relative = first + (last - first) * part
        tables = [
            ("total", (total - least) / (most - least)),
            ("absolute", absolute / most),
            ("relative", relative),
        ]
        return sum(
            table(self.bins, width, init_scale, dtype, name)(self._bin(normalised))
            for name, normalised in tables
        )

    def _bin(self, normalised: Array) -> Array:
        bins = jnp.floor(self.bins * normalised).astype(jnp.int32)
        return jnp.clip(bins, 0, self.bins - 1)


@dataclasses.dataclass(frozen=True)
class Codes:
    """The codes of the level above, brought to this level's pace.

    They reach a prior beside its labels, as codes_above i32[batch, context / factor], and are
    embedded by one decoder block of a VQ-VAE and a LayerNorm.

    Attributes:
      bins: size of the codebook above.
      width: width of the block's convolutions.
      depth: residual units of each of its stages.
      downs: its stages, each of which multiplies the length by `stride`.
      stride: see there.
      dilation_growth: dilations grow by this factor from unit to unit.
      dilation_cycle: and start again after so many units; None for never.
      scale_residual: scale what a unit adds by 1 / sqrt(depth).
      conv_multiplier: hidden width of a unit, as a multiple of `width`.
    """

    bins: int
    width: int
    depth: int
    downs: int
    stride: int = 2
    dilation_growth: int = 3
    dilation_cycle: int | None = 8
    scale_residual: bool = False
    conv_multiplier: float = 1.0
    door: ClassVar[str] = "track"

    @property
    def factor(self) -> int:
        """Codes of this level for each code above."""
        return int(self.stride**self.downs)

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> None:
        """Nothing: codes come from the level above."""

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context / factor] to [batch, context, width]."""
        if values.shape[1] * self.factor != context:
            raise ValueError(
                f"codes_above has {values.shape[1]} codes, but a context of {context} needs "
                f"{context // self.factor} (one for {self.factor})"
            )
        table = layer.Table(
            self.bins, width, dtype=dtype, embedding_init=_normal(1.0), name="codes"
        )
        x = coder.UpBlock(
            width=self.width,
            out_width=width,
            depth=self.depth,
            stages=self.downs,
            stride=self.stride,
            dilation_growth=self.dilation_growth,
            dilation_cycle=self.dilation_cycle,
            scale_residual=self.scale_residual,
            conv_multiplier=self.conv_multiplier,
            reverse=False,
            dtype=dtype,
            name="up",
        )(table(values))
        return LayerNorm(dtype, name="norm")(x)


def of(song: Song) -> str:
    """The song's name in a message."""
    return song.path or "the song"


def _normal(std: float) -> Any:
    return nn.initializers.normal(std)


def table(size: int, width: int, init_scale: float, dtype: str, name: str = "rows") -> layer.Table:
    """The table that embeds ids below `size`, called inside a compact module."""
    return layer.Table(
        size, width, dtype=dtype, embedding_init=_normal(0.01 * init_scale), name=name
    )
