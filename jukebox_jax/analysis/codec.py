"""The VQ-VAE alone as a codec: sound files to codes, codes to sound files, and how good it is.

Files are read and written piece by piece, so a file of any length takes the same memory but for
its codes. A codes file is an NPZ with codes_0, codes_1, ... (i32[1, length] each) as sampling
writes and reads them, and beside them the rate and the samples of the sound. Pieces overlap by
what a code sees, so the codes are those of the whole.
"""

import dataclasses
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio import fidelity, files, wave
from jukebox_jax.models import Stage
from jukebox_jax.vqvae import pieces, vqvae


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good one level's round trip is.

    Attributes:
      level: which.
      convergence: spectral convergence in dB, over all pieces; lower is better.
      si_sdr: scale-invariant ratio of signal to distortion in dB; higher is better.
      bits: a second of sound, as codes of log2(bins) bits each.
      entropy: bits a second that the codes would take at best if coded one by one.
      use: part of the codebook that occurs.
    """

    level: int
    convergence: float
    si_sdr: float
    bits: float
    entropy: float
    use: float


def encode(stage: Stage, path: str | os.PathLike, *, piece: int = pieces.SAMPLES) -> dict[str, Any]:
    """The codes of a sound file at every level, with its rate and its samples.

    Args:
      stage: the VQ-VAE.
      path: a sound file of any rate; channels are mixed to one.
      piece: samples that are read at once, about; and computed at once.

    Returns:
      codes_0, codes_1, ...: i32[1, length]; rate and samples, of the sound at the stage's rate.

    Raises:
      AudioError: the file cannot be read.
    """
    model, rate = stage.model, int(stage.config["stage"]["rate"])
    whole = wave.probe(path)
    samples = whole.samples * rate // whole.rate
    hop = model.hops[-1]
    length = math.ceil(samples / hop)
    margins = [pieces.encoder_margin(*model.sizes(level)) for level in range(model.levels)]
    sides = zip(model.hops, margins, strict=True)
    reach = max(max(margin.before, margin.after) * size for size, margin in sides)
    around = math.ceil(reach / hop)
    margin = pieces.Margin(before=around, after=around)
    size = max(piece // hop, 4 * around + 1)
    weights = jax.device_put(stage.weights)
    found: list[np.ndarray] = [np.empty((1, length * hop // one), np.int32) for one in model.hops]
    for part in pieces.lay(length, size, margin):
        count = min(size, length)
        sound = _cut(path, rate, part.start * hop, count * hop, samples)
        codes = vqvae.encode_long(model, weights, sound[None], piece=piece)
        for array, own, one in zip(found, codes, model.hops, strict=True):
            scale = hop // one
            kept = slice((part.first - part.start) * scale, (part.last - part.start) * scale)
            array[:, part.first * scale : part.last * scale] = own[:, kept]
    arrays = {f"codes_{level}": array for level, array in enumerate(found)}
    return {**arrays, "rate": np.array(rate), "samples": np.array(samples)}


def save(path: str | os.PathLike, codes: dict[str, Any]) -> None:
    """Writes a codes file, whole or not at all."""
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(file) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(stream, **codes)


def load(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a codes file.

    Raises:
      ValueError: there is none, or it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays}
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError(
            f"{path}: is no file of codes; give a whole one, as launch/codec.py encode writes"
        ) from None
    if "codes_0" not in found:
        raise ValueError(f"{path}: holds {', '.join(found)}, but no codes_0")
    return found


def decode(
    stage: Stage, codes: dict[str, Any], level: int = 0, *, piece: int = pieces.SAMPLES
) -> Iterator[np.ndarray]:
    """The sound of one level's codes, piece by piece, cut to the samples that were encoded.

    Args:
      stage: the VQ-VAE.
      codes: what `encode` or `load` gave.
      level: whose codes are decoded, 0 the finest.
      piece: samples that are computed at once, about.

    Yields:
      f32[some, 1], one after the other.

    Raises:
      ValueError: there are no codes of that level, or they are another model's.
    """
    name, model = f"codes_{level}", stage.model
    if name not in codes or not 0 <= level < model.levels:
        have = ", ".join(sorted(one for one in codes if one.startswith("codes_")))
        raise ValueError(f"no codes of level {level}; there are {have}")
    array = np.asarray(codes[name])
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < model.bins:
        raise ValueError(f"{name} reach {array.max()}, but the VQ-VAE has {model.bins} bins")
    left = int(codes.get("samples", array.shape[1] * model.hops[level]))
    for part in vqvae.decode_pieces(model, stage.weights, array[:1], level, piece=piece):
        kept = part[0, : max(left, 0)]
        left -= len(part[0])
        if len(kept):
            yield kept


def report(
    stage: Stage,
    path: str | os.PathLike,
    *,
    levels: Sequence[int] | None = None,
    piece: int = pieces.SAMPLES,
) -> tuple[Quality, ...]:
    """How good the round trip of a sound file is, level by level.

    Distances are summed over pieces: the transform of a long sound in parts, whose frames at the
    seams see what stands there mirrored.

    Args:
      stage: the VQ-VAE.
      path: a sound file.
      levels: which; all by default.
      piece: samples that are read and computed at once, about.

    Raises:
      AudioError: the file cannot be read.
    """
    codes = encode(stage, path, piece=piece)
    rate, samples = int(codes["rate"]), int(codes["samples"])
    model = stage.model
    found = []
    for level in range(model.levels) if levels is None else levels:
        numbers, at = fidelity.Sums(), 0
        for output in decode(stage, codes, level, piece=piece):
            numbers.add(_cut(path, rate, at, len(output), samples), output)
            at += len(output)
        counts = np.bincount(codes[f"codes_{level}"][0], minlength=model.bins)
        share = counts[counts > 0] / counts.sum()
        second = rate / model.hops[level]
        found.append(
            Quality(
                level=level,
                convergence=numbers.convergence(),
                si_sdr=numbers.si_sdr(),
                bits=second * math.log2(model.bins),
                entropy=float(-second * (share * np.log2(share)).sum()) + 0.0,
                use=float((counts > 0).mean()),
            )
        )
    return tuple(found)


def _cut(path: str | os.PathLike, rate: int, start: int, length: int, samples: int) -> np.ndarray:
    """A slice of a file, mixed to mono, with silence behind the file's end: f32[length, 1]."""
    there = max(0, min(length, samples - start))
    sound = wave.mono(wave.load(path, rate, start, there), name=str(path))
    return np.pad(sound, ((0, length - there), (0, 0)))
