"""Sound as mel bands: spectrograms as ears weigh them, how far apart two are, and cepstra.

numpy alone, on one sound at a time. The scale is that of O'Shaughnessy, 2595 log10(1 + f / 700);
bands are triangles that overlap by half, of height 1.
"""

import functools
from collections.abc import Sequence

import numpy as np

SCALES: tuple[tuple[int, int], ...] = (
    (64, 5),
    (128, 10),
    (256, 20),
    (512, 40),
    (1024, 80),
    (2048, 160),
)
"""Samples of a window, and bands, of each scale that `distance` averages over."""

_FLOOR = 1e-5  # of a magnitude, below which all is silence: -100 dB


@functools.cache
def bands(rate: int, size: int, count: int) -> np.ndarray:
    """The weights of bands from 0 Hz to half the rate, f64[size // 2 + 1, count].

    Low bands that are narrower than a bin of the transform may hold none.

    Args:
      rate: samples a second.
      size: samples of the transform.
      count: how many bands.
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, count + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / rate)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling))


def spectrogram(
    sound: np.ndarray, rate: int, *, size: int = 1024, hop: int | None = None, count: int = 64
) -> np.ndarray:
    """Magnitudes in mel bands; a sine of amplitude 1 has about 1.

    Args:
      sound: f32[samples].
      rate: samples a second.
      size: samples of a Hann window, centred, the sound mirrored at its ends.
      hop: samples from one window to the next; a quarter of one by default.
      count: how many bands.

    Returns:
      f64[frames, count].

    Raises:
      ValueError: the sound has fewer than two samples.
    """
    if np.ndim(sound) != 1 or len(sound) < 2:
        raise ValueError(f"a sound of shape {np.shape(sound)}: give [samples], two at least")
    hop = hop or max(1, size // 4)
    padded = np.pad(np.asarray(sound, np.float64), size // 2, "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = np.hanning(size + 1)[:-1]
    magnitudes = np.abs(np.fft.rfft(frames * window, axis=1)) / (window.sum() / 2)
    return magnitudes @ bands(rate, size, count)


def decibels(magnitudes: np.ndarray) -> np.ndarray:
    """Magnitudes in dB, from -100 up."""
    return 20 * np.log10(np.maximum(magnitudes, _FLOOR))


def distance(
    target: np.ndarray,
    output: np.ndarray,
    rate: int,
    scales: Sequence[tuple[int, int]] = SCALES,
) -> float:
    """Mean absolute difference in dB of all bands and frames, averaged over scales.

    Args:
      target: f32[samples].
      output: f32[samples].
      rate: samples a second.
      scales: see `SCALES`.
    """
    found = []
    for size, count in scales:
        one, other = (
            decibels(spectrogram(sound, rate, size=size, count=count)) for sound in (target, output)
        )
        found.append(np.abs(one - other).mean())
    return float(np.mean(found))


def cepstra(sound: np.ndarray, rate: int, *, count: int = 20, of: int = 40) -> np.ndarray:
    """Mel cepstra: the cosine transform of bands in dB, which tells timbre apart from pitch.

    Args:
      sound: f32[samples].
      rate: samples a second.
      count: coefficients, of which the first is the loudness.
      of: bands that they come from.

    Returns:
      f64[frames, count], a frame each 23 ms, about.
    """
    size = 1 << max(6, round(np.log2(0.046 * rate)))
    loud = decibels(spectrogram(sound, rate, size=size, hop=size // 2, count=of))
    places = (np.arange(of) + 0.5) * np.pi / of
    return loud @ np.cos(places[:, None] * np.arange(count)) / of
