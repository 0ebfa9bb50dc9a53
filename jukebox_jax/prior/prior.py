"""One level's model of codes: each code given those before it and what it is conditioned on.

A `Prior` describes shapes; the functions below it take it first, then its parameters, a plain
tree. `logits` and `loss` see a whole context at once, for training; `prefill` and `step` go code
by code with a cache, for sampling. A top prior and an upsampler differ in their signals alone.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior import conditioning as signals_
from jukebox_jax.prior import transformer
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.prior.transformer import Cache, Layout

Params = Mapping[str, Any]


class Prior(nn.Module):
    """An autoregressive model of one level's codes.

    Attributes:
      context: codes seen at once.
      block: columns of a row of the attention grid; context is a multiple of it.
      bins: codebook size.
      width: model width.
      heads: attention heads.
      layout: groups of (patterns, repeats).
      attention_width: width of queries, keys and values, as a part of `width`.
      mlp_width: hidden width of the MLPs, as a multiple of `width`.
      init_scale: scale of the parameters at the start.
      scale_residual: scale what each layer adds by 1 / depth.
      tied: read logits with the codes' embedding, after adding the track a second time;
        otherwise they have a kernel of their own and the track is added once.
      signals: (name, record) pairs, see `conditioning`.
      label_dropout: part of the songs whose labels are hidden in training.
      remat: what the backward pass recomputes: "full", "dots" or "none".
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
    tied: bool = True
    signals: tuple[tuple[str, Any], ...] = ()
    label_dropout: float = 0.0
    remat: str = "full"
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the parts."""
        self.codes = nn.Embed(
            self.bins, self.width, dtype=self.dtype, embedding_init=_normal(0.02 * self.init_scale)
        )
        self.positions = nn.Embed(
            self.context,
            self.width,
            dtype=self.dtype,
            embedding_init=_normal(0.01 * self.init_scale),
        )
        if not any(signal.door == "start" for _, signal in self.signals):
            self.start = nn.Embed(
                1, self.width, dtype=self.dtype, embedding_init=_normal(0.01 * self.init_scale)
            )
        self.conditioning = signals_.Conditioner(
            self.signals, self.context, self.width, self.init_scale, self.dtype
        )
        self.transformer = transformer.Transformer(
            layout=self.layout,
            context=self.context,
            block=self.block,
            heads=self.heads,
            width=self.width,
            attention_width=self.attention_width,
            mlp_width=self.mlp_width,
            init_scale=self.init_scale,
            scale_residual=self.scale_residual,
            remat=self.remat,
            dtype=self.dtype,
        )
        if not self.tied:
            self.logits = nn.Dense(
                self.bins,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=_normal(0.02 * self.init_scale),
            )

    def __call__(
        self, codes: Array, labels: Mapping[str, Array], codes_above: Array | None
    ) -> Array:
        """Logits [batch, context, bins] of each code given those before it."""
        return self.forward(codes, self.condition(labels, codes_above))

    def condition(self, labels: Mapping[str, Array], codes_above: Array | None) -> Conditioning:
        """Embeds what the model is conditioned on."""
        doors = self.conditioning(labels, codes_above)
        start = doors["start"]
        if start is None:
            start = self.start(jnp.zeros((1, 1), jnp.int32))
        return Conditioning(start=start, track=doors["track"], memory=doors["memory"])

    def forward(self, codes: Array, conditioning: Conditioning) -> Array:
        """Logits of a whole context."""
        return self._read(self.transformer(self._shifted(codes, conditioning)), conditioning.track)

    def fill(self, codes: Array, known: Array | int, conditioning: Conditioning) -> Cache:
        """The cache of the first `known` positions."""
        return self.transformer.fill(self._shifted(codes, conditioning), known)

    def next(
        self, code: Array, conditioning: Conditioning, cache: Cache, position: Array | int
    ) -> tuple[Array, Cache]:
        """Logits of one position, and the cache with it."""
        start = conditioning.start[:, 0]
        x = jnp.where(jnp.asarray(position) == 0, start, self.codes(code))
        x = x + self.positions(jnp.asarray(position))
        track = conditioning.track
        if track is not None:
            track = jax.lax.dynamic_index_in_dim(track, position, axis=1, keepdims=False)
            x = x + track
        x, cache = self.transformer.step(x, cache, position)
        return self._read(x, track), cache

    def empty(self, batch: int) -> Cache:
        """The cache before the first code."""
        return self.transformer.empty(batch)

    def _shifted(self, codes: Array, conditioning: Conditioning) -> Array:
        """Embedded inputs: at each position the code before it."""
        batch = codes.shape[0]
        start = jnp.broadcast_to(conditioning.start, (batch, 1, self.width))
        x = jnp.concatenate([start, self.codes(codes[:, :-1])], axis=1)
        x = x + self.positions(jnp.arange(self.context))
        return x if conditioning.track is None else x + conditioning.track

    def _read(self, x: Array, track: Array | None) -> Array:
        if not self.tied:
            return self.logits(x).astype(jnp.float32)
        if track is not None:
            x = x + track
        return self.codes.attend(x).astype(jnp.float32)


def init(model: Prior, key: Array) -> dict[str, Any]:
    """Parameters at the start, float32; may be traced, as by jax.eval_shape."""
    labels, above = signals_.example(model.signals, model.context)
    codes = jnp.zeros((1, model.context), jnp.int32)

    @jax.jit
    def make(key: Array) -> dict[str, Any]:
        return model.init(key, codes, labels, above)["params"]

    return make(key)


def abstract(model: Prior) -> dict[str, Any]:
    """Shapes and types of the parameters, without making any."""
    return jax.eval_shape(lambda key: init(model, key), jax.random.key(0))


def condition(
    model: Prior,
    params: Params,
    labels: Mapping[str, Array],
    codes_above: Array | None = None,
) -> Conditioning:
    """Embeds labels and the codes above.

    Args:
      model: the prior.
      params: its parameters.
      labels: for each signal but codes, what `conditioning.encode` gave, batched.
      codes_above: i32[batch, context / factor], where there is such a signal.

    Raises:
      ValueError: a signal's values are missing, or codes_above has another length.
    """
    return model.apply({"params": params}, labels, codes_above, method="condition")


def logits(model: Prior, params: Params, codes: Array, conditioning: Conditioning) -> Array:
    """Logits of each code given those before it.

    Args:
      model: the prior.
      params: its parameters, stacked.
      codes: i32[batch, context].
      conditioning: what `condition` gave.

    Returns:
      f32[batch, context, bins].
    """
    return model.apply({"params": params}, codes, conditioning, method="forward")


def loss(
    model: Prior,
    params: Params,
    codes: Array,
    labels: Mapping[str, Array],
    codes_above: Array | None = None,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Cross-entropy in bits a code.

    Args:
      model: the prior.
      params: its parameters, stacked.
      codes: i32[batch, context].
      labels: as in `condition`.
      codes_above: as in `condition`.
      key: hides labels of a part of the batch, as model.label_dropout says; None hides none.

    Returns:
      The mean over all codes, f32[], and metrics by name.
    """
    if model.label_dropout and key is not None:
        labels = signals_.drop(model.signals, labels, model.label_dropout, key)
    predicted = logits(model, params, codes, condition(model, params, labels, codes_above))
    picked = jnp.take_along_axis(predicted, codes[..., None], axis=-1)[..., 0]
    nats = jax.nn.logsumexp(predicted, axis=-1) - picked
    bits = jnp.mean(nats) / jnp.log(2.0)
    return bits, {"bits_per_code": bits}


def unstack(model: Prior, params: Params) -> dict[str, Any]:
    """Parameters in the form that decoding reads: a leaf a layer, cast to the compute type.

    The functions below accept both forms; doing it once outside a compiled function saves the
    copy in each call.
    """
    flat = transformer.unstack(params, model.layout)
    if model.dtype == "float32":
        return flat
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf if _is_norm(path) else leaf.astype(model.dtype), flat
    )


def prefill(
    model: Prior,
    params: Params,
    codes: Array,
    known: Array | int,
    conditioning: Conditioning,
) -> Cache:
    """The cache as if positions 0 to `known` - 1 had been stepped, in one pass.

    Args:
      model: the prior.
      params: its parameters, stacked or not.
      codes: i32[batch, context]; from `known` on they do not matter.
      known: how many count, from 0 to context; may be traced.
      conditioning: what `condition` gave.
    """
    params = unstack(model, params)
    return model.apply({"params": params}, codes, known, conditioning, method="fill")


def empty(model: Prior, batch: int) -> Cache:
    """The cache before the first code, of `batch` songs."""
    return model.apply({}, batch, method="empty")


def step(
    model: Prior,
    params: Params,
    code: Array,
    conditioning: Conditioning,
    cache: Cache,
    position: Array | int,
) -> tuple[Array, Cache]:
    """Logits of one position.

    Args:
      model: the prior.
      params: its parameters, stacked or not.
      code: i32[batch], the code at position - 1; ignored at 0.
      conditioning: what `condition` gave.
      cache: what earlier positions left; read up to position - 1.
      position: from 0 to context - 1; may be traced.

    Returns:
      f32[batch, bins] and the cache that remembers this position.
    """
    params = unstack(model, params)
    return model.apply({"params": params}, code, conditioning, cache, position, method="next")


def _is_norm(path: tuple[Any, ...]) -> bool:
    return any("norm" in str(getattr(entry, "key", "")) for entry in path)


def _normal(std: float) -> Any:
    return nn.initializers.normal(std)
