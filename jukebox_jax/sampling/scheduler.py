"""Which windows are sampled when, where, and side by side.

A window can be filled as soon as the one before it in its lane is full and the codes above it
exist. Those of one level that are ready and of one kind (as many codes known, as many wanted) make
a batch, whatever songs they belong to; of several levels the finest goes first, so that sound comes
early. Every code is that of the plain order, level by level and window by window, since its noise
is that of its place and all that it is drawn from is complete before. Several levels at once keep
the weights of all of them on their devices, and each device one window's caches.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.sampling import conditions, generate, steering, windows
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.generate import Decoding, Hook
from jukebox_jax.sampling.plan import Plan
from jukebox_jax.sampling.settings import Level, Settings
from jukebox_jax.sampling.states import States, Where
from jukebox_jax.sampling.steering import Drawing
from jukebox_jax.sampling.windows import Window

_PAUSE = 0.0005  # seconds between two looks at devices of which none is done


@dataclasses.dataclass(frozen=True)
class Work:
    """A recording that is to be sampled.

    Attributes:
      jukebox: the stages.
      songs: one a recording.
      plan: what is asked for, checked.
      settings: how codes are drawn.
      hook: see `generate.Hook`.
      states: where half-filled windows are kept and found, if anywhere.
    """

    jukebox: Jukebox
    songs: tuple[Song, ...]
    plan: Plan
    settings: Settings
    hook: Hook | None = None
    states: States | None = None


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Codes of one song that were just drawn.

    Attributes:
      level: whose they are.
      song: its place in the list of songs.
      start: the place of the first one in the level.
      codes: i32[length].
    """

    level: int
    song: int
    start: int
    codes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What one step of the schedule gave.

    Attributes:
      level: the level.
      chunks: codes that are wanted, one chunk a song at most.
      full: whether windows were completed by it.
    """

    level: int
    chunks: tuple[Chunk, ...]
    full: bool


@dataclasses.dataclass
class _Lane:
    """Where one song's windows at a level are: the next one comes first."""

    song: int
    first: int
    kept: int
    windows: collections.deque[Window]
    own: np.ndarray  # i32[length], codes from `first` on
    busy: bool = False


@dataclasses.dataclass(frozen=True)
class _Floor:
    """One level at work."""

    step: Level
    stage: Stage
    drawing: Drawing
    lanes: tuple[_Lane, ...]
    batch: int  # windows side by side, one number so that little is compiled
    read: int  # codes that `generate.begin` computes, for the same reason


@dataclasses.dataclass
class _Job:
    """Windows side by side on one device, drawn up to `end`, or about to be."""

    floor: _Floor
    lanes: tuple[_Lane, ...]
    window: Window
    where: Where
    draw: Callable[[Decoding, int], Decoding]
    state: Decoding
    begin: int
    end: int

    def forward(self, chunk: int) -> None:
        """Sets the next codes going."""
        self.begin, self.end = self.end, min(self.end + chunk, self.window.until)
        self.state = self.draw(self.state, self.end)


def run(
    work: Work,
    steps: Sequence[Level],
    held: list[np.ndarray],
    devices: Sequence[Any] = (None,),
) -> Iterator[Drawn]:
    """Fills levels with codes.

    Args:
      work: what is asked for.
      steps: the levels to fill, each with all that it reads among them or complete.
      held: i32[songs, length] of each level, finest first. Those to be filled are replaced by
        arrays of their whole length, which fill up, `plan.UNKNOWN` where a code is not drawn yet.
      devices: where to; None stands for wherever arrays go by default. Each has its part of the
        levels (see `shares`).

    Yields:
      What was drawn, at most settings.chunk codes a song at once, as soon as it is in `held`.
    """
    floors = {step.level: _floor(work, step, held) for step in steps}
    serving = shares(sorted(floors), devices)
    placed: dict[tuple[int, Any], tuple[Any, Any]] = {}
    jobs: dict[int, _Job] = {}
    while True:
        for place, levels in serving.items():
            if place not in jobs:
                for floor in (floors[level] for level in levels):
                    if lanes := _ready(floor, held):
                        where = (floor.step.level, place)
                        if where not in placed:
                            placed[where] = _place(work, floor, devices[place])
                        jobs[place] = _begin(work, floor, held, lanes, *placed[where])
                        break
        if not jobs:
            break
        place = _soonest(jobs)
        job = jobs[place]
        drawn = _collect(job, held)
        if drawn.full:
            for lane in job.lanes:
                lane.busy = False
            del jobs[place]
        else:
            if work.states is not None:
                work.states.save(job.where, job.state)
            job.forward(work.settings.chunk)
        del job  # what a reader of the stream does meanwhile is done without its caches
        yield drawn
        if not any(lane.windows or lane.busy for lane in floors[drawn.level].lanes):
            for other in range(len(devices)):
                placed.pop((drawn.level, other), None)
    assert not any(lane.windows for floor in floors.values() for lane in floor.lanes)


def shares(levels: Sequence[int], devices: Sequence[Any]) -> dict[int, tuple[int, ...]]:
    """Which levels each device serves, by its place in `devices`, finest first.

    With fewer devices than levels each serves several; with more, the finest levels have more.
    """
    count = max(len(devices), len(levels))
    found: dict[int, list[int]] = {place: [] for place in range(len(devices))}
    for index in range(count):
        if levels:
            found[index % len(devices)].append(levels[index % len(levels)])
    return {place: tuple(dict.fromkeys(some)) for place, some in found.items()}


def _floor(work: Work, step: Level, held: list[np.ndarray]) -> _Floor:
    """A level with its lanes laid out; its codes in `held` get their whole length."""
    stage = work.jukebox.priors[step.level]
    assert stage is not None  # the plan has only levels with a prior
    codes = np.full((len(work.songs), step.total), plans.UNKNOWN, np.int32)
    codes[:, : held[step.level].shape[1]] = held[step.level]
    held[step.level] = codes
    lanes = []
    for song, filled in enumerate(plans.filled(codes)):
        for laid in windows.lanes(
            step.total,
            step.context,
            step.hop,
            filled,
            pieces=step.pieces,
            overlap=step.overlap,
        ):
            last = laid.windows[-1]
            own = np.full(last.start + last.until - laid.first, plans.UNKNOWN, np.int32)
            if laid.first < filled:
                own[: filled - laid.first] = codes[song, laid.first : filled]
            queue = collections.deque(laid.windows)
            lanes.append(_Lane(song, laid.first, laid.kept, queue, own))
    count = max(len(lanes), 1)
    most = max((window.known for lane in lanes for window in lane.windows), default=0)
    return _Floor(
        step=step,
        stage=stage,
        drawing=steering.drawing(step, stage.model, work.songs, work.jukebox.rate),
        lanes=tuple(lanes),
        batch=-(-count // -(-count // work.settings.batch)),
        read=generate.reading(stage.model, most),
    )


def _place(work: Work, floor: _Floor, device: Any) -> tuple[Any, Any]:
    """A level's weights, and the keys of all songs, on a device."""
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), floor.step.level))(
        np.array(work.plan.seeds, np.uint32)
    )
    platform = jax.default_backend() if device is None else device.platform
    params = prior.for_decoding(floor.stage.model, floor.stage.weights, platform)
    return jax.device_put((params, keys), device)


def _ready(floor: _Floor, held: Sequence[np.ndarray]) -> tuple[_Lane, ...]:
    """Lanes whose next windows can be filled side by side: the most backward, and its like."""

    def can(lane: _Lane) -> bool:
        if lane.busy or not lane.windows:
            return False
        if not floor.step.factor:
            return True
        first = lane.windows[0].start // floor.step.factor
        count = floor.step.context // floor.step.factor
        above = held[floor.step.level + 1][lane.song, first : first + count]
        return bool((above != plans.UNKNOWN).all())

    def kind(lane: _Lane) -> tuple[int, int, bool]:
        window = lane.windows[0]
        return window.known, window.until, floor.drawing.guided(lane.song)

    waiting = sorted(
        filter(can, floor.lanes), key=lambda lane: (lane.windows[0].start - lane.first, lane.song)
    )
    alike = [lane for lane in waiting if kind(lane) == kind(waiting[0])]
    return tuple(alike[: floor.batch])


def _begin(
    work: Work,
    floor: _Floor,
    held: Sequence[np.ndarray],
    lanes: tuple[_Lane, ...],
    params: Any,
    keys: Any,
) -> _Job:
    """Sets the next windows of some lanes going; the last one fills up the batch."""
    step, model = floor.step, floor.stage.model
    padded = [*lanes, *[lanes[-1]] * (floor.batch - len(lanes))]
    rows = np.array([lane.song for lane in padded])
    starts = np.array([lane.windows[0].start for lane in padded], np.int32)
    window = lanes[0].windows[0]
    guided = floor.drawing.guided(lanes[0].song)
    conditioning = conditions.conditioned(
        step,
        floor.stage,
        params,
        work.songs,
        work.plan,
        held,
        rows,
        starts,
        work.settings.allow_unknown,
        guided=guided,
        guide_lyrics=work.settings.guide_lyrics,
    )
    past = np.zeros((len(padded), step.context), np.int32)
    for row, lane, start in zip(
        past, padded, starts - [lane.first for lane in padded], strict=True
    ):
        row[: window.known] = lane.own[start : start + window.known]
    if guided:
        past = np.tile(past, (2, 1))
    settings = floor.drawing.at(rows.tolist(), starts.tolist())
    settings["forced"] = _forced(work.plan, step, rows, starts)
    settings["hook"] = work.hook
    settings["level"] = step.level if work.hook is not None else 0  # each is compiled anew
    chosen = keys[rows]

    def draw(state: Decoding, until: int) -> Decoding:
        return generate.advance(
            model, params, state, until, conditioning, chosen, start=starts, **settings
        )

    for lane in lanes:
        lane.busy = True
    where = Where(step.level, tuple(rows.tolist()), tuple(starts.tolist()), window.known)
    kept = None if work.states is None else work.states.load(where)
    if kept is not None:  # as far as it was drawn before
        state = jax.device_put(kept, jax.tree.leaves(params)[0].sharding)
        return _Job(floor, lanes, window, where, draw, state, window.known, int(kept.position))
    state = generate.begin(model, params, past, window.known, conditioning, read=floor.read)
    job = _Job(floor, lanes, window, where, draw, state, window.known, window.known)
    job.forward(work.settings.chunk)
    return job


def _forced(plan: Plan, step: Level, rows: np.ndarray, starts: np.ndarray) -> np.ndarray | None:
    """The codes that windows are to take, i32[batch, context]; None if the level has none."""
    if not plan.forced or not (plan.forced[step.level] != plans.UNKNOWN).any():
        return None
    level = plan.forced[step.level]
    places = starts[:, None] + np.arange(step.context)
    there = np.minimum(places, level.shape[1] - 1)
    return np.where(places < level.shape[1], level[rows[:, None], there], plans.UNKNOWN)


def _soonest(jobs: dict[int, _Job]) -> int:
    """The place of a job that is done, once there is one; of the only one at once."""
    while len(jobs) > 1:
        for place, job in jobs.items():
            if getattr(job.state.position, "is_ready", lambda: True)():
                return place
        time.sleep(_PAUSE)
    return next(iter(jobs))


def _collect(job: _Job, held: Sequence[np.ndarray]) -> Drawn:
    """Waits for a job's codes, and puts them where they belong."""
    level, full = job.floor.step.level, job.end == job.window.until
    # What a model drew of its lyric vocabulary is code 0 for all but the window it was drawn in.
    codes = np.maximum(np.asarray(job.state.window), 0)[:, job.begin : job.end]
    _check(job, codes)
    chunks = []
    for lane, drawn in zip(job.lanes, codes[: len(job.lanes)], strict=True):
        start = lane.windows[0].start + job.begin
        lane.own[start - lane.first : start - lane.first + len(drawn)] = drawn
        wanted = drawn[max(lane.kept - start, 0) :]
        if len(wanted):
            start += len(drawn) - len(wanted)
            held[level][lane.song, start : start + len(wanted)] = wanted
            chunks.append(Chunk(level, lane.song, start, wanted.copy()))
        if full:
            lane.windows.popleft()
    return Drawn(level, tuple(chunks), full)


def _check(job: _Job, codes: np.ndarray) -> None:
    """Raises a ValueError where nothing could be drawn, see `generate.draw`."""
    model = job.floor.stage.model
    none = codes[: len(job.lanes)] >= model.bins
    if none.any():
        row, place = np.argwhere(none)[0]
        lane = job.lanes[row]
        at = lane.windows[0].start + job.begin + place
        raise ValueError(
            f"level {job.floor.step.level}, song {lane.song}: code {at} cannot be drawn, for its "
            f"logits are no numbers, or none of them is left: look at the weights, at "
            f"{model.dtype}, which they may overflow, and at a hook, if there is one"
        )
