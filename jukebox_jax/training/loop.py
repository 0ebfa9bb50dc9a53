"""The loop that trains either kind of stage, from a config and a directory.

`train_and_evaluate` finds the songs, makes or restores the state, and steps: each step is one
compiled function of the state and a batch over a mesh of devices. The directory is the stage: what
a later stage or a sampler needs of it is there, and the same call goes on where an earlier one
stopped. What is trained is the business of `tasks`; where it is saved, of `checkpoint`.
"""

import contextlib
import dataclasses
import io
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from jax import Array

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.audio import song
from jukebox_jax.audio.song import Song
from jukebox_jax.checkpoint import places
from jukebox_jax.prior import conditioning
from jukebox_jax.training import evaluation, finetune, gradient, operations, parts, tasks
from jukebox_jax.training import origin as origins
from jukebox_jax.training import settings as configs
from jukebox_jax.training import state as states
from jukebox_jax.training.journal import Journal
from jukebox_jax.training.origin import Origin
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.state import TrainState
from jukebox_jax.training.tasks import Task
from jukebox_jax.training.watch import Interrupt, Watch

log = logging.getLogger(__name__)

PARAMETERS = "parameters.txt"
"""In the workdir: the table of parameters."""

_SHOWN = ("loss", "codes_per_second", "seconds_per_second", "flop_utilisation", "data_wait")
_IN_FLIGHT = 2  # steps that are asked for before they are needed
_EXAMPLES = 2  # what a key is for; the others are the state's
_OF_BASE = ("stage", "model", "signals", "run")  # sections that made the base of adapters


class TrainingError(ValueError):
    """Training cannot go on; one line that says why and what to do."""


def train_and_evaluate(
    config: Any, workdir: Any, *, devices: Sequence[jax.Device] | None = None
) -> TrainState:
    """Trains a stage, or goes on training it.

    A run has begun once a checkpoint is saved: what an attempt without one found out or wrote
    down decides nothing.

    Args:
      config: a ConfigDict or mapping with the sections of `settings`.
      workdir: the stage's directory; made if missing.
      devices: those to train on, all by default.

    Returns:
      The state after the last step, or after the step at which SIGTERM came.

    Raises:
      ValueError: the config contradicts itself, the songs, or the stage already there.
      SongError: no song can be used, or none held out is as long as a window.
      CheckpointError: checkpoints are there and none is whole, or none can be written.
      TrainingError: too many gradients in a row were not finite.
    """
    settings = configs.read(config)
    places.located(workdir)  # which refuses what cannot be reached
    sharding.check_numerics()
    mesh = sharding.make_mesh(**dataclasses.asdict(settings.mesh), devices=devices)
    gradient.check_batch(settings, mesh)
    origin = _find_origin(settings, workdir)
    earlier = _read_earlier(settings, workdir)
    _check_earlier(settings, workdir, earlier)
    train, held_out = _find_songs(settings)
    task, data = _make_task(settings, workdir, train, origin)
    task = finetune.adapt(task, settings, workdir, mesh, origin)
    settings.optimizer.selection.check(task.abstract, with_codebooks=settings.stage.kind == "vqvae")
    evaluate = evaluation.Evaluation(settings, task, mesh, held_out or train)
    _write_record(settings, workdir, task, data, origin, earlier)
    return _run(settings, workdir, task, mesh, train, evaluate)


def _run(
    settings: Settings,
    workdir: Any,
    task: Task,
    mesh: jax.sharding.Mesh,
    train: Sequence[Song],
    evaluate: evaluation.Evaluation,
) -> TrainState:
    run = settings.run
    frozen = sharding.place(task.frozen, sharding.shardings(task.frozen, mesh))
    key = jax.random.key(run.seed)
    places = states.abstract(settings, task, mesh)
    with (
        jax.set_mesh(mesh),
        checkpoint.Checkpoints(workdir, keep=run.keep, best="evaluate/loss") as checkpoints,
        Interrupt() as interrupt,
        Watch(run.stall_minutes) as waiting_for,
    ):
        if checkpoints.latest() is None:
            batch = next(evaluation.batches(settings, task, mesh, train))
            state = states.first(settings, task, places, frozen, batch, key)
            if run.start_from:  # from here on the run is on its own
                checkpoints.save(0, state.parts())
        else:
            found = checkpoints.restore(places.parts())
            assert found is not None  # restore raises where steps exist and none is whole
            state = places.with_parts(found[1])
            log.info("going on from step %d of %s", found[0], workdir)
        _write_parameters(settings, workdir, task, state)
        begin = int(state.step)
        if begin >= run.steps:
            log.info("%s has its %d steps; raise config.run.steps to go on", workdir, run.steps)
            return state
        take = states.compile_step(settings, task, places)
        journal = Journal(workdir, step=begin, steps=run.steps, rate=settings.stage.rate)
        stretch = _Stretch()
        stream = evaluation.batches(settings, task, mesh, train, start_step=begin)
        for step in range(begin + 1, run.steps + 1):
            waiting_for(f"the songs of step {step}")
            with stretch.waiting():
                batch = next(stream)
            waiting_for(f"step {step}")
            state, metrics = take(state, frozen, batch, key)
            stretch.add(metrics)
            stop = interrupt.asked(step)
            if run.due(run.log_every, step) or step == begin + 1 or stop:
                figures, pace, data_wait = stretch.report()
                figures |= operations.speed(settings, task, mesh, pace) | {"data_wait": data_wait}
                stretch = _Stretch()
                _check_finite(settings, figures, workdir, batch, step)
                journal.scalars(step, {f"train/{name}": value for name, value in figures.items()})
                journal.progress(step, {name: figures[name] for name in _SHOWN if name in figures})
            with stretch.aside():
                held: dict[str, float] = {}
                waiting_for(f"the evaluation after step {step}")
                if run.due(run.evaluate_every, step) and not stop:
                    held = {f"evaluate/{name}": x for name, x in evaluate(state, frozen).items()}
                    journal.scalars(step, held)
                    journal.progress(step, {"held-out loss": held["evaluate/loss"]})
                if run.due(run.examples_every, step) and not stop:
                    sound_key = jax.random.fold_in(jax.random.fold_in(key, _EXAMPLES), step)
                    journal.sounds(step, evaluate.examples(state, frozen, sound_key))
                waiting_for(f"the checkpoint of step {step}")
                if run.due(run.checkpoint_every, step) or stop:
                    checkpoints.save(step, state.parts(), metrics=held or None)
            if stop:
                log.info("asked to stop: step %d is saved, the same command goes on", step)
                break
        waiting_for("the last checkpoint")
        checkpoints.wait()
        journal.close()
        return state


class _Stretch:
    """The steps since the last report: what was measured of them, and the time that they took."""

    def __init__(self) -> None:
        self._metrics: list[dict[str, Array]] = []
        self._waited, self._since = 0.0, time.monotonic()

    def add(self, metrics: dict[str, Array]) -> None:
        """Counts a step, and waits for an earlier one: what is awaited is then what takes long."""
        self._metrics.append(metrics)
        if len(self._metrics) > _IN_FLIGHT:
            jax.block_until_ready(self._metrics[-1 - _IN_FLIGHT])

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """For data."""
        asked = time.monotonic()
        yield
        self._waited += time.monotonic() - asked

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done meanwhile does not count: the pace is that of training alone."""
        began = time.monotonic()
        yield
        self._since += time.monotonic() - began

    def report(self) -> tuple[dict[str, float], float, float]:
        """Metrics, means but of counts the last; steps a second; the share spent waiting."""
        on_host = jax.device_get(self._metrics)
        figures = {
            name: float(last if name.startswith("skipped") else np.mean([m[name] for m in on_host]))
            for name, last in on_host[-1].items()
        }
        spent = time.monotonic() - self._since
        return figures, len(on_host) / spent, self._waited / spent


def _find_origin(settings: Settings, workdir: Any) -> Origin | None:
    """The stage to start from, unless there is none or the run has started already."""
    if not settings.run.start_from or checkpoint.begun(workdir):
        return None
    return origins.read(settings)


def _read_earlier(settings: Settings, workdir: Any) -> Mapping[str, Any]:
    """The config that the run was begun with; empty where it has not begun."""
    if checkpoint.begun(workdir):
        return checkpoint.read_json(workdir, checkpoint.CONFIG, missing={})
    base = epath.Path(workdir) / models.BASE
    if settings.lora.rank and checkpoint.begun(base):  # which adapters will be added to
        kept = checkpoint.read_json(base, checkpoint.CONFIG)
        return {**settings.plain, **{name: kept[name] for name in _OF_BASE if name in kept}}
    return {}


def _check_earlier(settings: Settings, workdir: Any, earlier: Mapping[str, Any]) -> None:
    """Refuses to go on as another model."""
    if earlier:
        was = (earlier.get("run") or {}).get("start_from") or ""
        if was != settings.run.start_from:
            raise ValueError(
                f"config.run.start_from = {settings.run.start_from!r}, but {workdir} was begun "
                f"with {was!r}: set it to that, or choose another workdir"
            )
        for section in ("stage", "model", "signals"):
            different = configs.changed(earlier, settings.plain, section)
            if section == "stage":
                different = [
                    line for line in different if not line.startswith("config.stage.vqvae")
                ]
            if section == "model":
                different += configs.reshaped(earlier, settings)
            if different:
                raise ValueError(
                    f"{workdir} holds another stage ({'; '.join(different[:3])}): choose another "
                    "workdir, or the config it was begun with"
                )
        for section in ("data", "optimizer"):
            for line in configs.changed(earlier, settings.plain, section):
                log.warning("going on with another setting: %s", line)


def _find_songs(settings: Settings) -> tuple[tuple[Song, ...], tuple[Song, ...]]:
    data = settings.data
    songs = song.find(
        data.source,
        rate=settings.stage.rate,
        minimum_seconds=data.minimum_seconds,
        maximum_seconds=math.inf if data.maximum_seconds is None else data.maximum_seconds,
        check=data.check,
    )
    train, held_out = song.split(songs, data.held_out)
    log.info("%d songs to train on, %d held out", len(train), len(held_out))
    return train, held_out


def _make_task(
    settings: Settings, workdir: Any, train: Sequence[Song], origin: Origin | None
) -> tuple[Task, dict[str, Any]]:
    """The task, with what the run found out about its songs when it began; and that itself."""
    begun = checkpoint.begun(workdir)
    noted = checkpoint.read_json(workdir, models.DATA, missing={}) if begun else {}
    length = sum(one.length(settings.stage.rate) for one in train)
    heard: dict[str, Any] = {"songs": len(train), "samples": length}
    if noted and {name: noted.get(name) for name in heard} != heard:
        log.warning(
            "the songs have changed since this run began (%d songs then, %d now): the order of "
            "windows is another from here on",
            noted.get("songs", 0),
            len(train),
        )
    names = checkpoint.read_json(workdir, checkpoint.VOCABULARIES, missing={}) if begun else {}
    below = None
    if settings.stage.kind == "prior":
        below = models.Stage.load(settings.stage.vqvae)
        heard |= _identify(settings, workdir, below, noted)
    task = tasks.make(
        settings,
        train,
        vocabularies={
            name: conditioning.vocabulary_from_json(value) for name, value in names.items()
        },
        bandwidth=noted.get("bandwidth"),
        start_from=origin,
        below=below,
    )
    if settings.stage.kind == "vqvae":
        heard["bandwidth"] = {
            field.name: float(getattr(task.frozen, field.name))
            for field in dataclasses.fields(task.frozen)
        }
    return task, heard


def _identify(
    settings: Settings, workdir: Any, below: models.Stage, noted: Mapping[str, Any]
) -> dict[str, str]:
    """What names a prior's VQ-VAE, to be kept; refuses another one than the run began with."""
    if below.kind != "vqvae":  # which the task refuses
        return {}
    name = models.identity(below)
    was = noted.get("vqvae", name)
    if was != name:
        raise ValueError(
            f"config.stage.vqvae = {settings.stage.vqvae!r} makes other codes ({name}) than those "
            f"that {workdir} has learnt ({was}): set it to the VQ-VAE that the run was begun "
            "with, as it was then, or choose another workdir"
        )
    return {"vqvae": name}


def _write_record(
    settings: Settings,
    workdir: Any,
    task: Task,
    data: Mapping[str, Any],
    origin: Origin | None,
    earlier: Mapping[str, Any],
) -> None:
    """Writes what the stage is and what it found out: before the first step, after all checks."""
    known = (settings.plain, earlier, {configs.RELEASE: origin.release if origin else {}})
    release = next((one[configs.RELEASE] for one in known if one.get(configs.RELEASE)), None)
    config = {**settings.plain, configs.RELEASE: release} if release else settings.plain
    names = {name: vocabulary.to_json() for name, vocabulary in task.vocabularies.items()}
    checkpoint.write_json(workdir, checkpoint.CONFIG, config)
    checkpoint.write_json(workdir, models.DATA, data)
    checkpoint.write_json(workdir, checkpoint.VOCABULARIES, names)


def _check_finite(
    settings: Settings, figures: Mapping[str, float], workdir: Any, batch: Any, step: int
) -> None:
    """Stops a run whose gradients have ceased to be numbers, with the last batch set aside."""
    in_a_row = int(figures.get("skipped_in_a_row", 0))
    limit = settings.run.give_up_after
    if not limit or in_a_row < limit:
        return
    host = f"_{jax.process_index()}" if jax.process_count() > 1 else ""
    file = epath.Path(workdir) / f"batch_{step}{host}.npz"
    whole = io.BytesIO()  # a bucket takes no file in pieces
    arrays: dict[str, Any] = {name: sharding.local(x) for name, x in _flat(batch).items()}
    np.savez(whole, **arrays)
    file.write_bytes(whole.getvalue())
    raise TrainingError(
        f"the gradients of {in_a_row} steps in a row are not finite; the last batch is in {file}. "
        "Lower config.optimizer.learning_rate, or look for damaged songs, and start again"
    )


def _flat(batch: Any) -> dict[str, Array]:
    return {name: value for name, value in batch.items() if name != "labels"} | batch["labels"]


def _write_parameters(settings: Settings, workdir: Any, task: Task, state: TrainState) -> None:
    """The table of parameters: written whole; what of them is trained is logged."""
    from clu import parameter_overview

    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    log.info("%d parameters, listed in %s", count, PARAMETERS)
    selection = settings.optimizer.selection
    if settings.run.start_from or selection.freeze or selection.rates:
        for line in parts.plan(selection, state.params, task.base):
            log.info("  %s", line)
    table = parameter_overview.get_parameter_overview(state.params, include_stats=False)
    checkpoint.write_text(workdir, PARAMETERS, table + "\n")
