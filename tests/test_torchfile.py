"""Checkpoints of PyTorch, made by PyTorch or byte by byte, without PyTorch."""

import os
import pathlib
import pickle
import random
import struct
import zipfile
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.release import torchfile
from jukebox_jax.release.torchfile import TorchFileError
from jukebox_jax.release.unpickle import Unknown

STORAGES = {str(dtype): name for name, dtype in torchfile.DTYPES.items()}
Storages = dict[str, np.ndarray]


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def storage_id(key: str, array: np.ndarray, count: int | None = None) -> bytes:
    """The instructions that name a storage."""
    size = integer(array.size if count is None else count)
    kind = f"ctorch\n{STORAGES[str(array.dtype)]}\n".encode()
    return b"(" + text("storage") + kind + text(key) + text("cpu") + size + b"tQ"


def tensor(stored: bytes, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """The instructions that rebuild a tensor."""
    sizes, strides = (b"(" + b"".join(map(integer, each)) + b"t" for each in (size, stride))
    hooks = b"ccollections\nOrderedDict\n)R"
    start = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return start + stored + integer(offset) + sizes + strides + b"\x89" + hooks + b"tR"


def whole(array: np.ndarray, key: str = "0") -> bytes:
    strides = tuple(step // array.itemsize for step in array.strides)
    return tensor(storage_id(key, array), array.shape, strides)


def stream(path: pathlib.Path, body: bytes, storages: Storages, *, little: bool = True) -> None:
    """Writes the form of 2020."""
    machine = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(item, protocol=2) for item in (torchfile.MAGIC, 1001, machine)]
    parts += [b"\x80\x02" + body + b".", pickle.dumps(list(storages), protocol=2)]
    for array in storages.values():
        parts += [struct.pack("<q", array.size), array.tobytes()]
    path.write_bytes(b"".join(parts))


def archive(path: pathlib.Path, body: bytes, storages: Storages, *, order: str = "little") -> None:
    """Writes today's form."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("some_model/data.pkl", b"\x80\x02" + body + b".")
        file.writestr("some_model/byteorder", order)
        for key, array in storages.items():
            file.writestr(f"some_model/data/{key}", array.tobytes())


FORMS = {"stream": stream, "archive": archive}


@pytest.fixture(params=FORMS)
def write(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param]


DTYPES = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool".split()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_comes_back(write: Any, dtype: str, tmp_path: pathlib.Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(jnp.dtype(dtype))
    write(tmp_path / "file", whole(array), {"0": array})
    found = torchfile.load(tmp_path / "file")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


VIEWS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, np.ndarray]] = {
    "transposed": ((3, 2), (1, 3), 0, np.arange(6).reshape(2, 3).T),
    "row": ((3,), (1,), 3, np.arange(3, 6)),
    "every second": ((3,), (2,), 1, np.array([1, 3, 5])),
    "expanded": ((2, 3), (0, 1), 0, np.array([[0, 1, 2]] * 2)),
    "scalar": ((), (), 4, np.array(4)),
    "empty": ((0, 3), (3, 1), 0, np.zeros((0, 3))),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_one_storage(write: Any, name: str, tmp_path: pathlib.Path) -> None:
    size, stride, offset, expected = VIEWS[name]
    array = np.arange(6, dtype=np.float32)
    body = b"]" + tensor(storage_id("0", array), size, stride, offset) + b"a"
    body += whole(array) + b"a"
    write(tmp_path / "file", body, {"0": array})
    view, everything = torchfile.load(tmp_path / "file")
    np.testing.assert_array_equal(view, expected)
    np.testing.assert_array_equal(everything, array)
    assert view.dtype == np.float32


def test_numbers_stay_in_the_file(write: Any, tmp_path: pathlib.Path) -> None:
    """A tensor of the file shows what is written there later: it was mapped, not copied."""
    array = np.full(1000, 7, np.float32)
    write(tmp_path / "file", whole(array), {"0": array})
    found = torchfile.load(tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    with open(tmp_path / "file", "r+b") as file:
        file.write(data.replace(array.tobytes(), (array + 1).tobytes()))
    np.testing.assert_array_equal(found, array + 1)


def test_what_settings_and_measurements_may_be(write: Any, tmp_path: pathlib.Path) -> None:
    number = pickle.dumps({"l2": np.float32(0.5), "n": np.int64(7)}, protocol=2)[2:-1]
    settings = b"cjukebox.settings\nSettings\n)\x81" + text("width") + integer(8) + b"s"
    names = pickle.dumps({"raw": b"\x00\xff", "some": {1, 2}}, protocol=2)[2:-1]
    write(tmp_path / "file", b"]" + number + b"a" + settings + b"a" + names + b"a", {})
    numbers, found, more = torchfile.load(tmp_path / "file")
    assert numbers == {"l2": 0.5, "n": 7}
    assert type(found) is Unknown and found == {"width": 8}
    assert more == {"raw": b"\x00\xff", "some": {1, 2}}


class Attack:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec, open, getattr, __import__])
def test_a_file_that_runs_something_is_refused(
    write: Any, function: Any, tmp_path: pathlib.Path
) -> None:
    mark = tmp_path / "ran"
    arguments: tuple[Any, ...] = {
        os.system: (f"touch {mark}",),
        os.mkdir: (str(mark),),
        open: (str(mark), "w"),
        getattr: ("text", "upper"),
        __import__: ("os",),
    }.get(function, (f"__import__('os').mkdir({str(mark)!r})",))
    write(tmp_path / "file", pickle.dumps(Attack(function, *arguments), protocol=2)[2:-1], {})
    with pytest.raises(TorchFileError, match="refused") as caught:
        torchfile.load(tmp_path / "file")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'file'}: ") and "\n" not in message
    assert function.__name__ in message
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["subprocess\nPopen", "torch.hub\nload", "numpy.f2py\nrun_main", "runpy\nrun_path"]
)
def test_functions_and_what_is_pythons_own_are_refused(
    write: Any, name: str, tmp_path: pathlib.Path
) -> None:
    write(tmp_path / "file", b"c" + name.encode() + b"\n)R", {})
    with pytest.raises(TorchFileError, match="nothing in it was run"):
        torchfile.load(tmp_path / "file")


ARRAY = np.arange(6, dtype=np.float32)
BROKEN = {
    "past the end": tensor(storage_id("0", ARRAY), (7,), (1,)),
    "offset": tensor(storage_id("0", ARRAY), (6,), (1,), 1),
    "stride": tensor(storage_id("0", ARRAY), (2, 3), (4, 1)),
    "negative": tensor(storage_id("0", ARRAY), (3,), (-1,), 5),
    "ranks": tensor(storage_id("0", ARRAY), (3,), (1, 1)),
    "no storage": tensor(text("storage"), (3,), (1,)),
    "huge storage": tensor(storage_id("0", ARRAY, 2**31 - 1), (3,), (1,)),
    "negative storage": tensor(storage_id("0", ARRAY, -1), (3,), (1,)),
    "no id": text("storage") + b"Q",
    "no type": b"(" + text("storage") + text("a") + text("0") + text("cpu") + integer(6) + b"tQ",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_tensor_stays_inside_its_storage(write: Any, name: str, tmp_path: pathlib.Path) -> None:
    write(tmp_path / "file", BROKEN[name], {"0": ARRAY})
    with pytest.raises(TorchFileError, match="damaged|truncated"):
        torchfile.load(tmp_path / "file")


def test_a_big_endian_machine_is_refused(tmp_path: pathlib.Path) -> None:
    stream(tmp_path / "stream", whole(ARRAY), {"0": ARRAY}, little=False)
    archive(tmp_path / "archive", whole(ARRAY), {"0": ARRAY}, order="big")
    for name in FORMS:
        with pytest.raises(TorchFileError, match="big-endian"):
            torchfile.load(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "no PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "no PyTorch checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "no PyTorch checkpoint"),
        (pickle.dumps([torchfile.MAGIC], protocol=4), "no PyTorch checkpoint"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
    ],
)
def test_other_files_are_told_apart(content: bytes, reason: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file.pth.tar").write_bytes(content)
    with pytest.raises(TorchFileError, match=rf"file\.pth\.tar: .*{reason}"):
        torchfile.load(tmp_path / "file.pth.tar")


def test_a_missing_file_and_a_folder(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "nothing.pth.tar", tmp_path):
        with pytest.raises(TorchFileError, match="cannot be read"):
            torchfile.load(path)


def test_another_zip_is_told_apart(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w") as file:
        file.writestr("read.me", "hello")
    with pytest.raises(TorchFileError, match="no data.pkl"):
        torchfile.load(tmp_path / "file")


def test_both_forms_of_the_reference_hold_the_same(reference: pathlib.Path) -> None:
    old = torchfile.load(reference / "vqvae.pth.tar")
    new = torchfile.load(reference / "vqvae_zip.pth.tar")
    assert set(old) == {"hps", "model", "opt", "step"}
    assert old["step"] == 7 and old["opt"] is None and old["hps"] == new["hps"]
    assert list(old["model"]) == list(new["model"])
    for name, array in old["model"].items():
        np.testing.assert_array_equal(array, new["model"][name])
    assert old["model"]["bottleneck.level_blocks.0.k"].shape == (64, 16)


def test_half_precision_of_the_reference(reference: pathlib.Path) -> None:
    model = torchfile.load(reference / "prior_lyrics_single_deep.pth.tar")["model"]
    assert all(name.startswith("module.") for name in model)
    layer = "module.prior.transformer._attn_mods.0."
    assert model[layer + "attn.c_attn.w"].dtype == np.float16
    assert model[layer + "ln_0.weight"].dtype == np.float32


@pytest.mark.parametrize("name", ["vqvae.pth.tar", "vqvae_zip.pth.tar"])
def test_a_truncated_file_is_told(name: str, reference: pathlib.Path, tmp_path: Any) -> None:
    data = (reference / name).read_bytes()
    short = tmp_path / "short.pth.tar"
    for part in (0.0001, 0.01, 0.2, 0.5, 0.99, 1 - 1 / len(data)):
        short.write_bytes(data[: int(part * len(data))])
        with pytest.raises(TorchFileError, match=r"short\.pth\.tar: .*(truncated|damaged)"):
            torchfile.load(short)


def test_damage_never_does_more_than_raise(write: Any, tmp_path: pathlib.Path) -> None:
    """Files with bytes changed, left out or doubled give a value or one error, nothing else."""
    body = b"}(" + text("a") + whole(ARRAY) + text("b") + whole(ARRAY.astype("f2"), "1") + b"u"
    write(tmp_path / "file", body, {"0": ARRAY, "1": ARRAY.astype("f2")})
    data = (tmp_path / "file").read_bytes()
    dice = random.Random(0)
    refused = 0
    for _ in range(1500):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(broken))
            kind = dice.randrange(4)
            if kind == 0:
                broken[at] = dice.randrange(256)
            elif kind == 1:
                del broken[at : at + dice.randint(1, 8)]
            elif kind == 2:
                broken[at:at] = broken[at : at + dice.randint(1, 8)]
            else:
                broken[at] ^= 1 << dice.randrange(8)
        (tmp_path / "file").write_bytes(broken)
        try:
            torchfile.load(tmp_path / "file")
        except TorchFileError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 500
