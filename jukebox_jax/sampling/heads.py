"""Which attention head of a prior follows the lyrics best, and where that is kept.

Every head that reads lyrics is tried on songs whose codes are known. Where a song's lyrics have
times, the head is judged by how far its words begin from them; the times are kept from the model.
Where no song has any, it is judged by how much of its attention lies on a path that only goes on.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import lyrics, timed
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended
from jukebox_jax.sampling.settings import DEFAULTS, Settings

Known = tuple[Song, Sequence[np.ndarray]]
"""A song, and its codes of all levels, i32[1, length], finest first."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A head, and how well it follows the lyrics.

    Attributes:
      layer: counted over the whole stack.
      head: of that layer.
      follows: see `attended.follows`; the mean over songs.
      seconds: the median distance of words from their true beginnings; None where none is known.
      words: how many of these there are.
    """

    layer: int
    head: int
    follows: float
    seconds: float | None = None
    words: int = 0


def search(
    jukebox: Jukebox,
    known: Iterable[Known],
    settings: Settings = DEFAULTS,
    *,
    on_song: Callable[[int], None] | None = None,
) -> tuple[Found, ...]:
    """All heads that read lyrics, the best first.

    Args:
      jukebox: the stages.
      known: songs with lyrics and codes, best such as the prior was not trained on; those without
        lyrics are passed over.
      settings: as in sampling; hop_fraction and allow_unknown are read.
      on_song: called with the number of songs that are done, after each.

    Raises:
      ValueError: no prior reads lyrics, or no song has any.
    """
    level, stage = attended.level_with_lyrics(jukebox), attended.stage_with_lyrics(jukebox)
    places = [(n, m) for n in attended.layers(stage) for m in range(stage.model.heads)]
    follows: dict[tuple[int, int], list[float]] = {place: [] for place in places}
    errors: dict[tuple[int, int], list[np.ndarray]] = {place: [] for place in places}
    code = jukebox.hops[level] / jukebox.rate
    name, _, alphabet = attended.parts(stage)
    for count, (song, codes) in enumerate(known, 1):
        length = codes[level].shape[1] * code
        truth = true_words(song, name, length)
        plain = without_times(song, name)
        for layer in attended.layers(stage) if plain.labels.get(name, "").strip() else ():
            which = range(stage.model.heads)
            (weights,) = attended.matrices(jukebox, [plain], codes, layer, which, settings)
            for head in which:
                follows[layer, head].append(attended.follows(weights[head]))
                seconds = attended.path(weights[head]) * code
                found = lyrics.aligned(Lyric(plain.labels[name]), alphabet, seconds)
                errors[layer, head].append(word_errors(truth, found, length))
        if on_song is not None:
            on_song(count)
    if not any(follows.values()):
        raise ValueError(f"none of the songs has {name}: label some, as {name} or {name}_file")
    rows = []
    for place in places:
        off = np.concatenate(errors[place])
        median = float(np.median(off)) if len(off) else None
        rows.append(Found(*place, float(np.mean(follows[place])), median, len(off)))
    return tuple(sorted(rows, key=lambda row: -row.follows if row.seconds is None else row.seconds))


def table(found: Sequence[Found]) -> list[str]:
    """Heads as lines to be shown, in their order."""
    lines = [f"{'layer':>5} {'head':>5} {'follows':>8} {'median error':>13}"]
    for row in found:
        off = "unknown" if row.seconds is None else f"{row.seconds:.3f} s"
        lines.append(f"{row.layer:>5} {row.head:>5} {row.follows:>8.3f} {off:>13}")
    words = max((row.words for row in found), default=0)
    return [*lines, f"judged by {f'{words} words' if words else 'how well they follow'}"]


def find(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    settings: Settings = DEFAULTS,
) -> tuple[int, int]:
    """The (layer, head) that `search` puts first on the first of some songs, without its times.

    Args:
      jukebox: the stages.
      songs: what was asked for.
      codes: of all levels, i32[songs, length].
      settings: see `search`.
    """
    name = attended.parts(attended.stage_with_lyrics(jukebox))[0]
    first = without_times(songs[0], name), [one[:1] for one in codes]
    try:
        best = search(jukebox, [first], settings)[0]
    except ValueError:  # a song without words: any head will do
        return attended.layers(attended.stage_with_lyrics(jukebox))[0], 0
    return best.layer, best.head


def known(stage: Stage) -> tuple[int, int] | None:
    """The (layer, head) that is stored with a stage; imported ones of the release name one.

    Raises:
      ValueError: what is stored is no layer that reads lyrics, or no head of it.
    """
    said = stage.alignment
    if not said:
        return None
    layer, head = said.get("layer", -1), said.get("head", -1)
    if layer not in attended.layers(stage) or head not in range(stage.model.heads):
        raise ValueError(
            f"{checkpoint.ALIGNMENT} names head {head!r} of layer {layer!r}, but the layers "
            f"{attended.layers(stage)} read lyrics, with heads 0 to {stage.model.heads - 1}: "
            "search again, or remove it"
        )
    return int(layer), int(head)


def store(directory: str | os.PathLike, found: Found) -> None:
    """Stores a head with the stage in a directory, for whoever loads it from then on.

    Raises:
      CheckpointError: it cannot be written.
    """
    checkpoint.write_json(os.fspath(directory), checkpoint.ALIGNMENT, dataclasses.asdict(found))


def without_times(song: Song, name: str) -> Song:
    """A song of whose lyrics only the text is known, "" where there are none."""
    seconds = song.samples / song.rate or None
    labels = {**song.labels, name: Lyric.of(song.labels, name, seconds=seconds).text}
    labels.pop(f"{name}_times", None)
    return dataclasses.replace(song, labels=labels)


def true_words(song: Song, name: str, length: float) -> Lyric | None:
    """The lyrics with times that are known, in seconds of a recording; None where none are.

    Args:
      song: whose they are; start_seconds, where its labels have it, is the recording's beginning.
      name: of the signal.
      length: seconds of the recording.
    """
    lyric = Lyric.of(song.labels, name, seconds=song.samples / song.rate or None)
    start = float(song.labels.get("start_seconds", 0.0))
    if lyric.times is None or not any(start <= time < start + length for time in lyric.times):
        return None
    return Lyric(lyric.text, tuple(time - start for time in lyric.times))


def word_errors(truth: Lyric | None, found: Lyric, length: float) -> np.ndarray:
    """How far words begin from where they are sung, in seconds.

    Args:
      truth: lyrics with times, None where none are known.
      found: the same text with other times; without any, each word is off by the whole length.
      length: seconds of the recording; words that are sung beyond it do not count.

    Returns:
      f64[words].
    """
    if truth is None or truth.times is None:
        return np.zeros(0)
    begins = [begin for begin, _ in timed.words(truth.text, 0, len(truth.text))]
    sung = np.array([truth.times[begin] for begin in begins])
    counted = (sung >= 0) & (sung < length)
    if found.times is None:
        return np.full(int(counted.sum()), length)
    heard = np.array([found.times[begin] for begin in begins])
    return np.abs(heard - sung)[counted]
