"""Layers of sparse attention, stacked by a layout, and their caches.

A layout is a tuple of groups (patterns, repeats): a period of layers and how often it comes. For
training each group is one scan over its stacked parameters, recomputed in the backward pass;
for decoding the same layers run unrolled over per-layer leaves, made once by `unstack`, because
a scan would copy each layer's weights at every code. Vectors come in and go out: this file knows
nothing of codes or labels.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior import attention
from jukebox_jax.prior.attention import KV

Layout = tuple[tuple[tuple[str, ...], int], ...]
Cache = tuple[KV, ...]
"""What all layers remember, one `KV` a layer, first layer first."""

_POLICIES: dict[str, Any] = {
    "full": None,
    "dots": jax.checkpoint_policies.checkpoint_dots_with_no_batch_dims,
}


def patterns(layout: Layout) -> tuple[str, ...]:
    """The pattern of every layer, first layer first."""
    return tuple(pattern for period, repeats in layout for _ in range(repeats) for pattern in period)


class Attention(nn.Module):
    """Sparse self-attention of a pattern with its projections.

    Attributes:
      pattern: what a position attends to.
      block: columns of a row.
      heads: attention heads.
      state: width of queries, keys and values, all heads together.
      width: model width.
      std: standard deviation of the kernels at the start.
      dtype: compute type.
    """

    pattern: str
    block: int
    heads: int
    state: int
    width: int
    std: float
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the projections."""
        self.query = _dense(self.state, self.std, self.dtype)
        self.key = _dense(self.state, self.std, self.dtype)
        self.value = _dense(self.state, self.std, self.dtype)
        self.query_key_value = _dense(3 * self.state, self.std, self.dtype)  # for decoding
        self.out = _dense(self.width, self.std, self.dtype)

    def __call__(self, x: Array) -> Array:
        """All positions at once: [batch, context, width] to the same."""
        mixed = self._attend(self.query(x), self.key(x), self.value(x))
        return self.out(mixed)

    def fill(self, x: Array, known: Array | int) -> tuple[Array, KV]:
        """All positions at once, and the cache of the first `known`."""
        query, key, value = jnp.split(self.query_key_value(x), 3, axis=-1)
        cache = attention.fill(self.pattern, key, value, known, self.block)
        return self.out(self._attend(query, key, value)), cache

    def step(self, x: Array, cache: KV, position: Array | int) -> tuple[Array, KV]:
        """One position: [batch, width] to the same, and the cache with it."""
        query, key, value = jnp.split(self.query_key_value(x), 3, axis=-1)
        cache = attention.remember(self.pattern, cache, key, value, position, self.block)
        query = query.reshape(query.shape[0], self.heads, -1)
        mixed = attention.attend_next(self.pattern, query, cache, position, self.block)
        return self.out(mixed.reshape(x.shape[0], self.state)), cache

    def _attend(self, query: Array, key: Array, value: Array) -> Array:
        shape = (*query.shape[:-1], self.heads, self.state // self.heads)
        mixed = attention.attend(
            self.pattern,
            query.reshape(shape),
            key.reshape(shape),
            value.reshape(shape),
            self.block,
        )
        return mixed.reshape(query.shape)


class MLP(nn.Module):
    """Two linear maps with x * sigmoid(1.702 x) between them."""

    hidden: int
    width: int
    std: float
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the two maps."""
        self.up = _dense(self.hidden, self.std, self.dtype)
        self.down = _dense(self.width, self.std, self.dtype)

    def __call__(self, x: Array) -> Array:
        """[..., width] to the same."""
        x = self.up(x)
        return self.down(x * jax.nn.sigmoid(1.702 * x))


class Layer(nn.Module):
    """Attention and MLP, each after a LayerNorm, added to what came in.

    Attributes:
      residual: factor of what is added (1, or 1 / depth).
      Others as in `Attention` and `MLP`.
    """

    pattern: str
    block: int
    heads: int
    state: int
    hidden: int
    width: int
    std: float
    residual: float = 1.0
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the parts."""
        self.norm_1 = norm(self.dtype)
        self.attention = Attention(
            self.pattern, self.block, self.heads, self.state, self.width, self.std, self.dtype
        )
        self.norm_2 = norm(self.dtype)
        self.mlp = MLP(self.hidden, self.width, self.std, self.dtype)

    def __call__(self, x: Array) -> Array:
        """All positions at once: [batch, context, width] to the same."""
        return self._add(x, self.attention(self.norm_1(x)))

    def fill(self, x: Array, known: Array | int) -> tuple[Array, KV]:
        """All positions at once, and the cache of the first `known`."""
        mixed, cache = self.attention.fill(self.norm_1(x), known)
        return self._add(x, mixed), cache

    def step(self, x: Array, cache: KV, position: Array | int) -> tuple[Array, KV]:
        """One position: [batch, width] to the same, and the cache with it."""
        mixed, cache = self.attention.step(self.norm_1(x), cache, position)
        return self._add(x, mixed), cache

    def _add(self, x: Array, mixed: Array) -> Array:
        added = mixed + self.mlp(self.norm_2(x + mixed))
        return x + (added if self.residual == 1.0 else self.residual * added)


class Period(nn.Module):
    """The layers that a group repeats, in the form that a scan takes."""

    patterns: tuple[str, ...]
    fields: tuple[tuple[str, Any], ...]

    def setup(self) -> None:
        """Names the layers layer_0, layer_1, ..."""
        self.layer = [Layer(pattern=pattern, **dict(self.fields)) for pattern in self.patterns]

    def __call__(self, x: Array) -> tuple[Array, None]:
        """[batch, context, width] to the same, and nothing collected."""
        for layer in self.layer:
            x = layer(x)
        return x, None


class Transformer(nn.Module):
    """A stack of layers over a context of vectors.

    Attributes:
      layout: groups of (patterns, repeats).
      context: positions.
      block: columns of a row.
      heads: attention heads.
      width: model width.
      attention_width: width of queries, keys and values, as a part of `width`.
      mlp_width: hidden width of the MLP, as a multiple of `width`.
      init_scale: the kernels start with a standard deviation of 0.02 times this.
      scale_residual: scale what each layer adds by 1 / depth.
      remat: what the backward pass recomputes: "full", "dots" (all but matrix products), "none".
      dtype: compute type.
    """

    layout: Layout
    context: int
    block: int
    heads: int
    width: int
    attention_width: float = 0.25
    mlp_width: float = 1.0
    init_scale: float = 1.0
    scale_residual: bool = False
    remat: str = "full"
    dtype: str = "float32"

    def setup(self) -> None:
        """Names the groups group_0, ... for training and the layers layer_0, ... for decoding."""
        kinds = patterns(self.layout)
        state = int(self.attention_width * self.width)
        if state % self.heads:
            raise ValueError(
                f"attention is {state} wide (attention_width * width), no multiple of "
                f"heads = {self.heads}: change one of the three"
            )
        for pattern in kinds:
            attention.check(pattern, self.context, self.block)
        fields: dict[str, Any] = dict(
            block=self.block,
            heads=self.heads,
            state=state,
            hidden=int(self.mlp_width * self.width),
            width=self.width,
            std=0.02 * self.init_scale,
            residual=1.0 / len(kinds) if self.scale_residual else 1.0,
            dtype=self.dtype,
        )
        period: Any = Period
        if self.remat != "none":
            if self.remat not in _POLICIES:
                known = ", ".join(["none", *_POLICIES])
                raise ValueError(f"remat = {self.remat!r} is unknown; known: {known}")
            period = nn.remat(Period, prevent_cse=False, policy=_POLICIES[self.remat])
        self.group = [
            nn.scan(
                period, variable_axes={"params": 0}, split_rngs={"params": True}, length=repeats
            )(patterns=tuple(names), fields=tuple(fields.items()))
            for names, repeats in self.layout
        ]
        self.layer = [Layer(pattern=pattern, **fields) for pattern in kinds]

    def __call__(self, x: Array) -> Array:
        """All positions at once, over stacked parameters: [batch, context, width] to the same."""
        for group in self.group:
            x, _ = group(x)
        return x

    def fill(self, x: Array, known: Array | int) -> Cache:
        """The cache of the first `known` positions of x, over per-layer parameters."""
        caches = []
        for layer in self.layer:
            x, cache = layer.fill(x, known)
            caches.append(cache)
        return tuple(caches)

    def step(self, x: Array, cache: Cache, position: Array | int) -> tuple[Array, Cache]:
        """One position over per-layer parameters: [batch, width] to the same, and the cache."""
        caches = []
        for layer, kv in zip(self.layer, cache, strict=True):
            x, kv = layer.step(x, kv, position)
            caches.append(kv)
        return x, tuple(caches)

    def empty(self, batch: int) -> Cache:
        """The cache before the first code."""
        state = int(self.attention_width * self.width)
        return tuple(
            attention.empty(pattern, batch, self.context, self.block, state, self.dtype)
            for pattern in patterns(self.layout)
        )


def unstack(params: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Stacked parameters as per-layer leaves, with query, key and value in one kernel.

    Args:
      params: a transformer's tree, group_{g}/layer_{i}/... with a leading axis of repeats, or a
        tree that holds one as "transformer"; a tree that is unstacked already comes back as it is.
      layout: the groups of the stack.

    Returns:
      The tree with layer_{d}/... for every layer d of the whole stack.
    """
    if "transformer" in params:
        return {**params, "transformer": unstack(params["transformer"], layout)}
    if not any(name.startswith("group_") for name in params):
        return dict(params)
    layers: dict[str, Any] = {}
    for index, (names, repeats) in enumerate(layout):
        for repeat in range(repeats):
            for place in range(len(names)):
                stacked = params[f"group_{index}"][f"layer_{place}"]
                layer = jax.tree.map(lambda leaf, at=repeat: leaf[at], stacked)
                layers[f"layer_{len(layers)}"] = _join(layer)
    return layers


def _join(layer: dict[str, Any]) -> dict[str, Any]:
    parts = dict(layer["attention"])
    three = [parts.pop(name) for name in ("query", "key", "value")]
    joined = {
        leaf: jnp.concatenate([part[leaf] for part in three], axis=-1)
        for leaf in ("kernel", "bias")
    }
    return {**layer, "attention": {**parts, "query_key_value": joined}}


def norm(dtype: str) -> nn.LayerNorm:
    """A LayerNorm whose statistics are float32 whatever the compute type."""
    return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=dtype)


def _dense(features: int, std: float, dtype: str) -> nn.Dense:
    return nn.Dense(features, dtype=dtype, kernel_init=nn.initializers.normal(std))
