"""How long a piece of work takes on this machine, beside the least it could take.

A `Work` makes its inputs and returns a function to be timed; `measure` compiles it apart, runs it
several times and gives the median. `Machine` holds the rates of matrix products and of reading
memory, measured in the same process, from which the floor of a work follows. Knows no models.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_BYTES = 1 << 28  # read to measure bandwidth: more than any cache holds
_SIDE = 2048  # of the square matrices whose product is timed


@dataclasses.dataclass(frozen=True)
class Work:
    """A named piece of work.

    Attributes:
      name: what it is asked for by.
      what: one line that says what is done, with its sizes.
      prepare: makes models and inputs, and returns the function to time. What that returns is
        waited for.
      steps: steps that one call does; seconds are given per step.
      operations: floating-point operations a step, 0 if not counted.
      bytes: bytes a step cannot but read from memory, 0 if not counted.
      seconds: of sound that a step makes or takes in, 0 if that says nothing.
    """

    name: str
    what: str
    prepare: Callable[[], Callable[[], Any]]
    steps: int = 1
    operations: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Machine:
    """What this machine can do.

    Attributes:
      device: kind of the first device.
      devices: how many there are; works run on the first.
      cores: processor cores.
      operations: floating-point operations a second of a large matrix product.
      bytes: bytes a second of a matrix-vector product too large for any cache.
      load: load average before the measurement.
    """

    device: str
    devices: int
    cores: int
    operations: float
    bytes: float
    load: float


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long a work took.

    Attributes:
      name: of the work.
      what: of the work.
      seconds: a step, median of the runs.
      least: a step, of the fastest run.
      processor: seconds of processor time a step, median; steadier than the clock's on a busy
        machine, and of no meaning where the work is done by an accelerator.
      compile: seconds of the first call beyond a later one.
      floor: seconds that the machine's rates allow, 0 if nothing was counted.
      fraction: floor over seconds.
      realtime: seconds of sound per second, 0 if that says nothing.
    """

    name: str
    what: str
    seconds: float
    least: float
    processor: float
    compile: float
    floor: float
    fraction: float
    realtime: float


def machine(dtype: str = "float32") -> Machine:
    """Measures what this machine can do, in about a second or two.

    Args:
      dtype: of the matrices.
    """
    load = os.getloadavg()[0]
    square = jnp.ones((_SIDE, _SIDE), dtype)
    product = jax.jit(lambda a: a @ a)
    seconds = min(_times(lambda: product(square), 5))
    width = 4096
    rows = _BYTES // width // square.itemsize
    wide, vector = jnp.ones((rows, width), dtype), jnp.ones((width,), dtype)
    read = jax.jit(lambda a, v: a @ v)
    reading = min(_times(lambda: read(wide, vector), 5))
    return Machine(
        device=jax.devices()[0].device_kind,
        devices=jax.device_count(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        operations=2 * _SIDE**3 / seconds,
        bytes=_BYTES / reading,
        load=load,
    )


def measure(work: Work, on: Machine, runs: int = 3) -> Timing:
    """Times a work: compiles it, warms it up once and runs it.

    Args:
      work: what to time.
      on: rates to hold it against.
      runs: how often; the median counts.
    """
    call = work.prepare()
    first = _times(call, 1)[0]
    _times(call, 1)
    began = time.process_time()
    times = _times(call, runs)
    processor = (time.process_time() - began) / runs / work.steps
    seconds, least = float(np.median(times)) / work.steps, min(times) / work.steps
    floor = max(work.operations / on.operations, work.bytes / on.bytes)
    return Timing(
        name=work.name,
        what=work.what,
        seconds=seconds,
        least=least,
        processor=processor,
        compile=max(0.0, first - seconds * work.steps),
        floor=floor,
        fraction=floor / seconds,
        realtime=work.seconds / seconds,
    )


def table(timings: Iterable[Timing]) -> str:
    """Timings as a table in Markdown."""
    lines = [
        "| work | a step | compile | floor | of the floor | sound s / s |",
        "|---|---|---|---|---|---|",
    ]
    for one in timings:
        floor = f"{_short(one.floor)} | {one.fraction:.0%}" if one.floor else "| "
        sound = f"{one.realtime:.3g}" if one.realtime else ""
        lines.append(
            f"| {one.name} | {_short(one.seconds)} | {one.compile:.1f} s | {floor} | {sound} |"
        )
    return "\n".join(lines)


def _times(call: Callable[[], Any], runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return times


def _short(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
