"""The module of a prior: embeddings, conditioning, layers and logits of one level's codes.

`Prior` describes shapes and holds no arrays; what to do with it stands in `prior`. Where lyrics
share the codes' sequence and vocabulary, positions and codes are shifted here and nowhere else:
outside, a context is codes alone, and a lyric token is a negative code.
"""

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior import conditioning as doors
from jukebox_jax.prior import entropy, layer, linear, transformer
from jukebox_jax.prior.conditioning import Conditioning, Lyrics, LyricsPrefix
from jukebox_jax.prior.transformer import Cache, Layout


class Prior(nn.Module):
    """An autoregressive model of one level's codes.

    Attributes:
      context: codes seen at once.
      block: columns of a row of the attention grid, which holds the context and the lyric tokens
        in front of it, if any, in whole rows.
      bins: codebook size.
      width: model width.
      heads: attention heads.
      layout: groups of (patterns, repeats).
      attention_width: width of queries, keys and values, as a part of `width`.
      mlp_width: hidden width of the MLPs, as a multiple of `width`.
      init_scale: scale of the parameters at the start.
      scale_residual: scale what each layer adds by 1 / depth.
      spread: positions that stand for a row under "summary_spread".
      tied: read logits with the codes' embedding, after adding the track a second time;
        otherwise they have a kernel of their own and the track is added once.
      signals: (name, record) pairs, see `conditioning`.
      label_dropout: part of the songs whose labels are hidden in training.
      remat: what the backward pass recomputes, see `transformer.Transformer`.
      dtype: compute type; parameters and logits are float32.
    """

    context: int = 8192
    block: int = 64
    bins: int = 2048
    width: int = 1920
    heads: int = 1
    layout: Layout = ((("row", "column", "previous"), 24),)
    attention_width: float = 0.25
    mlp_width: float = 1.0
    init_scale: float = 1.0
    scale_residual: bool = False
    spread: int = 1
    tied: bool = True
    signals: tuple[tuple[str, Any], ...] = ()
    label_dropout: float = 0.0
    remat: str = "full"
    dtype: str = "float32"

    @property
    def lyrics(self) -> Lyrics | LyricsPrefix | None:
        """What is read of a song's text, None if nothing is."""
        found = doors.lyrics_of(self.signals)
        return found[1] if found else None

    @property
    def prefix(self) -> int:
        """Lyric tokens in front of the codes, in one sequence with them."""
        return self.lyrics.tokens if isinstance(self.lyrics, LyricsPrefix) else 0

    @property
    def shift(self) -> int:
        """Lyric tokens that precede the codes in the vocabulary."""
        return self.lyrics.size if isinstance(self.lyrics, LyricsPrefix) else 0

    def setup(self) -> None:
        """Names the parts."""
        self._check()

        def table(rows: int, std: float) -> layer.Table:
            start = nn.initializers.normal(std * self.init_scale)
            return layer.Table(rows, self.width, dtype=self.dtype, embedding_init=start)

        self.codes = table(self.shift + self.bins, 0.02)
        self.positions = table(self.prefix + self.context, 0.01)
        if not any(signal.door == "start" for _, signal in self.signals):
            self.start = table(1, 0.01)
        self.conditioning = doors.Conditioner(
            self.signals, self.context, self.width, self.init_scale, self.dtype
        )
        self.transformer = transformer.Transformer(
            layout=self.layout,
            context=self.prefix + self.context,
            block=self.block,
            heads=self.heads,
            width=self.width,
            spread=self.spread,
            lyrics=self.prefix,
            attention_width=self.attention_width,
            mlp_width=self.mlp_width,
            init_scale=self.init_scale,
            scale_residual=self.scale_residual,
            remat=self.remat,
            dtype=self.dtype,
        )
        if not self.tied:
            self.logits = _head(self.shift + self.bins, 0.02 * self.init_scale, self.dtype)
        if isinstance(self.lyrics, Lyrics):
            self.lyric_logits = _head(self.lyrics.size, 0.02 * self.lyrics.init_scale, self.dtype)

    def __call__(
        self, codes: Array, labels: Mapping[str, Array], codes_above: Array | None
    ) -> Array:
        """Touches every parameter, to make them; returns logits as `forward` does."""
        conditioning = self.condition(labels, codes_above)
        if isinstance(self.lyrics, Lyrics):
            self.lyric_logits(conditioning.memory)
        return self.forward(codes, conditioning)

    def condition(self, labels: Mapping[str, Array], codes_above: Array | None) -> Conditioning:
        """Embeds what the model is conditioned on."""
        embedded = self.conditioning(labels, codes_above)
        if embedded["start"] is None:
            embedded["start"] = self.start(jnp.zeros((1, 1), jnp.int32))
        return Conditioning(**embedded)

    def forward(self, codes: Array, conditioning: Conditioning) -> Array:
        """Logits of a whole context of codes, [batch, context, shift + bins]."""
        x = self.transformer(self._shifted(codes, conditioning), conditioning.memory)
        return self._read(x[:, self.prefix :], conditioning.track)

    def stages(self, codes: Array, conditioning: Conditioning) -> tuple[Array, ...]:
        """What each group of layers makes of the codes, [batch, context, width] each."""
        made = self.transformer.stages(self._shifted(codes, conditioning), conditioning.memory)
        return tuple(x[:, self.prefix :] for x in made)

    def bits(
        self, codes: Array, conditioning: Conditioning, tokens: Array | None
    ) -> tuple[Array, Array | None]:
        """Cross-entropies in bits a code, and in bits a lyric token where lyrics are read."""
        x = self.transformer(self._shifted(codes, conditioning), conditioning.memory)
        track = self._track(conditioning.track)
        if self.tied and track is not None:
            x = x + track
        kernel = self.codes.embedding.T if self.tied else _kernel(self.logits)
        start = self.prefix
        of_codes = entropy.bits(x[:, start:], kernel, codes + self.shift, self.dtype)
        if self.prefix:
            return of_codes, entropy.bits(x[:, :start], kernel, conditioning.prefix, self.dtype)
        if tokens is None:
            return of_codes, None
        kernel = _kernel(self.lyric_logits)
        return of_codes, entropy.bits(conditioning.memory, kernel, tokens, self.dtype)

    def fill(self, codes: Array, known: Array | int, conditioning: Conditioning) -> Cache:
        """The cache of the lyrics and the first `known` codes, of which whole rows are given."""
        x = self._shifted(codes, conditioning)
        return self.transformer.fill(x, known + self.prefix, conditioning.memory)

    def next(
        self, code: Array, conditioning: Conditioning, cache: Cache, position: Array | int
    ) -> tuple[Array, Cache]:
        """Logits of one position, and the cache with it."""
        first = jnp.asarray(position) == 0
        if conditioning.prefix is None:
            x = jnp.where(first, conditioning.start[:, 0], self.codes(code))
        else:
            x = self.codes(jnp.where(first, conditioning.prefix[:, -1], code + self.shift))
        x = x + self.positions(jnp.asarray(position + self.prefix))
        track = conditioning.track
        if track is not None:
            track = jax.lax.dynamic_index_in_dim(track, position, axis=1, keepdims=False)
            x = x + track
        x, cache = self.transformer.step(x, cache, position + self.prefix)
        return self._read(x, track), cache

    def empty(self, batch: int) -> Cache:
        """The cache before the first position, all zeros."""
        tokens = self.lyrics.tokens if isinstance(self.lyrics, Lyrics) else 0
        return self.transformer.empty(batch, tokens)

    def weights(self, codes: Array, conditioning: Conditioning, index: int) -> Array:
        """How much each code's position attends to each lyric token in layer `index`."""
        x = self._shifted(codes, conditioning)
        weights = self.transformer.weights(x, index, conditioning.memory)
        tokens = self.lyrics.tokens if self.lyrics else 0
        return weights[:, :, self.prefix :, :tokens]

    def _shifted(self, codes: Array, conditioning: Conditioning) -> Array:
        """Embedded inputs of the whole sequence: at each position what stands before it."""
        batch, sequence = codes.shape[0], codes + self.shift
        if self.prefix:
            sequence = jnp.concatenate([conditioning.prefix, sequence], axis=1)
        start = jnp.broadcast_to(conditioning.start, (batch, 1, self.width))
        x = jnp.concatenate([start, self.codes(sequence[:, :-1])], axis=1)
        x = x + self.positions(jnp.arange(x.shape[1]))
        track = self._track(conditioning.track)
        return x if track is None else x + track[:, : x.shape[1]]

    def _track(self, track: Array | None) -> Array | None:
        """The track over the whole sequence: nothing is added where lyrics stand."""
        if track is None or not self.prefix:
            return track
        return jnp.pad(track, ((0, 0), (self.prefix, 0), (0, 0)))

    def _read(self, x: Array, track: Array | None) -> Array:
        if not self.tied:
            return self.logits(x)
        if track is not None:
            x = x + track
        table = self.codes.embedding.astype(self.dtype)
        if x.ndim == 2:
            return linear.by_output(x, table)
        return jnp.einsum("...w,vw->...v", x, table, preferred_element_type=jnp.float32)

    def _check(self) -> None:
        kinds = set(transformer.patterns(self.layout))
        entered = {signal.door for _, signal in self.signals}
        for door in ("memory", "prefix"):
            if door in kinds and door not in entered:
                raise ValueError(
                    f"the layout has {door!r} layers, but no signal enters at the door {door!r}: "
                    "add one, or take the layers out"
                )
        if "memory" in entered and "memory" not in kinds:
            raise ValueError(
                "a signal enters at the door 'memory', but the layout has no 'memory' layers: "
                "add some, or take the signal out"
            )


def run(model: Prior, params: Mapping[str, Any], *arguments: Any, method: str) -> Any:
    """A method of a prior with its parameters.

    float32 means float32: without saying so an accelerator would round the factors of products.
    """
    exact = model.dtype == "float32"
    with jax.default_matmul_precision("highest") if exact else contextlib.nullcontext():
        return model.apply({"params": params}, *arguments, method=method)


def _kernel(head: nn.Dense) -> Array:
    return head.variables["params"]["kernel"]


def _head(size: int, std: float, dtype: str) -> nn.Dense:
    """A linear map to float32 logits, without bias."""
    return nn.Dense(
        size,
        use_bias=False,
        dtype=dtype,
        kernel_init=nn.initializers.normal(std),
        dot_general=partial(jax.lax.dot_general, preferred_element_type=jnp.float32),
    )
