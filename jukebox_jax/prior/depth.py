"""The first layers of a prior: as a prior of their own, and what they make of codes.

A prior is cut after the highest layer that is asked for, and its groups are split so that one ends
at each of the others; the same parameters, restacked, serve it. So what lies above is neither
loaded, held nor computed. Layer k is counted from 1: what k layers have made of the codes. Which
arrays of a saved stage are needed is told by name; files are read elsewhere.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from jukebox_jax.prior import transformer
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.prior.module import Prior, run
from jukebox_jax.prior.transformer import Layout

_STACKED = re.compile(r"transformer/group_(\d+)/layer_(\d+)/.*")


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a group of a layout, which is again a group.

    Attributes:
      group: whose part it is.
      places: which layers of the period.
      first: its first repeat.
      repeats: how many.
    """

    group: int
    places: tuple[int, ...]
    first: int
    repeats: int


def cut(model: Prior, layers: Sequence[int]) -> Prior:
    """The prior up to the highest of some layers, with a group that ends at each of them.

    Lyrics that are attended to only above are no longer among its signals.

    Args:
      model: the prior, or one that was cut above all of the layers.
      layers: which, from 1 to its depth.

    Raises:
      ValueError: no layer, or one that the prior does not have.
    """
    periods = [names for names, _ in model.layout]
    layout = tuple(
        (tuple(periods[piece.group][place] for place in piece.places), piece.repeats)
        for piece in pieces(model.layout, layers)
    )
    signals = model.signals
    if "memory" not in transformer.patterns(layout):
        signals = tuple((name, one) for name, one in signals if one.door != "memory")
    return model.clone(layout=layout, signals=signals, remat="none")


def restack(model: Prior, params: Mapping[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """The parameters of `cut(model, layers)`, from the stacked ones of the prior.

    Args:
      model: the prior.
      params: its parameters, or as much of them as `needed` names; arrays of the host stay views.
      layers: see `cut`.

    Raises:
      ValueError: the parameters are those of decoding, layer by layer.
    """
    stack = params["transformer"]
    if "group_0" not in stack:
        raise ValueError("parameters that were unstacked for decoding: give those of training")
    groups: dict[str, Any] = {}
    for index, piece in enumerate(pieces(model.layout, layers)):
        rows = slice(piece.first, piece.first + piece.repeats)
        groups[f"group_{index}"] = {
            f"layer_{place}": jax.tree.map(
                lambda leaf, rows=rows: leaf[rows], stack[f"group_{piece.group}"][f"layer_{source}"]
            )
            for place, source in enumerate(piece.places)
        }
    kept = {name: params[name] for name in ("codes", "positions", "start") if name in params}
    entering = dict(params.get("conditioning", {}))
    names = [name for name, _ in cut(model, layers).signals if name in entering]
    conditioning = {name: entering[name] for name in names}
    return {
        **kept,
        **({"conditioning": conditioning} if conditioning else {}),
        "transformer": groups,
    }


def needed(model: Prior, layers: Sequence[int]) -> Callable[[str], slice | None]:
    """Which of a prior's saved arrays `restack` reads.

    Args:
      model: the prior.
      layers: see `cut`.

    Returns:
      From an array's name, as "transformer/group_0/layer_1/mlp/up/kernel", to the rows of its
      first axis that are read, or None for none of them.
    """
    found = pieces(model.layout, layers)
    signals = {name for name, _ in cut(model, layers).signals}

    def of(name: str) -> slice | None:
        top, _, rest = name.partition("/")
        if match := _STACKED.fullmatch(name):
            group, place = int(match[1]), int(match[2])
            ends = [p.first + p.repeats for p in found if p.group == group and place in p.places]
            return slice(max(ends)) if ends else None
        if top == "conditioning":
            return slice(None) if rest.partition("/")[0] in signals else None
        return slice(None) if top in ("codes", "positions", "start") else None

    return of


def activations(
    model: Prior,
    params: Mapping[str, Any],
    codes: Array,
    conditioning: Conditioning,
    layers: Sequence[int],
) -> tuple[Array, ...]:
    """What some layers make of codes; later layers are not computed.

    The vector at a position has seen the codes before it and what they are conditioned on, but not
    the code that stands there, which the model is to predict from it.

    Args:
      model: what `cut` gave for these layers; static where this is compiled.
      params: what `restack` gave.
      codes: i32[batch, context].
      conditioning: what `prior.condition` gave.
      layers: the same, lowest first; static where this is compiled.

    Returns:
      For each layer, [batch, context, width] in the compute type.
    """
    counts = np.cumsum([len(names) * repeats for names, repeats in model.layout]).tolist()
    made = run(model, params, codes, conditioning, method="stages")
    return tuple(made[counts.index(layer)] for layer in layers)


def pieces(layout: Layout, layers: Sequence[int]) -> tuple[Piece, ...]:
    """A layout up to the highest of some layers, in parts of which one ends at each of them.

    Raises:
      ValueError: no layer, or one that the layout does not have.
    """
    depth = len(transformer.patterns(layout))
    wrong = [layer for layer in layers if not 1 <= layer <= depth]
    if wrong or not layers:
        raise ValueError(f"layers {tuple(layers)}: the prior has layers 1 to {depth}; give some")
    found: list[Piece] = []
    begin = 0  # of the group, in layers
    for group, (names, repeats) in enumerate(layout):
        size, end = len(names), begin + len(names) * repeats
        stops = sorted({layer - begin for layer in layers if begin < layer <= end})
        if max(layers) > end:
            stops = sorted({*stops, end - begin})
        start = 0
        for stop in stops:
            while start < stop:  # the rest of a period, then whole ones, then a part of one
                row, place = divmod(start, size)
                if place or stop - start < size:
                    last = min(size, place + stop - start)
                    found.append(Piece(group, tuple(range(place, last)), row, 1))
                    start += last - place
                else:
                    rows = (stop - start) // size
                    found.append(Piece(group, tuple(range(size)), row, rows))
                    start += rows * size
        begin = end
    return tuple(found)
