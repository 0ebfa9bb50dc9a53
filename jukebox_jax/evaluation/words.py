"""Whether a prior follows its lyrics: where it finds words, and whether it sings those asked for.

`alignment` compares the words' beginnings that a head finds with the true ones; `lyrics` compares
how well codes are predicted under their own lyrics and under those of other songs. Times that
songs' lyrics have are never shown to a prior that attends to a text, and are what one that is told
the character at each code goes by.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import figures
from jukebox_jax.evaluation.drawn import apart
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import lyrics, timed
from jukebox_jax.prior.conditioning import Sung
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended, compose, heads, price

OTHERS = 3
"""How many other songs' lyrics a song is held against."""


def alignment(subject: Subject) -> list[Figure]:
    """How far words begin from where they are sung, and what no listening at all would give.

    Raises:
      ValueError: no prior reads lyrics, or no song's lyrics have times.
    """
    box, settings = subject.jukebox, subject.settings
    level, stage = attended.level_with_lyrics(box), attended.stage_with_lyrics(box)
    name, _, alphabet = attended.parts(stage)
    code, rng = box.hops[level] / box.rate, np.random.default_rng(0)
    head = heads.known(stage)
    if head is None:
        best = heads.search(box, subject.known, settings)[0]
        head = best.layer, best.head
    errors: dict[str, list[np.ndarray]] = {"found": [], "spread": [], "chance": []}
    for song, codes in subject.known:
        length = codes[level].shape[1] * code
        truth = heads.true_words(song, name, length)
        if truth is None:
            continue
        plain = heads.without_times(song, name)
        (weights,) = attended.matrices(box, [plain], codes, head[0], [head[1]], settings)
        seconds = attended.path(weights[0]) * code
        times = {
            "found": lyrics.aligned(Lyric(truth.text), alphabet, seconds),
            "spread": Lyric(*timed.spread([timed.Piece(0.0, truth.text, length)])),
            "chance": Lyric(truth.text, tuple(np.sort(rng.uniform(0, length, len(truth.text))))),
        }
        for kind, lyric in times.items():
            errors[kind].append(heads.word_errors(truth, lyric, length))
    if not errors["found"]:
        raise ValueError(f"no song's {name} have times to measure an alignment by")
    pairs = zip(errors["spread"], errors["found"], strict=True)
    better = [spread - found for spread, found in pairs]
    note = f"layer {head[0]}, head {head[1]}; {sum(map(len, errors['found']))} words"

    def median(title: str, values: list[np.ndarray], note: str = "") -> Figure:
        return figures.of_songs(
            "alignment", title, values, statistic=np.median, unit="s", note=note
        )

    return [
        median("words begin off by, median", errors["found"], note),
        median("text spread evenly, median", errors["spread"]),
        median("times drawn at random, median", errors["chance"]),
        figures.of_songs(
            "alignment", "better than spread evenly, mean", better, unit="s",
            note="above 0: the attention knows more than the text's length",
        ),
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Reader:
    """A prior that is told lyrics.

    Attributes:
      level: whose it is.
      name: of the signal.
      in_time: whether it is told the character at each code, not a text to attend to.
    """

    level: int
    name: str
    in_time: bool

    def told(self, pairs: Iterable[heads.Known]) -> list[heads.Known]:
        """Of songs with codes those that have words, with lyrics as they are compared."""
        told = [(self._told(song), codes) for song, codes in pairs]
        return [one for one in told if lyrics.plain(one[0].labels[self.name]).strip()]

    def _told(self, song: Song) -> Song:
        plain = heads.without_times(song, self.name)
        if not self.in_time:
            return plain
        lyric = Lyric.of(song.labels, self.name, seconds=song.samples / song.rate or None)
        value = lyric.text if lyric.times is None else lyric.pairs
        return dataclasses.replace(plain, labels={**plain.labels, self.name: value})


def reader(box: Jukebox) -> Reader:
    """The prior that attends to lyrics, or else the highest that is told them in time.

    Raises:
      ValueError: none is told any.
    """
    try:
        level, stage = attended.level_with_lyrics(box), attended.stage_with_lyrics(box)
        return Reader(level, attended.parts(stage)[0], False)
    except ValueError:
        for level, one in reversed([*enumerate(box.priors)]):
            for name, signal in one.model.signals if one is not None else ():
                if isinstance(signal, Sung):
                    return Reader(level, name, True)
        raise


def lyrics_followed(subject: Subject) -> list[Figure]:
    """How many bits a code more it costs to be told another song's lyrics.

    Held-out songs tell whether lyrics help to predict; sampled ones whether a new song follows
    what it was asked to sing.

    Raises:
      ValueError: no prior is told lyrics, or fewer than two songs have any.
    """
    box = subject.jukebox
    read = reader(box)
    listed = read.told(subject.known)
    if len({song.labels[read.name] for song, _ in listed}) < 2:
        raise ValueError(f"fewer than two songs have {read.name} of their own: give more songs")
    songs = [song for song, _ in listed]
    asked = [subject.asked(song, index) for index, song in enumerate(songs[: subject.samples])]
    recording = compose.sample(
        box, asked, subject.sampled_seconds, levels=(read.level,), settings=subject.settings
    )
    own = apart(asked, recording.codes)
    texts = [song.labels[read.name] for song in songs]
    found = []
    for title, pairs in (("held out", listed), ("sampled", own)):
        bits = [costs(subject, read.level, read.name, song, codes, texts) for song, codes in pairs]
        found += [
            figures.of_songs(
                "lyrics", f"{title}: other lyrics cost", [one[1:].mean() - one[0] for one in bits],
                unit="bits a code", note="above 0: the codes follow their own lyrics",
            ),
            figures.of_songs(
                "lyrics", f"{title}: under its own", [one[0] for one in bits], unit="bits a code"
            ),
        ]  # fmt: skip
    return found


def costs(
    subject: Subject,
    level: int,
    name: str,
    song: Song,
    codes: Sequence[np.ndarray],
    texts: Sequence[Any],
) -> np.ndarray:
    """Bits a code under a song's own lyrics and under some others.

    Args:
      subject: what is measured.
      level: whose prior is told lyrics.
      name: of the lyrics' signal.
      song: whose labels have lyrics, as `Reader.told` gives it.
      codes: of all levels, i32[1, length], finest first.
      texts: lyrics to draw the others from; at least one is another.

    Returns:
      f64[1 + others], the first of them under its own.
    """
    others = [text for text in texts if text != song.labels[name]]
    rng = np.random.default_rng(len(others))
    chosen = rng.choice(len(others), min(OTHERS, len(others)), replace=False)
    told = [song.labels[name], *(others[index] for index in chosen)]
    songs = [dataclasses.replace(song, labels={**song.labels, name: text}) for text in told]
    rows = [np.repeat(array, len(told), axis=0) for array in codes]
    each = price.bits(subject.jukebox, songs, rows, level, settings=subject.settings)
    return each.mean(axis=1)
