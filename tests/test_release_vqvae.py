"""The release's VQ-VAE as ours: what it encodes and decodes, and what does not fit."""

import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax.release import tensors, torchfile
from jukebox_jax.release import vqvae as release
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Weights


@pytest.fixture(scope="module")
def content(reference: pathlib.Path) -> dict[str, Any]:
    return torchfile.load(reference / "vqvae.pth.tar")


@pytest.fixture(scope="module")
def converted(content: dict[str, Any]) -> tuple[VQVAE, Weights]:
    return release.convert(content["model"], content["hps"])


def test_it_computes_what_the_release_did(
    converted: tuple[VQVAE, Weights], reference: pathlib.Path
) -> None:
    """The top level alone, which runs all blocks of its encoder and its decoder."""
    model, weights = converted
    numbers = np.load(reference / "vqvae.npz")

    @jax.jit
    def encode(params: Any, audio: Any) -> Any:
        return model.apply({"params": params}, audio, 2, method="analyse")

    vectors, expected = encode(weights.params, numbers["x"][:1]), numbers["encoder_2_NTC"][:1]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    decoded = vqvae.decode(model, weights, numbers["codes_2"][:1].astype("i4"), 2)
    expected = numbers["decoded_from_2"][:1]
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_names_and_shapes_are_those_of_the_file(content: dict[str, Any]) -> None:
    model = VQVAE(**release.hyperparameters.vqvae_fields(content["hps"]))
    shapes = tensors.check(release.names(model), release.abstract(model))
    assert shapes == {name: array.shape for name, array in content["model"].items()}


def test_there_and_back_is_the_same(
    converted: tuple[VQVAE, Weights], content: dict[str, Any]
) -> None:
    model, weights = converted
    back = dict(tensors.restore(release.names(model), release.tree(weights)))
    assert back.keys() == content["model"].keys()
    for name, array in content["model"].items():
        np.testing.assert_array_equal(back[name], array)


def test_a_codebook_counts_each_code_once(converted: tuple[VQVAE, Weights]) -> None:
    for book in converted[1].codebooks:
        np.testing.assert_array_equal(book.sums, book.codes)
        np.testing.assert_array_equal(book.counts, np.ones(64))


def test_the_hyperparameters_of_the_index_do_as_well(
    converted: tuple[VQVAE, Weights], content: dict[str, Any], reference: pathlib.Path
) -> None:
    hps = json.loads((reference / "index.json").read_text())["vqvae"]
    prefixed = {f"module.{name}": array for name, array in content["model"].items()}
    model, weights = release.convert(prefixed, hps)
    assert model == converted[0]
    kernel = ("encoder_1", "block_1", "stage_0", "stack", "unit_3", "dilated", "kernel")
    ours, same = weights.params, converted[1].params
    for name in kernel:
        ours, same = ours[name], same[name]
    np.testing.assert_array_equal(ours, same)


@pytest.mark.parametrize(
    "fields",
    [
        dict(downs=(2,), strides=(3,), multipliers=(1,)),
        dict(downs=(1, 3), strides=(4, 2), multipliers=(1, 3), conv_multiplier=2.0),
    ],
    ids=["one level", "other strides"],
)
def test_any_sizes_have_names(fields: dict[str, Any]) -> None:
    model = VQVAE(**{"width": 4, "depth": 2, "bins": 8, "code_width": 6, **fields})
    shapes = tensors.check(release.names(model), release.abstract(model))
    last = model.levels - 1
    kernel = shapes[f"decoders.{last}.level_blocks.{last}.model.1.1.weight"]
    assert kernel[2] == 2 * model.strides[last]
    assert f"bottleneck.level_blocks.{last}.k" in shapes


def test_another_model_is_told(content: dict[str, Any]) -> None:
    state = {name: array for name, array in content["model"].items() if ".out." not in name}
    hps = {**content["hps"], "width": 16, "hvqvae_multipliers": (1, 1, 1)}
    with pytest.raises(ReleaseError) as caught:
        release.convert(state, hps, title="mine.pth.tar")
    message = str(caught.value)
    assert message.startswith("mine.pth.tar: is not of these hyperparameters: 6 missing: ")
    assert "decoders.2.out.bias" in message
    assert "left over: encoders.0.level_blocks.0.model.0.1.model.4.model.1.weight" in message
    assert "encoders.1.level_blocks.0.model.0.0.weight (8, 1, 4), not (16, 1, 4)" in message
