"""How candidates compare before anyone has listened: measures of a level's codes and sound.

None of them says that a song is good. They find what is broken: codes that the prior itself finds
improbable, sound beyond full scale or silent, a loop, lyrics that nothing attends to. `rank` puts
the songs in order by all of them together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import attended, compose, heads, price
from jukebox_jax.sampling.settings import DEFAULTS, Settings

LAG = 0.5
"""Seconds; what repeats sooner is a tone."""

_QUIET = 10 ** (-60 / 20)  # amplitude below which a moment is silent
_MOMENT = 0.05  # seconds


@dataclasses.dataclass(frozen=True)
class Scores:
    """Measures of one song at one level.

    Attributes:
      bits_per_code: mean over the song, under the level's prior; not a number without one, or
        where the song is shorter than a window that reads the codes above.
      repetition: the greatest part of the codes that equal the code some lag before, over all
        lags from half a second to half of the song.
      clipping: part of the samples that lie beyond full scale.
      silence: part of the time, in moments of 50 ms, below -60 dB.
      loudness: root mean square in dB below full scale.
      lyrics: part of the lyric tokens that fall into the recording to which the alignment gives
        a time; not a number where no lyrics are read.
    """

    bits_per_code: float
    repetition: float
    clipping: float
    silence: float
    loudness: float
    lyrics: float


_BETTER: Mapping[str, int] = {  # 1: more is better
    "bits_per_code": -1,
    "repetition": -1,
    "clipping": -1,
    "silence": -1,
    "lyrics": 1,
}


def score(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[Any],
    level: int,
    *,
    settings: Settings = DEFAULTS,
) -> tuple[Scores, ...]:
    """Measures each song at a level.

    Args:
      jukebox: the stages.
      songs: as they were sampled.
      codes: of all levels, finest first, i32[songs, length] or None; this level's complete.
      level: which level.
      settings: as they were sampled; batch, hop_fraction and allow_unknown are read.

    Raises:
      ValueError: the level's codes are missing.
    """
    own = codes[level]
    if own is None or not own.shape[1]:
        raise ValueError(f"level {level} has no codes to score: sample it first")
    try:
        bits = price.bits(jukebox, songs, codes, level, settings=settings).mean(axis=1)
    except ValueError:  # no prior, or too short for a window of it
        bits = np.full(len(songs), np.nan)
    covered = _coverage(jukebox, songs, codes, level, settings)
    lag = max(1, round(LAG * jukebox.rate / jukebox.hops[level]))
    sounds = compose.decode(jukebox, own, level, batch=settings.batch)[..., 0]
    return tuple(
        Scores(
            bits_per_code=float(bits[index]),
            repetition=repetition(own[index], lag),
            clipping=float(np.mean(np.abs(sound) > 1)),
            silence=silence(sound, jukebox.rate),
            loudness=loudness(sound),
            lyrics=covered[index],
        )
        for index, sound in enumerate(sounds)
    )


def repetition(codes: np.ndarray, least: int) -> float:
    """The greatest part of codes that equal those some lag before.

    Args:
      codes: i32[length].
      least: the smallest lag that counts, in codes; the greatest is half of the length.
    """
    lags = range(least, len(codes) // 2 + 1)
    return max((float(np.mean(codes[lag:] == codes[:-lag])) for lag in lags), default=0.0)


def silence(sound: np.ndarray, rate: int) -> float:
    """The part of the time, in moments of 50 ms, below -60 dB.

    Args:
      sound: f32[samples].
      rate: samples a second.
    """
    moment = max(1, min(len(sound), round(_MOMENT * rate)))
    whole = sound[: len(sound) - len(sound) % moment].reshape(-1, moment)
    return float(np.mean(np.sqrt(np.mean(np.square(whole), axis=1)) < _QUIET))


def loudness(sound: np.ndarray) -> float:
    """The root mean square of f32[samples], in dB below full scale; -100 for none."""
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-10))


def rank(scores: Sequence[Scores]) -> tuple[int, ...]:
    """Songs from best to worst, by the sum of their places in each measure.

    Measures that differ between no two songs, or are no number, do not count; of equals the
    earlier song comes first.
    """
    total = np.zeros(len(scores))
    for name, sign in _BETTER.items():
        values = -sign * np.array([getattr(one, name) for one in scores], np.float64)
        if np.isfinite(values).all():
            total += (values[:, None] > values[None, :]).sum(axis=1)
    return tuple(int(index) for index in np.argsort(total, kind="stable"))


def table(scores: Sequence[Scores]) -> str:
    """Scores as a table in Markdown, best first."""
    names = [field.name for field in dataclasses.fields(Scores)]
    lines = ["| song | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for index in rank(scores):
        cells = (f"{getattr(scores[index], name):.4g}" for name in names)
        lines.append(f"| {index} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _coverage(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[Any],
    level: int,
    settings: Settings,
) -> list[float]:
    nothing = [float("nan")] * len(songs)
    try:
        if attended.level_with_lyrics(jukebox) != level:
            return nothing
        whole = [np.zeros((len(songs), 0), np.int32) if one is None else one for one in codes]
        stage = attended.stage_with_lyrics(jukebox)
        layer, head = heads.known(stage) or heads.find(jukebox, songs, whole, settings)
        found = attended.matrices(jukebox, songs, whole, layer, [head], settings)
    except ValueError:  # no level reads lyrics, or no song has any
        return nothing
    covered = []
    for (weights,) in found:
        read = weights.any(axis=0)
        timed = np.isfinite(attended.path(weights))
        covered.append(float(timed[read].mean()) if read.any() else float("nan"))
    return covered
