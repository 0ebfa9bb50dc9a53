"""Variants of the VQ-VAE side by side, and whether they lie in the order that the paper found.

What is measured of a variant is kept song by song, so that two are compared by their differences
on the same songs. The paper's own numbers are of other music and of other sizes: only the sign of
a difference is held against it. Intervals are over songs: another seed of the training would move
all songs of a variant together, and they know nothing of that.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import figures, reconstruction
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.reconstruction import Coded
from jukebox_jax.models import Stage
from jukebox_jax.sampling import heard
from jukebox_jax.vqvae import joint, vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Weights

ENTROPY = "codebook entropy"
"""Beside the distances of `reconstruction.UNITS`: bits, of the codes of one song."""

HIGHER = ("SI-SDR", ENTROPY)
"""Of which more is better; of all others, less."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """Something that the paper found.

    Attributes:
      title: what it is, in a few words.
      better: the variant that did better.
      worse: the variant that did worse.
      figure: by which figure.
      top: only of the top level; else of each.
      alike: that they were about the same.
    """

    title: str
    better: str
    worse: str
    figure: str = "spectral convergence"
    top: bool = False
    alike: bool = False


CLAIMS = (
    Claim("restarts prevent collapse", "full", "without_restarts", ENTROPY),
    Claim("restarts reconstruct better", "full", "without_restarts"),
    Claim("a larger codebook is better", "fewer_codes", "fewest_codes"),
    Claim("a larger codebook is better", "full", "fewer_codes"),
    Claim("a larger codebook is better", "more_codes", "full"),
    Claim("the spectral loss keeps the spectrum", "full", "without_spectral_loss"),
    Claim(
        "and costs no waveform error", "full", "without_spectral_loss", "waveform error", alike=True
    ),
    Claim("separate levels beat joint ones at the top", "full", "joint", top=True),
)
"""What is compared, where both variants are there."""

_ALIKE = 1.0  # dB within which two count as the same


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of a variant.

    Attributes:
      name: the variant's.
      levels: of each level, by figure, the value of each song.
      use: part of each level's codebook that occurs; () where there is none.
      kbits: kbit/s of each level.
      parameters: how many it has.
      seconds: how long it was trained.
    """

    name: str
    levels: list[dict[str, list[float]]]
    use: list[float]
    kbits: list[float]
    parameters: int = 0
    seconds: float = 0.0

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Result":
        """From what `dataclasses.asdict` gave."""
        return cls(**value)


def windows(songs: Sequence[Song], rate: int, seconds: float, hop: int) -> list[np.ndarray]:
    """The beginnings of songs, f32[samples, 1], of one length; shorter ones are passed over.

    Args:
      songs: with files.
      rate: samples a second.
      seconds: about how long each is: whole codes.
      hop: samples of the longest code.

    Raises:
      ValueError: none is as long.
    """
    length = max(1, int(seconds * rate) // hop) * hop
    found = [heard.load(song, rate, length / rate) for song in songs]
    found = [sound for sound in found if len(sound) == length]
    if not found:
        raise ValueError(f"no held-out song lasts {length / rate:.2f} s: give less config.seconds")
    return found


def by_stage(stage: Stage, sounds: Sequence[np.ndarray]) -> Iterator[Coded]:
    """Sounds through each level of a VQ-VAE, f32[samples, 1] of one length."""
    for sound in sounds:
        codes = vqvae.encode(stage.model, stage.weights, sound[None])
        outputs = [
            np.asarray(vqvae.decode(stage.model, stage.weights, one, level))[0]
            for level, one in enumerate(codes)
        ]
        yield Coded(sound, outputs, [np.asarray(one)[0] for one in codes])


def by_joint(model: VQVAE, weights: Weights, sounds: Sequence[np.ndarray]) -> Iterator[Coded]:
    """Sounds through a joint VQ-VAE: of each level, what its codes and those above give back."""
    for sound in sounds:
        made = [joint.through(model, weights, sound[None], level) for level in range(model.levels)]
        codes = [np.asarray(one)[0] for one in made[0][1]]
        yield Coded(sound, [np.asarray(output)[0] for output, _ in made], codes)


def measure(
    name: str, coded: Iterable[Coded], rate: int, kbits: Sequence[float], bins: int = 0
) -> Result:
    """What there is to know of a variant.

    Args:
      name: the variant's.
      coded: its songs.
      rate: samples a second.
      kbits: of each level.
      bins: codes of a codebook.
    """
    kept = list(coded)
    found = reconstruction.measure(kept, rate, bins)
    levels = [
        {figure: [_mean(one) for one in songs] for figure, songs in way.items()}
        for way in found.values
    ]
    for level, way in enumerate(levels):
        if kept[0].codes:
            way[ENTROPY] = [_entropy(one.codes[level]) for one in kept]
    use = [float((row > 0).mean()) for row in found.counts] if kept[0].codes else []
    return Result(name, levels, use, list(kbits))


def table(results: Sequence[Result]) -> list[str]:
    """Variants as lines to be shown: a row a variant and level."""
    rows = [
        ("variant", "level", "convergence", "95 %", "waveform", "mel", "entropy", "use", "kbit/s")
    ]
    for one in results:
        for level, way in enumerate(one.levels):
            whole = _figure("", way, "spectral convergence")
            entropy = f"{np.mean(way[ENTROPY]):.2f}" if ENTROPY in way else ""
            rows.append(
                (
                    one.name,
                    str(level),
                    f"{whole.value:.2f} dB",
                    "" if whole.low is None else f"{whole.low:.2f} to {whole.high:.2f}",
                    f"{np.nanmean(way['waveform error']):.2f} dB",
                    f"{np.nanmean(way['mel distance']):.2f} dB",
                    entropy,
                    f"{100 * one.use[level]:.0f} %" if one.use else "",
                    f"{one.kbits[level]:.3g}",
                )
            )
    sizes = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip()
        for row in rows
    ]


def compared(results: Sequence[Result]) -> list[Figure]:
    """The claims on these variants: by how much the better is better, song by song."""
    by_name = {one.name: one for one in results}
    found = []
    for claim in CLAIMS:
        if claim.better not in by_name or claim.worse not in by_name:
            continue
        better, worse = by_name[claim.better], by_name[claim.worse]
        top = len(better.levels) - 1
        for level in [top] if claim.top else range(len(better.levels)):
            found.append(_claimed(claim, better, worse, level))
    return found


def _claimed(claim: Claim, better: Result, worse: Result, level: int) -> Figure:
    sides = [np.array(one.levels[level][claim.figure]) for one in (better, worse)]
    way = 1.0 if claim.figure in HIGHER else -1.0
    apart = way * (sides[0] - sides[1])
    unit = "bits" if claim.figure == ENTROPY else reconstruction.UNITS[claim.figure]
    title = f"{claim.title}: {claim.better} over {claim.worse}, level {level}"
    figure = figures.of_songs("paper", title, [np.array([one]) for one in apart], unit=unit)
    low, high = figure.low or 0.0, figure.high or 0.0
    if figure.low is None:  # one song says nothing of others
        verdict = "not shown"
    elif claim.alike:
        verdict = "as in the paper" if -_ALIKE < low <= high < _ALIKE else "not alike here"
    elif low > 0:
        verdict = "as in the paper"
    else:
        verdict = "against the paper" if high < 0 else "not shown"
    note = f"{verdict}; {claim.figure}, above 0: the first is better"
    return dataclasses.replace(figure, note=note)


def _figure(title: str, way: Mapping[str, list[float]], name: str) -> Figure:
    return figures.of_songs("ablation", title, [np.array([one]) for one in way[name]])


def all_figures(results: Sequence[Result]) -> list[Figure]:
    """Every figure of every variant, and the claims."""
    found = []
    for one in results:
        for level, way in enumerate(one.levels):
            for name, unit in {**reconstruction.UNITS, ENTROPY: "bits"}.items():
                if name in way:
                    figure = _figure(f"{one.name}, level {level}: {name}", way, name)
                    found.append(dataclasses.replace(figure, unit=unit))
    return found + compared(results)


def _entropy(codes: np.ndarray) -> float:
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(share * np.log2(share)).sum()) + 0.0


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
