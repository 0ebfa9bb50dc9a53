"""The Opus codec as an outside baseline: songs through files of it, and what bitrate that was."""

import math
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio import wave

RATES = (8000, 12000, 16000, 24000, 48000)
"""Samples a second that Opus takes."""

SLOWEST, FASTEST = 6.0, 256.0
"""Kbit/s of one channel that can be asked for."""


def code(sounds: Sequence[np.ndarray], rate: int, wanted: float) -> tuple[list[np.ndarray], float]:
    """Sounds as Opus gives them back.

    All go through one file, so that its head weighs little.

    Args:
      sounds: f32[samples, 1] each.
      rate: samples a second; another than those of `RATES` is taken to the next higher one.
      wanted: kbit/s; what can be asked for is taken that is nearest.

    Returns:
      f32[samples, 1] each, as long as they were, and the kbit/s of the file.

    Raises:
      AudioError: this installation cannot write Opus.
    """
    own = next((one for one in RATES if one >= rate), RATES[-1])
    asked = min(max(wanted, SLOWEST), FASTEST)
    whole = np.concatenate(list(sounds))
    with tempfile.TemporaryDirectory() as folder:
        plain, coded = pathlib.Path(folder, "a.wav"), pathlib.Path(folder, "a.opus")
        wave.save(plain, whole, rate)
        compression = (FASTEST - asked) / (FASTEST - SLOWEST)
        wave.save(coded, wave.load(plain, own), own, compression=compression)
        bits = 8 * coded.stat().st_size
        again = wave.load(coded, rate)
    again = np.pad(again, ((0, max(0, len(whole) - len(again))), (0, 0)))[: len(whole)]
    ends = np.cumsum([len(sound) for sound in sounds])[:-1]
    return np.split(again, ends), bits / (len(whole) / rate) / 1000


def nearest(rate: int, hops: Sequence[int], bins: int) -> list[float]:
    """The kbit/s of a VQ-VAE's levels, which Opus is to come near.

    Args:
      rate: samples a second.
      hops: samples a code, of each level.
      bins: codes of a codebook.
    """
    return [rate / hop * math.log2(bins) / 1000 for hop in hops]
