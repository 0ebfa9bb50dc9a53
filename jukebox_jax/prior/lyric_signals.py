"""Lyrics as a signal: what a prior reads of a song's text, and how it is embedded.

`Lyrics` has an encoder of its own, a small causal transformer whose outputs "memory" layers
attend to. `LyricsPrefix` puts the tokens before the codes, in one sequence and one vocabulary
with them. Both encode alike on the host: the window of the text that belongs to a span, chosen
in `lyrics`. The losses on lyric tokens are the prior's.
"""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import layer, lyrics
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.norm import LayerNorm
from jukebox_jax.prior.signals import of
from jukebox_jax.prior.transformer import Layout, Transformer
from jukebox_jax.prior.vocabulary import LabelError


@dataclasses.dataclass(frozen=True)
class Lyrics:
    """A window of a song's text, read by an encoder of its own.

    Encoded as i32[tokens]. Embedded by a causal transformer over the tokens, shifted by one, then
    a linear map to the model's width and a LayerNorm.

    Attributes:
      tokens: characters that are read at once.
      size: entries of the alphabet, with 0 for what is not in it and for padding.
      width: width of the encoder.
      layout: its layers, as in `transformer.Transformer`, and so on.
      block: columns of a row of its attention grid.
      heads: its attention heads.
      attention_width: width of queries, keys and values, as a part of `width`.
      mlp_width: hidden width of the MLPs, as a multiple of `width`.
      init_scale: scale of its parameters at the start.
      scale_residual: scale what each layer adds by 1 / depth.
      loss_fraction: weight of the loss on lyric tokens.
      remat: what the backward pass recomputes: "full", "dots" or "none".
      rate: audio samples a second, for lines of text with times.
    """

    tokens: int
    size: int
    width: int
    layout: Layout
    block: int
    heads: int = 1
    attention_width: float = 0.25
    mlp_width: float = 1.0
    init_scale: float = 1.0
    scale_residual: bool = False
    loss_fraction: float = 0.4
    remat: str = "full"
    rate: int = 44100
    door: ClassVar[str] = "memory"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Alphabet | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The tokens that belong to the span, i32[tokens].

        Raises:
          LabelError: lyrics that cannot be read, or an alphabet that is missing or another one.
        """
        return _window(self, name, song, span, vocabulary, allow_unknown)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, tokens] to [batch, tokens, width]."""

        def table(rows: int, std: float, name: str) -> layer.Table:
            start = nn.initializers.normal(std * self.init_scale)
            return layer.Table(rows, self.width, dtype=dtype, embedding_init=start, name=name)

        first = table(1, 0.01, "start")(jnp.zeros((values.shape[0], 1), jnp.int32))
        x = jnp.concatenate([first, table(self.size, 0.02, "tokens")(values[:, :-1])], axis=1)
        x = x + table(self.tokens, 0.01, "positions")(jnp.arange(self.tokens))
        x = Transformer(
            layout=self.layout,
            context=self.tokens,
            block=self.block,
            heads=self.heads,
            width=self.width,
            attention_width=self.attention_width,
            mlp_width=self.mlp_width,
            init_scale=self.init_scale,
            scale_residual=self.scale_residual,
            remat=self.remat,
            dtype=dtype,
            name="transformer",
        )(x)
        x = sharding.by_song(layer.dense(width, 0.02 * self.init_scale, dtype, name="out")(x))
        return LayerNorm(dtype, name="norm")(x)


@dataclasses.dataclass(frozen=True)
class LyricsPrefix:
    """A window of a song's text that stands before the codes, in one sequence with them.

    Encoded as i32[tokens], and embedded by the prior, whose vocabulary is `size` lyric tokens and
    then its codes.

    Attributes:
      tokens: characters that are read at once.
      size: entries of the alphabet, with 0 for what is not in it and for padding.
      loss_fraction: weight of the loss on lyric tokens.
      rate: audio samples a second, for lines of text with times.
    """

    tokens: int
    size: int
    loss_fraction: float = 0.4
    rate: int = 44100
    door: ClassVar[str] = "prefix"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Alphabet | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """As in `Lyrics`."""
        return _window(self, name, song, span, vocabulary, allow_unknown)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """The tokens themselves, [batch, tokens]."""
        return values


def _window(
    signal: Lyrics | LyricsPrefix,
    name: str,
    song: Song,
    span: Span,
    alphabet: Alphabet | None,
    allow_unknown: bool,
) -> np.ndarray:
    alphabet = lyrics.check(name, alphabet, signal.size)
    try:
        return lyrics.encode(
            lyrics.Lyric.of(song.labels, name, seconds=span.total / signal.rate),
            alphabet,
            signal.tokens,
            span,
            signal.rate,
            allow_unknown=allow_unknown,
        )
    except LabelError as error:
        raise LabelError(f"{name} of {of(song)}: {error}") from None
