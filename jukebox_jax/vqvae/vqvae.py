"""All levels together: audio to codes, codes to audio, and the loss that trains it.

Each level is an autoencoder of its own, with its own codebook, and shares no weight with another.
The functions take a `VQVAE`, which describes shapes, then its parameters, a plain tree, and its
codebooks, plain values that go in and come out.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.vqvae import convolution, losses, pieces, quantizer
from jukebox_jax.vqvae.losses import Bandwidth
from jukebox_jax.vqvae.module import VQVAE, Weights
from jukebox_jax.vqvae.quantizer import Codebook, Tally

__all__ = ["VQVAE", "Bandwidth", "Codebook", "Weights", "abstract", "codebooks_from", "decode"]
__all__ += ["decode_long", "decode_pieces", "encode", "encode_long", "init", "loss", "start"]

Params = Mapping[str, Any]

_UNMEASURED = Bandwidth()


def init(model: VQVAE, key: Array) -> dict[str, Any]:
    """Parameters at the start, float32; may be traced, as by jax.eval_shape."""
    return convolution.fill(abstract(model), key)


def abstract(model: VQVAE) -> dict[str, Any]:
    """Shapes and types of the parameters, without making any."""
    audio = jax.ShapeDtypeStruct((1, model.hops[-1], 1), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), audio)["params"]


@functools.partial(jax.jit, static_argnames="model")
def start(model: VQVAE, params: Params, audio: Array, key: Array) -> tuple[Codebook, ...]:
    """Codebooks of the vectors that encoders at their start make of the first batch.

    Args:
      model: the VQ-VAE.
      params: its parameters.
      audio: f32[batch, samples, 1], the whole first batch.
      key: which vectors become codes.

    Raises:
      ValueError: the audio does not fit the model.
    """
    _check_audio(model, audio)
    return tuple(
        quantizer.start(
            _analyse(model, params, audio, level), model.bins, jax.random.fold_in(key, level)
        )
        for level in range(model.levels)
    )


def codebooks_from(model: VQVAE, codes: Sequence[Array], samples: int) -> tuple[Codebook, ...]:
    """Codebooks to go on training with, of a VQ-VAE that was published without its averages.

    Args:
      model: the VQ-VAE.
      codes: for each level, f32[bins, code_width].
      samples: audio samples of one step, of the whole batch together.

    Raises:
      ValueError: there is not one for each level, or one has another shape.
    """
    shapes = [tuple(np.shape(one)) for one in codes]
    if shapes != [(model.bins, model.code_width)] * model.levels:
        raise ValueError(
            f"codes of shapes {shapes}: give {model.levels}, each "
            f"[{model.bins}, {model.code_width}] (bins, code_width)"
        )
    return tuple(
        quantizer.resume(one, samples // hop) for one, hop in zip(codes, model.hops, strict=True)
    )


@functools.partial(jax.jit, static_argnames="model")
def encode(model: VQVAE, weights: Weights, audio: Array) -> tuple[Array, ...]:
    """The codes of audio at every level.

    Args:
      model: the VQ-VAE.
      weights: what it has learnt.
      audio: f32[batch, samples, 1] in [-1, 1]; samples are a multiple of the largest hop.

    Returns:
      For each level, finest first, i32[batch, samples / hop].

    Raises:
      ValueError: the audio does not fit the model.
    """
    _check_audio(model, audio)
    return tuple(_encode(model, weights, audio, level) for level in range(model.levels))


@functools.partial(jax.jit, static_argnames=("model", "level"))
def decode(model: VQVAE, weights: Weights, codes: Array, level: int) -> Array:
    """The audio of one level's codes, which needs no other level's.

    Args:
      model: the VQ-VAE.
      weights: what it has learnt.
      codes: i32[batch, length], each below model.bins.
      level: whose codes they are, 0 the finest.

    Returns:
      f32[batch, length * hop, 1], not clipped.

    Raises:
      ValueError: there is no such level, or the codes have another shape.
    """
    _check_codes(model, codes, level)
    vectors = quantizer.lookup(weights.codebooks[level], codes)
    return _synthesise(model, weights.params, vectors, level)


def encode_long(
    model: VQVAE,
    weights: Weights,
    audio: np.ndarray,
    *,
    piece: int = pieces.SAMPLES,
    levels: Sequence[int] | None = None,
) -> tuple[np.ndarray, ...]:
    """`encode` of audio of any length in constant device memory.

    Args:
      model: the VQ-VAE.
      weights: what it has learnt.
      audio: f32[batch, samples, 1] on the host; samples are a multiple of the largest hop.
      piece: audio samples to compute at once, of all items together, about.
      levels: which are computed; all by default.

    Returns:
      For each level, finest first or as asked for, what `encode` gives, on the host.

    Raises:
      ValueError: the audio does not fit the model.
    """
    audio = np.asarray(audio)
    _check_audio(model, audio)
    audio = audio.astype(np.float32, copy=False)
    weights = jax.device_put(weights)

    def one(level: int) -> np.ndarray:
        margin = pieces.encoder_margin(*model.sizes(level))
        compute = functools.partial(_encode, model, weights, level=level)
        return pieces.encode(compute, audio, model.hops[level], margin, piece)

    return tuple(one(level) for level in (range(model.levels) if levels is None else levels))


def decode_pieces(
    model: VQVAE, weights: Weights, codes: np.ndarray, level: int, *, piece: int = pieces.SAMPLES
) -> Iterator[np.ndarray]:
    """`decode` of codes of any length, piece by piece as they become ready.

    Args:
      model: the VQ-VAE.
      weights: what it has learnt.
      codes: i32[batch, length] on the host.
      level: whose codes they are.
      piece: audio samples to compute at once, of all items together, about.

    Returns:
      An iterator of f32[batch, some, 1] on the host; side by side they are what `decode` gives.

    Raises:
      ValueError: there is no such level, or the codes have another shape.
    """
    codes = np.asarray(codes)
    _check_codes(model, codes, level)
    margin = pieces.decoder_margin(*model.sizes(level))
    compute = functools.partial(decode, model, jax.device_put(weights), level=level)
    return pieces.decode(compute, codes, model.hops[level], margin, piece)


def decode_long(
    model: VQVAE, weights: Weights, codes: np.ndarray, level: int, *, piece: int = pieces.SAMPLES
) -> np.ndarray:
    """All of `decode_pieces` side by side, f32[batch, length * hop, 1] on the host."""
    return np.concatenate(list(decode_pieces(model, weights, codes, level, piece=piece)), axis=1)


def loss(
    model: VQVAE,
    params: Params,
    codebooks: tuple[Codebook, ...],
    audio: Array,
    key: Array | None = None,
    *,
    bandwidth: Bandwidth = _UNMEASURED,
    train: bool = True,
) -> tuple[Array, tuple[tuple[Codebook, ...], dict[str, Array]]]:
    """What training makes small, summed over levels, and the next codebooks.

    Args:
      model: the VQ-VAE.
      params: its parameters.
      codebooks: one for each level; they get no gradient.
      audio: f32[batch, samples, 1], the whole batch; samples are a multiple of the largest hop.
      key: where codes that are not used restart; not needed when `train` is false.
      bandwidth: the size of the training audio.
      train: move the codebooks; otherwise they are returned as they came.

    Returns:
      The loss, f32[], and (codebooks, metrics by name, f32[] each):

      - recons_loss, spectral_loss, multispectral_loss, commit_loss: sums over levels, unweighted
        but for recons_loss, which is the weighted sum of l2, l1 and linf.
      - recons_loss_l1, spectral_loss_l1, multispectral_loss_l1, spectral_convergence_l1 and so on
        for _l2, ...: of single levels, _l1 being the finest.
      - l2_loss, l1_loss, linf_loss, spectral_convergence: of the finest level.
      - codebook_use_l1, ...: part of a level's codebook that this batch uses.
      - in training also, averaged over levels: those of `quantizer.update`; fit, mean squared
        distance of vectors to their codes; pn, standard deviation of all elements of vectors.

    Raises:
      ValueError: the audio does not fit the model, or there is no key to train with.
    """
    if train and key is None:
        raise ValueError("key=None: training needs a key, for codes to restart; give one")
    total, (tallies, metrics) = piece_loss(
        model, params, codebooks, audio, key, bandwidth=bandwidth, train=train
    )
    if train:
        codebooks, moved = follow(model, codebooks, tallies)
        metrics |= moved
    return total, (codebooks, metrics)


def piece_loss(
    model: VQVAE,
    params: Params,
    codebooks: tuple[Codebook, ...],
    audio: Array,
    key: Array | None,
    piece: Array | int = 0,
    pieces: int = 1,
    *,
    bandwidth: Bandwidth = _UNMEASURED,
    train: bool = True,
) -> tuple[Array, tuple[tuple[Tally, ...], dict[str, Array]]]:
    """The `loss` of one of the pieces of a batch, and what the codebooks must know of it.

    The batch's loss is the mean over its pieces; its codebooks are what `follow` makes of the
    sums of their tallies.

    Args:
      model: the VQ-VAE.
      params: its parameters.
      codebooks: one for each level.
      audio: f32[batch / pieces, samples, 1]: items piece, piece + pieces, ... of the batch.
      key: as in `loss`, the same for all pieces.
      piece: which piece this is, i32[].
      pieces: how many there are.
      bandwidth: as in `loss`.
      train: give tallies; otherwise there are none.

    Returns:
      The loss, f32[], and (a tally for each level, metrics as in `loss` but for those of
      `quantizer.update`).
    """
    _check_audio(model, audio)
    tallies: list[Tally] = []
    coded: list[dict[str, Array]] = []  # what is known of each level's codes
    outputs: list[Array] = []
    for level, book in enumerate(codebooks):
        vectors = _analyse(model, params, audio, level)
        codes = quantizer.nearest(book, vectors)
        rounded = quantizer.lookup(book, codes)
        commit = jnp.mean(jnp.square(vectors - jax.lax.stop_gradient(rounded)))
        outputs.append(_synthesise(model, params, quantizer.pass_through(vectors, rounded), level))
        if train:
            assert key is not None
            level_key = jax.random.fold_in(key, level)
            tallies.append(
                quantizer.count(vectors, codes, level_key, piece, bins=model.bins, pieces=pieces)
            )
            spread = jnp.sqrt(jnp.mean(jnp.square(vectors - jnp.mean(vectors))))
            known = {"fit": model.code_width * commit, "pn": spread}
        else:
            known = {"use": quantizer.used(codes, model.bins)}
        coded.append(known | {"commit": commit})

    found = losses.distances(audio, jnp.stack(outputs, axis=1), bandwidth, model.linf_count)
    found |= {name: jnp.stack([one[name] for one in coded]) for name in coded[0]}
    found["recons"] = _weighted(found, l2=model.l2, l1=model.l1, linf=model.linf)
    total = jnp.sum(
        found["recons"]
        + _weighted(
            found, commit=model.commit, spectral=model.spectral, multispectral=model.multispectral
        )
    )
    metrics: dict[str, Array] = {}
    for name, values in found.items():
        metrics |= _reported(name, values)
    return total, (tuple(tallies), metrics)


def follow(
    model: VQVAE, codebooks: tuple[Codebook, ...], tallies: Sequence[Tally]
) -> tuple[tuple[Codebook, ...], dict[str, Array]]:
    """The codebooks after a whole batch of these tallies, and metrics of `quantizer.update`."""
    settings = {"decay": model.decay, "threshold": model.restart_threshold}
    moved = [
        quantizer.follow(book, tally, **settings)
        for book, tally in zip(codebooks, tallies, strict=True)
    ]
    metrics: dict[str, Array] = {}
    for name in moved[0][1]:
        metrics |= _reported(name, jnp.stack([figures[name] for _, figures in moved]))
    return tuple(book for book, _ in moved), metrics


def _reported(name: str, values: Array) -> dict[str, Array]:
    """The metrics that come of one value for each level, f32[levels]."""
    long = {"convergence": "spectral_convergence", "use": "codebook_use"}.get(name, f"{name}_loss")
    singly = {f"{long}_l{level + 1}": value for level, value in enumerate(values)}
    if name in ("recons", "spectral", "multispectral"):
        return singly | {long: jnp.sum(values)}
    if name == "commit":
        return {long: jnp.sum(values)}
    if name in ("l2", "l1", "linf"):
        return {long: values[0]}
    if name == "convergence":
        return singly | {long: values[0]}
    if name == "use":
        return singly
    return {name: jnp.mean(values)}


def _weighted(terms: Mapping[str, Array], **weights: float) -> Array:
    """The weighted sum; a term without weight costs no backward pass."""
    none = jnp.zeros_like(terms["commit"])
    return sum((w * terms[name] for name, w in weights.items() if w), start=none)


def _analyse(model: VQVAE, params: Params, audio: Array, level: int) -> Array:
    return model.apply({"params": params}, audio, level, method="analyse")


def _synthesise(model: VQVAE, params: Params, vectors: Array, level: int) -> Array:
    return model.apply({"params": params}, vectors, level, method="synthesise")


@functools.partial(jax.jit, static_argnames=("model", "level"))
def _encode(model: VQVAE, weights: Weights, audio: Array, level: int) -> Array:
    vectors = _analyse(model, weights.params, audio, level)
    return quantizer.nearest(weights.codebooks[level], vectors)


def check_floats(audio: Array | np.ndarray) -> None:
    """Raises a ValueError for audio of whole numbers."""
    if not jnp.issubdtype(audio.dtype, jnp.floating):
        raise ValueError(
            f"audio of {audio.dtype}: give float32; samples of 16 bits divide by 32768, to lie in "
            "-1 to 1"
        )


def _check_audio(model: VQVAE, audio: Array | np.ndarray) -> None:
    shape, hop = np.shape(audio), model.hops[-1]
    if len(shape) != 3 or shape[2] != 1:
        raise ValueError(f"audio of shape {shape}: give f32[batch, samples, 1], mixed to mono")
    check_floats(audio)
    if shape[1] % hop or not shape[1]:
        shorter, longer = shape[1] // hop * hop, (shape[1] // hop + 1) * hop
        remedy = f"cut it to {shorter} or pad it to {longer}" if shorter else f"pad it to {longer}"
        raise ValueError(
            f"audio of {shape[1]} samples is no multiple of the largest hop {hop}: {remedy}"
        )


def _check_codes(model: VQVAE, codes: Array | np.ndarray, level: int) -> None:
    if not 0 <= level < model.levels:
        raise ValueError(f"level = {level}: the model has levels 0 to {model.levels - 1}")
    if np.ndim(codes) != 2 or not np.issubdtype(codes.dtype, np.integer) or not codes.shape[1]:
        raise ValueError(
            f"codes of shape {np.shape(codes)}, {codes.dtype}: give i32[batch, length]"
        )
