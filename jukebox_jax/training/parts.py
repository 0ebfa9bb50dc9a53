"""Which parameters are trained, and how fast, by patterns of their paths.

A pattern is a regular expression of one or more whole names of a path: "transformer" is all that
lies in a folder of that name, "encoder_./block_0" what lies there. A selection splits a tree in two
of the same structure, with None where a leaf is in the other. Nothing here knows a model.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

CODEBOOKS = "codebooks"
"""The path of a VQ-VAE's codebooks, which are no parameters but can be frozen as well."""


def read_patterns(key: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """Patterns from a config's value: a sequence, or a string with commas.

    Args:
      key: the config's key, for messages.
      value: the patterns.

    Raises:
      ValueError: one is no regular expression.
    """
    patterns = value.split(",") if isinstance(value, str) else value
    found = tuple(pattern.strip() for pattern in patterns if pattern.strip())
    for pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{key}: {pattern!r} is no regular expression: {error}") from None
    return found


def read_factors(key: str, value: str | Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Patterns with a factor each, from a mapping or from "pattern=factor,...".

    Args:
      key: the config's key, for messages.
      value: the factors.

    Raises:
      ValueError: a factor is missing, or not above 0.
    """
    if isinstance(value, str):
        pairs = [one.rpartition("=")[::2] for one in value.split(",") if one.strip()]
    else:
        pairs = [(pattern, str(factor)) for pattern, factor in value.items()]
    found = []
    for pattern, text in pairs:
        read_patterns(key, (pattern,))
        try:
            factor = float(text)
        except ValueError:
            factor = 0.0
        if not pattern.strip() or not 0 < factor < float("inf"):
            raise ValueError(
                f'{key}: "{pattern}={text}" is no pattern with a factor above 0, as '
                '"conditioning=5"; what is not to be trained is frozen by config.optimizer.freeze'
            )
        found.append((pattern.strip(), factor))
    return tuple(found)


def matches(pattern: str, path: str) -> bool:
    """Whether some whole names of a path, side by side, are what a pattern says."""
    return re.search(rf"(?:^|/)(?:{pattern})(?:/|$)", path) is not None


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is trained, and how fast.

    Attributes:
      freeze: patterns of what is not trained.
      rates: (pattern, factor of the learning rate); the first that matches counts.
    """

    freeze: tuple[str, ...] = ()
    rates: tuple[tuple[str, float], ...] = ()

    def trains(self, path: str) -> bool:
        """Whether a parameter is trained."""
        return not any(matches(pattern, path) for pattern in self.freeze)

    def factor(self, path: str) -> float:
        """A parameter's factor of the learning rate."""
        return next((factor for pattern, factor in self.rates if matches(pattern, path)), 1.0)

    def factors(self, tree: Any) -> Any:
        """The factor of each leaf of a tree."""
        return _map(lambda path, _: self.factor(path), tree)

    def split(self, params: Any) -> tuple[Any, Any]:
        """What is trained and what is frozen, each with None in the other's places."""
        if not self.freeze:
            return params, None
        trained = _map(lambda path, leaf: leaf if self.trains(path) else None, params)
        frozen = _map(lambda path, leaf: None if self.trains(path) else leaf, params)
        return trained, frozen

    def check(self, params: Any, *, with_codebooks: bool = False) -> None:
        """Checks that every pattern says something, and that something is trained.

        Args:
          params: the parameters, or their shapes.
          with_codebooks: whether there are codebooks as well.

        Raises:
          ValueError: a pattern matches no path, or nothing is left to train.
        """
        paths = [path for path, _ in named(params)]
        told = [("freeze", pattern, CODEBOOKS if with_codebooks else "") for pattern in self.freeze]
        told += [("rates", pattern, "") for pattern, _ in self.rates]
        for name, pattern, more in told:
            if not any(matches(pattern, path) for path in (*paths, more)):
                raise ValueError(
                    f"config.optimizer.{name}: no parameter lies at {pattern!r}; paths begin with "
                    f"{', '.join(sorted({path.split('/')[0] for path in paths}))}"
                )
        if not any(self.trains(path) for path in paths):
            raise ValueError(
                f"config.optimizer.freeze = {','.join(self.freeze)!r} leaves nothing to train: "
                "take a pattern out"
            )


def join(trained: Any, frozen: Any) -> Any:
    """The inverse of `Selection.split`."""
    if frozen is None:
        return trained
    return jax.tree.map(
        lambda one, other: other if one is None else one,
        trained,
        frozen,
        is_leaf=lambda leaf: leaf is None,
    )


def plan(selection: Selection, params: Any, base: Any = None) -> list[str]:
    """What is trained, what is frozen and how many parameters each has, as lines to be shown.

    Args:
      selection: what is trained.
      params: the parameters, or their shapes.
      base: parameters that are used and not trained, as the kernels that adapters are added to.
    """
    counts: dict[tuple[str, float], int] = {}
    for path, leaf in named(params):
        factor = selection.factor(path) if selection.trains(path) else 0.0
        row = (_part(path), factor)
        counts[row] = counts.get(row, 0) + _size(leaf)
    if base is not None:
        for path, leaf in named(base):
            row = (f"{_part(path)} (base)", 0.0)
            counts[row] = counts.get(row, 0) + _size(leaf)
    trained = sum(count for (_, factor), count in counts.items() if factor)
    frozen = sum(counts.values()) - trained
    lines = [f"{'parameters':<36}{'trained':>16}{'frozen':>16}  rate"]
    for (name, factor), count in sorted(counts.items()):
        columns = (f"{count:,}", "") if factor else ("", f"{count:,}")
        share = f"x {factor:g}" if factor else ""
        lines.append(f"{name:<36}{columns[0]:>16}{columns[1]:>16}  {share}".rstrip())
    lines.append(f"{'all':<36}{trained:>16,}{frozen:>16,}")
    return lines


def named(tree: Any) -> list[tuple[str, Any]]:
    """The leaves of a tree with their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _part(path: str) -> str:
    """The part of a model that a parameter belongs to, as it is shown."""
    names = path.split("/")
    return "/".join(names[:2]) if names[0] == "conditioning" else names[0]


def _map(function: Callable[[str, Any], Any], tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(jax.tree_util.keystr(path, simple=True, separator="/"), leaf),
        tree,
    )


def _size(leaf: Any) -> int:
    return int(np.prod(leaf.shape, dtype=np.int64))
