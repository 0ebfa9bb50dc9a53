"""Files to arrays and back: wav, flac, ogg, opus, mp3, aiff, at any rate and any channel count.

The only importer of soundfile and soxr, each when first used. A file is float32 [samples, channels]
in [-1, 1]. A slice of a file is read without decoding the rest, and equals that slice of the whole.
What decoders pass over in silence (a file that ends early, one that holds more than it plays,
samples that are not numbers) is an error here. Nothing here knows of songs or of JAX.
"""

import dataclasses
import functools
import io
import logging
import math
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jukebox_jax.audio import containers, mpeg

log = logging.getLogger(__name__)

FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""What `save` writes, by extension: container and coding."""

_BLOCK = 1 << 20  # samples decoded at once while a whole file is checked
_REACH = 512  # samples, at the lower of two rates, that a resampled sample can depend on
_VORBIS_TAIL = 4  # seconds before the end from which seeks in Vorbis go astray, with room to spare
_CONVERT = "convert it, for example with: ffmpeg -i FILE FILE.flac"
_CUT = f"it is cut short, so fetch it again or {_CONVERT}"


class AudioError(ValueError):
    """A sound that cannot be read or written; its message is one line and names the file."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a file holds.

    Attributes:
      samples: samples a channel that can be read, at the file's own rate.
      rate: samples a second.
      channels: channels.
    """

    samples: int
    rate: int
    channels: int


def probe(path: str | os.PathLike, *, check: bool = False) -> Probe:
    """Measures a file without trusting its header.

    Args:
      path: the file.
      check: decode all of it, to find damage and samples that are not finite.

    Raises:
      AudioError: it is missing, empty, no sound, shorter than it says, longer than it plays, or
        (with `check`) damaged or not finite.
    """
    with _open(path) as file:
        whole = _whole(path, file)
        samples, rate = whole.samples, whole.rate
        if samples <= 0:
            raise AudioError(f"{path}: holds no samples; remove it")
        tail = min(samples, 8192)
        got = samples - tail + len(_read(path, file, samples - tail, tail))
        if got < samples:
            _refuse_shorter(path, got, samples, rate)
    if check:
        with _open(path) as file:
            for first in range(0, samples, _BLOCK):
                block = _read(path, file, first, min(_BLOCK, samples - first))
                if len(block) < min(_BLOCK, samples - first):
                    _refuse_shorter(path, first + len(block), samples, rate)
                _refuse_unless_finite(path, block, first)
    return whole


def load(
    path: str | os.PathLike, rate: int, start: int = 0, samples: int | None = None
) -> np.ndarray:
    """Loads a file, or a slice of one, at a rate of choice.

    Args:
      path: the file.
      rate: samples a second wanted.
      start: first sample of the slice, counted at `rate`.
      samples: length of the slice, counted at `rate`; None for all that follows.

    Returns:
      f32[samples, channels], exactly as long as asked for.

    Raises:
      AudioError: the file cannot be read, holds less than it promises or no sample at the rate,
        ends before the slice does, or holds samples there that are not finite.
    """
    with _open(path) as file:
        return cut(
            lambda first, length: _read(path, file, first, length),
            _whole(path, file),
            rate,
            start,
            samples,
            name=str(path),
        )


def cut(
    read: Callable[[int, int], np.ndarray],
    whole: Probe,
    rate: int,
    start: int = 0,
    samples: int | None = None,
    *,
    name: str = "audio",
) -> np.ndarray:
    """Cuts a slice out of a sound that is read piecewise, at a rate of choice.

    Where rates differ, the piece that is resampled begins on a common multiple of both rates'
    periods and reaches past the slice on both sides, so that a slice equals that of the whole.

    Args:
      read: from a first sample and a length, at the sound's own rate, to f32[samples, channels].
      whole: what the whole sound holds.
      rate: samples a second wanted.
      start: first sample of the slice, counted at `rate`.
      samples: length of the slice, counted at `rate`; None for all that follows.
      name: what messages call the sound.

    Returns:
      f32[samples, channels].

    Raises:
      AudioError: the sound is shorter than the slice, is not finite there, or holds no sample.
    """
    if rate <= 0:
        raise AudioError(f"{name}: rate={rate} samples a second; give a positive one")
    total = whole.samples * rate // whole.rate
    if samples is None and not total:
        raise AudioError(f"{name}: holds no samples at {rate} Hz; remove it")
    length = total - start if samples is None else samples
    if start < 0 or length < 0 or start + length > total:
        raise AudioError(
            f"{name}: has {total} samples at {rate} Hz, but {length} from {start} were asked for; "
            "ask for fewer or use a longer file"
        )
    if rate == whole.rate:
        first, last = start, start + length
    else:
        shared = math.gcd(rate, whole.rate)
        step_in, step_out = whole.rate // shared, rate // shared
        reach = math.ceil(_REACH * max(1.0, whole.rate / rate))
        first = max(0, start * whole.rate // rate - reach) // step_in * step_in
        last = min(whole.samples, math.ceil((start + length) * whole.rate / rate) + reach)
    audio = read(first, last - first) if length else np.zeros((0, whole.channels), np.float32)
    if length and len(audio) < last - first:
        _refuse_shorter(name, first + len(audio), whole.samples, whole.rate)
    _refuse_unless_finite(name, audio, first)
    if rate != whole.rate and length:
        import soxr

        offset = start - first // step_in * step_out
        audio = soxr.resample(audio, whole.rate, rate, quality="HQ")[offset : offset + length]
        audio = np.pad(audio, ((0, length - len(audio)), (0, 0)))  # the very last may round away
    return np.ascontiguousarray(audio, np.float32)


def mono(audio: np.ndarray, left: float = 0.5, *, name: str = "a sound") -> np.ndarray:
    """Mixes channels to one; says so where they cancel and nothing is left.

    Args:
      audio: f32[samples, channels].
      left: share of the left of two channels; the right has the rest. More channels are averaged.
      name: what the log calls the sound, once.

    Returns:
      f32[samples, 1].
    """
    if audio.shape[1] == 1:
        return audio
    mixed = np.float32(left) * audio[:, :1] + np.float32(1 - left) * audio[:, 1:2]
    if audio.shape[1] > 2:
        mixed = audio.mean(axis=1, keepdims=True)
    if not mixed.any() and audio.any():
        _say_cancelled(name)
    return mixed.astype(np.float32, copy=False)


@functools.cache
def _say_cancelled(name: str) -> None:
    log.warning("%s: its channels cancel, and mixed to one they are silence", name)


def save(
    path: str | os.PathLike, audio: np.ndarray, rate: int, *, compression: float | None = None
) -> None:
    """Writes a sound, in the format its extension names.

    The file appears whole or not at all. Samples beyond [-1, 1] are clipped and their number is
    logged.

    Args:
      path: with one of the extensions of `FORMATS`; missing folders are made.
      audio: f32[samples, channels] or f32[samples].
      rate: samples a second.
      compression: of codings that lose something, from 0 (large) to 1 (small); of Opus 256 to 6
        kbit/s a channel, linearly. None for what each does by itself.

    Raises:
      AudioError: an extension or a rate that cannot be written, or samples that are not finite.
    """
    wide = np.asarray(audio, np.float32).reshape(len(audio), -1) if np.ndim(audio) == 1 else audio
    save_pieces(path, [wide], rate, compression=compression)


def save_pieces(
    path: str | os.PathLike,
    pieces: Iterable[np.ndarray],
    rate: int,
    *,
    compression: float | None = None,
) -> None:
    """Writes a sound that comes in pieces, of which no more than one is held; see `save`.

    Args:
      path: see there.
      pieces: f32[some, channels], one after the other; one at least.
      rate: samples a second.
      compression: see there.

    Raises:
      AudioError: what `save` raises.
    """
    import soundfile

    path = pathlib.Path(path)
    if path.suffix.lower() not in FORMATS:
        raise AudioError(f"{path}: cannot write {path.suffix!r}; use one of {', '.join(FORMATS)}")
    form, coding = FORMATS[path.suffix.lower()]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    file: Any = None
    clipped, peak, first, samples = 0, 0.0, 0, 0
    try:
        for audio in pieces:
            audio = np.asarray(audio, np.float32)
            if audio.ndim != 2 or not audio.shape[1]:
                raise AudioError(f"{path}: audio has shape {audio.shape}; give [samples, channels]")
            _refuse_unless_finite(path, audio, first)
            clipped += int(np.count_nonzero(np.abs(audio) > 1))
            peak = max(peak, float(np.abs(audio).max(initial=0.0)))
            if coding == "PCM_16":
                data: np.ndarray = np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)
            else:
                data = np.clip(audio, -1, 1)
            if file is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                small = {} if compression is None else {"compression_level": compression}
                file = soundfile.SoundFile(
                    unfinished, "w", rate, data.shape[1], format=form, subtype=coding, **small
                )
            for at in range(0, len(data), rate):  # one huge write can exhaust a codec's stack
                file.write(data[at : at + rate])
            first, samples = first + len(data), samples + data.size
        if file is None:
            raise AudioError(f"{path}: no sound to write")
        file.close()
        os.replace(unfinished, path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: cannot write {coding} at {rate} Hz: {_line(error)}") from None
    finally:
        if file is not None:
            file.close()
        unfinished.unlink(missing_ok=True)
    if clipped:
        log.warning("%s: clipped %d of %d samples, peak %.2f", path, clipped, samples, peak)


def mp3(audio: np.ndarray, rate: int) -> bytes:
    """A small mp3, of 64 or 96 thousand bits a second throughout, so that seeks in it are exact.

    Args:
      audio: f32[samples, channels]; clipped to [-1, 1].
      rate: samples a second, one of those that mp3 has.
    """
    import soundfile

    written, (form, coding) = io.BytesIO(), FORMATS[".mp3"]
    how: Any = {"bitrate_mode": "CONSTANT", "compression_level": 0.6 if rate <= 24000 else 0.8}
    with soundfile.SoundFile(written, "w", rate, audio.shape[1], coding, None, form, **how) as file:
        for at in range(0, len(audio), rate):  # see `save_pieces`
            file.write(np.clip(audio[at : at + rate], -1, 1))
    return written.getvalue()


def _open(path: str | os.PathLike) -> Any:
    """An open soundfile.SoundFile, or one clear line."""
    import soundfile

    file = pathlib.Path(path)
    if not file.is_file():
        raise AudioError(f"{path}: {'is a folder' if file.is_dir() else 'no such file'}")
    try:
        if not file.stat().st_size:
            raise AudioError(f"{path}: is empty (0 bytes); remove it")
        return soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        raise AudioError(f"{path}: cannot be read as sound ({_line(error)}); {_CONVERT}") from None


def _read(path: str | os.PathLike, file: Any, first: int, length: int) -> np.ndarray:
    """f32[samples, channels]; fewer than asked for where the file ends.

    A file that is to be read elsewhere than where it stands must be freshly opened, and is read
    once, since soundfile seeks after each read. Two codings in which libsndfile's seeks go astray
    are read towards the slice: Ogg Vorbis near its end, and mp3 through an excerpt.
    """
    import soundfile

    try:
        before = file.tell()
        if before != first:
            before = first
            if file.subtype == "VORBIS":
                before = max(0, min(first, file.frames - _VORBIS_TAIL * file.samplerate))
            elif file.format == "MP3":
                small = mpeg.part(path, first, length)
                if small is not None:
                    with soundfile.SoundFile(io.BytesIO(small[0])) as part:
                        return part.read(small[1] + length, "float32", always_2d=True)[small[1] :]
                before = 0
            file.seek(before)
        return file.read(first - before + length, "float32", always_2d=True)[first - before :]
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{path}: is damaged near sample {first} ({_line(error)}); {_CONVERT}"
        ) from None


def _whole(path: str | os.PathLike, file: Any) -> Probe:
    """What an open file promises, where it holds as much; of an mp3, what its frames agree with.

    A decoder trims its own delay and the encoder's padding, a few frames in all.
    """
    promised, rate = file.frames, file.samplerate
    if file.format != "MP3":
        share, ended = containers.check(path)
        if not ended:
            raise AudioError(
                f"{path}: ends after {promised / rate:.2f} s without the end of its stream; {_CUT}"
            )
        if promised * (1 - share) > share * rate / 100:  # a hundredth of a second
            _refuse_shorter(path, promised, round(promised / share), rate)
        return Probe(promised, rate, file.channels)
    frames = mpeg.frames(path)
    if frames is None:
        raise AudioError(f"{path}: holds no mp3 frames that can be counted; {_CONVERT}")
    if promised > frames.samples + 2 * frames.frame:
        fault = "cut short"
    elif promised < frames.samples - 4 * frames.frame:
        fault = "joined from parts"
    else:
        return Probe(min(promised, frames.samples), rate, file.channels)
    raise AudioError(
        f"{path}: promises {promised / rate:.2f} s but holds {frames.samples / rate:.2f} s "
        f"({fault}, or of varying bit rate without a table of contents); {_CONVERT}"
    )


def _refuse_shorter(name: str | os.PathLike, got: int, promised: int, rate: int) -> None:
    raise AudioError(
        f"{name}: promises {promised / rate:.2f} s but ends after {got / rate:.2f} s; {_CUT}"
    )


def _refuse_unless_finite(name: str | os.PathLike, audio: np.ndarray, first: int) -> None:
    if not np.isfinite(audio).all():
        at = first + int(np.argmax(~np.isfinite(audio).all(axis=1)))
        value = audio[at - first][~np.isfinite(audio[at - first])][0]
        raise AudioError(f"{name}: sample {at} is {value}, not a number to play; write it again")


def _line(error: Exception) -> str:
    """An error's message without line breaks, and without the path that the caller names."""
    line = " ".join(getattr(error, "error_string", str(error)).split()).rstrip(".")
    # What libsndfile says of an existing file in which it finds no mp3 stream.
    return "Format not recognised" if line.startswith("File does not exist") else line
