"""How much each code of a recording attends to each token of its song's lyrics.

The attention of some heads of one layer, window by window, as one matrix a song; the best path
through such a matrix; and how well a head follows such a path. Which head is read, and what
becomes of a path, is known elsewhere.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import conditioning, lyrics, prior, transformer
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import conditions, steering, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import DEFAULTS, Level, Settings


def level_with_lyrics(jukebox: Jukebox) -> int:
    """The highest level whose prior reads lyrics.

    Raises:
      ValueError: none does.
    """
    for level in range(len(jukebox.priors) - 1, -1, -1):
        stage = jukebox.priors[level]
        if stage is not None and conditioning.lyrics_of(stage.model.signals):
            return level
    raise ValueError("none of the priors reads lyrics, so there is nothing to align")


def stage_with_lyrics(jukebox: Jukebox) -> Stage:
    """The prior that reads lyrics, of the highest level that has one.

    Raises:
      ValueError: none does.
    """
    stage = jukebox.priors[level_with_lyrics(jukebox)]
    assert stage is not None  # the level was chosen for it
    return stage


def layers(stage: Stage) -> tuple[int, ...]:
    """The layers that attend to lyrics, counted over the whole stack."""
    kinds = transformer.patterns(stage.model.layout)
    return tuple(index for index, kind in enumerate(kinds) if kind in ("memory", "prefix"))


def parts(stage: Stage) -> tuple[str, Any, Any]:
    """The name and the record of the lyrics signal, and its alphabet."""
    found = conditioning.lyrics_of(stage.model.signals)
    assert found is not None  # the stage was chosen for it
    vocabularies: Mapping[str, Any] = stage.vocabularies
    return found[0], found[1], vocabularies[found[0]]


def matrices(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    layer: int,
    heads: Sequence[int],
    settings: Settings = DEFAULTS,
) -> list[np.ndarray]:
    """The attention of some heads of a layer.

    Where windows overlap, the earlier one tells of the tokens that it reads, the later one of all
    others, as in the 2020 release. The weights are those of the softmax over all that the layer
    sees.

    Args:
      jukebox: the stages.
      songs: whose codes they are.
      codes: of all levels, finest first, as in `compose.Recording`.
      layer: counted over the whole stack.
      heads: of that layer.
      settings: as in sampling; hop_fraction, batch and allow_unknown are read.

    Returns:
      For each song, f32[heads, length, tokens].

    Raises:
      ValueError: the level's codes are not complete, the layer does not attend to lyrics, or it
        has no such head.
    """
    level, stage = level_with_lyrics(jukebox), stage_with_lyrics(jukebox)
    known = stage.model.heads
    for head in heads:
        if not 0 <= head < known:
            raise ValueError(f"head {head} of layer {layer}: the prior has heads 0 to {known - 1}")
    music = np.asarray(codes[level])
    if not music.size or (music == plans.UNKNOWN).any():
        raise ValueError(f"the codes of level {level} are not complete: sample them first")
    step, plan = plans.laid_out(jukebox, level, songs, music.shape[1], settings)
    params = jax.device_put(prior.unstack(stage.model, stage.weights))
    sizes = [_columns(step, stage, plan, songs, row, 0)[1] for row in range(len(songs))]
    found = [np.zeros((len(heads), step.total, size), np.float32) for size in sizes]
    begins = windows.starts(step.total, step.context, step.hop)
    for group in windows.groups([0] * len(songs), settings.batch):
        rows = np.array(group)
        for start in reversed(begins):
            conditioned = conditions.conditioned(
                step, stage, params, songs, plan, codes, rows, start, settings.allow_unknown
            )
            window = np.zeros((len(rows), step.context), np.int32)
            length = min(step.context, step.total - start)
            window[:, :length] = music[rows, start : start + length]
            weights = np.asarray(
                _weights(stage.model, params, window, conditioned, layer, np.array(heads))
            )
            for place, row in enumerate(group):
                tokens, _ = _columns(step, stage, plan, songs, row, start)
                read = tokens >= 0
                span = slice(start, start + length)
                found[row][:, span, tokens[read]] = weights[place][:, :length, read]
    return found


def path(weights: np.ndarray) -> np.ndarray:
    """The best path through a matrix of codes and tokens that never goes back.

    Args:
      weights: f32[length, tokens].

    Returns:
      f64[tokens], the code at which each token begins; not a number where the path leaps over a
      token, or where no code attends to it.
    """
    length, tokens = weights.shape
    begins = np.full(tokens, np.nan)
    if not weights.any():
        return begins
    best, came = np.zeros(tokens), np.zeros((length, tokens), np.int32)
    places = np.arange(tokens)
    for row in range(length):
        reached = np.maximum.accumulate(best)
        # The nearest token, from this one back, from which that much was reached.
        came[row] = np.maximum.accumulate(np.where(best == reached, places, 0))
        best = reached + weights[row]
    token = int(best.argmax())
    for row in range(length - 1, -1, -1):
        if weights[row, token] > 0:
            begins[token] = row
        token = int(came[row, token])
    return begins


def follows(weights: np.ndarray) -> float:
    """How much attention lies on the best path, times the part of all tokens that it visits.

    From 0 to 1: 1 for a head that looks at one token at a time, at each of them, and never back.
    A head that stares at one token follows nothing, as one that looks everywhere.

    Args:
      weights: f32[length, tokens].
    """
    begins = path(weights)
    visited = np.flatnonzero(np.isfinite(begins))
    if not len(visited):
        return 0.0
    rows = np.searchsorted(begins[visited], np.arange(len(weights)), side="right") - 1
    sung = weights[np.arange(len(weights)), visited[np.maximum(rows, 0)]].mean()
    return float(sung * len(visited) / weights.shape[1])


@functools.partial(jax.jit, static_argnames=("model", "layer"))
def _weights(
    model: Any, params: Any, codes: Any, conditioned: Any, layer: int, heads: Any
) -> jax.Array:
    """The weights of some heads, f32[batch, heads, context, tokens]."""
    return prior.attention_weights(model, params, codes, conditioned, layer)[:, heads]


def _columns(
    step: Level, stage: Stage, plan: Plan, songs: Sequence[Song], row: int, start: int
) -> tuple[np.ndarray, int]:
    """Which tokens of a song's lyrics a window reads, i32[count], and how many there are."""
    name, signal, alphabet = parts(stage)
    span = Span(
        plan.starts[row] + start * step.samples, step.context * step.samples, plan.totals[row]
    )
    lyric = Lyric.of(
        steering.at_level(songs[row], step.level).labels, name, seconds=span.total / signal.rate
    )
    size = len(lyrics.encoded(lyric.text, alphabet).tokens)
    return lyrics.indices(lyric, alphabet, signal.tokens, span, signal.rate), size
