"""What the layers of a prior make of sound: features for music information retrieval.

Sound of any length becomes codes, codes become windows of the prior's context, and windows of all
songs become batches of one shape, so that one compilation serves them. What some layers make of
each window is pooled on the device and put together song by song. Only the layers up to the
highest that is asked for are on the device, see `prior.depth`. Nothing here knows of files.
"""

import dataclasses
import functools
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import conditioning, depth, prior, transformer
from jukebox_jax.prior.conditioning import Codes
from jukebox_jax.prior.module import Prior
from jukebox_jax.vqvae import pieces, vqvae

Features = dict[int, np.ndarray]
"""What each layer made of a song, by layer."""


def features(
    jukebox: Jukebox,
    audio: np.ndarray,
    *,
    layers: int | Sequence[int] = (),
    level: int | None = None,
    pool: str | float | None = "mean",
    labels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    allow_unknown: bool = True,
    overlap: float = 0.0,
    batch: int = 1,
) -> Features:
    """Activations of layers of a prior for given sound.

    Args:
      jukebox: the stages; only the VQ-VAE and the level's prior are used. A prior that was loaded
        with `Stage.load(directory, layers=...)` serves those layers at a fraction of the memory.
      audio: f32[songs, samples, 1] in [-1, 1], of any length: shorter than the prior's context it
        is filled up with silence, of which nothing enters the pooling.
      layers: which, one or several, counted from 1: layer k is what k layers have made of the
        codes. By default the middle one, which served best in published comparisons with the 5B
        prior.
      level: whose prior; by default the highest that has one.
      pool: "mean" over a song; a number for means over stretches of so many seconds; None for a
        vector a code.
      labels: of all songs, or of each; by default nothing is known but their length.
      allow_unknown: labels that the prior does not know, or that are missing, are no error.
      overlap: part of a window that only serves as the past of the rest; the first positions of a
        window know little. 0.5 costs twice the time.
      batch: windows computed at once.

    Returns:
      For each layer f32[songs, width] with "mean", and else f32[songs, rows, width].

    Raises:
      LabelError: a label that the prior does not know, unless allowed.
      ValueError: anything else that does not fit.
    """
    if np.ndim(audio) != 3 or np.shape(audio)[2] != 1 or not np.size(audio):
        raise ValueError(
            f"audio of shape {np.shape(audio)}: give f32[songs, samples, 1], mixed to mono"
        )
    audio = _sound(audio)
    each = labels if isinstance(labels, Sequence) else [labels] * len(audio)
    if len(each) != len(audio):
        raise ValueError(f"labels of {len(each)} songs for {len(audio)}: give one for each, or one")
    plan = prepare(jukebox, layers, level, pool, overlap, batch, allow_unknown)
    found = list(stream(plan, zip(audio, each, strict=True)))
    return {layer: np.stack([one[layer] for one in found]) for layer in found[0]}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is asked for, checked, and the part of a prior that it takes.

    Attributes:
      jukebox: the stages.
      stage: the level's prior.
      model: the prior, cut.
      params: its parameters, on the device.
      level: whose codes it reads.
      layers: which are asked for, lowest first.
      pool: see `features`.
      before: codes of a window that are only the past of the others.
      batch: windows computed at once.
      factor: codes for each code above, 0 where those are not read.
      allow_unknown: see `features`.
    """

    jukebox: Jukebox
    stage: Stage
    model: Prior
    params: Any
    level: int
    layers: tuple[int, ...]
    pool: str | float | None
    before: int
    batch: int
    factor: int
    allow_unknown: bool

    @property
    def hop(self) -> int:
        """Audio samples a code."""
        return self.jukebox.hops[self.level]

    @property
    def segments(self) -> int:
        """Stretches of which a window can have a part, at most; 0 where nothing is pooled."""
        if self.pool is None or self.pool == "mean":
            return int(self.pool is not None)
        seconds = self.model.context * self.hop / self.jukebox.rate
        return math.ceil(seconds / float(self.pool)) + 1

    def segment(self, codes: np.ndarray) -> np.ndarray:
        """Which stretch codes belong to, by their places in the song."""
        if self.pool is None:
            return codes
        if self.pool == "mean":
            return np.zeros_like(codes)
        return np.floor(codes * (self.hop / self.jukebox.rate) / float(self.pool)).astype(int)


def prepare(
    jukebox: Jukebox,
    layers: int | Sequence[int] = (),
    level: int | None = None,
    pool: str | float | None = "mean",
    overlap: float = 0.0,
    batch: int = 1,
    allow_unknown: bool = True,
) -> Plan:
    """Checks what is asked for and puts the part of the prior that it takes on the device.

    Arguments and errors are those of `features`.
    """
    have = [index for index, one in enumerate(jukebox.priors) if one is not None]
    if not have or (level is not None and level not in have):
        which = "any level" if level is None else f"level {level}"
        raise ValueError(f"no prior of {which}: loaded are those of levels {have}")
    level = max(have) if level is None else level
    stage = jukebox.priors[level]
    assert stage is not None
    if pool not in ("mean", None) and not (
        isinstance(pool, numbers.Real) and 0 < pool < math.inf and not isinstance(pool, bool)
    ):
        raise ValueError(f'pool={pool!r}: give "mean", None or a number of seconds')
    if isinstance(pool, numbers.Real) and pool * jukebox.rate < jukebox.hops[level]:
        least = jukebox.hops[level] / jukebox.rate
        raise ValueError(f"pool={pool} s is shorter than a code: give {least:.4g} or more, or None")
    if not 0 <= overlap < 1 or batch < 1:
        raise ValueError(f"overlap={overlap}, batch={batch}: give a part below 1, and 1 or more")
    count = len(transformer.patterns(stage.model.layout))
    layers = tuple(sorted(set(_whole(layers)))) or (max(1, count // 2),)
    model = depth.cut(stage.model, layers)
    params = jax.device_put(depth.restack(stage.model, stage.weights, layers))
    found = next((one for _, one in model.signals if isinstance(one, Codes)), None)
    factor = found.factor if found else 0
    if factor and level + 1 == len(jukebox.hops):
        raise ValueError(f"the prior of level {level} reads codes above, but there is no level")
    before = int(overlap * model.context)
    before -= before % (factor or 1)
    return Plan(
        jukebox,
        stage,
        model,
        params,
        level,
        layers,
        pool,
        before,
        batch,
        factor,
        allow_unknown,
    )


def stream(
    plan: Plan, sounds: Iterable[tuple[np.ndarray, Mapping[str, Any] | None]]
) -> Iterator[Features]:
    """The features of sounds of any length, one after the other.

    Windows of several sounds share a batch, so sounds are read a little ahead.

    Args:
      plan: what `prepare` gave.
      sounds: (f32[samples, 1], labels) of each.

    Yields:
      For each sound what `features` gives, without the axis of songs.
    """
    open_songs: list[_Pooled] = []
    waiting: list[_Window] = []
    for audio, labels in sounds:
        windows, pooled = _windows(plan, _sound(audio), labels or {})
        open_songs.append(pooled)
        waiting += windows
        while len(waiting) >= plan.batch:
            _compute(plan, waiting[: plan.batch])
            waiting = waiting[plan.batch :]
        while open_songs and not open_songs[0].missing:
            yield open_songs.pop(0).result()
    if waiting:
        _compute(plan, waiting)
    for pooled in open_songs:
        yield pooled.result()


def _sound(audio: np.ndarray) -> np.ndarray:
    """The same as float32, if it can be a sound."""
    audio = np.asarray(audio)
    vqvae.check_floats(audio)
    if not np.isfinite(audio).all():
        raise ValueError("audio holds samples that are not finite: give numbers in -1 to 1")
    return audio.astype(np.float32, copy=False)


def _whole(layers: int | Sequence[int]) -> list[int]:
    """Numbers of layers, one or several."""
    several: Sequence[Any] = layers if isinstance(layers, Iterable) else [layers]
    if not all(isinstance(one, numbers.Integral) for one in several):
        raise ValueError(f"layers={layers!r}: give a whole number or several, as (12, 24)")
    return [int(one) for one in several]


class _Pooled:
    """The sums of a song so far."""

    def __init__(self, plan: Plan, length: int) -> None:
        self.plan, self.missing = plan, length
        self.counts = np.bincount(plan.segment(np.arange(length))).astype(np.float64)
        shape = (len(self.counts), plan.model.width)
        kind = np.float32 if plan.pool is None else np.float64
        self.sums = {layer: np.zeros(shape, kind) for layer in plan.layers}

    def result(self) -> Features:
        """The means, f32[width] or f32[rows, width]."""
        means = {
            layer: (sums / self.counts[:, None].astype(sums.dtype)).astype(np.float32)
            for layer, sums in self.sums.items()
        }
        return {key: one[0] if self.plan.pool == "mean" else one for key, one in means.items()}


@dataclasses.dataclass(frozen=True)
class _Window:
    """A window of a song: what the prior reads, and which of its positions count."""

    song: _Pooled
    codes: np.ndarray
    above: np.ndarray | None
    labels: Mapping[str, np.ndarray]
    piece: pieces.Piece

    def places(self, plan: Plan) -> np.ndarray:
        """The stretch of each position, counted from the first that counts; -1 for none."""
        places = self.piece.start + np.arange(plan.model.context)
        counts = (places >= self.piece.first) & (places < self.piece.last)
        first = plan.segment(np.array([self.piece.first]))[0]
        return np.where(counts, plan.segment(places) - first, -1)


def _windows(
    plan: Plan, audio: np.ndarray, labels: Mapping[str, Any]
) -> tuple[list[_Window], _Pooled]:
    if audio.ndim != 2 or audio.shape[1] != 1 or not len(audio):
        raise ValueError(f"a sound of shape {audio.shape}: give f32[samples, 1], mixed to mono")
    hops, context = plan.jukebox.hops, plan.model.context
    vq = plan.jukebox.vqvae
    # Few lengths, so that few programs are compiled: whole windows until pieces have one length.
    unit = context * plan.hop if len(audio) < pieces.SAMPLES else hops[-1]
    padded = math.ceil(len(audio) / unit) * unit
    padded += -padded % hops[-1]
    filled = np.pad(audio, ((0, padded - len(audio)), (0, 0)))[None]
    levels = (plan.level, plan.level + 1) if plan.factor else (plan.level,)
    codes = vqvae.encode_long(vq.model, vq.weights, filled, levels=levels)
    length = math.ceil(len(audio) / plan.hop)
    whole = max(context, length + -length % (plan.factor or 1))
    song = Song("", len(audio), labels, plan.jukebox.rate)
    seconds = labels.get("total_seconds")
    total = round(seconds * plan.jukebox.rate) if seconds else len(audio)
    pooled = _Pooled(plan, length)
    windows = []
    for piece in pieces.lay(whole, context, pieces.Margin(before=plan.before, after=0)):
        piece = dataclasses.replace(piece, last=min(piece.last, length))
        if piece.last <= piece.first:
            continue
        span = Span(piece.start * plan.hop, context * plan.hop, total)
        described = conditioning.encode(
            plan.model.signals,
            plan.stage.vocabularies,
            song,
            span,
            context,
            allow_unknown=plan.allow_unknown,
            rate=plan.jukebox.rate,
        )
        own = _part(codes[0][0], piece.start, context)
        above = None
        if plan.factor:
            above = _part(codes[1][0], piece.start // plan.factor, context // plan.factor)
        windows.append(_Window(pooled, own, above, described, piece))
    return windows, pooled


def _part(codes: np.ndarray, start: int, length: int) -> np.ndarray:
    """Some codes, filled up at the end, where they do not matter."""
    part = codes[start : start + length]
    return np.pad(part, (0, length - len(part)))


def _compute(plan: Plan, windows: Sequence[_Window]) -> None:
    """Adds what the layers make of some windows to their songs."""
    rows = [*windows, *[windows[-1]] * (plan.batch - len(windows))]  # one shape, one compilation
    places = np.stack([one.places(plan) for one in rows])
    labels = {name: np.stack([one.labels[name] for one in rows]) for name in rows[0].labels}
    above = np.stack([one.above for one in rows]) if plan.factor else None  # type: ignore
    made = pooled(
        plan.model,
        plan.params,
        np.stack([one.codes for one in rows]),
        labels,
        above,
        places,
        layers=plan.layers,
        segments=plan.segments,
    )
    for layer, sums in zip(plan.layers, made, strict=True):
        for window, places_, values in zip(windows, places, np.asarray(sums), strict=False):
            if not plan.segments:
                first, last = window.piece.first, window.piece.last
                window.song.sums[layer][first:last] = values[places_ >= 0]
                continue
            first = plan.segment(np.array([window.piece.first]))[0]
            count = places_.max() + 1
            window.song.sums[layer][first : first + count] += values[:count]
    for window in windows:
        window.song.missing -= window.piece.last - window.piece.first


@functools.partial(jax.jit, static_argnames=("model", "layers", "segments"))
def pooled(
    model: Prior,
    params: Any,
    codes: Array,
    labels: Mapping[str, Array],
    above: Array | None,
    places: Array,
    *,
    layers: tuple[int, ...],
    segments: int,
) -> tuple[Array, ...]:
    """What layers make of a batch of windows, summed over stretches; the compiled program.

    Args:
      model: what `depth.cut` gave.
      params: what `depth.restack` gave.
      codes: i32[batch, context].
      labels: see `prior.condition`.
      above: see there.
      places: i32[batch, context], the stretch that each position belongs to; -1 for none.
      layers: which, lowest first.
      segments: stretches at most; 0 for no sums.

    Returns:
      For each layer f32[batch, segments, width], or f32[batch, context, width].
    """
    conditions = prior.condition(model, params, labels, above)
    made = depth.activations(model, params, codes, conditions, layers)
    if not segments:
        return tuple(x.astype(jnp.float32) for x in made)
    hot = jax.nn.one_hot(places, segments, dtype=jnp.float32)
    return tuple(
        jnp.einsum("bcs,bcw->bsw", hot, x.astype(jnp.float32), precision="highest") for x in made
    )
