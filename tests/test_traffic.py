"""What is sent is told apart by its shape, and the formula says what gathering costs."""

import jax
import jax.numpy as jnp
import pytest

from jukebox_jax import sharding
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import traffic
from jukebox_jax.training.program import Collective


def placed(sizes: tuple[int, int, int]) -> dict:
    shapes = {
        "transformer": {
            "group_0": {
                "layer_0": {
                    "mlp": {"up": {"kernel": (6, 32, 64), "bias": (6, 64)}},
                    "attention": {"out": {"kernel": (6, 8, 32)}},
                }
            }
        },
        "codes": {"embedding": (128, 32)},
    }
    tree = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        shapes,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        tree,
        sharding.shardings(tree, sharding.make_mesh(*sizes)),
    )


@pytest.mark.parametrize(
    ("kind", "shape", "what"),
    [
        ("all-gather", ("bf16", (32, 64)), "parameters"),  # a layer's
        ("all-gather", ("bf16", (64, 16)), "parameters"),  # its part under tensor = 2, transposed
        ("all-gather", ("f32", (128, 32)), "parameters"),
        ("all-reduce", ("f32", (1, 32, 64)), "gradients"),
        ("reduce-scatter", ("f32", (6, 32, 64)), "gradients"),
        ("all-gather", ("s32", (8, 256)), "ids"),
        ("all-reduce", ("f32", ()), "small values"),
        ("all-gather", ("f32", (2, 256, 32)), "activations"),
        ("all-reduce", ("f32", (2, 256, 32)), "activations"),
    ],
)
def test_shapes_tell_what_is_sent(kind: str, shape: tuple, what: str) -> None:
    found = [Collective(kind, (shape,), 2, 3, "")]
    ((told, of, times, sent),) = traffic.sorted_out(found, placed((2, 2, 2)))
    assert (told, of, times, sent) == (kind, what, 3, found[0].sent)


def test_parts_of_one_operation_are_told_apart() -> None:
    shapes = (("f32", (32, 64)), ("f32", ()), ("f32", (128, 32)))
    found = [Collective("all-reduce", shapes, 8, 1, "")]
    told = {what: sent for _, what, _, sent in traffic.sorted_out(found, placed((1, 8, 1)))}
    assert told == {
        "gradients": 2 * (32 * 64 + 128 * 32) * 4 * 7 // 8,
        "small values": 6,
    }  # whole bytes of a ring


def test_gathering_counts_kernels_twice_and_tables_once() -> None:
    kernels, table = 6 * 32 * 64 + 6 * 8 * 32, 128 * 32
    model = Prior(dtype="float32")
    assert traffic.gathering(model, placed((1, 8, 1))) == (2 * kernels + table) * 4 * 7 // 8
    assert traffic.gathering(model, placed((8, 1, 1))) == 0
    half = Prior(dtype="bfloat16")  # tensor parts of kernels are never gathered
    expected = (2 * kernels / 2 * 1 / 2 + table * 3 / 4) * 2
    assert traffic.gathering(half, placed((2, 2, 2))) == int(expected)
    assert traffic.gathering(None, placed((1, 8, 1))) == 0  # a VQ-VAE
