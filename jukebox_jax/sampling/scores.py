"""How candidates compare before anyone has listened: measures of a level's codes and sound.

None of them says that a song is good. They find what is broken: codes that the prior itself finds
improbable, sound beyond full scale or silent, a loop, lyrics that nothing attends to. `rank` puts
the songs in order by all of them together.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.sampling import attended, compose, conditions, heads, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import DEFAULTS, Settings

_LAG = 0.5  # seconds; what repeats sooner is a tone
_QUIET = 10 ** (-60 / 20)  # amplitude below which a moment is silent
_MOMENT = 0.05  # seconds


@dataclasses.dataclass(frozen=True)
class Scores:
    """Measures of one song at one level.

    Attributes:
      bits_per_code: mean over the song, under the level's prior; not a number without one.
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
    has_prior = level < len(jukebox.priors) and jukebox.priors[level] is not None
    cost = [float("nan")] * len(songs)
    if has_prior:
        found = bits(jukebox, songs, codes, level, settings=settings)
        cost = [float(one) for one in found.mean(axis=1)]
    covered = _coverage(jukebox, songs, codes, level, settings)
    lag = max(1, round(_LAG * jukebox.rate / jukebox.hops[level]))
    sounds = compose.decode(jukebox, own, level, batch=settings.batch)[..., 0]
    return tuple(
        Scores(
            bits_per_code=cost[index],
            repetition=repetition(own[index], lag),
            clipping=float(np.mean(np.abs(sound) > 1)),
            silence=_silence(sound, jukebox.rate),
            loudness=float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-10)),
            lyrics=covered[index],
        )
        for index, sound in enumerate(sounds)
    )


def bits(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[Any],
    level: int,
    *,
    settings: Settings = DEFAULTS,
) -> np.ndarray:
    """Bits of each code under its prior, seen in the windows in which it would be drawn.

    Args:
      jukebox: see `score`, as the others.
      songs: see there.
      codes: see there.
      level: see there.
      settings: see there.

    Returns:
      f32[songs, length].

    Raises:
      ValueError: the level has no prior, or codes that it reads are missing.
    """
    stage = jukebox.priors[level] if level < len(jukebox.priors) else None
    if stage is None:
        raise ValueError(f"level {level} has no prior: give its directory")
    own = np.asarray(codes[level])
    samples = own.shape[1] * jukebox.hops[level]
    starts, totals = plans.times(jukebox.rate, songs, samples)
    held = [
        np.zeros((len(songs), 0), np.int32) if one is None else np.asarray(one) for one in codes
    ]
    step = plans.level_of(jukebox, level, samples, settings)
    if step.factor:
        # A window may reach beyond a short recording; what stands there changes no code before.
        above = held[level + 1]
        missing = max(0, -(-max(step.context, own.shape[1]) // step.factor) - above.shape[1])
        if above.shape[1] * step.factor < own.shape[1]:
            raise ValueError(f"level {level} reads the codes of level {level + 1}: give them too")
        held[level + 1] = np.pad(above, ((0, 0), (0, missing)))
    seeds = plans.seeds(songs, settings.seed)
    plan = plans.Plan(samples, (step,), tuple(held), starts, totals, seeds)
    params = jax.device_put(stage.weights)
    found = np.zeros(own.shape, np.float32)
    for first in range(0, len(songs), settings.batch):
        rows = np.arange(first, min(first + settings.batch, len(songs)))
        for window in windows.windows(own.shape[1], step.context, step.hop):
            conditioning = conditions.conditioned(
                step,
                stage,
                params,
                songs,
                plan,
                held,
                rows,
                window.start,
                settings.allow_unknown,
            )
            seen = np.zeros((len(rows), step.context), np.int32)
            seen[:, : window.until] = own[rows, window.start : window.start + window.until]
            each = np.asarray(_bits(stage.model, params, seen, conditioning))
            new = slice(window.start + window.known, window.start + window.until)
            found[rows, new] = each[:, window.known : window.until]
    return found


def repetition(codes: np.ndarray, least: int) -> float:
    """The greatest part of codes that equal those some lag before.

    Args:
      codes: i32[length].
      least: the smallest lag that counts, in codes; the greatest is half of the length.
    """
    lags = range(least, len(codes) // 2 + 1)
    return max((float(np.mean(codes[lag:] == codes[:-lag])) for lag in lags), default=0.0)


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


@functools.partial(jax.jit, static_argnames="model")
def _bits(model: Any, params: Any, codes: Any, conditioning: Any) -> Any:
    logits = prior.logits(model, params, codes, conditioning)
    logs = jax.nn.log_softmax(logits[..., logits.shape[-1] - model.bins :], axis=-1)
    return -jnp.take_along_axis(logs, codes[..., None], axis=-1)[..., 0] / jnp.log(2.0)


def _silence(sound: np.ndarray, rate: int) -> float:
    moment = max(1, min(len(sound), round(_MOMENT * rate)))
    whole = sound[: len(sound) - len(sound) % moment].reshape(-1, moment)
    return float(np.mean(np.sqrt(np.mean(np.square(whole), axis=1)) < _QUIET))


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
