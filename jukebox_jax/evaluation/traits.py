"""A song in a vector: of its timbre, as artists differ in, or of its rhythm, as genres do.

Both are of the sound alone and know nothing of stages; loudness counts for neither.
"""

import numpy as np

from jukebox_jax.audio import mel

_CEPSTRA = 20
_BANDS = 24
_LAGS = np.geomspace(0.15, 1.6, 48)  # seconds
_FRAMES = 100  # frames a second, of rhythm
_BLUR = np.hanning(9)[1:-1] / np.hanning(9).sum()  # as wide as lags lie apart


def timbre(sound: np.ndarray, rate: int) -> np.ndarray:
    """Means and deviations of mel cepstra, and how fast they change, over frames with sound.

    Args:
      sound: f32[samples].
      rate: samples a second.

    Returns:
      f64[57]: the loudness, which is the first coefficient, is left out.
    """
    frames = mel.cepstra(sound, rate, count=_CEPSTRA)
    loud = frames[:, 0] > frames[:, 0].max() - 40
    changes = np.diff(frames, axis=0)[:, 1:]
    heard = frames[loud, 1:]
    return np.concatenate([heard.mean(axis=0), heard.std(axis=0), changes.std(axis=0)])


def rhythm(sound: np.ndarray, rate: int) -> np.ndarray:
    """How onsets repeat: autocorrelations of rises in low, middle and high bands, by lag.

    Args:
      sound: f32[samples], of two seconds at least.
      rate: samples a second.

    Returns:
      f64[4 * 48]: of three groups of bands and of all together.
    """
    hop = max(1, round(rate / _FRAMES))
    size = 1 << max(6, round(np.log2(0.04 * rate)))
    loud = mel.decibels(mel.spectrogram(sound, rate, size=size, hop=hop, count=_BANDS))
    rises = np.maximum(np.diff(np.maximum(loud, loud.max() - 60), axis=0), 0)
    groups = [*np.array_split(rises, 3, axis=1), rises]
    return np.concatenate([_repeats(group.mean(axis=1), rate / hop) for group in groups])


def _repeats(rises: np.ndarray, rate: float) -> np.ndarray:
    """Normalised autocorrelation at some lags; all 0 where nothing rises."""
    rises = np.convolve(rises, _BLUR, "same")
    centred = rises - rises.mean()
    padded = 1 << int(np.ceil(np.log2(2 * len(centred))))
    power = np.abs(np.fft.rfft(centred, padded)) ** 2
    repeats = np.fft.irfft(power)[: len(centred)]
    if repeats[0] <= 0:
        return np.zeros(len(_LAGS))
    # A lag of many frames is seen by fewer pairs.
    repeats = repeats / repeats[0] * len(centred) / np.arange(len(centred), 0, -1)
    return np.interp(_LAGS * rate, np.arange(len(repeats)), repeats, right=0.0)
