"""How far decoded audio is from what was encoded, and how large the audio itself is.

Pure functions of audio; nothing here knows of modules, codes or levels. Distances are means over
the batch, divided by the size of the training audio, so that their weights mean the same for any
music.
"""

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jukebox_jax.audio import spectral


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bandwidth:
    """The size of the training audio, by which losses are divided.

    Attributes:
      l2: variance of its samples.
      l1: mean absolute value of its samples.
      spec: mean over windows of the norm of their magnitudes, which depends on their length.
    """

    l2: float | Array = 1.0
    l1: float | Array = 1.0
    spec: float | Array = 1.0

    @classmethod
    def measure(
        cls, windows: Iterable[np.ndarray], *, every: int = 1, samples: int | None = None
    ) -> "Bandwidth":
        """Measures windows of the training audio, on the host.

        As published: every 16th window, for 600 seconds of a VQ-VAE's audio.

        Args:
          windows: of audio, f32[samples, channels], or batches of them, f32[batch, samples,
            channels]; all of one length, that of training.
          every: take one of so many, and read over the others.
          samples: stop after at least so many samples, channels counted singly; by default at
            the end of `windows`.

        Raises:
          ValueError: there is no window, or all of them are silent.
        """
        count = seen = 0
        total = squares = absolute = norms = 0.0
        singly = (window for item in windows for window in (item if np.ndim(item) == 3 else [item]))
        for number, window in enumerate(singly):
            if number % every:
                continue
            values = np.asarray(window, np.float64)
            mono = np.mean(values, axis=1, keepdims=True)[None]
            norms += float(np.sqrt(np.sum(np.square(_magnitudes(mono), dtype=np.float64))))
            total += float(np.sum(values))
            squares += float(np.sum(np.square(values)))
            absolute += float(np.sum(np.abs(values)))
            seen, count = seen + values.size, count + 1
            if samples is not None and seen >= samples:
                break
        if not count:
            raise ValueError("no window of audio to measure the bandwidth of: give one at least")
        variance = squares / seen - (total / seen) ** 2
        if not variance > 0:
            raise ValueError(
                f"the {count} windows to measure the bandwidth of are silent: give some with sound"
            )
        return cls(l2=variance, l1=absolute / seen, spec=norms / count)


@jax.jit
def _magnitudes(audio: Array) -> Array:
    return spectral.magnitudes(audio)


def distances(
    target: Array, output: Array, bandwidth: Bandwidth, linf_count: int
) -> dict[str, Array]:
    """Every distance of decoded audio from its target, f32[levels] each.

    All levels are compared at once: as many transforms to compile as for one.

    Args:
      target: f32[batch, samples, 1].
      output: f32[batch, levels, samples, 1].
      bandwidth: the size of the training audio.
      linf_count: of how many of the largest squared errors of an item `linf` is the mean.

    Returns:
      l2, l1, linf, spectral (one scale), multispectral, and convergence (relative, one scale).
    """
    target = target[:, None]
    spectra = [
        (spectral.magnitudes(target, scale), spectral.magnitudes(output, scale))
        for scale in (spectral.SINGLE_SCALE, *spectral.MULTI_SCALES)
    ]
    single, *several = [jnp.mean(spectral.difference(*pair), axis=0) for pair in spectra]
    return {
        "l2": l2(target, output, bandwidth),
        "l1": l1(target, output, bandwidth),
        "linf": linf(target, output, bandwidth, linf_count),
        "spectral": single / bandwidth.spec,
        "multispectral": sum(several) / len(several) / bandwidth.spec,
        "convergence": jnp.mean(spectral.relative_difference(*spectra[0]), axis=0),
    }


def l2(target: Array, output: Array, bandwidth: Bandwidth) -> Array:
    """Mean squared error, f32[levels]."""
    return jnp.mean(jnp.square(target - output), axis=(0, 2, 3)) / bandwidth.l2


def l1(target: Array, output: Array, bandwidth: Bandwidth) -> Array:
    """Mean absolute error, f32[levels]."""
    return jnp.mean(jnp.abs(target - output), axis=(0, 2, 3)) / bandwidth.l1


def linf(target: Array, output: Array, bandwidth: Bandwidth, count: int) -> Array:
    """Mean of the `count` largest squared errors of an item, or of all if it has fewer."""
    errors = jnp.square(target - output)[..., 0]
    largest = mean_of_largest(errors, min(count, errors.shape[-1]))
    return jnp.mean(largest, axis=0) / bandwidth.l2


def mean_of_largest(values: Array, count: int) -> Array:
    """Mean of the largest values of each row.

    The smallest of them is found bit by bit, by counting how many lie above: the order of floats
    that are not negative is that of their bits. Nothing is sorted or moved, so rows on different
    devices stay where they are, and the backward pass is one product. Values that tie for the
    last places share their gradient.

    Args:
      values: f32[..., columns], none negative.
      count: how many, from 1 to columns.

    Returns:
      f32[...].
    """
    bits = lax.bitcast_convert_type(lax.stop_gradient(values), jnp.int32)

    def set_bit(step: Array, least: Array) -> Array:
        higher = least | (1 << (30 - step))
        enough = jnp.sum(bits >= higher, axis=-1, keepdims=True) >= count
        return jnp.where(enough, higher, least)

    # Bit 31 is the sign. A zero made of the bits, not a constant, is spread over devices as they.
    least = lax.fori_loop(0, 31, set_bit, jnp.zeros_like(bits[..., :1]))
    above, ties = bits > least, bits == least
    places = count - jnp.sum(above, axis=-1, keepdims=True)
    share = places / jnp.sum(ties, axis=-1, keepdims=True)
    weights = jnp.where(above, 1.0, jnp.where(ties, share, 0.0))
    return jnp.sum(weights * values, axis=-1) / count
