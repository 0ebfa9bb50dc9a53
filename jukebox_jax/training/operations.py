"""How many floating-point operations a step needs, and how many a device can do.

Operations are counted where a function is traced: matrix products and convolutions, those in a
scan as often as it runs. A backward pass takes twice its forward pass, and what is computed anew to
save memory does not count: so the share of the peak that is reported is that of useful work.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jukebox_jax.prior import conditioning
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import parts
from jukebox_jax.training.parts import Selection
from jukebox_jax.training.settings import Settings
from jukebox_jax.training.tasks import Task
from jukebox_jax.vqvae.vqvae import VQVAE

PEAKS = (  # how a device kind begins, and its dense bfloat16 operations a second, as published
    ("NVIDIA H100 PCIe", 756e12),
    ("NVIDIA H100", 989e12),
    ("NVIDIA H200", 989e12),
    ("NVIDIA A100", 312e12),
    ("NVIDIA L4", 121e12),
    ("TPU v4", 275e12),
    ("TPU v5 lite", 197e12),
    ("TPU v5e", 197e12),
    ("TPU v5p", 459e12),
    ("TPU v5", 459e12),
    ("TPU v6", 918e12),
)
"""First match wins; a letter or a digit more is another kind."""


def peak(kind: str) -> float | None:
    """A device's dense bfloat16 operations a second; None where the kind is not known."""
    return next((most for name, most in PEAKS if re.match(rf"{name}(?!\w)", kind)), None)


def count(function: Callable, *arguments: Any) -> float:
    """Operations of the products and convolutions of a function, as it is traced.

    Args:
      function: any, of arrays.
      arguments: arrays, or their shapes and types.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


@functools.cache
def of_prior(model: Prior) -> float:
    """Operations of a prior's forward and backward pass over one context.

    For each position that passes a kernel, 6 for each of its parameters; for each layer, head and
    position, 12 times the keys times the width of a head.
    """
    codes = jax.ShapeDtypeStruct((1, model.context), jnp.int32)
    example = jax.eval_shape(lambda: conditioning.example(model.signals, model.context))
    return 3 * count(model.init, jax.random.key(0), codes, *example)


@functools.cache
def of_vqvae(model: VQVAE, samples: int) -> float:
    """Operations of a VQ-VAE's forward and backward pass over one window of audio.

    The search of codes has no backward pass; the losses are left out.
    """
    audio = jax.ShapeDtypeStruct((1, samples, 1), jnp.float32)
    coders = count(model.init, jax.random.key(0), audio)
    return 3 * coders + 2.0 * sum(samples // hop for hop in model.hops) * model.bins * (
        model.code_width
    )


def of_frozen(model: Prior, params: Any) -> float:
    """Operations over one context that the gradients of a prior's frozen kernels would need.

    Args:
      model: the prior, of which only layers are looked at.
      params: the frozen parameters, or their shapes, by path.
    """
    sizes = [
        math.prod(leaf.shape)
        for path, leaf in parts.named(params)
        if re.fullmatch("transformer/.*/kernel", path)
    ]
    return 2.0 * sum(sizes) * (model.prefix + model.context)


def of_task(task: Task, selection: Selection) -> float:
    """Operations of a step over one item of the batch; what is only read costs no gradient."""
    if isinstance(task.model, VQVAE):
        return of_vqvae(task.model, task.samples)
    if not isinstance(task.model, Prior):
        return 0.0
    frozen = [selection.split(task.abstract)[1], task.base]
    return of_prior(task.model) - sum(of_frozen(task.model, params) for params in frozen)


def speed(settings: Settings, task: Task, mesh: jax.sharding.Mesh, pace: float) -> dict[str, float]:
    """What is reported of a run's speed.

    Args:
      settings: the run's config.
      task: what is trained.
      mesh: what it runs on.
      pace: steps a second.

    Returns:
      steps_per_second; seconds_per_second, of audio; codes_per_second, of a prior;
      teraflops_per_second, of all devices together; and flop_utilisation, the share of their
      bfloat16 peak, where that is known.
    """
    items = pace * settings.data.batch
    rate = items * of_task(task, settings.optimizer.selection)
    figures = {
        "steps_per_second": pace,
        "seconds_per_second": items * task.samples / settings.stage.rate,
        "teraflops_per_second": rate / 1e12,
    }
    if isinstance(task.model, Prior):
        figures["codes_per_second"] = items * task.model.context
    most = peak(mesh.devices.flat[0].device_kind)
    if most is not None:
        figures["flop_utilisation"] = rate / (most * mesh.size)
    return figures


def _count(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            inner = math.prod(shape[dimension] for dimension in contracted)
            total += 2.0 * math.prod(equation.outvars[0].aval.shape) * inner
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            total += 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / features
        else:
            inside = [_count(one) for one in _inner(equation.params)]
            if name == "cond":
                total += max(inside)
            else:
                total += equation.params.get("length", 1) * sum(inside) if inside else 0.0
    return total


def _inner(params: Any) -> Iterator[Any]:
    """The functions that an equation calls."""
    for value in params.values():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            one = getattr(one, "jaxpr", one)
            if hasattr(one, "eqns"):
                yield one
