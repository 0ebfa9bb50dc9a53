"""Names of one side and leaves of the other: every number passes, or every fault is told."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.release import tensors
from jukebox_jax.release.tensors import CONV, LINEAR, TRANSPOSED_CONV, ReleaseError, Tensor

NAMES = [
    Tensor("emb", ("table/rows",)),
    Tensor("conv.weight", ("conv/kernel",), CONV),
    Tensor("up.weight", ("up/kernel",), TRANSPOSED_CONV),
    Tensor("mods.0.qkv.w", ("group/query", "group/key"), repeat=0),
    Tensor("mods.1.qkv.w", ("group/query", "group/key"), repeat=1),
    Tensor("mods.0.b", ("group/bias",), repeat=0),
    Tensor("mods.1.b", ("group/bias",), repeat=1),
    Tensor("out.weight", ("out/kernel",), LINEAR),
    Tensor("tied.weight", ("table/rows",), again=True),
]
SHAPES = {
    "emb": (7, 4),
    "conv.weight": (5, 4, 3),
    "up.weight": (4, 6, 2),
    "mods.0.qkv.w": (4, 5),
    "mods.1.qkv.w": (4, 5),
    "mods.0.b": (4,),
    "mods.1.b": (4,),
    "out.weight": (7, 4),
    "tied.weight": (7, 4),
}
OURS = {
    "table/rows": (7, 4),
    "conv/kernel": (3, 4, 5),
    "up/kernel": (2, 4, 6),
    "group/query": (2, 4, 2),
    "group/key": (2, 4, 3),
    "group/bias": (2, 4),
    "out/kernel": (4, 7),
}


def abstract() -> dict[str, Any]:
    shapes = {path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in OURS.items()}
    return tensors.nested(shapes)


def state() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=shape).astype("f4") for name, shape in SHAPES.items()}
    arrays["tied.weight"] = arrays["emb"].copy()
    return arrays


def test_every_tensor_has_its_shape() -> None:
    assert tensors.check(NAMES, abstract()) == SHAPES


def test_numbers_stand_where_they_belong() -> None:
    given = state()
    tree = tensors.flat(tensors.convert(NAMES, abstract(), given))
    assert {path: leaf.shape for path, leaf in tree.items()} == OURS
    np.testing.assert_array_equal(tree["conv/kernel"][2, 1], given["conv.weight"][:, 1, 2])
    np.testing.assert_array_equal(tree["up/kernel"][1, 3], given["up.weight"][3, :, 1])
    np.testing.assert_array_equal(tree["group/query"][1], given["mods.1.qkv.w"][:, :2])
    np.testing.assert_array_equal(tree["group/key"][0], given["mods.0.qkv.w"][:, 2:])
    np.testing.assert_array_equal(tree["group/bias"][1], given["mods.1.b"])
    np.testing.assert_array_equal(tree["out/kernel"], given["out.weight"].T)


def test_there_and_back_is_the_same() -> None:
    given = state()
    back = dict(tensors.restore(NAMES, tensors.convert(NAMES, abstract(), given)))
    assert list(back) == list(SHAPES)
    for name, array in given.items():
        np.testing.assert_array_equal(back[name], array)


def test_a_prefix_and_both_spellings_of_units_are_read() -> None:
    name = "module.cond.model.1.0.blocks.3.model.1.weight"
    assert tensors.canonical(name) == "cond.model.1.0.model.3.model.1.weight"
    prefixed = {f"module.{name}": array for name, array in state().items()}
    tensors.compare(NAMES, abstract(), prefixed)


def test_what_is_only_repeated_may_be_missing_but_not_differ() -> None:
    given = state()
    given["tied.weight"][3, 2] += 1
    with pytest.raises(ReleaseError, match="tied.weight is not what it should repeat"):
        tensors.convert(NAMES, abstract(), given)
    del given["tied.weight"]
    tensors.convert(NAMES, abstract(), given)


def test_all_faults_are_told_at_once() -> None:
    given = state()
    del given["emb"], given["mods.1.b"]
    given["stranger"] = np.zeros(3, "f4")
    given["conv.weight"] = given["conv.weight"].transpose()
    given["out.weight"] = np.zeros((7, 4), "i4")
    given["up.weight"] = "no array"  # type: ignore[assignment]
    with pytest.raises(ReleaseError) as caught:
        tensors.convert(NAMES, abstract(), given, title="prior.pth.tar")
    message = str(caught.value)
    assert message.startswith("prior.pth.tar: ") and "\n" not in message
    assert "2 missing: emb, mods.1.b" in message
    assert "1 left over: stranger" in message
    assert "conv.weight (3, 4, 5), not (5, 4, 3)" in message
    assert "out.weight (no numbers)" in message and "up.weight (no numbers)" in message


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (NAMES[1:], "table/rows"),
        (NAMES[:4] + NAMES[5:], "group/query"),
        ([*NAMES, NAMES[1]], "conv/kernel"),
        ([*NAMES, Tensor("more", ("strange/leaf",))], "strange/leaf"),
    ],
    ids=["no table", "no second layer", "twice", "unknown"],
)
def test_a_leaf_that_is_not_filled_once_is_told(names: list[Tensor], path: str) -> None:
    with pytest.raises(ReleaseError, match=path):
        tensors.check(names, abstract())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_kernels_are_narrowed_and_vectors_are_not(dtype: str) -> None:
    given = state()
    tree = tensors.flat(tensors.convert(NAMES, abstract(), given, dtype=dtype))
    narrow = {path for path, leaf in tree.items() if str(leaf.dtype) == dtype}
    assert narrow == set(OURS) - {"group/bias"}
    assert tree["group/bias"].dtype == np.float32
    np.testing.assert_array_equal(tree["table/rows"], given["emb"].astype(jnp.dtype(dtype)))


def test_half_precision_in_the_file_is_widened() -> None:
    given = {name: array.astype("f2") for name, array in state().items()}
    tree = tensors.flat(tensors.convert(NAMES, abstract(), given))
    assert tree["table/rows"].dtype == np.float32
    np.testing.assert_array_equal(tree["table/rows"], given["emb"])


@pytest.mark.filterwarnings("ignore:overflow")
def test_numbers_that_are_lost_are_told() -> None:
    given = state()
    given["out.weight"][0, 0] = 1e6
    with pytest.raises(ReleaseError, match="out.weight does not fit into float16: take bfloat16"):
        tensors.convert(NAMES, abstract(), given, dtype="float16")
    given["out.weight"][0, 0] = np.nan
    with pytest.raises(ReleaseError, match="out.weight has NaNs"):
        tensors.convert(NAMES, abstract(), given)
    with pytest.raises(ReleaseError, match="'int8' is unknown"):
        tensors.convert(NAMES, abstract(), given, dtype="int8")


def test_counting() -> None:
    assert tensors.count(abstract()) == sum(int(np.prod(shape)) for shape in OURS.values())
