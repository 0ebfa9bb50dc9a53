"""What can be heard in a sound and put in place of labels: loudness, tempo, beats and chords.

The only importer of librosa, and only when something is measured. A measure goes over a whole song
once, so that every window of it is told the same; what was measured is remembered by file.
Whether a measure is wanted, and what becomes of it, is known elsewhere. Needs no TensorFlow.
"""

import concurrent.futures
import dataclasses
import functools
import logging
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import wave
from jukebox_jax.audio.song import Song

log = logging.getLogger(__name__)

RATE = 22050
"""Samples a second at which songs are measured, where they have as many."""

FLOOR = -80.0
"""Decibels of silence."""

SILENCE = "N"
"""The chord where none is heard."""

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_BLOCK = 0.1  # seconds of a value of loudness
_SMOOTH = 0.5  # seconds over which chroma is averaged
_BASS = 260.0  # Hz below which the lowest voice is, whose pitch is most often the root
_ROOT = 0.15  # how much it counts
_CHANGE = 0.5  # how much better, summed over frames, a chord must fit to replace the last
_QUIET = -60.0  # decibels below which no chord is heard


def loudness(audio: np.ndarray, rate: int) -> list[list[float]]:
    """The loudness of each tenth of a second, in dB below full scale.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.

    Returns:
      [second, dB] of the middle of each tenth, from -80 up; a full-scale square wave has 0.
    """
    power = np.mean(np.square(audio), axis=1)
    count = max(1, round(len(power) / (_BLOCK * rate)))  # less than half a tenth joins the last
    starts = np.round(np.arange(count) * _BLOCK * rate).astype(np.int64)
    ends = np.append(starts[1:], len(power))
    means = np.add.reduceat(power, starts, dtype=np.float64) / (ends - starts)
    levels = 10 * np.log10(np.maximum(means, 10 ** (FLOOR / 10)))
    return _pairs((starts + ends) / 2 / rate, levels)


def tempo(audio: np.ndarray, rate: int) -> float | None:
    """Beats a minute over a whole sound; None where no beat is heard.

    It may be off by an octave, as what a listener would tap may be.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.
    """
    librosa = _librosa()
    rises, hop = _onsets(audio, rate)
    if not np.any(rises > 0):
        return None
    found = float(librosa.feature.tempo(onset_envelope=rises, sr=rate, hop_length=hop)[0])
    return _refined(rises, found, rate / hop)


def beats(audio: np.ndarray, rate: int) -> list[float] | None:
    """The seconds of a sound's beats, as a listener would tap; None where no two are heard.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.
    """
    librosa = _librosa()
    rises, hop = _onsets(audio, rate)
    if not np.any(rises > 0):
        return None
    _, found = librosa.beat.beat_track(
        onset_envelope=rises, sr=rate, hop_length=hop, trim=False, units="time"
    )
    return [round(float(second), 4) for second in found] if len(found) > 1 else None


def chroma(audio: np.ndarray, rate: int) -> np.ndarray:
    """How much of each pitch class sounds over a whole sound, from C up.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.

    Returns:
      f64[12], which sum to 1; all alike for silence.
    """
    librosa = _librosa()
    size = _power(rate, 0.37)
    rows = librosa.feature.chroma_stft(
        y=_at_least(size, audio), sr=rate, n_fft=size, hop_length=size // 4, norm=None, tuning=0.0
    )
    total = np.asarray(rows, np.float64).sum(axis=1) + 1e-9
    return total / total.sum()


def chords(audio: np.ndarray, rate: int) -> list[list[Any]]:
    """Major and minor chords, by the pitch classes that sound.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.

    Returns:
      [second, name] of where each begins, as "Eb" or "F#m"; "N" where it is silent.
    """
    librosa = _librosa()
    hop, size = _power(rate, 0.093), _power(rate, 0.37)
    sound = _at_least(size, audio)
    power = np.square(np.abs(librosa.stft(sound, n_fft=size, hop_length=hop)))
    frames, low = power.shape[1], np.arange(len(power)) * rate / size < _BASS
    pitches, strengths = librosa.piptrack(S=power, sr=rate, n_fft=size)
    clear = strengths >= np.median(strengths[pitches > 0]) if pitches.any() else pitches > 0
    clear &= pitches > 0
    tuning = float(librosa.pitch_tuning(pitches[clear])) if clear.any() else 0.0
    whole, bass = (
        _smooth(
            librosa.feature.chroma_stft(S=part, sr=rate, n_fft=size, norm=None, tuning=tuning),
            hop / rate,
        )
        for part in (power, power * low[:, None])
    )
    fits = whole @ _templates().T + _ROOT * np.tile(bass, 2)
    times = np.arange(frames) * hop / rate
    levels = np.array(loudness(audio, rate))
    heard = np.interp(times, levels[:, 0], levels[:, 1]) > _QUIET
    names = [*_NAMES, *(f"{name}m" for name in _NAMES), SILENCE]
    silent = np.where(heard, -1.0, 1.0)[:, None]
    fits = np.concatenate([np.where(heard[:, None], fits, -1.0), silent], axis=1)
    path = _best(fits, _CHANGE)
    changes = np.flatnonzero(np.diff(path, prepend=-1))
    return [[round(float(times[at]), 4), names[path[at]]] for at in changes]


MEASURES: Mapping[str, Callable[[np.ndarray, int], Any]] = {
    "dynamics": loudness,
    "loudness": loudness,
    "tempo": tempo,
    "beats": beats,
    "chords": chords,
}
"""What can be measured, by the label that it stands for."""


def measure(audio: np.ndarray, rate: int, names: Iterable[str]) -> dict[str, Any]:
    """Measures of a sound by name, those that find nothing left out.

    Args:
      audio: f32[samples, channels].
      rate: samples a second.
      names: of `MEASURES`.

    Raises:
      ValueError: a name that is not measured, or a sound without samples.
    """
    names = tuple(names)
    for name in names:
        if name not in MEASURES:
            known = ", ".join(MEASURES)
            raise ValueError(f"{name!r} cannot be measured; measured are {known}")
    if not len(audio):
        raise ValueError("a sound without samples cannot be measured: give a longer one")
    found = {name: MEASURES[name](audio, rate) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def fill(song: Song, names: Iterable[str]) -> Song:
    """A song with what it is not labelled with measured from its sound.

    Each file is measured once. One that cannot be read is logged and left as it is, as is a song
    that has no file yet.

    Args:
      song: the song.
      names: labels; those that it has, or that cannot be measured, are passed over.
    """
    try:
        found = hear(song, names)
    except wave.AudioError:  # which the log has
        found = {}
    return dataclasses.replace(song, labels={**song.labels, **found}) if found else song


def hear(song: Song, names: Iterable[str]) -> Mapping[str, Any]:
    """What a song is not labelled with, measured from its sound, by name.

    Each file is measured once; one that cannot be read is logged once.

    Args:
      song: the song; one that has no file yet is silent.
      names: labels; those that it has, or that cannot be measured, are passed over.

    Raises:
      AudioError: its file cannot be read.
    """
    missing = tuple(
        sorted(name for name in names if name in MEASURES and song.labels.get(name) is None)
    )
    if not missing or not song.path:
        return {}
    found = _measured(song.path, song.samples, song.rate, missing)
    if isinstance(found, str):
        raise wave.AudioError(found)
    return found


def fill_all(songs: Sequence[Song], names: Iterable[str], *, threads: int = 4) -> tuple[Song, ...]:
    """`fill` of many songs, side by side, with a bar where it takes long."""
    import tqdm

    names = tuple(names)
    with concurrent.futures.ThreadPoolExecutor(max(1, threads)) as pool:
        filled = pool.map(lambda song: fill(song, names), songs)
        bar = tqdm.tqdm(filled, "measuring labels", len(songs), delay=3, leave=False, disable=None)
        return tuple(bar)


@functools.cache
def _measured(
    path: str, samples: int, rate: int, names: tuple[str, ...]
) -> Mapping[str, Any] | str:
    """What was measured, or why nothing could be."""
    wanted = min(rate, RATE)
    try:
        if path.startswith("tfds:"):
            from jukebox_jax.audio import dataset

            audio = dataset.load(Song(path, samples, {}, rate), wanted)
        else:
            audio = wave.load(path, wanted)
        return measure(audio, wanted, names)
    except wave.AudioError as error:
        log.warning("%s; left unknown: %s", error, ", ".join(names))
        return str(error)


@functools.cache
def _librosa() -> Any:
    """Librosa, imported whole by one process at a time.

    Numba compiles a part of it on import and keeps each function in two files; two processes that
    write a pair at once leave two halves that crash whoever calls them.
    """
    import filelock

    lock = pathlib.Path(tempfile.gettempdir()) / "jukebox_jax-librosa.lock"
    with filelock.FileLock(lock, mode=0o666):
        import librosa
        import librosa.beat
        import librosa.core.audio
        import librosa.core.notation
        import librosa.core.pitch
        import librosa.feature
        import librosa.onset
        import librosa.util.utils
    return librosa


def _onsets(audio: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """How much begins in each frame of a sound, and the samples from frame to frame."""
    hop, size = max(1, round(0.0116 * rate)), _power(rate, 0.093)
    sound = _at_least(size, audio)
    rises = _librosa().onset.onset_strength(y=sound, sr=rate, hop_length=hop, n_fft=size)
    return rises, hop


def _power(rate: int, seconds: float) -> int:
    """The power of two that is nearest to some seconds of samples."""
    return 1 << max(4, round(np.log2(seconds * rate)))


def _at_least(size: int, audio: np.ndarray) -> np.ndarray:
    """The sound in mono, f32[samples], with silence behind it where it is very short."""
    sound = wave.mono(audio)[:, 0]
    return np.pad(sound, (0, max(0, size - len(sound))))


def _smooth(chroma: np.ndarray, step: float) -> np.ndarray:
    """Pitch classes [12, frames] averaged over time, as vectors of length 1, [frames, 12]."""
    width = min(max(1, round(_SMOOTH / step)), chroma.shape[1])
    mean = np.stack([np.convolve(row, np.ones(width) / width, "same") for row in chroma], axis=1)
    mean = np.sqrt(np.maximum(mean, 0))  # so that one loud note does not outweigh a chord
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)


def _templates() -> np.ndarray:
    """How much of each pitch class a chord has, f64[24, 12]: major ones, then minor ones."""
    rows = []
    for steps in ((0, 4, 7), (0, 3, 7)):
        for root in range(12):
            row = np.zeros(12)
            row[[(root + step) % 12 for step in steps]] = (1.0, 0.85, 0.85)
            rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


def _best(fits: np.ndarray, change: float) -> np.ndarray:
    """The path through f64[frames, states] that fits best, less a price for each change."""
    total, came = fits[0], np.zeros(fits.shape, np.int64)
    for frame in range(1, len(fits)):
        best = int(np.argmax(total))
        leave = total < total[best] - change
        came[frame] = np.where(leave, best, np.arange(fits.shape[1]))
        total = np.where(leave, total[best] - change, total) + fits[frame]
    path = np.zeros(len(fits), np.int64)
    path[-1] = int(np.argmax(total))
    for frame in range(len(fits) - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path


def _refined(rises: np.ndarray, found: float, rate: float) -> float:
    """A tempo within 6 % of one found on a coarse grid, at which onsets repeat best.

    Measured over as many beats as there are, since one is only a few dozen frames long.
    """
    size = 1 << int(np.ceil(np.log2(2 * len(rises))))
    centred = rises - rises.mean()
    repeats = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2)[: len(rises)]
    tempos = found * np.linspace(0.94, 1.06, 121)
    beats = np.arange(1, 17)
    lags = beats[:, None] * 60 / tempos * rate
    lags = lags[lags.max(axis=1) < 0.8 * len(rises)]
    if not len(lags):
        return round(found, 3)
    scores = np.interp(lags, np.arange(len(repeats)), repeats).sum(axis=0)
    return round(float(tempos[np.argmax(scores)]), 3)


def _pairs(times: np.ndarray, values: np.ndarray) -> list[list[float]]:
    return np.stack([np.round(times, 4), np.round(values, 3)], axis=1).tolist()
