"""The release's priors and upsamplers as ours: names, modules and parameters.

One list of names serves top priors with and without labels, upsamplers, and both forms of lyrics:
which tensors there are follows from the module's fields and signals.
"""

import functools
from collections.abc import Mapping
from typing import Any

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, Timing
from jukebox_jax.prior.prior import Prior
from jukebox_jax.prior.transformer import Layout
from jukebox_jax.release import hyperparameters, tensors
from jukebox_jax.release.tensors import LINEAR, ReleaseError, Tensor
from jukebox_jax.release.vqvae import up_block
from jukebox_jax.vqvae.vqvae import VQVAE

_LABELS = {"artist": "y_emb.artist_emb", "genre": "y_emb.bow_genre_emb"}
_TIMES = {
    "total": "y_emb.total_length_emb",
    "absolute": "y_emb.absolute_pos_emb",
    "relative": "y_emb.relative_pos_emb",
}


def convert(
    state: Mapping[str, Any],
    hps: Mapping[str, Any],
    vqvae: VQVAE,
    *,
    dtype: str = "float32",
    title: str = "prior",
) -> tuple[Prior, dict[str, Any]]:
    """A prior or an upsampler of the release as ours.

    Args:
      state: its arrays by name.
      hps: its hyperparameters, by the release's names.
      vqvae: the VQ-VAE whose codes it models.
      dtype: what the prior computes in and keeps kernels and embeddings in: "float32", "float16"
        or "bfloat16". Biases and norms stay float32.
      title: what to call the checkpoint in messages.

    Returns:
      The module and its parameters, stacked as for training.

    Raises:
      ReleaseError: the hyperparameters do not fit together, or the arrays are not of that model.
    """
    model = Prior(**hyperparameters.prior_fields(hps, vqvae), dtype=dtype)
    return model, tensors.convert(names(model), abstract(model), state, dtype=dtype, title=title)


@functools.lru_cache(maxsize=8)  # asked for by every check, and slow to trace
def abstract(model: Prior) -> dict[str, Any]:
    """The shapes of a prior's parameters.

    Raises:
      ReleaseError: the fields do not fit together.
    """
    try:
        return prior.abstract(model)
    except ValueError as error:
        raise ReleaseError(f"hps: {error}") from error


def names(model: Prior) -> list[Tensor]:
    """The release's tensors of a prior.

    Raises:
      ReleaseError: the release has no such signal.
    """
    found = [
        Tensor("prior.x_emb.weight", ("codes/embedding",)),
        Tensor("prior.pos_emb.pos_emb", ("positions/embedding",)),
    ]
    for name, signal in model.signals:
        found += _signal(name, signal)
    if not any(signal.door == "start" for _, signal in model.signals):
        found.append(Tensor("prior.start_token", ("start/embedding",)))
    found += stack("prior.transformer", "transformer", model.layout)
    if model.tied:
        found.append(Tensor("prior.x_out.weight", ("codes/embedding",), again=True))
    else:
        found.append(Tensor("prior.x_out.weight", ("logits/kernel",), LINEAR))
    if isinstance(model.lyrics, Lyrics):
        found.append(Tensor("prime_x_out.weight", ("lyric_logits/kernel",), LINEAR))
    return found


def _signal(name: str, signal: Any) -> list[Tensor]:
    """The tensors that embed a signal."""
    ours = f"conditioning/{name}"
    if isinstance(signal, Label):
        if name not in _LABELS:
            raise ReleaseError(f"the release has no label {name!r}, only {', '.join(_LABELS)}")
        return [Tensor(f"{_LABELS[name]}.emb.weight", (f"{ours}/rows/embedding",))]
    if isinstance(signal, Timing):
        return [
            Tensor(f"{theirs}.emb.weight", (f"{ours}/{table}/embedding",))
            for table, theirs in _TIMES.items()
        ]
    if isinstance(signal, Codes):
        theirs = "conditioner_blocks.0"
        return [
            Tensor(f"{theirs}.x_emb.weight", (f"{ours}/codes/embedding",)),
            *up_block(f"{theirs}.cond.model", f"{ours}/up", signal.downs, signal.depth, "blocks"),
            *_norm(f"{theirs}.ln", f"{ours}/norm"),
        ]
    if isinstance(signal, Lyrics):
        return [
            Tensor("prime_prior.start_token", (f"{ours}/start/embedding",)),
            Tensor("prime_prior.x_emb.weight", (f"{ours}/tokens/embedding",)),
            Tensor("prime_prior.pos_emb.pos_emb", (f"{ours}/positions/embedding",)),
            *stack("prime_prior.transformer", f"{ours}/transformer", signal.layout),
            *_linear("prime_state_proj", f"{ours}/out"),
            *_norm("prime_state_ln", f"{ours}/norm"),
        ]
    return []  # lyrics before the codes are read with the codes' own tables


def stack(theirs: str, ours: str, layout: Layout) -> list[Tensor]:
    """The tensors of a stack of layers.

    Args:
      theirs: how their names begin.
      ours: how our paths begin.
      layout: our groups, whose layers lie in the release one after the other.
    """
    found: list[Tensor] = []
    depth = 0
    for index, (period, repeats) in enumerate(layout):
        for repeat in range(repeats):
            for place, pattern in enumerate(period):
                here = f"{ours}/group_{index}/layer_{place}"
                found += _layer(f"{theirs}._attn_mods.{depth}", here, pattern, repeat)
                depth += 1
    return found


def _layer(theirs: str, ours: str, pattern: str, repeat: int) -> list[Tensor]:
    into, attention = f"{theirs}.attn", f"{ours}/attention"
    three = [f"{attention}/{name}" for name in ("query", "key", "value")]
    if pattern == "memory":
        found = _linear(f"{into}.c_attn", *three[:1], repeat=repeat)
        found += _linear(f"{into}.c_enc_kv", *three[1:], repeat=repeat)
    else:
        found = _linear(f"{into}.c_attn", *three, repeat=repeat)
    found += _linear(f"{into}.c_proj", f"{attention}/out", repeat=repeat)
    found += _norm(f"{theirs}.ln_0", f"{ours}/norm_1", repeat)
    found += _linear(f"{theirs}.mlp.c_fc", f"{ours}/mlp/up", repeat=repeat)
    found += _linear(f"{theirs}.mlp.c_proj", f"{ours}/mlp/down", repeat=repeat)
    return [*found, *_norm(f"{theirs}.ln_1", f"{ours}/norm_2", repeat)]


def _linear(theirs: str, *ours: str, repeat: int | None = None) -> list[Tensor]:
    """The two tensors of a linear map, which lie side by side for several of ours."""
    return [
        Tensor(f"{theirs}.{short}", tuple(f"{path}/{leaf}" for path in ours), repeat=repeat)
        for short, leaf in (("w", "kernel"), ("b", "bias"))
    ]


def _norm(theirs: str, ours: str, repeat: int | None = None) -> list[Tensor]:
    return [
        Tensor(f"{theirs}.{long}", (f"{ours}/{leaf}",), repeat=repeat)
        for long, leaf in (("weight", "scale"), ("bias", "bias"))
    ]
