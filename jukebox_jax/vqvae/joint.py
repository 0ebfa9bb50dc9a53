"""The VQ-VAE that this one was chosen over: one autoencoder whose levels are rounded together.

As in VQ-VAE-2. One stack of blocks leads from audio up; the top is rounded first, decoded to the
length of the level below, joined with that level's own vectors, rounded, and so on down to one
audio. Here only to be compared with: it is described by a `VQVAE`, whose sizes mean the same, and
is neither a stage nor sampled from.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.vqvae import coder, convolution, losses, quantizer
from jukebox_jax.vqvae.losses import Bandwidth
from jukebox_jax.vqvae.module import VQVAE, Weights
from jukebox_jax.vqvae.quantizer import Codebook, Tally

Params = Mapping[str, Any]


class Joint(nn.Module):
    """One encoder and one decoder for all levels.

    Attributes: those of `VQVAE`; `widths` and `depths` are of each level, and `stack` is what all
    stacks share, as pairs.
    """

    downs: tuple[int, ...]
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    code_width: int
    stack: tuple[tuple[str, Any], ...]

    @nn.compact
    def __call__(
        self, audio: Array, books: tuple[Codebook, ...] | None, finest: int = 0
    ) -> tuple[Array, tuple[Array, ...], tuple[Array, ...]]:
        """Audio to codes and back.

        Args:
          audio: f32[batch, samples, 1].
          books: a codebook for each level; None to round nothing.
          finest: zeros stand for the codes of levels below this one.

        Returns:
          Audio, f32[batch, samples, 1]; of each level, finest first, vectors f32[batch, length,
          code_width] and codes i32[batch, length], none without codebooks.
        """
        stack, levels = dict(self.stack), range(len(self.downs))
        heights, x = [], audio
        for level in levels:
            sizes = (self.widths[level], self.code_width, self.depths[level])
            steps = {"stages": self.downs[level], "stride": self.strides[level]}
            x = coder.DownBlock(*sizes, **steps, **stack, name=f"down_{level}")(x)
            heights.append(x.astype(jnp.float32))
        vectors: list[Array] = []
        codes: list[Array] = []
        out = convolution.Convolution(self.code_width, 1, 3, name="out").arrays()
        above: Array | None = None  # what the levels above have decoded, at this one's length
        for level in reversed(levels):
            own = heights[level]
            if above is not None:
                both = jnp.concatenate([own, above], axis=-1)
                merge = convolution.Convolution(
                    2 * self.code_width, self.code_width, 1, name=f"merge_{level}"
                )
                own = merge(both)
            vectors.insert(0, own)
            if books is not None:
                codes.insert(0, quantizer.nearest(books[level], own))
                own = quantizer.pass_through(own, quantizer.lookup(books[level], codes[0]))
            if level < finest:
                own = jnp.zeros_like(own)
            x = own if above is None else jnp.concatenate([own, above], axis=-1)
            sizes = (self.widths[level], self.code_width, self.depths[level])
            steps = {"stages": self.downs[level], "stride": self.strides[level]}
            up = coder.UpBlock(*sizes, **steps, **stack, name=f"up_{level}")
            above = up(x, None if level else out).astype(jnp.float32)
        assert above is not None  # there is a level
        return above, tuple(vectors), tuple(codes)


def abstract(model: VQVAE) -> dict[str, Any]:
    """Shapes and types of the parameters, without making any."""
    audio = jax.ShapeDtypeStruct((1, model.hops[-1], 1), jnp.float32)
    made = functools.partial(_module(model).init, books=None)
    return jax.eval_shape(made, jax.random.key(0), audio)["params"]


def init(model: VQVAE, key: Array) -> dict[str, Any]:
    """Parameters at the start, float32."""
    return convolution.fill(abstract(model), key)


@functools.partial(jax.jit, static_argnames="model")
def start(model: VQVAE, params: Params, audio: Array, key: Array) -> tuple[Codebook, ...]:
    """Codebooks of the vectors of the first batch, f32[batch, samples, 1], before any rounding."""
    _, vectors, _ = _module(model).apply({"params": params}, audio, None)
    keys = jax.random.split(key, len(vectors))
    return tuple(
        quantizer.start(one, model.bins, own) for one, own in zip(vectors, keys, strict=True)
    )


@functools.partial(jax.jit, static_argnames=("model", "level"))
def through(
    model: VQVAE, weights: Weights, audio: Array, level: int
) -> tuple[Array, tuple[Array, ...]]:
    """Audio as the codes of one level and of those above give it back.

    Args:
      model: the sizes.
      weights: what was learnt.
      audio: f32[batch, samples, 1]; samples are a multiple of the largest hop.
      level: the finest whose codes are decoded; zeros stand for those below.

    Returns:
      f32[batch, samples, 1], and codes of all levels, finest first, i32[batch, length].
    """
    module = _module(model)
    output, _, codes = module.apply(
        {"params": weights.params}, audio, weights.codebooks, finest=level
    )
    return output, codes


def loss(
    model: VQVAE,
    params: Params,
    codebooks: tuple[Codebook, ...],
    audio: Array,
    key: Array,
    *,
    bandwidth: Bandwidth,
) -> tuple[Array, tuple[tuple[Tally, ...], dict[str, Array]]]:
    """What training makes small: the terms of `vqvae.loss` with its weights, of the one output.

    Args:
      model: the sizes and the weights of the terms.
      params: the parameters.
      codebooks: one for each level.
      audio: f32[batch, samples, 1], the whole batch.
      key: where codes that are not used restart.
      bandwidth: the size of the training audio.

    Returns:
      The loss, f32[], and (a tally for each level, metrics by name).
    """
    module = _module(model)
    output, vectors, codes = module.apply({"params": params}, audio, codebooks)
    tallies, commit = [], jnp.float32(0.0)
    for level, book in enumerate(codebooks):
        rounded = jax.lax.stop_gradient(quantizer.lookup(book, codes[level]))
        commit += jnp.mean(jnp.square(vectors[level] - rounded))
        own = jax.random.fold_in(key, level)
        tallies.append(quantizer.count(vectors[level], codes[level], own, bins=model.bins))
    found = losses.distances(audio, output[:, None], bandwidth, model.linf_count)
    total = model.commit * commit
    for name in ("l2", "l1", "linf", "spectral", "multispectral"):
        if weight := getattr(model, name):
            total += weight * found[name][0]
    return total, (tuple(tallies), {name: value[0] for name, value in found.items()})


def _module(model: VQVAE) -> Joint:
    names = "dilation_growth dilation_cycle conv_multiplier scale_residual dtype".split()
    return Joint(
        model.downs,
        model.strides,
        tuple(model.width * one for one in model.multipliers),
        tuple(model.depth * one for one in model.multipliers),
        model.code_width,
        tuple((name, getattr(model, name)) for name in names),
    )
