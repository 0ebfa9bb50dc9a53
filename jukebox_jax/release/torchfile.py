"""Reads PyTorch checkpoints with NumPy alone, and without running anything that they contain.

Both forms are understood: the zip archive that is written today, and the stream of 2020 (a magic
number, a protocol, a description of the machine, the pickle, the storages' keys, the storages).
Tensors stay in the file, mapped into memory, until they are used. What a file may name is listed
here; this file promises safety, and nothing about what the names and shapes mean.
"""

import mmap
import os
import pathlib
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jukebox_jax.release import unpickle
from jukebox_jax.release.unpickle import Maker, Unknown, UnpickleError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
"""The classes of storages that can be read, and what their numbers are."""

# What reading the directory of a broken archive, or numbers that make no sense, may raise.
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
_LARGEST_PICKLE = 1 << 28  # bytes; the largest checkpoint of the release needs about a megabyte


class TorchFileError(ValueError):
    """A file that is no whole and harmless PyTorch checkpoint, in one line that names it."""


def load(path: str | os.PathLike[str]) -> Any:
    """Reads a checkpoint.

    Args:
      path: the file, in either form.

    Returns:
      What was saved: dictionaries, lists, plain values, and for each tensor a read-only array
      that is mapped from the file. An object of an unknown class becomes an inert `Unknown`.

    Raises:
      TorchFileError: there is no such file, it is no checkpoint, it is damaged or truncated, or
        it names something that is not allowed. Nothing in it was run.
    """
    path = pathlib.Path(path)
    try:
        return _load(path)
    except UnpickleError as error:
        raise TorchFileError(f"{path}: {error}") from None
    except OSError as error:
        raise TorchFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DAMAGE as error:
        raise TorchFileError(f"{path}: damaged or truncated: {_line(error)}") from error


def _load(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnpickleError("is empty")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if data[:4] == b"PK\x03\x04":
        return _read_zip(path, data)
    if data[:1] == b"\x80":
        return _read_stream(data)
    raise UnpickleError(f"is no PyTorch checkpoint: it begins with {bytes(data[:12])!r}")


def _read_zip(path: pathlib.Path, data: memoryview) -> Any:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(pickles) != 1:
            raise UnpickleError("is a zip archive, but no PyTorch checkpoint: it has no data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        for name in (pickles[0], root + "byteorder"):
            entry = entries.get(name)
            if entry and (entry.compress_type or entry.file_size > _LARGEST_PICKLE):
                raise UnpickleError(f"damaged: {name[:80]!r} is compressed or too large")
        if entries.get(root + "byteorder") and archive.read(root + "byteorder") != b"little":
            raise UnpickleError("was written on a big-endian machine, which is not understood")
        pickle = memoryview(archive.read(pickles[0]))

    def find_storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        entry = entries.get(f"{root}data/{key}")
        if entry is None:
            raise UnpickleError(f"truncated: storage {key[:40]!r} is missing")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size < count * dtype.itemsize:
            raise UnpickleError(f"damaged: storage {key[:40]!r} is compressed or too short")
        name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
        return _map(data, entry.header_offset + 30 + name + extra, dtype, count)

    value, _ = unpickle.read(pickle, 0, _find, _Storages(find_storage))
    return value


def _read_stream(data: memoryview) -> Any:
    try:
        magic, at = unpickle.read(data, 0, _find, _no_storage)
    except UnpickleError:
        magic = None
    if magic != MAGIC:
        raise UnpickleError("is a pickle, but no PyTorch checkpoint")
    protocol, at = unpickle.read(data, at, _find, _no_storage)
    if protocol != PROTOCOL:
        raise UnpickleError(f"is of an unknown version: {str(protocol)[:40]}")
    machine, at = unpickle.read(data, at, _find, _no_storage)
    if not isinstance(machine, dict) or not machine.get("little_endian", True):
        raise UnpickleError("was written on a big-endian machine, which is not understood")

    # Where the storages lie is known only once the pickle has been read, so it is read twice.
    needed: dict[str, tuple[np.dtype, int]] = {}

    def note(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if needed.setdefault(key, (dtype, count)) != (dtype, count):
            raise UnpickleError(f"damaged: storage {key[:40]!r} has two types")
        return np.broadcast_to(np.zeros((), dtype), (count,))

    start = at
    _, at = unpickle.read(data, start, _find, _Storages(note))
    keys, at = unpickle.read(data, at, _find, _no_storage)
    if not isinstance(keys, list) or set(keys) != set(needed):
        raise UnpickleError("damaged: its storages are not those of its tensors")
    storages: dict[str, np.ndarray] = {}
    for key in keys:
        dtype, count = needed[key]
        if at + 8 > len(data) or struct.unpack_from("<q", data, at)[0] != count:
            raise UnpickleError(f"truncated or damaged: storage {key[:40]!r} is not where it was")
        storages[key] = _map(data, at + 8, dtype, count)
        at += 8 + count * dtype.itemsize

    def stored(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        return storages[key]

    value, _ = unpickle.read(data, start, _find, _Storages(stored))
    return value


def _map(data: memoryview, offset: int, dtype: np.dtype, count: int) -> np.ndarray:
    """A storage's numbers, where they lie in the file."""
    if offset + count * dtype.itemsize > len(data):
        raise UnpickleError("truncated: the file ends inside its tensors")
    return np.frombuffer(data, dtype, count, offset) if count else np.zeros(0, dtype)


class _Storages:
    """Finds storages by the ids that the pickle has for them.

    Attributes:
      find: from a storage's key, type and count of numbers to the numbers.
    """

    def __init__(self, find: Callable[[str, np.dtype, int], np.ndarray]) -> None:
        self.find = find

    def __call__(self, persistent: Any) -> np.ndarray:
        """The numbers of a storage, a flat array."""
        if not isinstance(persistent, tuple) or len(persistent) < 5 or persistent[0] != "storage":
            raise UnpickleError("damaged: a storage without an id")
        dtype, key, _, count = persistent[1:5]
        if len(persistent) > 5 and persistent[5] is not None:
            raise UnpickleError("was written by a PyTorch older than 0.4, which is not understood")
        if not isinstance(dtype, np.dtype) or not isinstance(count, int) or count < 0:
            raise UnpickleError("damaged: a storage without a type or a size")
        return self.find(str(key), dtype, count)


def _no_storage(_: Any) -> np.ndarray:
    raise UnpickleError("damaged: a storage where there is none")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray:
    """A tensor as a view of its storage."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or len(size) != len(stride):
        raise UnpickleError("damaged: a tensor without a storage")
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise UnpickleError("damaged: a tensor with a negative size or stride")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if 0 in size:
        return np.zeros(size, storage.dtype)
    if last >= storage.size:
        raise UnpickleError("damaged: a tensor reaches past the end of its storage")
    steps = [step * storage.dtype.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _size(*sizes: Any) -> tuple[Any, ...]:
    return tuple(*sizes)


def _ordered(*items: Any) -> dict[Any, Any]:
    return dict(*items)


def _set(*items: Any) -> set[Any]:
    return set(*items)


def _encoded(text: str, *_: Any) -> bytes:
    """Bytes, which protocol 2 writes as Latin-1 text."""
    return text.encode("latin-1")


def _number_type(name: str, *_: Any) -> Unknown:
    """A NumPy type, as a value that bears its name; what it is told later changes nothing."""
    return Unknown(name)


def _number(dtype: Unknown, raw: bytes) -> Any:
    """A NumPy number as a plain one."""
    if dtype.kind not in {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}:
        raise UnpickleError("damaged: a number of an unknown type")
    return np.frombuffer(raw, "<" + dtype.kind, 1)[0].item()


_ALLOWED: Mapping[str, Maker] = {
    "collections.OrderedDict": Maker(_ordered),
    "torch._utils._rebuild_tensor": Maker(_tensor),
    "torch._utils._rebuild_tensor_v2": Maker(_tensor),
    "torch._utils._rebuild_parameter": Maker(_parameter),
    "torch.Size": Maker(_size),
    "torch.device": unpickle.unknown("torch.device"),
    "builtins.set": Maker(_set),
    "__builtin__.set": Maker(_set),
    "_codecs.encode": Maker(_encoded),
    "numpy.dtype": Maker(_number_type),
    "numpy.core.multiarray.scalar": Maker(_number),
    "numpy._core.multiarray.scalar": Maker(_number),
}


def _find(module: str, name: str) -> Any:
    """What a name in a pickle stands for.

    Classes of other projects, which may hold settings or measurements, get a stand-in; functions
    and whatever belongs to Python itself are refused.
    """
    full = f"{module}.{name}"
    if full in _ALLOWED:
        return _ALLOWED[full]
    if module == "torch" and name in DTYPES:
        return DTYPES[name]
    python = module.partition(".")[0] in sys.stdlib_module_names | {"__builtin__", "nt"}
    if python or not name.rpartition(".")[2].lstrip("_")[:1].isupper():
        raise UnpickleError(f"refused, because it asks for {full[:80]!r}; nothing in it was run")
    return unpickle.unknown(full)


def _line(error: BaseException) -> str:
    """An error's message in one short line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
