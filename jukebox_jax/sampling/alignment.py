"""Which words are sung when, in a recording whose prior read lyrics.

One attention head of such a prior looks, at each code, at the lyrics of that moment. The best path
through its attention that never goes back gives each token its time. What is found is a `Lyric`,
written as LRC, SRT or JSON. How attention is gathered stands in `attended`, which head is read in
`heads`.
"""

import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import lyrics, subtitles, timed
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended, heads, steering
from jukebox_jax.sampling.settings import DEFAULTS, Settings

FORMATS = (".lrc", ".srt", ".json")
"""What `write` writes, by extension."""


def align(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    *,
    head: tuple[int, int] | None = None,
    settings: Settings = DEFAULTS,
) -> tuple[Lyric, ...]:
    """The lyrics of recordings with their times, in seconds of the recording.

    Args:
      jukebox: the stages that sampled them.
      songs: what was asked for.
      codes: of all levels, finest first, as in `compose.Recording`.
      head: (layer, head) to read; by default the one that is stored with the stage, or else the
        one that `heads.search` puts first.
      settings: as in sampling; hop_fraction and allow_unknown are read.

    Returns:
      For each song the part of its lyrics that the recording's windows read, with times.

    Raises:
      ValueError: no prior reads lyrics, or what `attended.matrices` raises.
    """
    level, stage = attended.level_with_lyrics(jukebox), attended.stage_with_lyrics(jukebox)
    layer, which = head or heads.known(stage) or heads.find(jukebox, songs, codes, settings)
    name, _, alphabet = attended.parts(stage)
    found = []
    for song, weights in zip(
        songs, attended.matrices(jukebox, songs, codes, layer, [which], settings), strict=True
    ):
        seconds = attended.path(weights[0]) * jukebox.hops[level] / jukebox.rate
        labels = steering.at_level(song, level).labels
        whole = lyrics.aligned(Lyric(Lyric.of(labels, name).text), alphabet, seconds)
        read = np.flatnonzero(np.isfinite(seconds))
        if whole.times is None or not len(read):
            found.append(Lyric("", ()))
            continue
        sources = lyrics.encoded(whole.text, alphabet).sources
        # To where the next token is, since a character may be written in two pieces.
        after = [*sources[read[-1] + 1 :], len(whole.text)][0]
        part = slice(int(sources[read[0]]), int(after))
        found.append(Lyric(whole.text[part], whole.times[part]))
    return tuple(found)


def write(path: str | os.PathLike, lyric: Lyric) -> None:
    """Writes lyrics with times in the format that the extension names, see `FORMATS`.

    Raises:
      ValueError: another extension.
    """
    file = pathlib.Path(path)
    if file.suffix == ".lrc":
        text = subtitles.to_lrc(lyric.pairs)
    elif file.suffix == ".srt":
        text = subtitles.to_srt(lyric.pairs)
    elif file.suffix == ".json":
        text = json.dumps(timed.to_json(lyric.pairs, by="word"), ensure_ascii=False, indent=1)
    else:
        raise ValueError(f"{file}: lyrics are written as {', '.join(FORMATS)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
