"""The leaves of a tree: their names, what is known of each without its values, and a number each.

A fingerprint depends on every bit of an array and on nothing else: not on the mesh it lies on, on
the processes that hold it, or on whether it is a device's or the host's. It is no secret: it finds
damage, not malice. Nothing here knows files.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jukebox_jax import sharding

_PIECE = 1 << 16  # words that the host works on at once: they stay in its cache
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint32}


@dataclasses.dataclass(frozen=True)
class Leaf:
    """What is known of an array without its values.

    Attributes:
      dtype: the name of its type; "key<...>" for random keys.
      shape: its dimensions.
      keys: the generator of random keys, None for numbers.
      fingerprint: of the values; None where they are not known.
    """

    dtype: str
    shape: tuple[int, ...]
    keys: str | None = None
    fingerprint: int | None = None

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    @property
    def size(self) -> int:
        """How many values it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def abstract(self) -> jax.ShapeDtypeStruct:
        """Its shape and type, as JAX's functions take them."""
        if self.keys is None:
            return jax.ShapeDtypeStruct(self.shape, jnp.dtype(self.dtype))
        return jax.ShapeDtypeStruct(self.shape, jax.random.key(0, impl=self.keys).dtype)

    def recover(self, stored: Any) -> Any:
        """The inverse of `store`."""
        return jax.random.wrap_key_data(stored, impl=self.keys) if self.keys else stored


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by name: the way to each, joined by "/".

    Raises:
      ValueError: two leaves have one name, or a leaf has none.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if not name:
            raise ValueError("a part is a tree of named arrays: put the single array in a dict")
        if name in leaves:
            raise ValueError(f"two arrays of a part are named {name!r}: rename one")
        leaves[name] = leaf
    return leaves


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by name as nested dictionaries.

    Raises:
      ValueError: a leaf's name is the beginning of another's.
    """
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *path, last = name.split("/")
        if any("/".join(path[:end]) in leaves for end in range(1, len(path) + 1)):
            raise ValueError(f"{name!r} and another array of a part share a name: rename one")
        functools.reduce(lambda node, key: node.setdefault(key, {}), path, tree)[last] = leaf
    return tree


def outline(leaf: Any) -> Leaf:
    """What is known of a leaf without its values."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    keys = str(jax.random.key_impl(leaf)) if _is_keys(leaf) else None
    return Leaf(str(dtype), tuple(np.shape(leaf)), keys)


def describe(leaves: Mapping[str, Any]) -> dict[str, Leaf]:
    """What is known of every leaf, with its fingerprint; all processes of a run get the same."""
    numbers = jax.device_get({name: _fingerprint(store(leaf)) for name, leaf in leaves.items()})
    return {
        name: dataclasses.replace(outline(leaf), fingerprint=int(numbers[name]))
        for name, leaf in leaves.items()
    }


def store(leaf: Any) -> Any:
    """A leaf as an array of numbers: random keys as their words."""
    if _is_keys(leaf):
        return jax.random.key_data(leaf)
    return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


def differences(
    saved: Mapping[str, Leaf], wanted: Mapping[str, Any], *, types: bool = True
) -> list[str]:
    """Where the leaves of a tree are not the wanted ones: phrases.

    Args:
      saved: what there is.
      wanted: leaves of the right names, shapes and types.
      types: whether types matter.
    """
    here = {name: outline(leaf) for name, leaf in wanted.items()}

    def same(one: Leaf | None, other: Leaf | None) -> bool:
        if one is None or other is None:
            return False
        return one.shape == other.shape and (not types or one.dtype == other.dtype)

    return [
        f"{name} is {saved.get(name, 'missing')} there and {here.get(name, 'missing')} here"
        for name in {**here, **saved}
        if not same(saved.get(name), here.get(name))
    ]


def _is_keys(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _fingerprint(array: jax.Array | np.ndarray) -> Any:
    """The sum over all words of a mixture of each with its place.

    For a given place the mixture is a bijection, so that a single changed word always changes the
    sum; several do but for one chance in four thousand million.
    """
    if isinstance(array, np.ndarray):
        return _on_host(array)
    where = array.sharding
    if array.is_fully_addressable and all(one.platform == "cpu" for one in where.device_set):
        return _on_host(np.asarray(array))  # nothing to compile, and copies are looked at once
    return _on_devices(where.mesh if isinstance(where, NamedSharding) else None)(array)


def _on_host(array: np.ndarray) -> int:
    words = np.ascontiguousarray(array).reshape(-1).view(_WORDS[array.itemsize])
    places, total = np.arange(_PIECE, dtype=np.uint32), 0
    for start in range(0, words.size, _PIECE):
        piece = words[start : start + _PIECE].astype(np.uint32)
        mixed = _mix(piece, places[: piece.size] + np.uint32(start % 2**32))
        total += int(np.sum(mixed, dtype=np.uint32))
    return total % 2**32


@functools.cache
def _on_devices(mesh: Mesh | None) -> Any:
    def total(array: jax.Array) -> jax.Array:
        if array.dtype == jnp.bool_:
            array = array.astype(jnp.uint8)
        words = jax.lax.bitcast_convert_type(array, _WORDS[array.dtype.itemsize])
        places, stride = jnp.zeros(words.shape, jnp.uint32), 1
        for axis in reversed(range(words.ndim)):
            along = jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
            places, stride = places + along * np.uint32(stride % 2**32), stride * words.shape[axis]
        return jnp.sum(_mix(words.astype(jnp.uint32), places), dtype=jnp.uint32)

    where = None if mesh is None else sharding.replicated(mesh)
    return jax.jit(total, out_shardings=where)


def _mix(words: Any, places: Any) -> Any:
    """A word and its place, uint32 both, as 32 bits that look like neither."""
    mixed = words ^ (places * np.uint32(0x9E3779B1))
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> np.uint32(16))
