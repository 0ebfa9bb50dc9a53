"""What is sent between devices in a step: parameters, gradients, or more than there should be.

Collectives are told apart by the shapes of what they move, held against those of the parameters,
and what a formula says of parameters is worked out beside them. It knows parameters and where they
lie, and nothing of how a program is read.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jukebox_jax.prior.prior import Prior
from jukebox_jax.training.program import Collective, Shape


def gathering(model: Any, params: Any) -> int:
    """Bytes that a device sends in a step to gather parameters, by formula.

    Of what is split over n devices, a ring sends (n - 1) / n of what a device then holds. Kernels
    of layers are gathered twice, for the forward pass and to recompute it or go backward; so is
    what reads logits. Tables and the rest of the conditioning are gathered once.

    Args:
      model: the module; a VQ-VAE gathers nothing.
      params: its parameters' shapes and places.
    """
    if not isinstance(model, Prior):
        return 0
    width = jnp.dtype(model.dtype).itemsize
    total = 0.0
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        spec = leaf.sharding.spec
        whole = name.endswith("embedding") or leaf.ndim == 3 and "/group_" not in f"/{name}"
        mesh, axes = leaf.sharding.mesh, {axis for axis in spec if axis}
        parts = math.prod(mesh.shape[axis] for axis in axes if whole or axis != "tensor")
        held_after = leaf.size * width
        if not whole and "tensor" in axes:
            held_after //= mesh.shape["tensor"]
        times = 1 if whole else 2
        if whole and model.tied and name == "codes/embedding":
            times = 1  # the same rows are read again for the logits
        total += times * held_after * (parts - 1) / max(parts, 1)
    return int(total)


def sorted_out(found: Sequence[Collective], params: Any) -> Iterator[tuple[str, str, int, int]]:
    """Collectives by kind and by what is sent, as (kind, what, times, bytes sent by a device).

    What has the shape of a parameter, or of the part of one that a device holds, is one, or its
    gradient; whole numbers are ids; arrays of two dimensions and less are sums of few values.

    Args:
      found: the collectives of a program.
      params: the parameters' shapes and places.
    """
    known = _shapes_of(params)
    times: collections.Counter[tuple[str, str]] = collections.Counter()
    sent: collections.Counter[tuple[str, str]] = collections.Counter()
    for one in found:
        of: dict[str, list[Shape]] = collections.defaultdict(list)
        for shape in one.shapes:
            of[_what(one.kind, shape, known)].append(shape)
        for what, shapes in of.items():
            part = dataclasses.replace(one, shapes=tuple(shapes))
            times[one.kind, what] += one.times
            sent[one.kind, what] += part.sent
    for (kind, what), amount in sorted(sent.items(), key=lambda item: -item[1]):
        yield kind, what, times[kind, what], amount


def _what(kind: str, shape: Shape, known: set[tuple[int, ...]]) -> str:
    name, dimensions = shape
    if name[0] in "sup":  # whole numbers and truth values
        return "ids"
    if tuple(sorted(dimensions)) in known:
        return "gradients" if kind in ("all-reduce", "reduce-scatter") else "parameters"
    if math.prod(dimensions) * 4 < 4096 or len(dimensions) < 2:
        return "small values"
    return "activations"


def _shapes_of(params: Any) -> set[tuple[int, ...]]:
    """The shapes, sorted, in which parameters and parts of them may be sent."""
    known: set[tuple[int, ...]] = set()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        stacked = any("group_" in str(getattr(step, "key", "")) for step in path)
        shapes = [leaf.shape, *([leaf.shape[1:], (1, *leaf.shape[1:])] if stacked else [])]
        factors = {1, *leaf.sharding.mesh.shape.values(), leaf.sharding.mesh.size}
        for shape in shapes:
            known |= set(_divided(shape, frozenset(factors)))
    return known


@functools.cache
def _divided(shape: tuple[int, ...], factors: frozenset[int]) -> tuple[tuple[int, ...], ...]:
    parts: list[list[int]] = [[]]
    for dimension in shape:
        choices = {dimension // one for one in factors if dimension % one == 0}
        parts = [[*before, choice] for before in parts for choice in choices]
    return tuple({tuple(sorted(one)) for one in parts})
