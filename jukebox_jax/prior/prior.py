"""One level's model of codes: each code given those before it and what it is conditioned on.

A `Prior` describes shapes; the functions below it take it first, then its parameters, a plain
tree. `logits` and `loss` see a whole context at once, for training; `prefill` and `step` go code
by code with a cache, for sampling. A top prior and an upsampler differ in their signals alone.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior import conditioning as doors
from jukebox_jax.prior import entropy, linear, transformer
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.prior.module import Prior as Prior
from jukebox_jax.prior.module import run
from jukebox_jax.prior.transformer import Cache

Params = Mapping[str, Any]


def init(model: Prior, key: Array) -> dict[str, Any]:
    """Parameters at the start, float32; may be traced, as by jax.eval_shape."""
    labels, above = doors.example(model.signals, model.context)
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
    return run(model, params, labels, codes_above, method="condition")


def logits(model: Prior, params: Params, codes: Array, conditioning: Conditioning) -> Array:
    """Logits of each code given those before it.

    Args:
      model: the prior.
      params: its parameters, stacked, unstacked or quantised.
      codes: i32[batch, context].
      conditioning: what `condition` gave.

    Returns:
      f32[batch, context, shift + bins], see `step`.
    """
    return run(model, params, codes, conditioning, method="forward")


def loss(
    model: Prior,
    params: Params,
    codes: Array,
    labels: Mapping[str, Array],
    codes_above: Array | None = None,
    key: Array | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Cross-entropy in bits a code; with lyrics, weighted with that of their tokens.

    Args:
      model: the prior.
      params: its parameters, stacked.
      codes: i32[batch, context].
      labels: as in `condition`.
      codes_above: as in `condition`.
      key: hides labels of a part of the batch, as model.label_dropout says; None hides none.

    Returns:
      The mean over all codes, f32[], and metrics by name: bits_per_code and, with lyrics,
      lyric_bits_per_token. With lyrics the loss is the mean over codes and tokens together, of
      which tokens count by the signal's loss_fraction.
    """
    if model.label_dropout and key is not None:
        labels = doors.drop(model.signals, labels, model.label_dropout, key)
    lyrics = doors.lyrics_of(model.signals)
    tokens = labels[lyrics[0]] if lyrics else None
    conditioning = condition(model, params, labels, codes_above)
    bits, lyric_bits = run(model, params, codes, conditioning, tokens, method="bits")
    if lyrics is None:
        return bits, {"bits_per_code": bits}
    count, fraction = lyrics[1].tokens, lyrics[1].loss_fraction
    total = (fraction * count * lyric_bits + model.context * bits) / (count + model.context)
    return total, {"bits_per_code": bits, "lyric_bits_per_token": lyric_bits}


def unstack(model: Prior, params: Params) -> dict[str, Any]:
    """Parameters in the form that decoding reads: a leaf a layer, cast to the compute type.

    The functions below accept both forms; doing it once outside a compiled function saves the
    copy in each call.
    """
    flat = transformer.unstack(params, model.layout)
    if model.dtype == "float32":
        return flat
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf if _stays(path, leaf) else leaf.astype(jnp.dtype(model.dtype)),
        flat,
    )


def for_decoding(model: Prior, params: Params, platform: str) -> dict[str, Any]:
    """Parameters as `unstack` gives them, laid out as a platform reads them fastest.

    Args:
      model: the prior.
      params: its parameters, stacked, unstacked or quantised.
      platform: where they will lie: "cpu" (see `linear.turn`), "gpu", "tpu".
    """
    flat = unstack(model, params)
    return linear.turn(flat) if platform == "cpu" else flat


def bits(
    model: Prior,
    params: Params,
    codes: Array,
    labels: Mapping[str, Array],
    codes_above: Array | None = None,
) -> Array:
    """Cross-entropy in bits a code, f32[], of parameters in either form; as `loss` gives it.

    What half precision or whole numbers cost is read from this, with parameters that were made
    for decoding.

    Args:
      model: the prior.
      params: its parameters, stacked, unstacked or quantised.
      codes: i32[batch, context].
      labels: as in `condition`.
      codes_above: as in `condition`.
    """
    params = unstack(model, params)
    conditioning = condition(model, params, labels, codes_above)
    return jnp.mean(bits_of_each(model, params, codes, conditioning))


def bits_of_each(model: Prior, params: Params, codes: Array, conditioning: Conditioning) -> Array:
    """The bits of each code given those before it, f32[batch, context]; arguments as `logits`."""
    found = logits(model, params, codes, conditioning)
    return entropy.of_logits(found, codes + model.shift)


def prefill(
    model: Prior,
    params: Params,
    codes: Array,
    known: Array | int,
    conditioning: Conditioning,
) -> Cache:
    """The cache as if positions 0 to `known` - 1 had been stepped, in one pass.

    It also holds what is read of lyrics, so decoding starts here even where no code is known.

    Args:
      model: the prior.
      params: its parameters, stacked or not.
      codes: i32[batch, context], as in `step`; from `known` on they do not matter. Or only the
        first of them, as many as fill whole rows with the lyrics in front: no others are read.
      known: how many count, from 0 to as many as are given; may be traced.
      conditioning: what `condition` gave.
    """
    params = unstack(model, params)
    return run(model, params, codes, known, conditioning, method="fill")


def empty(model: Prior, batch: int) -> Cache:
    """The cache of `batch` songs before anything is read, all zeros.

    It is where decoding may start without `prefill` if the model reads no lyrics; if it does, this
    gives the cache's shapes alone.
    """
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
      code: i32[batch], the code at position - 1; ignored at 0. Where lyrics share the codes'
        vocabulary, it may be one of the lyric tokens, -shift to -1 (see Returns).
      conditioning: what `condition` gave.
      cache: what earlier positions left; read up to position - 1.
      position: from 0 to context - 1; may be traced.

    Returns:
      f32[batch, shift + bins] and the cache that remembers this position. Entry i is the code
      i - shift: negative for a lyric token, where lyrics share the codes' vocabulary; otherwise
      model.shift is 0.
    """
    params = unstack(model, params)
    return run(model, params, code, conditioning, cache, position, method="next")


def attention_weights(
    model: Prior, params: Params, codes: Array, conditioning: Conditioning, layer: int
) -> Array:
    """How much each code attends to each lyric token in one layer, for aligning the two.

    Only the layers up to that one are computed. The weights are those of the softmax over all
    that the layer sees, so those of the tokens may sum to less than 1.

    Args:
      model: the prior; static where this is compiled.
      params: its parameters, stacked or not.
      codes: i32[batch, context].
      conditioning: what `condition` gave.
      layer: its index in the whole stack, from 0; static where this is compiled.

    Returns:
      f32[batch, heads, context, tokens].

    Raises:
      ValueError: the layer does not attend to lyrics.
    """
    kinds = transformer.patterns(model.layout)
    fit = [index for index, kind in enumerate(kinds) if kind in ("memory", "prefix")]
    if layer not in fit:
        raise ValueError(f"layer {layer} does not attend to lyrics; those that do: {fit}")
    params = unstack(model, params)
    return run(model, params, codes, conditioning, layer, method="weights")


def _stays(path: tuple[Any, ...], leaf: Any) -> bool:
    """Whether a parameter keeps its type: a norm's, and quantised kernels with their scales."""
    names = [str(getattr(entry, "key", "")) for entry in path]
    norm = any(name.startswith("norm") for name in names)
    return norm or names[-1] == "scale" or leaf.dtype == jnp.int8
