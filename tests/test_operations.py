"""Operations are those of the formulas, and speed is told in what users know."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jukebox_jax import sharding
from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import operations, settings
from jukebox_jax.training.parts import Selection
from jukebox_jax.vqvae.vqvae import VQVAE
from tests.test_state import line_task

SMALL = Prior(context=64, block=8, bins=32, width=16, layout=((("row", "previous"), 3),))
KERNEL = 3 * 16 * 16  # the parameters of a layer's kernels


def test_products_and_convolutions_are_counted() -> None:
    x, w = jnp.ones((4, 8, 6)), jnp.ones((6, 5))
    assert operations.count(lambda x, w: x @ w, x, w) == 2 * 4 * 8 * 6 * 5
    assert operations.count(jax.jit(lambda x: jax.lax.map(lambda y: y @ w, x)), x) == 1920
    assert operations.count(jax.checkpoint(lambda x: jnp.sin(x @ w)), x) == 1920

    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x, kernel, (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
        )

    assert operations.count(convolve, x, jnp.ones((2, 6, 7))) == 2 * (4 * 4 * 7) * 2 * 6


@pytest.mark.parametrize("remat", ["none", "full"])
def test_a_prior_takes_six_a_parameter_and_its_attention(remat: str) -> None:
    layers = 6 * KERNEL + 12 * 8 * 4  # of a row of 8 keys, 4 wide
    expected = 64 * (6 * layers + 6 * 32 * 16)
    model = SMALL.clone(remat=remat)
    assert operations.of_prior(model) == expected
    kernels = operations.of_frozen(model, prior.abstract(model))
    assert kernels == 64 * 6 * 2 * KERNEL


def test_a_vqvae_takes_three_times_its_coders_and_one_search() -> None:
    model = VQVAE(
        downs=(1,), strides=(2,), multipliers=(1,), bins=8, code_width=4, width=4, depth=1
    )
    encoder = 2 * 2 * 4 + (3 + 1) * 4 * 4 + 3 * 4 * 4  # down, a unit, to the code's width
    decoder = 3 * 4 * 4 + (3 + 1) * 4 * 4 + 2 * 4 * 6  # in, a unit, up and out
    found = operations.of_vqvae(model, 1024)
    assert found == pytest.approx(512 * (6 * (encoder + decoder) + 2 * 8 * 4), rel=0.01)
    assert found - operations.of_vqvae(model.clone(bins=7), 1024) == 512 * 2 * 4  # once


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", None),
        ("TPU v4", 275e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("TPU v6 lite", 918e12),
        ("cpu", None),
    ],
)
def test_the_peaks_of_devices(kind: str, most: float | None) -> None:
    assert operations.peak(kind) == most


def test_speed_is_told_in_codes_seconds_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings.read(
        {
            "stage": {"kind": "prior", "rate": 8000, "vqvae": "v"},
            "model": {},
            "data": {"source": "songs", "batch": 4},
            "run": {"steps": 1},
        }
    )
    shapes = prior.abstract(SMALL)
    task = dataclasses.replace(line_task(), model=SMALL, samples=512, abstract=shapes)
    mesh = sharding.make_mesh()
    figures = operations.speed(read, task, mesh, 10.0)
    needed = 4 * operations.of_prior(SMALL)
    assert figures["codes_per_second"] == 10 * 4 * 64
    assert figures["seconds_per_second"] == pytest.approx(10 * 4 * 512 / 8000)
    assert figures["teraflops_per_second"] == pytest.approx(10 * needed / 1e12)
    assert "flop_utilisation" not in figures  # of a CPU nothing is published
    monkeypatch.setattr(operations, "PEAKS", (("cpu", 1e9),))
    figures = operations.speed(read, task, mesh, 10.0)
    assert figures["flop_utilisation"] == pytest.approx(10 * needed / (8 * 1e9))
    frozen = operations.of_task(task, Selection(("transformer",)))
    assert operations.of_task(task, Selection()) - frozen == 64 * 6 * 2 * KERNEL
