"""Sound while codes are drawn: what `compose.stream` hands over, decoded as it comes.

A decoder sees some codes before and behind those whose sound it makes. So much is decoded with each
chunk and thrown away, and the sound of the last codes waits for those behind them: put together it
is that of the whole. Nothing here draws a code.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.models import Jukebox
from jukebox_jax.sampling.plan import UNKNOWN
from jukebox_jax.sampling.scheduler import Chunk
from jukebox_jax.vqvae import pieces, vqvae


@dataclasses.dataclass(frozen=True)
class Sound:
    """Some of one song's sound at one level.

    Attributes:
      level: whose codes it was decoded from.
      song: its place in the list of songs.
      start: its first sample in the recording.
      audio: f32[samples, 1].
    """

    level: int
    song: int
    start: int
    audio: np.ndarray


@dataclasses.dataclass
class _Heard:
    """What there is of one song at one level: codes, and how many of them have been decoded."""

    codes: np.ndarray  # i32[length]
    decoded: int = 0
    waiting: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)  # by their start

    def add(self, chunk: Chunk) -> None:
        self.waiting[chunk.start] = chunk.codes
        while (codes := self.waiting.pop(len(self.codes), None)) is not None:
            self.codes = np.concatenate([self.codes, codes])


def listen(
    jukebox: Jukebox,
    chunks: Iterable[Chunk],
    *,
    codes: Sequence[Any] | None = None,
    spliced: bool = False,
) -> Iterator[Sound]:
    """The sound of codes while they are drawn.

    Args:
      jukebox: the stages.
      chunks: what `compose.stream` gives.
      codes: what it was given to go on from, whose sound comes first; see there.
      spliced: leave out what a finer level has told already, so that sounds that are written into
        one array a song, as they come, are the best that there is of it: the finest level up to
        where it has got to, and the coarser ones from there on.

    Yields:
      Of each song and level in order, what becomes certain with each chunk; side by side they are
      what `compose.sample` gives as audio. What a level's last codes sound like comes at the end
      of the chunks.
    """
    stage, hops = jukebox.vqvae, jukebox.hops
    weights = jax.device_put(stage.weights)
    margins = [pieces.decoder_margin(*stage.model.sizes(level)) for level in range(len(hops))]
    heard: dict[tuple[int, int], _Heard] = {}
    told: dict[tuple[int, int], int] = {}  # samples

    def decode(level: int, song: int, until: int) -> Iterator[Sound]:
        there, hop = heard[level, song], hops[level]
        if until <= there.decoded:
            return
        first = max(0, there.decoded - margins[level].before)
        audio = vqvae.decode_long(stage.model, weights, there.codes[None, first:], level)[0]
        start = there.decoded * hop
        begin = max([start, *(told.get((finer, song), 0) for finer in range(level) if spliced)])
        there.decoded = until
        told[level, song] = until * hop
        if begin < until * hop:
            yield Sound(level, song, begin, audio[begin - first * hop : (until - first) * hop])

    for chunk in chunks:
        place = chunk.level, chunk.song
        if place not in heard:
            heard[place] = _Heard(_given(codes, *place))
        heard[place].add(chunk)
        yield from decode(*place, len(heard[place].codes) - margins[chunk.level].after)
    for (level, song), there in sorted(heard.items(), reverse=True):
        yield from decode(level, song, len(there.codes))


def _given(codes: Sequence[Any] | None, level: int, song: int) -> np.ndarray:
    """The codes of one song that there were before, i32[length]."""
    rows = None if codes is None else codes[level]
    if rows is None:
        return np.zeros(0, np.int32)
    row = np.asarray(rows)[song % len(rows)]
    return row[: int((row != UNKNOWN).sum())]
