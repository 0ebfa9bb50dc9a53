"""Which words are sung when, in a recording whose prior read lyrics.

One attention head of such a prior looks, at each code, at the lyrics of that moment. Its weights,
window by window, make a matrix of codes and lyric tokens; the best path through it that never
goes back gives each token its time. What is found is a `Lyric`, written as LRC, SRT or JSON.
"""

import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import conditioning, lyrics, prior, subtitles, timed, transformer
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import conditions, steering, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import DEFAULTS, Level, Settings

FORMATS = (".lrc", ".srt", ".json")
"""What `write` writes, by extension."""


def align(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    *,
    head: tuple[int, int] | None = None,
    settings: Settings = DEFAULTS,
) -> tuple[Lyric, ...]:
    """The lyrics of recordings with their times, in seconds of the recording.

    Args:
      jukebox: the stages that sampled them.
      songs: what was asked for.
      codes: of all levels, finest first, as in `compose.Recording`.
      head: (layer, head) to read; by default the one that the stage names, or else the one that
        `find_head` finds.
      settings: as in sampling; hop_fraction and allow_unknown are read.

    Returns:
      For each song the part of its lyrics that the recording's windows read, with times.

    Raises:
      ValueError: no prior reads lyrics, or what `attention` raises.
    """
    level = level_with_lyrics(jukebox)
    head = head or known_head(jukebox) or find_head(jukebox, songs, codes, settings=settings)
    found = []
    for song, weights in zip(
        songs, attention(jukebox, songs, codes, head=head, settings=settings), strict=True
    ):
        seconds = path(weights) * jukebox.hops[level] / jukebox.rate
        name, _, alphabet = _lyrics(_stage(jukebox, level))
        text = steering.at_level(song, level).labels.get(name)
        whole = lyrics.aligned(text, alphabet, seconds)
        read = np.flatnonzero(np.isfinite(seconds))
        if whole.times is None or not len(read):
            found.append(Lyric("", ()))
            continue
        sources = lyrics.encoded(whole.text, alphabet).sources[read]
        part = slice(int(sources[0]), int(sources[-1]) + 1)
        found.append(Lyric(whole.text[part], whole.times[part]))
    return tuple(found)


def attention(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    *,
    head: tuple[int, int],
    settings: Settings = DEFAULTS,
) -> tuple[np.ndarray, ...]:
    """How much each code attends to each token of its song's lyrics.

    Where windows overlap, the earlier one tells. The weights are those of the softmax over all
    that the layer sees.

    Args:
      jukebox: see `align`, as the others.
      songs: see there.
      codes: see there.
      head: (layer, head), layers counted over the whole stack.
      settings: see there.

    Returns:
      For each song, f32[length, tokens].

    Raises:
      ValueError: the level's codes are not complete, or there is no such head.
    """
    layer, which = head
    heads = _stage(jukebox, level_with_lyrics(jukebox)).model.heads
    if not 0 <= which < heads:
        raise ValueError(f"head {which} of layer {layer}: the prior has heads 0 to {heads - 1}")
    return tuple(one[0] for one in _matrices(jukebox, songs, codes, layer, [which], settings))


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


def find_head(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    *,
    settings: Settings = DEFAULTS,
) -> tuple[int, int]:
    """The (layer, head) that follows the lyrics best.

    It is the one with the most attention along its best path, counted only as far as that path
    moves: a head that stares at one token follows nothing. The first song decides.

    Args:
      jukebox: see `align`, as the others.
      songs: see there.
      codes: see there.
      settings: see there.
    """
    stage = _stage(jukebox, level_with_lyrics(jukebox))
    kinds = transformer.patterns(stage.model.layout)
    layers = [index for index, kind in enumerate(kinds) if kind in ("memory", "prefix")]
    scores = {}
    for layer in layers:
        heads = range(stage.model.heads)
        first = _matrices(jukebox, songs[:1], [one[:1] for one in codes], layer, heads, settings)
        scores.update({(layer, which): _follows(first[0][which]) for which in heads})
    return max(scores, key=lambda head: scores[head])


def known_head(jukebox: Jukebox) -> tuple[int, int] | None:
    """The (layer, head) that the stage's config names; imported ones of the release do."""
    said = _stage(jukebox, level_with_lyrics(jukebox)).config.get("release", {}).get("alignment")
    return (int(said["layer"]), int(said["head"])) if said else None


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


def write(path: str | os.PathLike, lyric: Lyric) -> None:
    """Writes lyrics with times in the format that the extension names, see `FORMATS`.

    Raises:
      ValueError: another extension.
    """
    file = pathlib.Path(path)
    if file.suffix == ".lrc":
        text = subtitles.to_lrc(lyric.pairs)
    elif file.suffix == ".srt":
        text = subtitles.to_srt(lyric.pairs)
    elif file.suffix == ".json":
        text = json.dumps(timed.to_json(lyric.pairs, by="word"), ensure_ascii=False, indent=1)
    else:
        raise ValueError(f"{file}: lyrics are written as {', '.join(FORMATS)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _matrices(
    jukebox: Jukebox,
    songs: Sequence[Song],
    codes: Sequence[np.ndarray],
    layer: int,
    heads: Sequence[int],
    settings: Settings,
) -> list[np.ndarray]:
    """For each song, f32[heads, length, tokens] of some heads of a layer; see `attention`."""
    level = level_with_lyrics(jukebox)
    stage = _stage(jukebox, level)
    music = np.asarray(codes[level])
    if not music.size or (music == plans.UNKNOWN).any():
        raise ValueError(f"the codes of level {level} are not complete: sample them first")
    step, plan = _laid_out(jukebox, level, songs, music.shape[1], settings)
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


@functools.partial(jax.jit, static_argnames=("model", "layer"))
def _weights(
    model: Any, params: Any, codes: Any, conditioned: Any, layer: int, heads: Any
) -> jax.Array:
    """The weights of some heads, f32[batch, heads, context, tokens]."""
    return prior.attention_weights(model, params, codes, conditioned, layer)[:, heads]


def _follows(weights: np.ndarray) -> float:
    """How much attention lies on the best path, times the part of all tokens that it visits."""
    begins = path(weights)
    visited = np.flatnonzero(np.isfinite(begins))
    if not len(visited):
        return 0.0
    rows = np.searchsorted(begins[visited], np.arange(len(weights)), side="right") - 1
    sung = weights[np.arange(len(weights)), visited[np.maximum(rows, 0)]].mean()
    return float(sung * len(visited) / weights.shape[1])


def _laid_out(
    jukebox: Jukebox, level: int, songs: Sequence[Song], total: int, settings: Settings
) -> tuple[Level, Plan]:
    length = total * jukebox.hops[level]
    step = plans.level_of(jukebox, level, length, settings)
    starts, totals = plans.times(jukebox.rate, songs, length)
    return step, Plan(length, (step,), (), starts, totals, ())


def _columns(
    step: Level, stage: Stage, plan: Plan, songs: Sequence[Song], row: int, start: int
) -> tuple[np.ndarray, int]:
    """Which tokens of a song's lyrics a window reads, i32[count], and how many there are."""
    name, signal, alphabet = _lyrics(stage)
    span = Span(
        plan.starts[row] + start * step.samples, step.context * step.samples, plan.totals[row]
    )
    value = steering.at_level(songs[row], step.level).labels.get(name)
    text = Lyric.read(value, seconds=span.total / signal.rate).text
    size = len(lyrics.encoded(text, alphabet).tokens)
    return lyrics.indices(value, alphabet, signal.tokens, span, signal.rate), size


def _lyrics(stage: Stage) -> tuple[str, Any, Any]:
    """The name and record of the lyrics signal, and its alphabet."""
    found = conditioning.lyrics_of(stage.model.signals)
    assert found is not None  # the level was chosen for it
    vocabularies: Mapping[str, Any] = stage.vocabularies
    return found[0], found[1], vocabularies[found[0]]


def _stage(jukebox: Jukebox, level: int) -> Stage:
    stage = jukebox.priors[level]
    assert stage is not None  # the level was chosen for it
    return stage
