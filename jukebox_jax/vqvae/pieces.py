"""Long sounds in pieces: how far an encoder and a decoder see, and where pieces lie.

A piece overlaps its neighbours by as much as a code sees, and what the overlap spoils is thrown
away, so pieces side by side equal the whole. The first piece begins where the sound begins and
the last one ends where it ends, so that both ends are padded as in the whole; all have one shape,
so one compilation serves them. What is computed on a piece is given as a function: nothing here
knows of parameters.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jax import Array

from jukebox_jax.vqvae import coder

SAMPLES = 1 << 20
"""Audio samples of a piece, all items together: a released model then needs a gigabyte or so."""


@dataclasses.dataclass(frozen=True)
class Margin:
    """What codes see beyond themselves, in codes.

    Attributes:
      before: how many codes' time before a code has a part in it (or in the audio it makes).
      after: and after it.
    """

    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Piece:
    """A stretch to compute, and the part of it that is whole.

    Attributes:
      start: its first code.
      first: the first code to keep, counted from the start of everything.
      last: one past the last code to keep.
    """

    start: int
    first: int
    last: int


def encoder_margin(
    downs: tuple[int, ...],
    strides: tuple[int, ...],
    depth: int,
    dilation_growth: int,
    dilation_cycle: int | None,
) -> Margin:
    """What a code of an encoder sees.

    Args:
      downs: stages of each of its blocks, finest first.
      strides: of each of its blocks.
      depth: units of a stack.
      dilation_growth: see `coder.Stack`.
      dilation_cycle: see `coder.Stack`.
    """
    reach = sum(coder.dilations(depth, dilation_growth, dilation_cycle))
    first = last = 0  # inputs that output 0 sees, followed back from the code to the audio
    hop = 1
    for stages, stride in reversed(list(zip(downs, strides, strict=True))):
        first, last = first - 1, last + 1
        for _ in range(stages):
            first, last = first - reach, last + reach
            first = first * stride - stride // 2
            last = last * stride - stride // 2 + 2 * stride - 1
            hop *= stride
    return Margin(before=-(first // hop), after=last // hop)


def decoder_margin(
    downs: tuple[int, ...],
    strides: tuple[int, ...],
    depth: int,
    dilation_growth: int,
    dilation_cycle: int | None,
) -> Margin:
    """What the audio of a code sees.

    Args:
      downs: stages of each of the decoder's blocks, finest first.
      strides: of each of its blocks.
      depth: units of a stack.
      dilation_growth: see `coder.Stack`.
      dilation_cycle: see `coder.Stack`.
    """
    reach = sum(coder.dilations(depth, dilation_growth, dilation_cycle))
    hop = 1
    for stages, stride in zip(downs, strides, strict=True):
        hop *= stride**stages
    first, last = -1, hop  # samples that the last convolution sees for the samples of code 0
    for stages, stride in zip(downs, strides, strict=True):
        for _ in range(stages):
            first = (first + stride // 2 - stride) // stride
            last = (last + stride // 2) // stride
            first, last = first - reach, last + reach
        first, last = first - 1, last + 1
    return Margin(before=-first, after=last)


def lay(length: int, size: int, margin: Margin) -> tuple[Piece, ...]:
    """Lays pieces of one size over a length, all in codes.

    Args:
      length: codes of the whole.
      size: codes of a piece; at least one more than both margins.
      margin: what a piece spoils at its ends.
    """
    pieces = []
    start = first = 0
    while start + size < length:
        last = start + size - margin.after
        pieces.append(Piece(start, first, last))
        start, first = last - margin.before, last
    return (*pieces, Piece(max(0, length - size), first, length))


def encode(
    compute: Callable[[np.ndarray], Array],
    audio: np.ndarray,
    hop: int,
    margin: Margin,
    samples: int,
) -> np.ndarray:
    """One level's codes of audio, computed in pieces.

    Args:
      compute: f32[batch, some * hop, 1] to i32[batch, some].
      audio: f32[batch, length * hop, 1].
      hop: samples a code.
      margin: see `encoder_margin`.
      samples: of a piece, of all items together, about.

    Returns:
      i32[batch, length].
    """
    length = audio.shape[1] // hop
    size = _fit(samples // (hop * len(audio)), margin)
    codes = np.empty((audio.shape[0], length), np.int32)
    laid = lay(length, size, margin)
    parts = (audio[:, part.start * hop : (part.start + size) * hop] for part in laid)
    for part, found in zip(laid, _ahead(compute, parts), strict=True):
        keep = slice(part.first - part.start, part.last - part.start)
        codes[:, part.first : part.last] = found[:, keep]
    return codes


def decode(
    compute: Callable[[np.ndarray], Array],
    codes: np.ndarray,
    hop: int,
    margin: Margin,
    samples: int,
) -> Iterator[np.ndarray]:
    """The audio of one level's codes, computed in pieces.

    Args:
      compute: i32[batch, some] to f32[batch, some * hop, 1].
      codes: i32[batch, length].
      hop: samples a code.
      margin: see `decoder_margin`.
      samples: of a piece, of all items together, about.

    Yields:
      f32[batch, some, 1], one after the other.
    """
    size = _fit(samples // (hop * len(codes)), margin)
    laid = lay(codes.shape[1], size, margin)
    parts = (codes[:, part.start : part.start + size] for part in laid)
    for part, audio in zip(laid, _ahead(compute, parts), strict=True):
        yield audio[:, (part.first - part.start) * hop : (part.last - part.start) * hop]


def _fit(codes: int, margin: Margin) -> int:
    """The size of a piece that is asked to be of so many codes: no smaller than its margins."""
    return max(codes, 2 * (margin.before + margin.after) + 1)


def _ahead(
    compute: Callable[[np.ndarray], Array], parts: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """Results on the host, each fetched while the next one is computed."""
    running: Array | None = None
    for part in parts:
        following = compute(part)
        if running is not None:
            yield np.asarray(running)
        running = following
    if running is not None:
        yield np.asarray(running)
