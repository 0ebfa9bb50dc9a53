"""What a sound looks like: its spectrogram as a small PNG.

Time runs to the right over the whole width, pitch upwards on a logarithmic scale, and each of 32
steps of loudness has a colour. Numpy alone; nothing here knows of pages.
"""

import struct
import zlib

import numpy as np

WIDTH, HEIGHT = 900, 120
_WINDOW, _LOWEST, _RANGE = 0.046, 40.0, 72.0  # seconds, Hz, dB
_SHADES = 32
_DEEPER = 1.5  # leaves the brightest colours to what is loudest
_STOPS = np.array(  # from silent to loud: red, green, blue
    [(16, 20, 31), (30, 41, 82), (74, 62, 140), (176, 84, 128), (240, 150, 98), (255, 236, 190)]
)
_CHUNK = 512  # frames transformed at once


def spectrogram(sound: np.ndarray, rate: int) -> bytes:
    """A PNG of `WIDTH` by `HEIGHT` pixels, narrower only for a sound of fewer samples.

    Args:
      sound: f32[samples].
      rate: samples a second.
    """
    window = 1 << max(4, round(np.log2(_WINDOW * rate)))
    width = max(1, min(WIDTH, len(sound)))
    hop = max(1, min(window // 2, len(sound) // width))
    padded = np.pad(sound, window // 2)
    count = max(1, len(sound) // hop)
    rows = _rows(window, rate)
    power = np.concatenate(
        [
            _power(padded, hop, window, first, min(count, first + _CHUNK)) @ rows
            for first in range(0, count, _CHUNK)
        ]
    )  # [frames, HEIGHT]
    columns = np.linspace(0, count, width, endpoint=False).astype(int)
    sums = np.add.reduceat(power, columns, axis=0)
    lengths = np.maximum(1, np.diff(np.append(columns, count)))
    loudness = 10 * np.log10(sums / lengths[:, None] + 1e-12)
    top = max(float(loudness.max()), -40.0)
    share = np.clip(1 + (loudness - top) / _RANGE, 0, 1) ** _DEEPER
    return png(np.rint(share.T[::-1] * (_SHADES - 1)).astype(np.uint8), _palette())


def png(pixels: np.ndarray, palette: np.ndarray) -> bytes:
    """A picture whose pixels are numbers of colours.

    Args:
      pixels: u8[height, width].
      palette: u8[colours, 3], red, green, blue.
    """
    height, width = pixels.shape
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # each line begins with its filter: none
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    written = b"\x89PNG\r\n\x1a\n"
    for name, content in parts:
        check = zlib.crc32(name + content)
        written += struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
    return written


def _power(padded: np.ndarray, hop: int, window: int, first: int, last: int) -> np.ndarray:
    """f32[last - first, window // 2 + 1]."""
    starts = np.arange(first, last) * hop
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    return np.square(np.abs(np.fft.rfft(frames.astype(np.float32)))) / window


def _rows(window: int, rate: int) -> np.ndarray:
    """How bins of the transform make up rows, lowest first, f32[bins, HEIGHT]; columns sum to 1."""
    bins = np.arange(window // 2 + 1) * rate / window
    edges = np.geomspace(min(_LOWEST, rate / 8), rate / 2, HEIGHT + 1)
    found = np.zeros((len(bins), HEIGHT), np.float32)
    for row in range(HEIGHT):
        middle = np.sqrt(edges[row] * edges[row + 1])
        reach = max((edges[row + 1] - edges[row]) / 2, rate / window)
        found[:, row] = np.maximum(0, 1 - np.abs(bins - middle) / reach)
    return found / np.maximum(found.sum(axis=0), 1e-9)


def _palette() -> np.ndarray:
    at = np.linspace(0, len(_STOPS) - 1, _SHADES)
    return np.stack(
        [np.interp(at, np.arange(len(_STOPS)), _STOPS[:, one]) for one in range(3)], axis=1
    ).astype(np.uint8)
