"""What a run would need of each device, found by compiling its step without making any array.

The step is compiled for as many devices as are asked for, also for devices that are not there
(`sharding.simulate`). Bytes by kind, operations and collectives of one device come out, and a line
of advice where they do not fit. It knows configs and tasks, and leaves texts of programs to
`program`.
"""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax import models, sharding
from jukebox_jax.checkpoint import CONFIG, CheckpointError, read_json
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import gradient, tasks, traffic
from jukebox_jax.training import settings as configs
from jukebox_jax.training import state as states
from jukebox_jax.training.program import Program
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Task
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE, Bandwidth, Weights

GB = 10**9
_OPTIONS = {
    "xla_backend_optimization_level": 0,  # of machine code, which is never run
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",  # as accelerators order work
}


class BudgetError(ValueError):
    """A run does not fit; one line with what would help."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a step needs of one device.

    Attributes:
      mesh: devices along each axis.
      parameters: how many the model has.
      stored: bytes a device by kind: parameters, moments, average, codebooks, frozen, batch.
      temporary: bytes that come and go within a step: activations, gradients, gathered parameters.
      output: bytes of results that take no argument's place.
      replicated: part of the parameters' bytes of which every device holds a copy.
      flops: of the compiled program, on one device, loops counted with their turns.
      model_flops: 6 * parameters * codes of the batch, on one device; 0 for a VQ-VAE, whose
        parameters are used at many lengths.
      traffic: collectives as (kind, what is sent, times, bytes sent by a device).
      by_formula: bytes that a device sends to gather parameters, as `gathering` says.
      seconds: that compiling took.
    """

    mesh: Mapping[str, int]
    parameters: int
    stored: Mapping[str, int]
    temporary: int
    output: int
    replicated: float
    flops: float
    model_flops: float
    traffic: tuple[tuple[str, str, int, int], ...]
    by_formula: int
    seconds: float

    @property
    def total(self) -> int:
        """Bytes of a device at the peak of a step."""
        return sum(self.stored.values()) + self.temporary + self.output

    def lines(self) -> list[str]:
        """A report for people."""
        mesh = " * ".join(f"{name}={count}" for name, count in self.mesh.items())
        devices = math.prod(self.mesh.values())
        found = [f"{devices} devices ({mesh}), {self.parameters:,} parameters", "bytes a device:"]
        kinds = {**self.stored, "temporary": self.temporary, "results": self.output}
        kinds["total"] = self.total
        found += [f"  {kind:<12} {amount / GB:10.3f} GB" for kind, amount in kinds.items()]
        found.append(f"  of the parameters' bytes {self.replicated:.2%} lie on every device")
        found.append(f"floating-point operations a step and device: {self.flops:.3e}")
        if self.model_flops:
            found.append(
                f"  6 * parameters * codes: {self.model_flops:.3e}, of which the program has "
                f"{self.flops / self.model_flops:.2f} times as many (recomputation, the VQ-VAE)"
            )
        found.append("collectives a step, and bytes that a device sends:")
        for kind, what, times, sent in self.traffic:
            found.append(f"  {kind:<18} of {what:<11} {times:6d} times {sent / GB:10.3f} GB")
        if self.by_formula:
            found.append(f"  to gather parameters, by formula: {self.by_formula / GB:.3f} GB")
        found.append(
            "The program is XLA's for CPUs. It keeps products in float32 where accelerators keep "
            "16 bits, so temporary bytes are an upper estimate; it sums a gradient everywhere "
            "(all-reduce) where they keep a part (reduce-scatter, half the bytes)."
        )
        return found


def measure(config: Any, *, codec: Mapping[str, Any] | None = None) -> Budget:
    """Compiles the step of a config for all devices, and looks at it.

    Args:
      config: as for `loop.train_and_evaluate`; songs and stages that it names need not exist.
      codec: of a prior, the config of its VQ-VAE, for where config.stage.vqvae holds none.

    Raises:
      ValueError: the config contradicts itself or the devices, or no VQ-VAE is known.
    """
    settings = _settings(config)
    mesh = sharding.make_mesh(**dataclasses.asdict(settings.mesh))
    gradient.check_batch(settings, mesh)
    task = make_task(settings, codec)
    began = time.monotonic()
    compiled = lower(settings, task, mesh).compile(compiler_options=_OPTIONS)
    return look(settings, task, mesh, compiled, time.monotonic() - began)


def make_task(settings: Settings, codec: Mapping[str, Any] | None = None) -> Task:
    """The task of a config, without songs, weights or vocabularies: all are shapes alone."""
    if settings.stage.kind == "vqvae":
        even = {field.name: 1.0 for field in dataclasses.fields(Bandwidth)}
        return tasks.make(settings, (), bandwidth=even)
    directory = settings.stage.vqvae
    config = read_json(directory, CONFIG, missing=codec)
    if config is None:
        raise CheckpointError(f"{directory} holds no VQ-VAE, and no config of one is given")
    model = models.build(config)
    if not isinstance(model, VQVAE):
        raise ValueError(f"config.stage.vqvae = {directory!r} is no VQ-VAE's stage")
    codes = jax.ShapeDtypeStruct((model.bins, model.code_width), jnp.float32)
    book = Codebook(codes, codes, jax.ShapeDtypeStruct((model.bins,), jnp.float32))
    weights = Weights(vqvae.abstract(model), (book,) * model.levels)
    names = dict.fromkeys(settings.plain.get("signals") or {})  # what they know is never asked
    below = models.Stage(model, weights, config)
    return tasks.make(settings, (), vocabularies=names, below=below)


def lower(settings: Settings, task: Task, mesh: jax.sharding.Mesh) -> Any:
    """The step of a task, traced for a mesh, with shapes for arrays."""
    places = states.abstract(settings, task, mesh)
    frozen = _placed(task.frozen, sharding.replicated(mesh))
    batch = _placed(task.example(settings.data.batch), sharding.batch(mesh))
    with jax.set_mesh(mesh):
        key = jax.eval_shape(lambda: jax.random.key(0))
        step: Any = states.compile_step(settings, task, places)
        return step.lower(places, frozen, batch, key)


def look(
    settings: Settings, task: Task, mesh: jax.sharding.Mesh, compiled: Any, seconds: float = 0.0
) -> Budget:
    """What a compiled step needs of one device.

    Args:
      settings: the run's config.
      task: whose step it is.
      mesh: for which it was lowered.
      compiled: what compiling `lower` gave.
      seconds: that it took.
    """
    places = states.abstract(settings, task, mesh)
    state = {
        "parameters": places.params,
        "moments": places.optimizer,
        "average": places.average,
        "codebooks": places.codebooks,
        "frozen": _placed(task.frozen, sharding.replicated(mesh)),
        "batch": _placed(task.example(settings.data.batch), sharding.batch(mesh)),
    }
    leaves = jax.tree.leaves(places.params)
    copied = sum(_bytes(leaf) for leaf in leaves if leaf.sharding.is_fully_replicated)
    memory, program = compiled.memory_analysis(), Program(compiled.as_text())
    codes = 0
    if isinstance(task.model, Prior):
        codes = settings.data.batch * (task.model.context + task.model.prefix)
    count = sum(leaf.size for leaf in leaves)
    return Budget(
        mesh=dict(mesh.shape),
        parameters=count,
        stored={kind: held(tree) for kind, tree in state.items() if jax.tree.leaves(tree)},
        temporary=int(memory.temp_size_in_bytes),
        output=int(memory.output_size_in_bytes - memory.alias_size_in_bytes),
        replicated=copied / sum(map(_bytes, leaves)),
        flops=float(program.flops()),
        model_flops=6.0 * count * codes / mesh.size,
        traffic=tuple(traffic.sorted_out(program.collectives(), places.params)),
        by_formula=traffic.gathering(task.model, places.params),
        seconds=seconds,
    )


def check(budget: Budget, config: Any, memory: int) -> None:
    """Raises where a run does not fit.

    Args:
      budget: what `measure` gave.
      config: as for `measure`.
      memory: bytes of a device.

    Raises:
      BudgetError: it needs more; the line says what would help most.
    """
    if budget.total > memory:
        raise BudgetError(
            f"a step needs {budget.total / GB:.1f} GB of each device, which has "
            f"{memory / GB:.1f}: {_advice(budget, _settings(config))}"
        )


def _advice(budget: Budget, settings: Settings) -> str:
    stored = {kind: budget.stored.get(kind, 0) for kind in ("parameters", "moments", "average")}
    devices = math.prod(budget.mesh.values())
    split = budget.mesh["fsdp"] * budget.mesh["tensor"]
    model = settings.plain.get("model") or {}
    pieces = settings.optimizer.accumulate
    rows = settings.data.batch // (devices // budget.mesh["tensor"]) // pieces
    if sum(stored.values()) > budget.temporary:
        if split < devices:
            return f"split the model further, as --config.mesh.fsdp={min(2 * split, devices)}"
        if settings.optimizer.moments == "float32":
            return "keep moments short, --config.optimizer.moments=bfloat16"
    elif settings.stage.kind == "prior" and model.get("remat", "full") != "full":
        return "recompute activations, --config.model.remat=full"
    elif rows > 1:
        return (
            f"{rows} songs are on a device at once: accumulate gradients over more steps, as "
            f"--config.optimizer.accumulate={2 * pieces}"
        )
    elif budget.mesh["tensor"] < devices:
        return f"split products too, as --config.mesh.tensor={2 * budget.mesh['tensor']}"
    return "take more devices"


def memory_of(text: str) -> int:
    """Bytes, from "80GB", "80 GiB" or a number of bytes.

    Raises:
      ValueError: it is none of these.
    """
    units = {"": 1, "b": 1, "mb": 10**6, "gb": GB, "mib": 2**20, "gib": 2**30}
    number = text.strip().lower().rstrip("gmib ")
    unit = text.strip().lower()[len(number) :].strip()
    try:
        return int(float(number) * units[unit])
    except (ValueError, KeyError):
        raise ValueError(f"memory {text!r}: give it as 80GB, 80GiB or in bytes") from None


def held(tree: Any) -> int:
    """Bytes that one device holds of a tree of placed shapes."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def _bytes(leaf: Any) -> int:
    return int(leaf.size * leaf.dtype.itemsize)


def _placed(tree: Any, where: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf), sharding=where),
        tree,
    )


def _settings(config: Any) -> Settings:
    """The config, with float16 for bfloat16: as long, and CPUs compile it as it is."""
    given = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    data = dict(given.get("data") or {})
    data["source"] = data.get("source") or "none"
    settings = configs.read({**given, "data": data})
    model = dict(settings.plain["model"])
    if model.get("dtype") == "bfloat16":
        model["dtype"] = "float16"
    return dataclasses.replace(settings, plain={**settings.plain, "model": model})
