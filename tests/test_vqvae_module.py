"""A VQ-VAE is described by plain numbers, one a level, and says so when they do not fit."""

import jax
import pytest

from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE


def test_the_released_sizes_are_the_defaults() -> None:
    model = VQVAE()
    assert model.levels == 3 and model.hops == (8, 32, 128)
    shapes = vqvae.abstract(model)
    assert set(shapes) == {f"{name}_{level}" for name in ("encoder", "decoder") for level in "012"}
    assert set(shapes["decoder_1"]) == {"block_0", "block_1", "out"}
    stage = shapes["encoder_0"]["block_0"]["stage_2"]
    assert stage["down"]["kernel"].shape == (4, 64, 64)
    assert len(stage["stack"]) == 8
    assert shapes["encoder_2"]["block_1"]["out"]["kernel"].shape == (3, 32, 64)
    assert shapes["decoder_0"]["block_0"]["stage_2"]["up"]["kernel"].shape == (4, 64, 64)
    assert shapes["decoder_2"]["out"]["kernel"].shape == (3, 64, 1)


@pytest.mark.parametrize(
    ("downs", "strides", "hops"),
    [((1,), (2,), (2,)), ((2, 3), (3, 2), (9, 72)), ((1, 1, 1, 1), (2, 2, 2, 5), (2, 4, 8, 40))],
)
def test_any_number_of_levels(downs: tuple, strides: tuple, hops: tuple) -> None:
    model = VQVAE(downs=downs, strides=strides, multipliers=(1,) * len(downs), width=4, depth=1)
    assert model.hops == hops and model.levels == len(hops)
    assert len(vqvae.abstract(model)) == 2 * len(hops)


def test_equal_descriptions_are_one_static_argument() -> None:
    assert hash(VQVAE()) == hash(VQVAE(bins=2048)) and VQVAE() == VQVAE(bins=2048)
    counted = []
    count = jax.jit(lambda model, x: counted.append(model) or x, static_argnums=0)
    count(VQVAE(), 1.0), count(VQVAE(), 2.0), count(VQVAE(bins=7), 2.0)
    assert len(counted) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"downs": (3, 2)}, r"strides = \(2, 2, 2\) for downs = \(3, 2\): give one a level"),
        ({"multipliers": (1,)}, r"multipliers = \(1,\)"),
        ({"downs": (3, 0, 2)}, r"downs = \(3, 0, 2\): give 1 or more"),
        ({"strides": (2, 1, 2)}, r"strides = \(2, 1, 2\): give 2 or more"),
        ({"downs": (), "strides": (), "multipliers": ()}, "one level at least"),
    ],
)
def test_sizes_that_do_not_fit(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VQVAE(**fields)
