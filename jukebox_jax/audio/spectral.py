"""How far apart two sounds are, by the magnitudes of their short-time Fourier transforms.

Pure functions on arrays, differentiable, in float32. A scale is (bins of the transform, hop,
window) in samples. Nothing here knows of models or devices; the transform is told that the items
of a batch are independent, so that a batch spread over devices is transformed where it lies.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.custom_partitioning import custom_partitioning

Scale = tuple[int, int, int]

SINGLE_SCALE: Scale = (2048, 256, 1536)
"""The single scale of `convergence`, of `log_distance` and of the bandwidth statistics."""

MULTI_SCALES: tuple[Scale, ...] = ((2048, 240, 1200), (1024, 120, 600), (512, 50, 240))
"""The scales that `distance` averages over by default."""

_FLOOR = 2e-3  # targets quieter than this count as silence
_LOG_OFFSET = 1e-4


def magnitudes(audio: Array, scale: Scale = SINGLE_SCALE) -> Array:
    """Magnitudes of the centred, reflected, Hann-windowed transform.

    Args:
      audio: f32[..., samples, 1].
      scale: (bins of the transform, hop, window) in samples; the window is centred in the bins.

    Returns:
      f32[..., 1 + samples // hop, bins // 2 + 1].

    Raises:
      ValueError: the audio has another shape, or the scale makes no sense.
    """
    size, hop, window = scale
    if size % 2 or not 0 < window <= size or hop < 1:
        raise ValueError(
            f"scale {scale}: give (even transform size, hop >= 1, window <= transform size)"
        )
    if audio.ndim < 3 or audio.shape[-1] != 1 or audio.shape[-2] < 2:
        raise ValueError(
            f"audio of shape {audio.shape}: give [batch, samples, 1] with two samples at least"
        )
    frames = _frames(jnp.asarray(audio, jnp.float32)[..., 0], scale)
    spectrum = _transform(_pad(frames, 0, size - frames.shape[-1]))
    return _root(jnp.square(spectrum.real) + jnp.square(spectrum.imag))


def difference(target: Array, output: Array) -> Array:
    """Frobenius norm of the difference of two sounds' magnitudes, f32[...]."""
    return _norm(target - output)


def relative_difference(target: Array, output: Array) -> Array:
    """`difference` over the norm of the target's magnitudes, f32[...]; 0 for a silent target."""
    loudness = _norm(target)
    ratio = difference(target, output) / jnp.maximum(loudness, _FLOOR)
    return jnp.where(loudness >= _FLOOR, ratio, 0.0)


def distance(target: Array, output: Array, scales: Sequence[Scale] = MULTI_SCALES) -> Array:
    """Multi-scale spectral distance.

    Args:
      target: f32[batch, samples, 1].
      output: of the same shape.
      scales: what to average over; one scale gives the plain spectral distance.

    Returns:
      f32[batch].
    """
    parts = [difference(magnitudes(target, s), magnitudes(output, s)) for s in scales]
    return sum(parts[1:], start=parts[0]) / len(parts)


def convergence(target: Array, output: Array) -> Array:
    """Spectral convergence: error relative to the target, f32[batch]; 20 log10 of it is in dB.

    Args:
      target: f32[batch, samples, 1].
      output: of the same shape.
    """
    return relative_difference(magnitudes(target), magnitudes(output))


def log_distance(target: Array, output: Array) -> Array:
    """Mean absolute difference of log magnitudes over all bins, frames and items, f32[].

    Args:
      target: f32[batch, samples, 1].
      output: of the same shape.
    """
    logs = [jnp.log(magnitudes(audio) + _LOG_OFFSET) for audio in (target, output)]
    return jnp.mean(jnp.abs(logs[0] - logs[1]))


def _frames(audio: Array, scale: Scale) -> Array:
    """Windowed frames, f32[..., frames, window rounded up to whole hops].

    A transform of `size` around a shorter window sees zeros beside it, and where those zeros stand
    does not change magnitudes: so frames hold the window alone. They are cut by reshaping to hops
    and laying neighbours side by side, whose backward pass is a sum where a gather's would scatter.
    """
    size, hop, window = scale
    samples = audio.shape[-1]
    count = 1 + samples // hop
    before = size // 2 - (size - window) // 2
    after = max(0, (count - 1) * hop + window - before - samples)
    audio = _pad(audio, before, after, mode="reflect")
    parts = -(-window // hop)
    rows = count + parts - 1
    audio = _pad(audio[..., : rows * hop], 0, rows * hop - audio.shape[-1])
    hops = audio.reshape(*audio.shape[:-1], rows, hop)
    frames = jnp.concatenate([hops[..., p : p + count, :] for p in range(parts)], axis=-1)
    return (frames * np.pad(_hann(window), (0, parts * hop - window)))[..., :size]


def _pad(values: Array, before: int, after: int, mode: str = "constant") -> Array:
    """Pads the last axis."""
    widths = [(0, 0)] * (values.ndim - 1) + [(max(0, before), max(0, after))]
    return jnp.pad(values, widths, mode=mode)


def _hann(window: int) -> np.ndarray:
    """The periodic Hann window."""
    return np.square(np.sin(np.pi * np.arange(window) / window)).astype(np.float32)


def _norm(values: Array) -> Array:
    return _root(jnp.sum(jnp.square(values), axis=(-2, -1)))


def _root(values: Array) -> Array:
    """Square root whose derivative at zero is zero, not infinite."""
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)


def _where_it_lies(function: Callable[[Array], Array]) -> Any:
    """The function, told to the partitioner as one of the last axis alone.

    Left to itself the partitioner gathers the whole batch on every device before a transform.
    """
    local = custom_partitioning(function)

    def partition(mesh: Any, inputs: Any, output: Any) -> Any:
        return mesh, function, output.sharding, tuple(one.sharding for one in inputs)

    local.def_partition(
        partition=partition, sharding_rule="... i -> ... j", need_replication_factors=("i", "j")
    )
    return local


def _transposed(spectrum: Array) -> Array:
    """The transpose of the linear map that the real transform is."""
    size = 2 * (spectrum.shape[-1] - 1)
    frames = jax.ShapeDtypeStruct((*spectrum.shape[:-1], size), jnp.float32)
    return jax.linear_transpose(jnp.fft.rfft, frames)(spectrum)[0]


_forward = _where_it_lies(lambda frames: jnp.fft.rfft(frames))
_backward = _where_it_lies(_transposed)


@jax.custom_vjp
def _transform(frames: Array) -> Array:
    """The real transform of the last axis, of even size."""
    return _forward(frames)


_transform.defvjp(
    lambda frames: (_forward(frames), None), lambda _, cotangent: (_backward(cotangent),)
)
