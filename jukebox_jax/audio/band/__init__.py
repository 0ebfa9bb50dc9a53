"""A band that is all code: it composes, plays and sings, and knows every label of its songs.

Who plays is in `artists`, what in `genres`; `form` and `score` compose, `verses` has the words,
`voice` and `instruments` make the sound. Song i of a seed is the same however many are asked for,
and at any rate. numpy only.
"""

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jukebox_jax.audio import manifest
from jukebox_jax.audio.band import artists, genres, instruments, voice
from jukebox_jax.audio.band.score import Score, compose

__all__ = ["ARTISTS", "GENRES", "Score", "compose", "labels", "render", "song", "songs"]
__all__ += ["stems", "write"]

ARTISTS = tuple(artists.ARTISTS)
"""Names of the artists."""

GENRES = tuple(genres.GENRES)
"""Names of the genres."""

_RATES = (8000, 48000)
_DRUMS = {  # loudness, pan
    "kick": (1.0, 0.0),
    "snare": (0.75, 0.05),
    "rim": (0.55, -0.15),
    "tom": (0.7, -0.2),
    "hat": (0.5, 0.3),
    "open": (0.4, 0.3),
    "crash": (0.35, -0.25),
}


def song(index: int, *, seconds: float, seed: int) -> Score:
    """A song of an endless collection, in which each artist plays each genre equally often.

    Args:
      index: which, from 0.
      seconds: about how long songs are; each lasts between 0.9 and 1.1 of it.
      seed: of the collection.
    """
    rng = np.random.default_rng([seed, 4])
    artist = rng.permutation(ARTISTS)[index % len(ARTISTS)]
    genre = rng.permutation(GENRES)[
        (index + index // np.lcm(len(ARTISTS), len(GENRES))) % len(GENRES)
    ]
    own = np.random.default_rng([seed, 5, index])
    return compose(
        int(own.integers(1 << 31)),
        seconds=float(np.round(seconds * own.uniform(0.9, 1.1), 3)),
        artist=str(artist),
        genre=str(genre),
    )


def stems(score: Score, rate: int, singer: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """What each instrument of a score plays, dry, in its place between left and right.

    Args:
      score: the song.
      rate: samples a second, 8000 to 48000.
      singer: how much louder than usual the voice is, a factor.

    Yields:
      The name of an instrument, as in `score.activity`, and f32[2, samples].

    Raises:
      ValueError: a rate that the band cannot play at.
    """
    if not _RATES[0] <= rate <= _RATES[1]:
        raise ValueError(f"rate={rate}: the band plays at {_RATES[0]} to {_RATES[1]} Hz")
    artist, samples = artists.ARTISTS[score.artist], round(score.seconds * rate)
    for role, part in artist.parts.items():
        notes = [note for note in score.notes if note.role == role]
        track = np.zeros(samples, np.float32)
        for note in notes:
            tone = instruments.tone(part.timbre, note.pitch, note.seconds, rate)
            tone *= np.float32(note.level * part.gain)
            _add(track, tone, note.start, rate)
        if notes:
            yield part.name, instruments.widen(track, rate, part.pan, part.width)
    drums = np.zeros((2, samples), np.float32)
    for hit in score.hits:
        gain, pan = _DRUMS[hit.kind]
        stroke = instruments.drum(artist.kit, hit.kind, rate) * np.float32(hit.level * gain)
        _add(drums, instruments.widen(stroke, rate, pan, 0.0), hit.start, rate)
    if score.hits:
        yield "drums", drums * np.float32(artist.drums.gain)
    if score.phones:
        track = voice.sing(score.phones, artist.voice, rate, samples, score.seed)
        track *= np.float32(singer * artist.singer.gain)
        yield "voice", instruments.widen(track, rate, 0.0, 0.0)


def render(score: Score, rate: int, singer: float = 1.0) -> np.ndarray:
    """Plays a score.

    Args:
      score: the song.
      rate: samples a second, 8000 to 48000.
      singer: how much louder than usual the voice is, a factor.

    Returns:
      f32[samples, 2], `round(seconds * rate)` samples, its peak about -1.5 dBFS.

    Raises:
      ValueError: a rate that the band cannot play at.
    """
    artist, samples = artists.ARTISTS[score.artist], round(score.seconds * rate)
    faders: dict[str, artists.Part | artists.Fader] = {
        "drums": artist.drums,
        "voice": artist.singer,
        **{part.name: part for part in artist.parts.values()},
    }
    mix = np.zeros((2, samples), np.float32)
    room, repeats = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
    for name, stem in stems(score, rate, singer):
        mix += stem
        mono = stem.mean(axis=0)
        room += np.float32(1.4 * faders[name].room) * mono
        repeats += np.float32(1.4 * faders[name].echo) * mono
    beats, feedback = artist.echo
    mix += instruments.echo(repeats, rate, beats * 60 / score.tempo, feedback)
    mix += instruments.reverb(room, rate, *artist.room)
    fade = int(min(0.8, 0.15 * score.seconds) * rate)
    mix[:, samples - fade :] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return np.ascontiguousarray(instruments.master(mix, rate).T)


def labels(score: Score) -> dict[str, Any]:
    """All that is known of a song, as JSON's types: the row of a manifest, without its path.

    Times are in seconds: `beats` [second, number in its bar], `lyrics_times` [second, character],
    `chords` and `sections` [start, name], `dynamics` [second, level], `melody` [start, end, MIDI
    number], `activity` instrument to [start, end] pairs; `instruments` are its names.
    """
    activity = score.activity
    return {
        "artist": score.artist,
        "genre": score.genre,
        "mood": score.mood,
        "key": score.key,
        "tempo": round(score.tempo, 3),
        "metre": score.metre,
        "beats": _rounded(score.beats),
        "instruments": list(activity),
        "lyrics": score.lyrics,
        "lyrics_times": _rounded(score.lyrics_times),
        "sections": _rounded(score.sections),
        "chords": _rounded(score.chords),
        "dynamics": _rounded(score.dynamics),
        "melody": _rounded(score.melody),
        "activity": {name: _rounded(spans) for name, spans in activity.items()},
    }


def songs(
    count: int, seconds: float, seed: int, rate: int
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Songs 0 to `count` - 1 of a collection: (f32[samples, 2], labels), one at a time."""
    for index in range(count):
        score = song(index, seconds=seconds, seed=seed)
        yield render(score, rate), labels(score)


def write(
    folder: str | os.PathLike,
    songs: int,
    *,
    seconds: float,
    seed: int,
    rate: int,
    save: Callable[[pathlib.Path, np.ndarray, int], None],
    singer: float = 1.0,
) -> pathlib.Path:
    """Plays songs into files, with a list of them and their labels.

    Args:
      folder: where they go; made if missing.
      songs: how many.
      seconds: about how long each is.
      seed: of the collection.
      rate: samples a second.
      save: writes a file, from its path, f32[samples, 2] and the rate.
      singer: how much louder than usual the voices are, a factor.

    Returns:
      The list, `manifest.jsonl`.
    """
    import tqdm

    rows, folder = [], pathlib.Path(folder)
    for index in tqdm.trange(songs, desc="the band plays", delay=3, leave=False, disable=None):
        score = song(index, seconds=seconds, seed=seed)
        name = f"{index:04d} {score.artist} {score.genre}.flac".lower().replace(" ", "-")
        save(folder / name, render(score, rate, singer), rate)
        rows.append({"path": name, **labels(score)})
    listed = folder / manifest.NAMES[0]
    manifest.write(listed, rows)
    return listed


def _add(track: np.ndarray, sound: np.ndarray, start: float, rate: int) -> None:
    first = round(start * rate)
    room = track[..., first : first + sound.shape[-1]]
    room += sound[..., : room.shape[-1]]


def _rounded(values: Any) -> list[list[Any]]:
    return [
        [round(float(one), 4) if isinstance(one, float) else one for one in row] for row in values
    ]
