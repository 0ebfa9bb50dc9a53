"""A file of sound as a page holds it: a small mp3, and the picture of its spectrogram."""

import dataclasses
import os

import numpy as np

from jukebox_jax.audio import wave
from jukebox_jax.page import picture
from jukebox_jax.page.document import Blocks

_RATES = (16000, 22050, 24000, 32000, 44100, 48000)  # of mp3, those that every browser plays


@dataclasses.dataclass(frozen=True)
class Sound:
    """A sound in a document.

    Attributes:
      sound: the block of its mp3.
      picture: the block of its spectrogram.
      seconds: its length.
    """

    sound: str
    picture: str
    seconds: float


def add(blocks: Blocks, path: str | os.PathLike) -> tuple[Sound, np.ndarray]:
    """Adds a file of sound to a document.

    Args:
      blocks: of the document.
      path: the file.

    Returns:
      Where it is, and the sound at the file's own rate, f32[samples].

    Raises:
      AudioError: the file cannot be read.
    """
    own = wave.probe(path).rate
    audio = wave.mono(wave.load(path, own))
    rate = next((one for one in _RATES if one >= own), _RATES[-1])
    played = audio if rate == own else wave.mono(wave.load(path, rate))
    found = Sound(
        sound=blocks.add(wave.mp3(played, rate)),
        picture=blocks.add(picture.spectrogram(audio[:, 0], own)),
        seconds=len(audio) / own,
    )
    return found, audio[:, 0]
