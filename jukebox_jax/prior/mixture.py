"""Weighted mixtures of labels: seven parts of one artist, three of another.

A label may be given as {name: weight, ...}, or as the JSON of that. It is embedded as the sum of
what its names are embedded as, each times its weight; weights are taken as they are, so those of
a blend sum to 1. This file reads mixtures and brings those of several songs to one shape. What a
name means is left to its signal.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import schedule
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, Vocabulary

_FORM = "{name: weight, ...}, weights being numbers"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mixture:
    """Labels and how much each counts, with or without a batch axis in front.

    Attributes:
      ids: i32[..., slots], -1 where a slot is not used.
      weights: f32[..., slots].
    """

    ids: Array | np.ndarray
    weights: Array | np.ndarray

    def nothing(self) -> "Mixture":
        """The same shape, of which nothing is known: the reserved 0 once."""
        ids = np.full(self.ids.shape, -1, np.int32)
        ids[..., 0] = UNKNOWN
        return Mixture(ids, np.ones(self.ids.shape, np.float32))


def is_mixture(value: Any) -> bool:
    """Whether a label's value is a mixture, or the JSON of one (as in a table's cell)."""
    if schedule.is_schedule(value):
        return False
    return isinstance(value, Mapping) or (isinstance(value, str) and value[:1] == "{")


def parts(value: Any) -> dict[str, float]:
    """The names of a mixture with their weights.

    Raises:
      LabelError: it is empty or of another form.
    """
    shown = str(value)[:60]
    try:
        found = json.loads(value) if isinstance(value, str) else dict(value)
        weights = {str(name): float(weight) for name, weight in found.items()}
    except (TypeError, ValueError, AttributeError):
        raise LabelError(f"{shown} is no mixture of labels; write {_FORM}") from None
    if not weights or not all(map(math.isfinite, weights.values())):
        raise LabelError(f"{shown} is no mixture of labels; write {_FORM}")
    return weights


def encode(
    signal: Any,
    name: str,
    song: Song,
    span: Span,
    length: int,
    vocabulary: Vocabulary | None,
    allow_unknown: bool,
) -> Mixture:
    """A label signal's mixture over a span of a song, on the host; arguments as in its `encode`.

    Raises:
      LabelError: what `parts` and the signal's `encode` raise.
    """
    ids, weights = [], []
    for word, weight in parts(song.labels[name]).items():
        one = dataclasses.replace(song, labels={**song.labels, name: word})
        values = signal.encode(name, one, span, length, vocabulary, allow_unknown)
        ids.append(values)
        weights.append(np.full(len(values), weight, np.float32))
    return Mixture(np.concatenate(ids), np.concatenate(weights))


def stack(values: Sequence[Any]) -> Any:
    """Labels of one signal of several songs, batched.

    Args:
      values: arrays of one shape, of which some may be a `Mixture` of any slots instead.

    Returns:
      An array; or, where there is any, a `Mixture` with [batch, slots].
    """
    if not any(isinstance(one, Mixture) for one in values):
        return np.stack(values)
    mixed = [
        one if isinstance(one, Mixture) else Mixture(one, np.ones(one.shape, np.float32))
        for one in values
    ]
    slots = max(one.ids.shape[-1] for one in mixed)
    room = [(0, slots - one.ids.shape[-1]) for one in mixed]
    return Mixture(
        np.stack([np.pad(m.ids, r, constant_values=-1) for m, r in zip(mixed, room, strict=True)]),
        np.stack([np.pad(m.weights, r) for m, r in zip(mixed, room, strict=True)]),
    )
