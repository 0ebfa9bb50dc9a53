"""Names, shapes and fingerprints of a tree's leaves."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.checkpoint import fingerprint

ARRAYS = {
    "float32": np.random.default_rng(0).normal(size=(96, 33)).astype(np.float32),
    "bfloat16": np.random.default_rng(1).normal(size=(16, 7)).astype(jnp.bfloat16),
    "uint8": np.arange(300, dtype=np.uint8).reshape(3, 100),
    "int16": np.arange(-50, 50, dtype=np.int16),
    "bool": np.arange(24).reshape(2, 3, 4) % 3 == 0,
    "scalar": np.float32(3.5),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Book:
    codes: Any
    counts: Any


def number(array: Any) -> int:
    found = fingerprint.describe({"x": array})["x"].fingerprint
    assert found is not None
    return found


def compiled(array: jax.Array, mesh: jax.sharding.Mesh | None = None) -> int:
    """The number as accelerators compute it; what lies on CPUs is else read by the host."""
    return int(fingerprint._on_devices(mesh)(array))


@pytest.mark.parametrize("name", ARRAYS)
def test_host_and_devices_agree(name: str) -> None:
    assert number(ARRAYS[name]) == compiled(jnp.asarray(ARRAYS[name]))


@pytest.mark.parametrize("sizes", [(8, 1, 1), (1, 8, 1), (2, 2, 2)])
def test_no_mesh_changes_it(sizes: tuple[int, int, int]) -> None:
    array = np.arange(512, dtype=np.float32).reshape(16, 32)
    tree = {"mlp": {"up": {"kernel": array}}}
    mesh = sharding.make_mesh(*sizes)
    placed = sharding.place(tree, sharding.shardings(tree, mesh))
    assert compiled(placed["mlp"]["up"]["kernel"], mesh) == number(array)


def test_the_host_reads_what_lies_on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_on_devices", lambda mesh: pytest.fail("compiled"))
    mesh = sharding.make_mesh(2, 2, 2)
    array = np.arange(8, dtype=np.float32)
    assert number(sharding.place(array, sharding.batch(mesh))) == number(array)


def test_long_arrays_are_numbered_on(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(1000, dtype=np.float32)
    whole = number(array)
    monkeypatch.setattr(fingerprint, "_PIECE", 64)
    assert number(array) == whole


def test_every_bit_counts() -> None:
    array = np.random.default_rng(0).integers(0, 2**32, 40, dtype=np.uint32)
    seen = {number(array)}
    for place in range(40):
        for bit in range(32):
            changed = array.copy()
            changed[place] ^= np.uint32(1 << bit)
            seen.add(number(changed))
    assert len(seen) == 1 + 40 * 32


@pytest.mark.parametrize("places", [(3, 8), (0, 1), (38, 39)])
def test_two_changes_do_not_cancel(places: tuple[int, int]) -> None:
    """Exchanged values, and two signs flipped, which a plain weighted sum would not see."""
    array = np.random.default_rng(0).normal(size=40).astype(np.float32)
    one, other = places
    exchanged, flipped = array.copy(), array.copy()
    exchanged[[one, other]] = exchanged[[other, one]]
    flipped[[one, other]] *= -1
    assert len({number(array), number(exchanged), number(flipped)}) == 3


def test_names_are_those_of_the_way() -> None:
    tree = {"books": (Book(np.zeros(2), np.ones(1)),), "none": None, "list": [np.zeros(3)]}
    assert list(fingerprint.named(tree)) == ["books/0/codes", "books/0/counts", "list/0"]
    assert fingerprint.nested(fingerprint.named(tree)).keys() == {"books", "list"}
    np.testing.assert_array_equal(
        fingerprint.nested(fingerprint.named(tree))["books"]["0"]["counts"], np.ones(1)
    )


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (np.zeros(3), "put the single array in a dict"),
        ({"a/b": np.zeros(1), "a": {"b": np.zeros(1)}}, "two arrays of a part are named 'a/b'"),
    ],
)
def test_ambiguous_names_are_refused(tree: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fingerprint.named(tree)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_a_name_is_no_beginning_of_another(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="share a name"):
        fingerprint.nested(dict.fromkeys(names, 0))


@pytest.mark.parametrize("generator", ["threefry2x32", "rbg"])
def test_random_keys_are_told_from_numbers(generator: str) -> None:
    keys = jax.random.split(jax.random.key(5, impl=generator), 3)
    leaf = fingerprint.describe({"x": keys})["x"]
    assert (leaf.shape, leaf.keys) == ((3,), generator)
    assert leaf.abstract() == jax.ShapeDtypeStruct(keys.shape, keys.dtype)
    words = np.asarray(fingerprint.store(keys))
    assert words.dtype == np.uint32
    assert jnp.array_equal(jax.random.key_data(leaf.recover(words)), words)
    assert leaf.recover(words).dtype == keys.dtype


def test_differences_are_named() -> None:
    saved = fingerprint.describe({"kernel": np.zeros((32, 32), np.float32), "old": np.zeros(2)})
    wanted = {"kernel": jax.ShapeDtypeStruct((64, 32), np.float32), "new": 1.5}
    assert fingerprint.differences(saved, wanted) == [
        "kernel is float32[32, 32] there and float32[64, 32] here",
        "new is missing there and float64[] here",
        "old is float64[2] there and missing here",
    ]
    assert (
        fingerprint.differences(saved, {"kernel": np.ones((32, 32), "f"), "old": np.ones(2)}) == []
    )


def test_differences_of_shape_alone() -> None:
    saved = fingerprint.describe({"kernel": np.zeros((32, 32), np.float16)})
    single = {"kernel": np.ones((32, 32), np.float32)}
    assert fingerprint.differences(saved, single, types=False) == []
    assert len(fingerprint.differences(saved, single)) == 1
    assert len(fingerprint.differences(saved, {"kernel": np.ones(32)}, types=False)) == 1
