"""Low-rank adapters: small matrices beside a prior's kernels, trained while the kernels stay.

A kernel W of a layer's attention or MLP gets A and B, and acts as W + alpha / rank * A B (LoRA, Hu
et al. 2021). B starts at 0, so a model begins as it was. Tables of names may get new rows as well,
as what is added to those that no old name has. All functions take plain trees; `merge` gives a tree
that knows nothing of adapters.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import Array

from jukebox_jax.prior.linear import Dense

_KERNEL = re.compile(r"(?:.*/)?group_\d+/layer_\d+/(attention|mlp)/(\w+)/kernel")
_NAMES = ("attention", "mlp", "query", "key", "value", "out", "up", "down")
_DOWN, _UP, _ROWS = "lora_a", "lora_b", "lora_rows"


@dataclasses.dataclass(frozen=True)
class Lora:
    """A config's `lora` section.

    Attributes:
      rank: of each adapter; 0 for none.
      alpha: an adapter's product counts alpha / rank times.
      targets: which kernels get one, a tuple or separated by commas: "attention" and "mlp" are
        all of theirs; query, key, value and out, up and down single ones.
    """

    rank: int = 0
    alpha: float = 16.0
    targets: str | tuple[str, ...] = ("attention", "mlp")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          ValueError: one is out of its range.
        """
        if self.rank < 0:
            raise ValueError(f"config.lora.rank = {self.rank}: 0 for no adapters, or more")
        if self.alpha <= 0:
            raise ValueError(f"config.lora.alpha = {self.alpha}: above 0")
        for name in self.names:
            if name not in _NAMES:
                raise ValueError(
                    f"config.lora.targets: {name!r} is unknown; known: {', '.join(_NAMES)}"
                )
        if not self.names:
            raise ValueError("config.lora.targets is empty: name some, as attention,mlp")

    @property
    def names(self) -> tuple[str, ...]:
        """The targets as a tuple."""
        given = self.targets.split(",") if isinstance(self.targets, str) else self.targets
        return tuple(name.strip() for name in given if name.strip())

    @property
    def scale(self) -> float:
        """What an adapter's product counts."""
        return self.alpha / self.rank

    def adapts(self, path: str) -> bool:
        """Whether a parameter is a kernel that gets an adapter."""
        found = _KERNEL.fullmatch(path)
        return found is not None and not set(found.groups()).isdisjoint(self.names)


def read(config: Mapping[str, Any]) -> Lora:
    """The `lora` section of a stage's config; without one there are no adapters.

    Raises:
      ValueError: a value is out of its range.
      TypeError: a key is unknown.
    """
    return Lora(**(config.get("lora") or {}))


def init(lora: Lora, params: Any, used: Mapping[str, int], key: Array) -> dict[str, Any]:
    """Adapters that change nothing yet, float32; may be traced.

    Args:
      lora: which.
      params: the prior's parameters, or their shapes.
      used: for each table of names that may learn new ones, how many of its rows are known.
      key: where the As start.
    """
    adapters: dict[str, Array] = {}
    for number, (path, leaf) in enumerate(sorted(_flat(params).items())):
        if lora.adapts(path):
            *stacked, into, out = leaf.shape
            place = path.removesuffix("kernel")
            start = jax.random.normal(
                jax.random.fold_in(key, number), (*stacked, into, lora.rank), jnp.float32
            )
            adapters[place + _DOWN] = start / into**0.5
            adapters[place + _UP] = jnp.zeros((*stacked, lora.rank, out), jnp.float32)
    for name, count in used.items():
        place = f"conditioning/{name}/rows/"
        rows, width = _flat(params)[place + "embedding"].shape
        if count < rows:
            adapters[place + _ROWS] = jnp.zeros((rows - count, width), jnp.float32)
    return traverse_util.unflatten_dict(adapters, sep="/")


def attach(params: Any, adapters: Any) -> dict[str, Any]:
    """Parameters with adapters beside their kernels, for a model that runs under `applied`."""
    whole, added = _flat(params), _flat(adapters)
    _grow(whole, added)
    return traverse_util.unflatten_dict({**whole, **added}, sep="/")


@contextlib.contextmanager
def applied(lora: Lora) -> Iterator[None]:
    """Within it, a linear map that has an adapter adds what that makes of its input.

    Neither the kernel nor its gradient is formed anew: the adapter's share is two small products.
    """

    def add(next_function: Any, arguments: Any, keywords: Any, context: Any) -> Any:
        y = next_function(*arguments, **keywords)
        module = context.module
        if isinstance(module, (Dense, nn.Dense)) and module.has_variable("params", _DOWN):
            down, up = (
                module.get_variable("params", name).astype(y.dtype) for name in (_DOWN, _UP)
            )
            y = y + lora.scale * ((arguments[0].astype(y.dtype) @ down) @ up)
        return y

    with nn.intercept_methods(add):
        yield


def merge(lora: Lora, params: Any, adapters: Any) -> dict[str, Any]:
    """A prior's own parameters with what adapters add to them.

    Args:
      lora: with which the adapters were trained.
      params: the parameters that they were trained beside, on the host or on devices.
      adapters: their arrays.

    Raises:
      ValueError: they belong to another model.
    """
    whole, added = _flat(params), _flat(adapters)
    try:
        _grow(whole, added)
        for path in [path for path in added if path.endswith(_DOWN)]:
            place = path.removesuffix(_DOWN)
            change = lora.scale * (added[path] @ added[place + _UP])
            whole[place + "kernel"] = whole[place + "kernel"] + change
    except (KeyError, TypeError) as error:
        raise ValueError(f"the adapters belong to another model: {error}") from None
    return traverse_util.unflatten_dict(whole, sep="/")


def _grow(whole: dict[str, Any], added: dict[str, Any]) -> None:
    """Adds the new rows of tables to the last of their own."""
    for path in [path for path in added if path.endswith(_ROWS)]:
        rows, place = added.pop(path), path.removesuffix(_ROWS) + "embedding"
        known = whole[place].shape[0] - rows.shape[0]
        new = whole[place][known:] + rows
        numbers: Any = jnp if isinstance(new, Array) else np  # what is on the host stays there
        whole[place] = numbers.concatenate([whole[place][:known], new])


def _flat(tree: Any) -> dict[str, Any]:
    return dict(traverse_util.flatten_dict(dict(tree), sep="/"))
