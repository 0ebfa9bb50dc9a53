"""Which tensor of the release is which leaf of ours, and how numbers pass between the two.

A model is described by a list of `Tensor`s; the same list reads a checkpoint and writes one, and
tells without any numbers whether the two sides fit. Parameters are moved tensor by tensor, so that
beside a mapped file only the result lies in memory. Which list belongs to which model stands in
`vqvae` and `prior`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PREFIX = "module."
"""What some checkpoints put before every name."""

DTYPES = ("float32", "float16", "bfloat16")
"""What kernels and embeddings can be kept in; vectors, as biases and norms, stay float32."""

CONV = (2, 1, 0)
"""The axes of a convolution: from (out, in, kernel) to ours, (kernel, in, out)."""
TRANSPOSED_CONV = (2, 0, 1)
"""The axes of a transposed convolution: from (in, out, kernel) to (kernel, in, out)."""
LINEAR = (1, 0)
"""The axes of an output projection: from (out, in) to (in, out)."""

Tree = Mapping[str, Any]


class ReleaseError(ValueError):
    """A checkpoint or its hyperparameters that make no model of ours, with what is wrong."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of the release and where its numbers stand with us.

    Attributes:
      name: its name, without prefix.
      leaves: paths of our leaves; where there are several, they divide its last axis.
      axes: the order of its axes that makes them ours; () leaves them.
      repeat: the place in the leaves' leading axis, of a layer in a stack.
      again: says again what another tensor says; it may be missing, but not differ.
    """

    name: str
    leaves: tuple[str, ...]
    axes: tuple[int, ...] = ()
    repeat: int | None = None
    again: bool = False

    def leaf(self, path: str, tree: Tree) -> Any:
        """Its part of a leaf, of arrays or of shapes."""
        leaf = tree[path]
        if self.repeat is None:
            return leaf
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
        return leaf[self.repeat]

    def shape(self, tree: Tree) -> tuple[int, ...]:
        """Its shape, from a flat tree of our leaves."""
        shapes = [self.leaf(path, tree).shape for path in self.leaves]
        ours = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
        if not self.axes:
            return ours
        return tuple(ours[place] for place in np.argsort(self.axes))


def flat(tree: Any) -> dict[str, Any]:
    """A nested dictionary as one from paths, joined by slashes, to leaves."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def nested(leaves: Tree) -> dict[str, Any]:
    """The inverse of `flat`."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, last = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def canonical(name: str) -> str:
    """A tensor's name without prefix, and in one spelling for residual units."""
    return name.removeprefix(PREFIX).replace(".blocks.", ".model.")


def check_dtype(dtype: str) -> None:
    """Raises a ReleaseError unless parameters can be kept in this type."""
    if dtype not in DTYPES:
        raise ReleaseError(f"dtype {dtype!r} is unknown; known: {', '.join(DTYPES)}")


def check(tensors: Sequence[Tensor], abstract: Any) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, after seeing that they make up our leaves, each once.

    Args:
      tensors: a model's tensors.
      abstract: the tree of its leaves, of anything with a shape.

    Raises:
      ReleaseError: a leaf of ours that no tensor, or more than one, would fill.
    """
    tree = flat(abstract)
    unknown = [path for tensor in tensors for path in tensor.leaves if path not in tree]
    filled: Counter[str] = Counter()
    for tensor in tensors:
        for path in tensor.leaves:
            if path in tree and not tensor.again:
                filled[path] += int(np.prod(tensor.leaf(path, tree).shape))
    wrong = [path for path, leaf in tree.items() if filled[path] != int(np.prod(leaf.shape))]
    if unknown or wrong:
        raise ReleaseError(f"the release has no such model: {_listed(unknown + wrong)}")
    return {tensor.name: tensor.shape(tree) for tensor in tensors}


def compare(
    tensors: Sequence[Tensor], abstract: Any, state: Mapping[str, Any], title: str = "checkpoint"
) -> None:
    """Sees that a checkpoint's names and shapes are those of the model.

    Args:
      tensors: the model's tensors.
      abstract: the tree of its leaves, of shapes.
      state: the checkpoint's arrays by name.
      title: what to call the checkpoint in messages.

    Raises:
      ReleaseError: names are missing, left over, of another shape or of no number; all of them
        are told at once.
    """
    expected = {canonical(name): shape for name, shape in check(tensors, abstract).items()}
    found = {canonical(name): array for name, array in state.items()}
    optional = {canonical(tensor.name) for tensor in tensors if tensor.again}
    missing = [name for name in expected if name not in found and name not in optional]
    left = [name for name in found if name not in expected]
    wrong = []
    for name in expected:
        array = found.get(name)
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or not jnp.issubdtype(array.dtype, jnp.floating):
            wrong.append(f"{name} (no numbers)")
        elif array.shape != expected[name]:
            wrong.append(f"{name} {array.shape}, not {expected[name]}")
    problems = [
        f"{len(names)} {what}: {_listed(names)}"
        for names, what in ((missing, "missing"), (left, "left over"), (wrong, "of another shape"))
        if names
    ]
    if problems:
        raise ReleaseError(f"{title}: is not of these hyperparameters: {'; '.join(problems)}")


def convert(
    tensors: Sequence[Tensor],
    abstract: Any,
    state: Mapping[str, Any],
    *,
    dtype: str = "float32",
    title: str = "checkpoint",
) -> dict[str, Any]:
    """Our leaves, filled from a checkpoint's tensors.

    Args:
      tensors: the model's tensors.
      abstract: the tree of its leaves, of shapes.
      state: the checkpoint's arrays by name, as `torchfile.load` gives them; a name may carry
        the prefix "module.".
      dtype: of kernels and embeddings, one of `DTYPES`.
      title: what to call the checkpoint in messages.

    Returns:
      The tree of arrays.

    Raises:
      ReleaseError: names are missing, left over, of another shape or of no number; all of them
        are told at once.
    """
    check_dtype(dtype)
    compare(tensors, abstract, state, title)
    found = {canonical(name): array for name, array in state.items()}
    tree = flat(abstract)
    leaves: dict[str, np.ndarray] = {}
    for tensor in tensors:
        array = found.get(canonical(tensor.name))
        if array is None:
            continue
        ours = array.transpose(tensor.axes) if tensor.axes else array
        start = 0
        for path in tensor.leaves:
            width = tree[path].shape[-1]
            if path not in leaves:
                kept = dtype if _is_matrix(tree[path].shape, tensor) else "float32"
                leaves[path] = np.empty(tree[path].shape, jnp.dtype(kept))
            target = tensor.leaf(path, leaves)
            part = ours[..., start : start + width]
            if not tensor.again:
                target[...] = part
                _finite(target, part, tensor.name, title)
            elif not np.array_equal(target, part.astype(target.dtype)):
                raise ReleaseError(f"{title}: {tensor.name} is not what it should repeat")
            start += width
    return nested({path: leaves[path] for path in tree})


def restore(tensors: Sequence[Tensor], tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The inverse of `convert`: names and arrays of the release, one by one.

    Raises:
      ReleaseError: the tree is not that of the model.
    """
    check(tensors, tree)
    leaves = flat(tree)
    for tensor in tensors:
        parts = [np.asarray(tensor.leaf(path, leaves)) for path in tensor.leaves]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if tensor.axes:
            whole = whole.transpose(np.argsort(tensor.axes))
        yield tensor.name, np.ascontiguousarray(whole).reshape(whole.shape)


def count(tree: Any) -> int:
    """How many numbers the leaves of a tree hold."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def _finite(target: np.ndarray, part: np.ndarray, name: str, title: str) -> None:
    """Tells of numbers that are none, or that are too large for half precision."""
    if not np.isfinite(target).all():
        lost = "does not fit into float16: take bfloat16" if np.isfinite(part).all() else "has NaNs"
        raise ReleaseError(f"{title}: {name} {lost}")


def _is_matrix(shape: tuple[int, ...], tensor: Tensor) -> bool:
    return len(shape) - (tensor.repeat is not None) > 1


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
