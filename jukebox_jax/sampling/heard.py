"""Songs that exist, as the codes of a set of stages: what a trained prior is measured on.

Knows which songs a prior was not trained on, and how a song's file becomes codes. Nothing is
sampled here.
"""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from jukebox_jax.audio import song as songs_
from jukebox_jax.audio import wave
from jukebox_jax.audio.song import Song, SongError
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.sampling import compose

log = logging.getLogger(__name__)


def held_out(stage: Stage, source: str = "", share: float | None = None) -> tuple[Song, ...]:
    """The songs that a stage was not trained on, or those of another source.

    Args:
      stage: a trained stage.
      source: a folder, a list, tfds:... or band:..., as for `song.find`; "" for what the stage
        was trained on, "band" for the procedural band as it comes.
      share: which part of them, or how many, to keep to, as in training; None for all of another
        source, and for as many as the training held out of its own.

    Raises:
      SongError: there are none, or nothing is known of what the stage was trained on.
    """
    data = stage.config.get("data") or {}
    if not source:
        if not data.get("source") or not (share or data.get("held_out")):
            raise SongError("the stage does not say which songs were held out: name some")
        source, share = data["source"], share or data["held_out"]
    found = songs_.find(
        "band:" if source == "band" else source,
        rate=int(stage.config["stage"]["rate"]),
        minimum_seconds=data.get("minimum_seconds") or 0.0,
        maximum_seconds=data.get("maximum_seconds") or float("inf"),
    )
    return songs_.split(found, share)[1] if share else found


def listen(
    jukebox: Jukebox, songs: Sequence[Song], seconds: float | None = None, *, grid: float = 0.0
) -> Iterator[tuple[Song, tuple[np.ndarray, ...]]]:
    """Encodes songs, one after the other; those that cannot be are logged and left out.

    Args:
      jukebox: the stages; the VQ-VAE is used.
      songs: with files.
      seconds: of each, from its beginning; None for all of it.
      grid: songs are filled up with silence to whole multiples of so many seconds, so that songs
        of many lengths need few programs; the last codes then hear it. 0 for not at all.

    Yields:
      A song, and its codes of all levels, i32[1, length], finest first.

    Raises:
      SongError: none of the songs can be read and is as long as a code of the top level.
    """
    top, count, reason = jukebox.hops[-1], 0, ""
    for song in songs:
        try:
            sound = load(song, jukebox.rate, seconds)
            if len(sound) < top:
                raise SongError(f"{song.path}: {len(sound)} samples are less than one code")
        except (wave.AudioError, SongError) as error:
            log.warning("%s; left out", error)
            reason = str(error)
            continue
        length = len(sound)
        if grid:
            sound = np.pad(sound, ((0, -length % max(1, round(grid * jukebox.rate))), (0, 0)))
        codes = compose.prime(jukebox, sound[None])
        kept, count = length // top * top, count + 1
        yield (
            song,
            tuple(one[:, : kept // hop] for one, hop in zip(codes, jukebox.hops, strict=True)),
        )
    if songs and not count:
        raise SongError(f"none of {len(songs)} songs can be measured; the last: {reason}")


def readable(
    songs: Sequence[Song], rate: int, seconds: float | None = None
) -> Iterator[tuple[Song, np.ndarray]]:
    """Songs and their sounds, as `load` gives them; those that cannot be read are left out."""
    for song in songs:
        try:
            sound = load(song, rate, seconds)
        except wave.AudioError as error:
            log.warning("%s; left out", error)
        else:
            yield song, sound


def load(song: Song, rate: int, seconds: float | None = None) -> np.ndarray:
    """A song's sound in mono, f32[samples, 1].

    Raises:
      AudioError: its file cannot be read.
    """
    if song.path.startswith("tfds:"):
        from jukebox_jax.audio import dataset

        sound = dataset.load(song, rate)
    else:
        sound = wave.load(song.path, rate)
    return wave.mono(sound, name=song.path)[: None if seconds is None else round(seconds * rate)]
