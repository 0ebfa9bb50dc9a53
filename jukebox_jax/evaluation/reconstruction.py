"""How much of a song the VQ-VAE keeps, level by level: what is decoded against what was encoded.

Distances are those of windows of a few seconds, and intervals come from drawing whole songs anew.
Silent windows have no relative distance and do not count.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jukebox_jax.audio import fidelity, mel
from jukebox_jax.evaluation import figures, progress
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.sampling import compose, heard

_WINDOW = 4.0  # seconds

UNITS = {
    "spectral convergence": "dB",
    "STFT distance": "",
    "mel distance": "dB",
    "waveform error": "dB",
    "SI-SDR": "dB",
}
"""The distances by name, and their units."""

_NOTES = {
    "spectral convergence": "lower is better; 0 dB is what silence would have",
    "STFT distance": "lower is better; three scales",
    "mel distance": "lower is better; six scales",
    "waveform error": "lower is better: the mean squared error, relative to the song",
    "SI-SDR": "higher is better",
}


@dataclasses.dataclass(frozen=True)
class Coded:
    """A sound, and what came of it.

    Attributes:
      target: f32[samples, 1].
      outputs: f32[samples, 1] of each way that it was coded.
      codes: of each way, i32[length]; () where there are none to be counted.
    """

    target: np.ndarray
    outputs: Sequence[np.ndarray]
    codes: Sequence[np.ndarray] = ()


def reconstruction(subject: Subject) -> list[Figure]:
    """Distances of decoded songs, use of codebooks and bits a second, of each level.

    Raises:
      ValueError: there are no songs, or one cannot be encoded.
    """
    box = subject.jukebox
    if not subject.known:
        raise ValueError("there are no songs to reconstruct: give --songs")

    def coded() -> Iterator[Coded]:
        for song, codes in progress.follow(subject.known, "reconstruction"):
            sound = heard.load(song, box.rate, subject.seconds)
            # Whole windows are all that is measured, and few lengths need few programs.
            whole = codes[-1].shape[1] * box.hops[-1]
            kept = whole - whole % round(_WINDOW * box.rate) or whole
            cut = [one[:, : -(-kept // hop)] for one, hop in zip(codes, box.hops, strict=True)]
            outputs = [compose.decode(box, one, level)[0] for level, one in enumerate(cut)]
            outputs = [output[:kept] for output in outputs]
            yield Coded(sound[:kept], outputs, [one[0] for one in cut])

    found = measure(coded(), box.rate, box.vqvae.model.bins)
    return told(found, [f"level {level}" for level in range(len(box.hops))], box.hops, box.rate)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Figures of songs that were each coded in the same ways, not yet put together.

    Attributes:
      values: of each way, by the names of `UNITS`: for each song the figures of its windows.
      counts: how often each code occurs, i64[ways, bins]; 0 where there are none.
    """

    values: list[dict[str, list[np.ndarray]]]
    counts: np.ndarray


def measure(coded: Iterable[Coded], rate: int, bins: int = 0) -> Measured:
    """The distances of songs that were coded.

    Args:
      coded: at least one, all in as many ways.
      rate: samples a second.
      bins: how many codes there are.
    """
    values: list[dict[str, list[np.ndarray]]] = []
    counts = np.zeros((0, bins), np.int64)
    for one in coded:
        if not values:
            values = [{name: [] for name in UNITS} for _ in one.outputs]
            counts = np.zeros((len(values), bins), np.int64)
        for way, output in enumerate(one.outputs):
            rows = distances(one.target, output, rate)
            for name in UNITS:
                values[way][name].append(np.array([row[name] for row in rows]))
        for way, codes in enumerate(one.codes):
            counts[way] += np.bincount(codes, minlength=bins)
    return Measured(values, counts)


def told(found: Measured, names: Sequence[str], hops: Sequence[int], rate: int) -> list[Figure]:
    """Figures with their intervals.

    Args:
      found: what was measured.
      names: of the ways, as "level 0".
      hops: samples a code, of each way that has codes.
      rate: samples a second.
    """
    made: list[Figure] = []
    for way, title in enumerate(names):
        for name, unit in UNITS.items():
            values, note = found.values[way][name], _NOTES[name]
            figure = figures.of_songs("reconstruction", f"{title}: {name}", values, unit=unit)
            made.append(dataclasses.replace(figure, note=note))
        if found.counts[way].any():
            songs = len(found.values[way]["SI-SDR"])
            made += _codes(found.counts[way], title, rate / hops[way], songs)
    return made


def distances(target: np.ndarray, output: np.ndarray, rate: int) -> list[dict[str, float]]:
    """The distances of `UNITS` of each whole window of a few seconds, or of all that there is.

    Args:
      target: f32[samples, 1].
      output: f32[samples, 1].
      rate: samples a second.
    """
    size = min(round(_WINDOW * rate), len(target))
    rows = []
    for start in range(0, len(target) - size + 1, size):
        one, other = target[start : start + size], output[start : start + size]
        sums = fidelity.Sums()
        sums.add(one, other)
        loud = math.isfinite(sums.si_sdr())
        rows.append(
            {
                "spectral convergence": sums.convergence() if loud else math.nan,
                "STFT distance": fidelity.stft_distance(one, other) if loud else math.nan,
                "mel distance": mel.distance(one[:, 0], other[:, 0], rate),
                "waveform error": sums.error(),
                "SI-SDR": sums.si_sdr(),
            }
        )
    return rows


def _codes(counts: np.ndarray, way: str, second: float, songs: int) -> list[Figure]:
    """What of a codebook is used, from how often each code occurs; `second` is codes a second."""
    share = counts[counts > 0] / counts.sum()
    entropy, most = float(-(share * np.log2(share)).sum()) + 0.0, math.log2(len(counts))
    seen = f"of {counts.sum()} codes"

    def figure(name: str, value: float, unit: str, note: str = "") -> Figure:
        title = f"{way}: {name}"
        return Figure("reconstruction", title, value, unit, songs=songs, note=note)

    return [
        figure("codebook use", 100 * float((counts > 0).mean()), "%", seen),
        figure("codebook entropy", entropy, "bits", f"at most {most:.3g}"),
        figure("bitrate", second * most / 1000, "kbit/s", f"{second:.4g} codes a second"),
        figure("bitrate at that entropy", second * entropy / 1000, "kbit/s"),
    ]
