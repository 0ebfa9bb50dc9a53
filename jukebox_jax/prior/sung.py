"""Which character of the lyrics is sung at each code: words in time, told as a track.

Lyrics that are attended to leave it to the prior to find out where it is in the text; a small
prior never does. Where the times of the words are known, this signal tells it. Nothing here knows
how timed text is written, nor of attention.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import lyrics, timed, timeline
from jukebox_jax.prior.alphabet import PADDING, Alphabet
from jukebox_jax.prior.signals import of, table
from jukebox_jax.prior.vocabulary import LabelError


@dataclasses.dataclass(frozen=True)
class Sung:
    """The character that is sung at each code.

    A label is lyrics in any form that `lyrics.Lyric.of` reads; a text without times is spread
    evenly over the song. Encoded as i32[length]: the token whose time has come, 0 before the
    first, after the last, and throughout a song without lyrics. Embedded by a table.

    Attributes:
      size: entries of the alphabet, with 0 for no character.
      rate: audio samples a second.
    """

    size: int
    rate: int = 44100
    door: ClassVar[str] = "track"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Alphabet | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The token at each code, i32[length].

        Raises:
          LabelError: lyrics that cannot be read, or of which the alphabet can say nothing, unless
            unknown labels are allowed; or an alphabet that is missing or another one.
        """
        alphabet = lyrics.check(name, vocabulary, self.size)
        total = span.total / self.rate
        try:
            lyric = lyrics.Lyric.of(song.labels, name, seconds=total)
        except LabelError as error:
            raise LabelError(f"{name} of {of(song)}: {error}") from None
        found = lyrics.encoded(lyric.text, alphabet)
        if lyrics.is_unsayable(lyric.text, alphabet) and not allow_unknown:
            raise LabelError(
                f"{name} of {of(song)}: {lyric.text.strip()[:40]!r} has no character that the "
                "model knows: transcribe it, or allow unknown labels"
            )
        if not len(found.tokens):
            return np.full(length, PADDING, np.int32)
        if lyric.times is None:
            times = np.arange(len(lyric.text)) * (total / len(lyric.text))
            end = total
        else:
            times = np.asarray(lyric.times)
            end = timed.finish(lyric.times, 0, len(lyric.times))
        begins = times[found.sources]
        at = timeline.seconds(span, length, self.rate)
        tokens = found.tokens[timeline.latest(begins, at)]
        return np.where((at < begins[0]) | (at >= end), PADDING, tokens).astype(np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context] to [batch, context, width]."""
        return table(self.size, width, init_scale, dtype)(values)

    def nothing(self) -> np.ndarray:
        """The value, at each code, of a song of which no lyrics are known."""
        return np.array(PADDING, np.int32)
