"""A spectrogram shows pitch as height and time as width, in a PNG that is one."""

import struct
import zlib

import numpy as np
import pytest

from jukebox_jax.page import picture

RATE = 8000


def pixels(png: bytes) -> np.ndarray:
    """Shades, u8[height, width], of a PNG as `picture.png` writes it, each part's sum checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(name + content)
        parts[name] = content
        at += 12 + length
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any() and lines.max() < len(parts[b"PLTE"]) // 3
    return lines[:, 1:]


def test_a_pixel_is_its_colour() -> None:
    drawn = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(pixels(picture.png(drawn, np.zeros((6, 3), np.uint8))), drawn)


def test_a_higher_tone_is_higher_and_later_is_further_right() -> None:
    seconds = np.arange(2 * RATE) / RATE
    sound = np.where(seconds < 1, np.sin(2 * np.pi * 200 * seconds), 0)
    sound = sound + np.where(seconds >= 1, np.sin(2 * np.pi * 1600 * seconds), 0)
    shades = pixels(picture.spectrogram(sound.astype(np.float32), RATE))
    assert shades.shape == (picture.HEIGHT, picture.WIDTH)
    left, right = shades[:, 200].argmax(), shades[:, 700].argmax()
    edges = np.geomspace(40, RATE / 2, picture.HEIGHT + 1)
    for row, pitch in ((left, 200), (right, 1600)):
        assert edges[picture.HEIGHT - 1 - row] / 1.1 < pitch < edges[picture.HEIGHT - row] * 1.1
    changed = np.flatnonzero(shades[left] < 16)[0]
    assert changed == pytest.approx(picture.WIDTH / 2, abs=20)


@pytest.mark.parametrize("samples", [1, 7, 300, 4000])
def test_short_and_silent_sounds_are_drawn(samples: int) -> None:
    shades = pixels(picture.spectrogram(np.zeros(samples, np.float32), RATE))
    assert shades.shape == (picture.HEIGHT, min(samples, picture.WIDTH)) and not shades.any()
