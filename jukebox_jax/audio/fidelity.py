"""How faithful a sound is to the one that it should be: one number a pair, on the host.

`Sums` takes a long pair piece by piece. Distances by magnitudes that training makes small stand in
`spectral`, those in mel bands in `mel`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax.audio import spectral

_QUIET = 1e-8  # energy a sample, below which a sound is silence
_LOG_OFFSET = 1e-5


class Sums:
    """Sums over the pieces of a target and of what came of it."""

    def __init__(self) -> None:
        self.wrong = self.loud = 0.0  # of magnitudes, squared
        self.products = np.zeros(3)  # target and target, target and output, output and output
        self.samples = 0

    def add(self, target: np.ndarray, output: np.ndarray) -> None:
        """Adds a piece, f32[samples, 1] both."""
        self.samples += len(target)
        one, other = target[:, 0].astype(np.float64), output[:, 0].astype(np.float64)
        self.products += [one @ one, one @ other, other @ other]
        if len(target) > 1:
            made = [np.asarray(_magnitudes(each[None]), np.float64) for each in (target, output)]
            self.wrong += float(np.square(made[0] - made[1]).sum())
            self.loud += float(np.square(made[0]).sum())

    def convergence(self) -> float:
        """Spectral convergence in dB; not a number where the target is silent."""
        return 10 * math.log10(max(self.wrong, 1e-20) / self.loud) if self.loud else math.nan

    def error(self) -> float:
        """Energy of the difference of waveforms in dB of the target's; no number for silence."""
        target, both, output = self.products
        if target <= _QUIET * self.samples:
            return math.nan
        return 10 * math.log10(max(target - 2 * both + output, 1e-20) / target)

    def si_sdr(self) -> float:
        """Scale-invariant ratio of signal to distortion in dB; not a number for silence."""
        target, both, output = self.products
        if target <= _QUIET * self.samples:
            return math.nan
        signal = both**2 / target  # energy of the output along the target
        return 10 * math.log10(max(signal, 1e-20) / max(output - signal, 1e-20))


def stft_distance(target: np.ndarray, output: np.ndarray) -> float:
    """Multi-scale STFT distance: relative error of magnitudes, and mean difference of their logs.

    The sum of both, averaged over `spectral.MULTI_SCALES`; 0 for equals.

    Args:
      target: f32[samples, 1].
      output: of the same shape.
    """
    return float(_distance(target[None], output[None])[0])


@jax.jit
def _distance(target: jax.Array, output: jax.Array) -> jax.Array:
    found = []
    for scale in spectral.MULTI_SCALES:
        one, other = (spectral.magnitudes(sound, scale) for sound in (target, output))
        logs = jnp.log(one + _LOG_OFFSET) - jnp.log(other + _LOG_OFFSET)
        found.append(spectral.relative_difference(one, other) + jnp.abs(logs).mean(axis=(-2, -1)))
    return sum(found[1:], start=found[0]) / len(found)


_magnitudes = jax.jit(spectral.magnitudes)
