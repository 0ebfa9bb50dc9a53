"""A sound in a few numbers: how loud, how fast, how bright, how busy.

They tell songs apart roughly, the way a label would; none of them is a judgement of quality.
"""

from collections.abc import Mapping

import numpy as np

from jukebox_jax.audio import measure

UNITS: Mapping[str, str] = {"loudness": "dB", "tempo": "BPM", "brightness": "Hz", "onsets": "dB"}
"""The numbers by name, and their units."""

_FRAME = 0.046  # seconds of a frame, of which two overlap by half
_QUIET = 1e-5  # of a magnitude, below which no change counts


def features(audio: np.ndarray, rate: int) -> dict[str, float]:
    """The numbers of a sound.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.

    Returns:
      loudness: the mean of all tenths of a second above silence, in dB below full scale.
      tempo: in beats a minute; not a number where no beat is heard.
      brightness: the mean of the spectrum's centre of gravity, in Hz.
      onsets: how much bands of the spectrum rise from frame to frame, in dB, on average.

    Raises:
      ValueError: the sound is shorter than two frames.
    """
    levels = np.array(measure.loudness(audio, rate))[:, 1]
    heard = levels[levels > measure.FLOOR]
    tempo = measure.tempo(audio, rate)
    magnitudes, frequencies = _spectrum(audio.mean(axis=1), rate)
    weight = magnitudes.sum(axis=1)
    centres = (magnitudes @ frequencies) / np.maximum(weight, _QUIET)
    loud = weight > 1e-3 * weight.max()
    bands = np.stack([part.mean(axis=1) for part in np.array_split(magnitudes, 24, axis=1)], axis=1)
    rises = np.maximum(np.diff(20 * np.log10(bands + _QUIET), axis=0), 0)
    return {
        "loudness": float(heard.mean()) if len(heard) else measure.FLOOR,
        "tempo": float("nan") if tempo is None else tempo,
        "brightness": float(centres[loud].mean()) if loud.any() else 0.0,
        "onsets": float(rises.mean()),
    }


def _spectrum(sound: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes f64[frames, bins] of half-overlapping frames, and the frequencies of bins."""
    size = 1 << round(np.log2(_FRAME * rate))
    if len(sound) < 2 * size:
        raise ValueError(f"{len(sound)} samples are too few to measure: give {2 * size} or more")
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[:: size // 2]
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) / size
    return magnitudes, np.fft.rfftfreq(size, 1 / rate)
