"""Layers stacked by a layout, and what all of them remember while they decode.

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
import numpy as np
from jax import Array

from jukebox_jax import sharding
from jukebox_jax.prior import attention
from jukebox_jax.prior import cache as caches
from jukebox_jax.prior.attention import Grid
from jukebox_jax.prior.cache import KV
from jukebox_jax.prior.layer import Layer

Layout = tuple[tuple[tuple[str, ...], int], ...]
Cache = tuple[KV, ...]
"""What all layers remember, one `KV` a layer, first layer first."""

_UNROLLED = 4
"""Periods in a step of a scan that recomputes nothing, whose every activation would be copied into
a stack, and out of it again."""

_POLICIES: dict[str, Any] = {
    "full": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    **{
        name: getattr(jax.checkpoint_policies, name)
        for name in ("dots_with_no_batch_dims_saveable", "dots_saveable", "nothing_saveable")
    },
}


def patterns(layout: Layout) -> tuple[str, ...]:
    """The pattern of every layer, first layer first."""
    return tuple(
        pattern for period, repeats in layout for _ in range(repeats) for pattern in period
    )


class Period(nn.Module):
    """The layers that a group repeats, in the form that a scan takes."""

    patterns: tuple[str, ...]
    fields: tuple[tuple[str, Any], ...]

    def setup(self) -> None:
        """Names the layers layer_0, layer_1, ..."""
        self.layer = [Layer(pattern=pattern, **dict(self.fields)) for pattern in self.patterns]

    def __call__(self, x: Array, memory: Array | None) -> tuple[Array, None]:
        """[batch, context, width] to the same, and nothing collected."""
        for layer in self.layer:
            x = layer(x, memory)
        return x, None


class Transformer(nn.Module):
    """A stack of layers over a context of vectors.

    Attributes:
      layout: groups of (patterns, repeats).
      context: positions.
      block: columns of a row.
      heads: attention heads.
      width: model width.
      spread: positions that stand for a row under "summary_spread".
      lyrics: positions at the start of the context that hold lyrics, for "prefix".
      attention_width: width of queries, keys and values, as a part of `width`.
      mlp_width: hidden width of the MLP, as a multiple of `width`.
      init_scale: the kernels start with a standard deviation of 0.02 times this.
      scale_residual: scale what each layer adds by 1 / depth.
      remat: what the backward pass recomputes of each period: "full", all; "dots", all but the
        products with kernels; "none"; or what a policy of that name of jax.checkpoint_policies
        leaves: dots_saveable keeps scores as well.
      dtype: compute type.
    """

    layout: Layout
    context: int
    block: int
    heads: int
    width: int
    spread: int = 1
    lyrics: int = 0
    attention_width: float = 0.25
    mlp_width: float = 1.0
    init_scale: float = 1.0
    scale_residual: bool = False
    remat: str = "full"
    dtype: str = "float32"

    @property
    def grid(self) -> Grid:
        """How the context is read."""
        return Grid(self.context, self.block, self.spread, self.lyrics)

    @property
    def state(self) -> int:
        """Width of queries, keys and values, all heads together."""
        return int(self.attention_width * self.width)

    def setup(self) -> None:
        """Names the groups group_0, ... for training and the layers layer_0, ... for decoding."""
        kinds = patterns(self.layout)
        if self.state % self.heads:
            raise ValueError(
                f"attention is {self.state} wide (attention_width * width), no multiple of "
                f"heads = {self.heads}: change one of the three"
            )
        for pattern in kinds:
            attention.check(pattern)
        fields: dict[str, Any] = dict(
            grid=self.grid,
            heads=self.heads,
            state=self.state,
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
                period,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                in_axes=nn.broadcast,
                length=repeats,
                unroll=_UNROLLED if self.remat == "none" else 1,
            )(patterns=tuple(names), fields=tuple(fields.items()))
            for names, repeats in self.layout
        ]
        self.layer = [Layer(pattern=pattern, **fields) for pattern in kinds]

    def __call__(self, x: Array, memory: Array | None = None) -> Array:
        """All positions at once, over parameters in either form.

        Args:
          x: [batch, context, width].
          memory: [batch, tokens, any width], for "memory" layers.

        Returns:
          [batch, context, width].
        """
        if self.has_variable("params", "layer_0"):
            for layer in self.layer:
                x, _ = layer.fill(x, 0, memory)
            return x
        x = sharding.by_song(x)
        for group in self.group:
            x, _ = group(x, memory)
        return x

    def stages(self, x: Array, memory: Array | None = None) -> tuple[Array, ...]:
        """What each group makes of all positions, over stacked parameters."""
        made = []
        for group in self.group:
            x, _ = group(x, memory)
            made.append(x)
        return tuple(made)

    def fill(self, x: Array, known: Array | int, memory: Array | None = None) -> Cache:
        """The cache of the first `known` positions, over per-layer parameters.

        Args:
          x: [batch, length, width], whole rows from the first on.
          known: how many positions count.
          memory: as above.
        """
        kept = []
        for layer in self.layer:
            x, cache = layer.fill(x, known, memory)
            kept.append(cache)
        return tuple(kept)

    def step(self, x: Array, cache: Cache, position: Array | int) -> tuple[Array, Cache]:
        """One position over per-layer parameters: [batch, width] to the same, and the cache."""
        kept = []
        for layer, kv in zip(self.layer, cache, strict=True):
            x, kv = layer.step(x, kv, position)
            kept.append(kv)
        return x, tuple(kept)

    def empty(self, batch: int, tokens: int = 0) -> Cache:
        """The cache before the first position, with a memory of so many tokens, all zeros."""
        return tuple(
            caches.empty(pattern, batch, self.grid, self.state, self.dtype, tokens)
            for pattern in patterns(self.layout)
        )

    def weights(self, x: Array, index: int, memory: Array | None = None) -> Array:
        """What layer `index` attends to, over per-layer parameters; later layers do not run.

        Returns:
          f32[batch, heads, context, length], over the memory's tokens or `attention.places`.
        """
        for layer in self.layer[:index]:
            x, _ = layer.fill(x, 0, memory)
        return self.layer[index].weights(x, memory)


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
            for place, pattern in enumerate(names):
                stacked = params[f"group_{index}"][f"layer_{place}"]
                layer = jax.tree.map(lambda leaf, at=repeat: leaf[at], stacked)
                layers[f"layer_{len(layers)}"] = layer if pattern == "memory" else _join(layer)
    return layers


def _join(layer: dict[str, Any]) -> dict[str, Any]:
    parts = dict(layer["attention"])
    three = [parts.pop(name) for name in ("query", "key", "value")]
    on_host = all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(three))
    joined = {
        leaf: (np if on_host else jnp).concatenate([part[leaf] for part in three], axis=-1)
        for leaf in ("kernel", "bias")
    }
    return {**layer, "attention": {**parts, "query_key_value": joined}}
