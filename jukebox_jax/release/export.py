"""Our weights under the release's names, as safetensors or as a PyTorch checkpoint.

Both forms are plain enough to be written here, without their libraries: safetensors are a JSON
header and raw numbers, and a checkpoint is a zip archive of raw numbers and a small pickle.
Numbers are written tensor by tensor; a file takes its name when it is whole.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import prior, tensors, torchfile, vqvae
from jukebox_jax.release.tensors import ReleaseError, Tensor
from jukebox_jax.vqvae.vqvae import VQVAE

_SAFETENSORS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_STORAGES = {dtype.name: name for name, dtype in torchfile.DTYPES.items()}
_HEADER_STEP = 8  # a header's length is a multiple, so that numbers lie well in memory


def save_safetensors(
    path: str | os.PathLike[str],
    model: VQVAE | Prior,
    weights: Any,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a model as safetensors.

    Args:
      path: the file.
      model: a VQ-VAE or a prior whose signals the release has.
      weights: its `Weights`, or a prior's parameters, stacked.
      metadata: text to keep with them.

    Raises:
      ReleaseError: the release has no such model, or the file cannot be written.
    """
    names, tree = _named(model, weights)
    shapes = tensors.check(names, tree)
    leaves = tensors.flat(tree)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    start = 0
    for tensor in names:
        dtype = _dtype(tensor, leaves)
        if dtype.name not in _SAFETENSORS:
            raise ReleaseError(f"{tensor.name} is {dtype.name}, which is not written")
        end = start + math.prod(shapes[tensor.name]) * dtype.itemsize
        header[tensor.name] = {
            "dtype": _SAFETENSORS[dtype.name],
            "shape": list(shapes[tensor.name]),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_STEP)
    with _replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in tensors.restore(names, tree):
            file.write(_raw(array))


def save_checkpoint(
    path: str | os.PathLike[str],
    model: VQVAE | Prior,
    weights: Any,
    hps: Mapping[str, Any],
    step: int = 0,
) -> None:
    """Writes a model as a PyTorch checkpoint of {"hps", "model", "opt", "step"}.

    Args:
      path: the file.
      model: a VQ-VAE or a prior whose signals the release has.
      weights: its `Weights`, or a prior's parameters, stacked.
      hps: its hyperparameters by the release's names, as `description` gives them.
      step: how long it was trained.

    Raises:
      ReleaseError: the release has no such model, or the file cannot be written.
    """
    names, tree = _named(model, weights)
    shapes = tensors.check(names, tree)
    leaves = tensors.flat(tree)
    keys: dict[Any, str] = {}
    state = {}
    for tensor in names:
        # A tensor that says another again shares its storage.
        key = keys.setdefault((tensor.leaves, tensor.repeat), str(len(keys)))
        state[tensor.name] = _Stored(key, _dtype(tensor, leaves), shapes[tensor.name])
    content = {"hps": dict(hps), "model": state, "opt": None, "step": step}
    root = pathlib.Path(path).name.split(".")[0]
    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _store(archive, f"{root}/data.pkl", b"\x80\x02" + _pickled(content) + b".")
        _store(archive, f"{root}/byteorder", b"little")
        for tensor, (name, array) in zip(names, tensors.restore(names, tree), strict=True):
            if not tensor.again:
                _store(archive, f"{root}/data/{state[name].key}", _raw(array))
        _store(archive, f"{root}/version", b"3\n")


def _named(model: VQVAE | Prior, weights: Any) -> tuple[list[Tensor], Any]:
    """A model's tensors, and the tree that they speak of."""
    names, tree, abstract = (
        (vqvae.names(model), vqvae.tree(weights), vqvae.abstract(model))
        if isinstance(model, VQVAE)
        else (prior.names(model), weights, prior.abstract(model))
    )
    given, wanted = (
        {path: leaf.shape for path, leaf in tensors.flat(each).items()} for each in (tree, abstract)
    )
    if given != wanted:
        differ = [path for path in {**wanted, **given} if given.get(path) != wanted.get(path)]
        raise ReleaseError(f"the weights are not those of the model: {', '.join(differ)}")
    return names, tree


def _dtype(tensor: Tensor, leaves: Mapping[str, Any]) -> np.dtype:
    return np.dtype(leaves[tensor.leaves[0]].dtype)


def _raw(array: np.ndarray) -> memoryview:
    """An array's bytes."""
    return memoryview(array.reshape(-1).view(np.uint8))


def _store(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # the same bytes every time
    with archive.open(entry, "w", force_zip64=True) as file:
        file.write(content)


@contextlib.contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that takes its name when it is whole.

    Raises:
      ReleaseError: it cannot be written.
    """
    path = pathlib.Path(path)
    half = path.with_name(f".{path.name}.half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(half, "wb") as file:
            yield file
        half.replace(path)
    except OSError as error:
        raise ReleaseError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        half.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Stored:
    """A tensor in a pickle: the storage that holds it, whole and in order."""

    key: str
    dtype: np.dtype
    shape: tuple[int, ...]


def _pickled(value: Any) -> bytes:
    """The instructions of a pickle of protocol 2 that give a value."""
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, Mapping):
        items = b"".join(_pickled(item) for pair in value.items() for item in pair)
        return b"}(" + items + b"u"
    if isinstance(value, (list, tuple)):
        items = b"".join(_pickled(item) for item in value)
        return b"(" + items + b"t" if isinstance(value, tuple) else b"](" + items + b"e"
    if isinstance(value, _Stored):
        return _pickled_tensor(value)
    raise ReleaseError(f"{value!r} is of a type that a checkpoint of ours does not hold")


def _pickled_tensor(tensor: _Stored) -> bytes:
    count = math.prod(tensor.shape)
    storage = b"(" + _pickled("storage")
    storage += f"ctorch\n{_STORAGES[tensor.dtype.name]}\n".encode()
    storage += _pickled(tensor.key) + _pickled("cpu") + _pickled(count) + b"tQ"
    strides = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
    ordered = b"ccollections\nOrderedDict\n)R"  # the hooks on gradients, of which there are none
    arguments = storage + _pickled(0) + _pickled(tensor.shape) + _pickled(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89" + ordered + b"tR"
