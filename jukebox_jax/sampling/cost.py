"""What a recording will take: memory by component, codes and windows of each level, and time.

Memory follows from shapes alone, so it is known before anything is put on a device, and what
cannot fit is refused with what to change. Time is measured on a few codes of each level, with the
programs that the recording itself then finds compiled.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import conditions, generate, steering, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import Level, Settings

_DRAWN = 16  # codes drawn to measure how long one takes


@dataclasses.dataclass(frozen=True)
class LevelCost:
    """What one level takes.

    Attributes:
      level: which.
      songs: songs side by side, or pieces of them, where they are cut.
      groups: how often so many are sampled one after the other.
      codes: codes to draw, of one song or piece.
      windows: windows of one.
      weights: bytes of the prior's parameters in the form that decoding reads.
      caches: bytes of what the layers remember, of all songs side by side.
      conditioning: bytes of what is added at each position, of the same.
      reading: bytes of the widest arrays while a window's past is read, about.
    """

    level: int
    songs: int
    groups: int
    codes: int
    windows: int
    weights: int
    caches: int
    conditioning: int
    reading: int

    @property
    def bytes(self) -> int:
        """On the device while the level is sampled."""
        return self.weights + self.caches + self.conditioning + self.reading


@dataclasses.dataclass(frozen=True)
class Time:
    """Measured seconds of one level: of reading a window's past, of a code, of all of it."""

    level: int
    window: float
    code: float
    total: float


def memory(
    jukebox: Jukebox, songs: Sequence[Song], plan: Plan, settings: Settings
) -> tuple[LevelCost, ...]:
    """What each level takes on the device that samples it, top first; nothing is computed.

    Args:
      jukebox: the stages.
      songs: as for `compose.sample`; one that is guided is held twice, with labels and without.
      plan: the recording.
      settings: how codes are drawn; batch is read.
    """
    return tuple(_level(jukebox, songs, plan, step, settings.batch) for step in plan.levels)


def check(costs: Sequence[LevelCost], limit: int | None) -> None:
    """Refuses what cannot fit into so many bytes; None for a device that tells no limit.

    Raises:
      ValueError: a level needs more; the message says what would fit.
    """
    for cost in costs:
        if limit is None or cost.bytes <= limit:
            continue
        each = (cost.bytes - cost.weights) / cost.songs
        fit = int((limit - cost.weights) / each) if limit > cost.weights else 0
        more = 'use a device with more memory, or weights="bfloat16"'
        advice = f"give batch={fit}" if fit else f"its weights alone do not fit: {more}"
        if not fit and limit > cost.weights:
            advice = f"one song beside the weights does not fit: {more}"
        raise ValueError(
            f"level {cost.level} needs {_size(cost.bytes)} (weights {_size(cost.weights)}, caches "
            f"of {cost.songs} songs {_size(cost.caches)}), but the device has {_size(limit)}: "
            f"{advice}"
        )


def available() -> int | None:
    """Bytes of memory of the first device, None if it does not say; of a CPU the machine's."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def calibrate(
    jukebox: Jukebox, songs: Sequence[Song], plan: Plan, settings: Settings
) -> tuple[Time, ...]:
    """Measures a window's reading and some codes of each level, and reckons what all will take.

    Args:
      jukebox: the stages.
      songs: as for `compose.sample`.
      plan: the recording.
      settings: how codes are drawn.
    """
    costs = memory(jukebox, songs, plan, settings)
    return tuple(
        _measure(jukebox, songs, plan, settings, step, cost)
        for step, cost in zip(plan.levels, costs, strict=True)
    )


def table(plan: Plan, rate: int, costs: Sequence[LevelCost], times: Sequence[Time] = ()) -> str:
    """A recording's costs as a table in Markdown, and a line of sums."""
    head = "| level | songs | codes | windows | weights | caches | conditioning | reading |"
    rows = [head, "|---" * 8 + "|"]
    for cost in costs:
        sizes = (cost.weights, cost.caches, cost.conditioning, cost.reading)
        cells = [cost.level, f"{cost.songs} x {cost.groups}", cost.codes, cost.windows]
        rows.append("| " + " | ".join(map(str, [*cells, *map(_size, sizes)])) + " |")
    if times:
        rows[0] += " a window | a code | in all |"
        rows[1] += "---|---|---|"
        for index, one in enumerate(times):
            rows[2 + index] += f" {one.window:.3g} s | {1000 * one.code:.3g} ms | {_clock(one)} |"
    most = max((cost.bytes for cost in costs), default=0)
    rows.append(f"\n{plan.samples / rate:.2f} s of each song; at most {_size(most)} on the device")
    if times:
        rows[-1] += f"; about {_clock(*times)} (decoding aside)"
    return "\n".join(rows)


def _level(
    jukebox: Jukebox, songs: Sequence[Song], plan: Plan, step: Level, batch: int
) -> LevelCost:
    model, stage = _model(jukebox, step), jukebox.priors[step.level]
    assert stage is not None
    known = _known(plan, step)
    side, groups = _side_by_side(step, known, batch)
    how = steering.drawing(step, model, songs, jukebox.rate)
    held = side * (1 + any(map(how.guided, range(len(songs)))))  # rows on the device
    laid = _lanes(step, min(known))
    weights = jax.eval_shape(lambda tree: prior.unstack(model, tree), stage.weights)
    item = jnp.dtype(model.dtype).itemsize
    positions = model.prefix + model.context
    # The widest of a layer: what comes in, its norm, the MLP's hidden values, in float32.
    wide = positions * (2 * model.width + int(model.mlp_width * model.width))
    return LevelCost(
        level=step.level,
        songs=side,
        groups=groups,
        codes=max((sum(one.until - one.known for one in lane.windows) for lane in laid), default=0),
        windows=max((len(lane.windows) for lane in laid), default=0),
        weights=_bytes(weights),
        caches=_bytes(jax.eval_shape(lambda: prior.empty(model, held))),
        conditioning=held * positions * model.width * item,
        reading=4 * held * wide,
    )


def _measure(
    jukebox: Jukebox,
    songs: Sequence[Song],
    plan: Plan,
    settings: Settings,
    step: Level,
    cost: LevelCost,
) -> Time:
    model, stage = _model(jukebox, step), jukebox.priors[step.level]
    assert stage is not None
    params = jax.device_put(prior.for_decoding(model, stage.weights, jax.default_backend()))
    how = steering.drawing(step, model, songs, jukebox.rate)
    group = windows.groups(_known(plan, step), settings.batch)[0]
    guided = how.guided(group[0])
    alike = [row for row in group if how.guided(row) == guided]
    rows = np.array([*alike, *alike[-1:] * (cost.songs - len(alike))])
    held = list(plan.given)
    if step.factor:
        held[step.level + 1] = np.zeros((len(songs), step.context // step.factor), np.int32)
    conditioning = conditions.conditioned(
        step,
        stage,
        params,
        songs,
        plan,
        held,
        rows,
        0,
        settings.allow_unknown,
        guided=guided,
        guide_lyrics=settings.guide_lyrics,
    )
    laid = _lanes(step, min(_known(plan, step)))
    known = max((window.known for lane in laid for window in lane.windows), default=0)
    read = generate.reading(model, known)
    past = np.zeros((len(rows) * (1 + guided), step.context), np.int32)
    keys = jax.vmap(jax.random.key)(jnp.zeros(len(rows), jnp.uint32))
    more = how.at(rows.tolist(), [0] * len(rows))

    def begin() -> generate.Decoding:
        state = generate.begin(model, params, past, known, conditioning, read=read)
        return jax.block_until_ready(state)

    def draw(state: generate.Decoding) -> None:
        until = min(known + _DRAWN, step.context)
        done = generate.advance(model, params, state, until, conditioning, keys, **more)
        jax.block_until_ready(done.position)

    draw(begin())  # compiles
    began = time.perf_counter()
    state = begin()
    middle = time.perf_counter()
    draw(state)
    reading, drawing = middle - began, time.perf_counter() - middle
    code = drawing / max(1, min(_DRAWN, step.context - known))
    total = cost.groups * (cost.windows * reading + cost.codes * code)
    return Time(level=step.level, window=reading, code=code, total=total)


def _lanes(step: Level, filled: int) -> tuple[windows.Lane, ...]:
    return windows.lanes(
        step.total, step.context, step.hop, filled, pieces=step.pieces, overlap=step.overlap
    )


def _side_by_side(step: Level, known: Sequence[int], batch: int) -> tuple[int, int]:
    """How many songs, or pieces of them, are sampled side by side, and how often so many."""
    if step.pieces == 1:
        groups = windows.groups(known, batch)
        return len(groups[0]), len(groups)
    count = max(1, sum(len(_lanes(step, filled)) for filled in known))
    groups_of_pieces = -(-count // batch)
    return -(-count // groups_of_pieces), groups_of_pieces


def _known(plan: Plan, step: Level) -> tuple[int, ...]:
    return plans.filled(plan.given[step.level][:, : step.total])


def _model(jukebox: Jukebox, step: Level) -> Prior:
    stage = jukebox.priors[step.level]
    assert stage is not None and isinstance(stage.model, Prior)
    return stage.model


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def _clock(*times: Time) -> str:
    seconds = round(sum(one.total for one in times))
    if seconds < 120:
        return f"{seconds} s"
    return (
        f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
        if seconds >= 7200
        else (f"{seconds / 60:.0f} min")
    )
