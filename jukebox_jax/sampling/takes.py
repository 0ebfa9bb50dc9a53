"""Takes of a recording, and what a person does with them: pick, cut, branch, splice, replace.

A `Take` is what a session's folder holds, as plain values; the operations are pure and make
another take, in which codes that are yet to be drawn are `plan.UNKNOWN` or missing. All times are
cut to whole codes of the top level. How a take gets its missing codes and its folder is known to
`session`, which every operation leaves as it was: takes grow into a tree.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import settings, steering
from jukebox_jax.sampling.plan import UNKNOWN
from jukebox_jax.sampling.settings import COURSES


@dataclasses.dataclass(frozen=True)
class Take:
    """Recordings side by side, as far as they are there.

    Attributes:
      codes: by level, i32[songs, length].
      songs: for each, its labels, with its seed.
      samples: length of the recordings, in audio samples.
      rate: audio samples a second.
      hops: audio samples a code, finest level first.
    """

    codes: Mapping[int, np.ndarray]
    songs: tuple[Mapping[str, Any], ...]
    samples: int
    rate: int
    hops: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of the recordings."""
        return self.samples / self.rate


def pick(take: Take, songs: Sequence[int]) -> Take:
    """Some of the songs, in the order given.

    Raises:
      ValueError: there is no such song.
    """
    count = len(take.songs)
    for song in songs:
        if not 0 <= song < count:
            raise ValueError(f"song {song} is to be picked, but there are songs 0 to {count - 1}")
    if not songs:
        raise ValueError("no songs are picked: give one at least")
    rows = list(songs)
    return dataclasses.replace(
        take,
        codes={level: array[rows] for level, array in take.codes.items()},
        songs=tuple(take.songs[song] for song in rows),
    )


def truncate(take: Take, seconds: float) -> Take:
    """Everything up to a time.

    Raises:
      ValueError: a time outside of the recordings.
    """
    end = _samples(take, seconds, "seconds")
    return dataclasses.replace(take, codes=_span(take, 0, end), samples=end)


def branch(take: Take, seconds: float, *, count: int = 1, seed: int | None = None) -> Take:
    """Several ways to go on from a time, as long as the recordings are.

    Args:
      take: where to branch.
      seconds: up to where codes are kept, at every level.
      count: ways for each song.
      seed: of the first of them, and one more for each that follows; by default the seeds that
        follow the greatest there is.

    Raises:
      ValueError: a time outside of the recordings, or fewer than one way.
    """
    if count < 1:
        raise ValueError(f"count={count}: branch into one way at least")
    end = _samples(take, seconds, "seconds")
    rows = [row for row in range(len(take.songs)) for _ in range(count)]
    first = _next_seed(take) if seed is None else seed
    songs = (
        {**take.songs[row], "seed": (first + place) % (1 << 32)} for place, row in enumerate(rows)
    )
    kept = {level: array[rows] for level, array in _span(take, 0, end).items()}
    return dataclasses.replace(take, codes=kept, songs=tuple(songs))


def splice(take: Take, other: Take, seconds: float) -> Take:
    """One take up to a time and another from there on, at the levels that both have.

    Raises:
      ValueError: takes of other numbers of songs or another VQ-VAE, or a time outside of one.
    """
    if (take.rate, take.hops) != (other.rate, other.hops):
        raise ValueError("the two takes are of different VQ-VAEs: their codes do not mix")
    if len(take.songs) != len(other.songs):
        raise ValueError(
            f"takes of {len(take.songs)} and {len(other.songs)} songs: pick as many of both"
        )
    at = _samples(take, seconds, "seconds")
    _samples(other, seconds, "seconds")
    before = _span(take, 0, at)
    both = {
        level: np.concatenate([before[level], other.codes[level][:, at // take.hops[level] :]], 1)
        for level in sorted(before.keys() & other.codes.keys())
        if before[level].shape[1] == at // take.hops[level]
    }
    return dataclasses.replace(take, codes=both, samples=other.samples)


def replace(take: Take, start: float, end: float, *, seed: int | None = None) -> Take:
    """A span to be drawn anew, at every level, with both sides kept.

    Args:
      take: what to change.
      start: seconds where the span begins.
      end: seconds where it ends.
      seed: of the first song, see `branch`.

    Raises:
      ValueError: a span outside of the recordings.
    """
    first, last = _samples(take, start, "start", least=0), _samples(take, end, "end")
    if first >= last:
        raise ValueError(f"start={start}, end={end}: the span holds no code of the top level")
    codes = {}
    for level, array in take.codes.items():
        array = array.copy()
        array[:, first // take.hops[level] : last // take.hops[level]] = UNKNOWN
        codes[level] = array
    begun = _next_seed(take) if seed is None else seed
    songs = ({**song, "seed": (begun + i) % (1 << 32)} for i, song in enumerate(take.songs))
    return dataclasses.replace(take, codes=codes, songs=tuple(songs))


def excerpt(take: Take, start: float, end: float) -> Take:
    """A span alone, whose labels know where in the song it lies; to be upsampled by itself.

    Raises:
      ValueError: a span outside of the recordings.
    """
    first, last = _samples(take, start, "start", least=0), _samples(take, end, "end")
    if first >= last:
        raise ValueError(f"start={start}, end={end}: the span holds no code of the top level")
    songs = []
    for song in take.songs:
        begun = float(song.get("start_seconds") or 0.0)
        total = song.get("total_seconds") or begun + take.seconds
        moved = courses(song, first / take.rate)
        if own := steering.per_level(Song("", 0, dict(song))):
            moved[steering.LEVELS] = {
                str(level): {**labels, **courses(labels, first / take.rate)}
                for level, labels in own.items()
            }
        begins = {"start_seconds": begun + first / take.rate, "total_seconds": total}
        songs.append({**song, **moved, **begins})
    return dataclasses.replace(
        take, codes=_span(take, first, last), songs=tuple(songs), samples=last - first
    )


def moment(take: Take, seconds: float) -> float:
    """The seconds of the code of the top level that a time falls into."""
    return _samples(take, seconds, "start", least=0) / take.rate


def courses(said: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What a song's labels or a config say of drawing, of the part from a time on."""
    return {name: settings.later(name, said[name], seconds) for name in COURSES if name in said}


def above(take: Take, level: int) -> Take:
    """What there is above a level: that level and those below are to be drawn (again).

    Raises:
      ValueError: nothing is above it.
    """
    codes = {number: array for number, array in take.codes.items() if number > level}
    if not codes:
        raise ValueError(f"level={level}: the take has no codes above it to upsample from")
    return dataclasses.replace(take, codes=codes)


OPERATIONS: Mapping[str, Callable[..., Take]] = {
    "pick": pick,
    "truncate": truncate,
    "branch": branch,
    "splice": splice,
    "replace": replace,
    "excerpt": excerpt,
    "upsample": above,
}
"""What can be done with takes, by the name that a record says it with."""


def fingerprint(codes: Mapping[int, np.ndarray]) -> dict[str, str]:
    """A short name of the codes of each level, the same for the same codes alone."""
    return {
        f"codes_{level}": hashlib.sha256(
            repr(array.shape).encode() + np.ascontiguousarray(array, "<i4").tobytes()
        ).hexdigest()[:16]
        for level, array in sorted(codes.items())
    }


def _samples(take: Take, seconds: float, name: str, least: int = 1) -> int:
    """A time in samples, whole codes of the top level."""
    top = take.hops[-1]
    if not math.isfinite(seconds):
        raise ValueError(f"{name}={seconds}: give seconds")
    samples = int(seconds * take.rate + 1e-6)
    samples -= samples % top
    if not least * top <= samples <= take.samples:
        raise ValueError(
            f"{name}={seconds}: the recordings have {take.seconds:.2f} s, of which one code of the "
            f"top level is {top / take.rate:.4f} s"
        )
    return samples


def _span(take: Take, start: int, end: int) -> dict[int, np.ndarray]:
    """Codes between two times, of the levels that reach beyond the first."""
    found = {}
    for level, array in take.codes.items():
        cut = array[:, start // take.hops[level] : end // take.hops[level]]
        if cut.shape[1]:
            found[level] = cut
    return found


def _next_seed(take: Take) -> int:
    return (max(int(song.get("seed") or 0) for song in take.songs) + 1) % (1 << 32)
