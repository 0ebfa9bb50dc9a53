"""The order in which windows of songs are read: a pure function of a seed and an index.

An epoch is an exact permutation of the windows of all songs; the shift and the blend of a window
belong to its index in the endless stream. Nothing is stored between calls, so any step can be gone
to at once. All of it is integer arithmetic on lengths; no sound is read here.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import SongError, Span

_ROUNDS = 6
_SHUFFLE, _SHIFT, _BLEND = 1, 2, 3  # what a random word is for
_WORD = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where every window of an endless stream lies; called with its index.

    Attributes:
      lengths: samples of each song at the model's rate.
      ends: for each song, the windows of one epoch up to and including its own.
      samples: samples of a window.
      seed: of order, shifts and blends.
      shift: move each window by up to half of itself, within its song.
      blend: mix channels by a random share instead of evenly.
      grid: windows begin on a multiple of so many samples, and the same number of them counts of
        a song's end.
    """

    lengths: tuple[int, ...]
    ends: np.ndarray
    samples: int
    seed: int
    shift: bool
    blend: bool
    grid: int = 1

    @property
    def size(self) -> int:
        """Windows of an epoch."""
        return int(self.ends[-1])

    def __call__(self, index: int) -> tuple[int, Span, float]:
        """The window's song, its span there, and the left channel's share of the mix."""
        epoch, place = divmod(index, self.size)
        window = _shuffled(place, self.size, self.seed, epoch)
        which = int(np.searchsorted(self.ends, window, side="right"))
        slot = window - (int(self.ends[which - 1]) if which else 0)
        total, start = self.lengths[which], slot * self.samples
        if self.shift:
            half = self.samples // 2
            start += _uniform(2 * half + 1, self.seed, _SHIFT, index) - half
            start = min(max(start, 0), total // self.grid * self.grid - self.samples)
        start = start // self.grid * self.grid
        left = _uniform(1 << 53, self.seed, _BLEND, index) / (1 << 53) if self.blend else 0.5
        return which, Span(start, self.samples, total), left


def plan(
    lengths: Sequence[int],
    *,
    samples: int,
    seed: int,
    shift: bool = True,
    blend: bool = False,
    grid: int = 1,
) -> Plan:
    """Plans the windows of songs.

    A song of n samples has n // samples windows in each epoch, and one shorter than a window none.

    Args:
      lengths: samples of each song at the model's rate.
      samples: samples of a window.
      seed: of order, shifts and blends.
      shift: see `Plan`.
      blend: see `Plan`.
      grid: see `Plan`.

    Raises:
      SongError: no song is as long as a window.
    """
    if samples < 1:
        raise SongError(f"samples={samples}: a window needs one at least")
    ends = np.cumsum([length // grid * grid // samples for length in lengths], dtype=np.int64)
    if not len(ends) or not ends[-1]:
        longest = max(lengths, default=0)
        raise SongError(
            f"no song holds a window of {samples} samples (the longest of {len(lengths)} has "
            f"{longest}); use longer songs or a shorter window"
        )
    return Plan(tuple(int(n) for n in lengths), ends, samples, seed, shift, blend, grid)


def _shuffled(place: int, size: int, seed: int, epoch: int) -> int:
    """Where a keyed permutation of range(size) sends a place.

    A Feistel network over the next power of four, walked until it falls inside the range. It is
    integer arithmetic of our own, so that no library's release changes the order of a run.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    key = _mix(seed, _SHUFFLE, epoch)
    while True:
        left, right = place >> half, place & low
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mix(key, number, right) & low)
        place = left << half | right
        if place < size:
            return place


def _uniform(size: int, *words: int) -> int:
    """A number in range(size), even to 2**-64 of it, that depends on the words alone."""
    return _mix(*words) * size >> 64


def _mix(*words: int) -> int:
    """64 bits that depend on all words: the finaliser of splitmix64 after each."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state
