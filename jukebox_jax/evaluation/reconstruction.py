"""How much of a song the VQ-VAE keeps, level by level: what is decoded against what was encoded.

Distances are those of windows of a few seconds, and intervals come from drawing whole songs anew.
Silent windows have no relative distance and do not count.
"""

import math

import numpy as np

from jukebox_jax.audio import fidelity, mel
from jukebox_jax.evaluation import figures, progress
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.sampling import compose, heard

_WINDOW = 4.0  # seconds

UNITS = {"spectral convergence": "dB", "STFT distance": "", "mel distance": "dB", "SI-SDR": "dB"}
"""The distances by name, and their units."""

_NOTES = {
    "spectral convergence": "lower is better; 0 dB is what silence would have",
    "STFT distance": "lower is better; three scales",
    "mel distance": "lower is better; six scales",
    "SI-SDR": "higher is better",
}


def reconstruction(subject: Subject) -> list[Figure]:
    """Distances of decoded songs, use of codebooks and bits a second, of each level.

    Raises:
      ValueError: there are no songs, or one cannot be encoded.
    """
    box = subject.jukebox
    if not subject.known:
        raise ValueError("there are no songs to reconstruct: give --songs")
    levels, bins = range(len(box.hops)), box.vqvae.model.bins
    found: dict[tuple[int, str], list[np.ndarray]] = {
        (level, name): [] for level in levels for name in UNITS
    }
    counts = np.zeros((len(box.hops), bins), np.int64)
    for song, codes in progress.follow(subject.known, "reconstruction"):
        sound = heard.load(song, box.rate, subject.seconds)
        for level in levels:
            output = compose.decode(box, codes[level], level)[0]
            counts[level] += np.bincount(codes[level][0], minlength=bins)
            rows = distances(sound[: len(output)], output, box.rate)
            for name in UNITS:
                found[level, name].append(np.array([row[name] for row in rows]))
    made: list[Figure] = []
    for level in levels:
        made += [
            figures.of_songs(
                "reconstruction",
                f"level {level}: {name}",
                found[level, name],
                unit=unit,
                note=_NOTES[name],
            )
            for name, unit in UNITS.items()
        ]
        made += _codes(counts[level], level, box.rate / box.hops[level], len(subject.known))
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
                "SI-SDR": sums.si_sdr(),
            }
        )
    return rows


def _codes(counts: np.ndarray, level: int, second: float, songs: int) -> list[Figure]:
    """What of a codebook is used, from how often each code occurs; `second` is codes a second."""
    share = counts[counts > 0] / counts.sum()
    entropy, most = float(-(share * np.log2(share)).sum()) + 0.0, math.log2(len(counts))
    seen = f"of {counts.sum()} codes"

    def figure(name: str, value: float, unit: str, note: str = "") -> Figure:
        title = f"level {level}: {name}"
        return Figure("reconstruction", title, value, unit, songs=songs, note=note)

    return [
        figure("codebook use", 100 * float((counts > 0).mean()), "%", seen),
        figure("codebook entropy", entropy, "bits", f"at most {most:.3g}"),
        figure("bitrate", second * most / 1000, "kbit/s", f"{second:.4g} codes a second"),
        figure("bitrate at that entropy", second * entropy / 1000, "kbit/s"),
    ]
