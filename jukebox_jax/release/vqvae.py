"""The release's VQ-VAE as ours: names, modules and weights.

Encoders, decoders and codebooks of all levels, of any sizes. Knows how the release names a
residual stack, which the conditioner of an upsampler shares.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jukebox_jax.release import hyperparameters, tensors
from jukebox_jax.release.tensors import CONV, TRANSPOSED_CONV, Tensor
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE, Weights


def convert(
    state: Mapping[str, Any], hps: Mapping[str, Any], *, title: str = "vqvae"
) -> tuple[VQVAE, Weights]:
    """A VQ-VAE of the release as ours.

    Args:
      state: its arrays by name.
      hps: its hyperparameters, by the release's names.
      title: what to call the checkpoint in messages.

    Returns:
      The module, and its weights in float32. The codebooks count each code once, since the
      release keeps no counts.

    Raises:
      ReleaseError: the hyperparameters are incomplete, or the arrays are not of that model.
    """
    model = VQVAE(**hyperparameters.vqvae_fields(hps))
    tree = tensors.convert(names(model), abstract(model), state, title=title)
    codebooks = tuple(
        Codebook(codes=codes, sums=codes, counts=jnp.ones(codes.shape[0]))
        for codes in (jnp.asarray(tree["codebooks"][str(level)]) for level in range(model.levels))
    )
    return model, Weights(params=tree["params"], codebooks=codebooks)


@functools.lru_cache(maxsize=8)  # asked for by every check, and slow to trace
def abstract(model: VQVAE) -> dict[str, Any]:
    """The shapes of all that the release keeps of a VQ-VAE: params and codebooks."""
    codes = jax.ShapeDtypeStruct((model.bins, model.code_width), jnp.float32)
    return {
        "params": vqvae.abstract(model),
        "codebooks": {str(level): codes for level in range(model.levels)},
    }


def tree(weights: Weights) -> dict[str, Any]:
    """Weights in the form of `abstract`."""
    codebooks = {str(level): book.codes for level, book in enumerate(weights.codebooks)}
    return {"params": weights.params, "codebooks": codebooks}


def names(model: VQVAE) -> list[Tensor]:
    """The release's tensors of a VQ-VAE."""
    found = []
    for level, multiplier in enumerate(model.multipliers):
        depth = model.depth * multiplier
        ours, theirs = f"params/encoder_{level}", f"encoders.{level}"
        for block in range(level + 1):
            down = f"{theirs}.level_blocks.{block}.model"
            here = f"{ours}/block_{block}"
            for stage in range(model.downs[block]):
                found += conv(f"{down}.{stage}.0", f"{here}/stage_{stage}/down")
                found += stack(f"{down}.{stage}.1.model", f"{here}/stage_{stage}/stack", depth)
            found += conv(f"{down}.{model.downs[block]}", f"{here}/out")
        ours, theirs = f"params/decoder_{level}", f"decoders.{level}"
        for block in range(level + 1):
            up = f"{theirs}.level_blocks.{block}.model"
            found += up_block(up, f"{ours}/block_{block}", model.downs[block], depth)
        found += conv(f"{theirs}.out", f"{ours}/out")
    for level in range(model.levels):
        found.append(Tensor(f"bottleneck.level_blocks.{level}.k", (f"codebooks/{level}",)))
    return found


def up_block(theirs: str, ours: str, stages: int, depth: int, units: str = "model") -> list[Tensor]:
    """The tensors of a decoder block.

    Args:
      theirs: how their names begin.
      ours: how our paths begin.
      stages: its transposed convolutions.
      depth: residual units of a stage.
      units: how the release calls the units of a stack, "model" or "blocks".
    """
    found = conv(f"{theirs}.0", f"{ours}/in")
    for stage in range(stages):
        here = f"{theirs}.{stage + 1}"
        found += stack(f"{here}.0.{units}", f"{ours}/stage_{stage}/stack", depth)
        found += conv(f"{here}.1", f"{ours}/stage_{stage}/up", TRANSPOSED_CONV)
    return found


def stack(theirs: str, ours: str, depth: int) -> list[Tensor]:
    """The tensors of a residual stack."""
    found = []
    for unit in range(depth):
        found += conv(f"{theirs}.{unit}.model.1", f"{ours}/unit_{unit}/dilated")
        found += conv(f"{theirs}.{unit}.model.3", f"{ours}/unit_{unit}/mix")
    return found


def conv(theirs: str, ours: str, axes: tuple[int, ...] = CONV) -> list[Tensor]:
    """The two tensors of a convolution."""
    return [
        Tensor(f"{theirs}.weight", (f"{ours}/kernel",), axes),
        Tensor(f"{theirs}.bias", (f"{ours}/bias",)),
    ]
