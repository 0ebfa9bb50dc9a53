"""The pieces of work by which speed is judged: of the VQ-VAE, of priors in training and sampling.

Each is a `timing.Work` of random weights and inputs at a named size. The sizes that carry no size
in their name (`vqvae_encode` and so on) are fixed for comparisons with other implementations;
`decode_<size>_b<batch>` and `attention_c<context>` are families.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.report.timing import Work
from jukebox_jax.sampling import generate
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE

RATE = 44100
_SAMPLES = 131072
_GIVEN, _DRAWN = 1024, 64  # codes of the sampling works

_SPARSE = ("row", "column", "previous")
SIZES: Mapping[str, Mapping[str, Any]] = {
    "10m": dict(context=2048, block=64, width=512, layout=((_SPARSE, 4),)),
    "150m": dict(context=8192, block=128, width=1024, layout=((_SPARSE, 16),)),
    "1b": dict(context=8192, block=128, width=1920, layout=((_SPARSE, 24),)),
    "5b": dict(context=8192, block=128, width=4800, heads=8, layout=((_SPARSE, 24),)),
}
"""Priors that are timed while they sample, without labels, by name."""

FAMILIES = ("decode_<size>_b<batch>", "attention_c<context>")


def find(name: str, dtype: str = "float32") -> Work:
    """A work by its name.

    Args:
      name: one of `NAMES`, or of a family.
      dtype: compute type of the models.

    Raises:
      ValueError: there is none of that name.
    """
    if name in _FIXED:
        return _FIXED[name](name, dtype)
    if found := re.fullmatch(r"decode_([a-z0-9]+)_b(\d+)", name):
        if found[1] in SIZES:
            return _decode(found[1], int(found[2]), name, dtype)
    if found := re.fullmatch(r"attention_c(\d+)", name):
        return _attention(int(found[1]), name, dtype)
    known = ", ".join([*NAMES, *FAMILIES])
    raise ValueError(f"no work is called {name!r}; known: {known}, with sizes {', '.join(SIZES)}")


def _vqvae(dtype: str) -> tuple[VQVAE, Any]:
    model = VQVAE(dtype=dtype)
    params = _random(vqvae.abstract(model))
    codes = [_normal((model.bins, model.code_width), 1.0) for _ in model.downs]
    books = vqvae.codebooks_from(model, codes, _SAMPLES)
    return model, jax.device_put(vqvae.Weights(params=params, codebooks=books))


def _vqvae_encode(name: str, dtype: str) -> Work:
    def prepare() -> Callable[[], Any]:
        model, weights = _vqvae(dtype)
        audio = _audio(1, _SAMPLES)
        return lambda: vqvae.encode(model, weights, audio)

    what = f"VQ-VAE of the release, audio (1, {_SAMPLES}, 1) to codes of all levels"
    second = (10.80 + 1.68 + 1.73 + 1.45 + 0.36 + 0.09) * 1e9
    length = _SAMPLES / RATE
    return Work(name, what, prepare, operations=second * length, seconds=length)


def _vqvae_decode(name: str, dtype: str) -> Work:
    def prepare() -> Callable[[], Any]:
        model, weights = _vqvae(dtype)
        codes = _codes(1, _SAMPLES // model.hops[0], model.bins)
        return lambda: vqvae.decode(model, weights, codes, 0)

    what = f"VQ-VAE of the release, codes (1, {_SAMPLES // 8}) of level 0 to audio"
    length = _SAMPLES / RATE
    return Work(name, what, prepare, operations=11.53e9 * length, seconds=length)


def _vqvae_train(name: str, dtype: str) -> Work:
    def prepare() -> Callable[[], Any]:
        model, weights = _vqvae(dtype)
        audio, key = _audio(1, _SAMPLES), jax.random.key(0)
        gradients = jax.jit(jax.value_and_grad(functools.partial(vqvae.loss, model), has_aux=True))
        return lambda: gradients(weights.params, weights.codebooks, audio, key)

    what = f"VQ-VAE of the release, audio (1, {_SAMPLES}, 1): loss, codebooks, gradients"
    length = _SAMPLES / RATE
    return Work(name, what, prepare, operations=95e9 * length, seconds=length)


def _prior_train(name: str, dtype: str) -> Work:
    batch, layers, width, context = 2, 12, 512, 2048
    model = Prior(
        context=context,
        block=64,
        width=width,
        layout=((_SPARSE, layers // 3),),
        remat="none",
        dtype=dtype,
    )
    what = f"width {width}, {layers} layers, context {context}, batch {batch}: loss, gradients"
    operations = 6.0 * (3 * layers * width**2 + model.bins * width) * batch * context
    return Work(name, what, lambda: _gradients(model, batch), operations=operations)


def _attention(context: int, name: str, dtype: str) -> Work:
    model = Prior(context=context, block=64, bins=64, width=64, layout=((_SPARSE, 1),), dtype=dtype)
    what = f"width 64, 3 layers, block 64, context {context}: loss, gradients"
    return Work(name, what, lambda: _gradients(model, 1))


def _gradients(model: Prior, batch: int) -> Callable[[], Any]:
    params = jax.device_put(_random(prior.abstract(model)))
    codes = _codes(batch, model.context, model.bins)
    gradients = jax.jit(jax.value_and_grad(lambda params: prior.loss(model, params, codes, {})[0]))
    return lambda: gradients(params)


def _model_48(dtype: str) -> Prior:
    return Prior(**SIZES["150m"], dtype=dtype)


def _prefill(name: str, dtype: str) -> Work:
    model = _model_48(dtype)

    def prepare() -> Callable[[], Any]:
        params, conditioning, keys, window = _ready(model, 1)
        read = generate.reading(model, _GIVEN)

        def call() -> Any:
            state = generate.begin(model, params, window, _GIVEN, conditioning, read=read)
            return generate.advance(model, params, state, _GIVEN + 1, conditioning, keys).window

        return call

    what = f"width 1024, 48 layers, context 8192: {_GIVEN} codes read, 1 drawn"
    return Work(name, what, prepare, operations=2.0 * _matrices(model) * _GIVEN)


def _decode(size: str, batch: int, name: str, dtype: str) -> Work:
    model = Prior(**SIZES[size], dtype=dtype)

    def prepare() -> Callable[[], Any]:
        params, conditioning, keys, window = _ready(model, batch)
        read = generate.reading(model, _GIVEN)
        first = generate.begin(model, params, window, _GIVEN, conditioning, read=read)
        held = [first]

        def call() -> Any:
            state, until = held[0], _GIVEN + _DRAWN  # the same codes again and again
            state = dataclasses.replace(state, position=jnp.asarray(_GIVEN, jnp.int32))
            held[0] = generate.advance(model, params, state, until, conditioning, keys)
            return held[0].position

        return call

    item = jnp.dtype(dtype).itemsize
    matrices = _matrices(model)
    what = (
        f"width {model.width}, {_layers(model)} layers, context {model.context}, batch {batch}: "
        f"a step of a code each, after {_GIVEN} codes"
    )
    return Work(
        name,
        what,
        prepare,
        steps=_DRAWN,
        operations=2.0 * matrices * batch,
        bytes=float(item * matrices),
        seconds=batch * 128 / RATE,
    )


def _ready(model: Prior, batch: int) -> tuple[Any, Any, Any, Any]:
    weights = _random(prior.abstract(model))
    params = jax.device_put(prior.for_decoding(model, weights, jax.default_backend()))
    conditioning = prior.condition(model, params, {}, None)
    keys = jax.vmap(jax.random.key)(jnp.arange(batch))
    return params, conditioning, keys, _codes(batch, model.context, model.bins)


def _layers(model: Prior) -> int:
    return sum(len(period) * repeats for period, repeats in model.layout)


def _matrices(model: Prior) -> int:
    """Numbers in the matrices that one step multiplies with: 3 * width^2 a layer, and logits."""
    attention = 4 * model.attention_width + 2 * model.mlp_width
    return int(_layers(model) * attention * model.width**2) + model.bins * model.width


def _random(tree: Any) -> Any:
    """Small random numbers in place of shapes; the same for every call."""
    rng = np.random.default_rng(0)

    def draw(leaf: Any) -> np.ndarray:
        fan = leaf.shape[-2] if len(leaf.shape) > 1 else 1
        return rng.standard_normal(leaf.shape, np.float32) / math.sqrt(4 * fan)

    return jax.tree.map(draw, tree)


def _normal(shape: tuple[int, ...], std: float) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, np.float32) * std


def _audio(batch: int, samples: int) -> Any:
    return jnp.asarray(0.1 * _normal((batch, samples, 1), 1.0))


def _codes(batch: int, length: int, bins: int) -> Any:
    return jnp.asarray(np.random.default_rng(2).integers(0, bins, (batch, length)), jnp.int32)


_FIXED: Mapping[str, Callable[[str, str], Work]] = {
    "vqvae_encode": _vqvae_encode,
    "vqvae_decode": _vqvae_decode,
    "vqvae_train": _vqvae_train,
    "prior_train": _prior_train,
    "prior_prefill_b1": _prefill,
    "prior_decode_b1": functools.partial(_decode, "150m", 1),
    "prior_decode_b8": functools.partial(_decode, "150m", 8),
}
NAMES = tuple(_FIXED)
"""The works of fixed size."""
