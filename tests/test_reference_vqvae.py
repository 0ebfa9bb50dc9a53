"""The numbers that the 2020 release computed with a small VQ-VAE, from its own checkpoint."""

import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax.release import torchfile
from jukebox_jax.release import vqvae as release
from jukebox_jax.vqvae import quantizer, vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Bandwidth, Weights

# Where the release's gradients of a few kernels, [outputs, inputs, size], lie among ours.
GRADIENTS = {
    "encoders.0.level_blocks.0.model.0.0.weight": "encoder_0/block_0/stage_0/down",
    "encoders.2.level_blocks.2.model.1.1.model.2.model.1.weight": (
        "encoder_2/block_2/stage_1/stack/unit_2/dilated"
    ),
    "decoders.2.out.weight": "decoder_2/out",
}


@pytest.fixture(scope="module")
def numbers(reference: pathlib.Path) -> dict[str, np.ndarray]:
    return dict(np.load(reference / "vqvae.npz"))


@pytest.fixture(scope="module")
def loaded(reference: pathlib.Path) -> tuple[VQVAE, Weights]:
    hps = json.loads((reference / "index.json").read_text())["vqvae"]
    return release.convert(torchfile.load(reference / "vqvae.pth.tar")["model"], hps)


@pytest.fixture(scope="module")
def stepped(
    loaded: tuple[VQVAE, Weights], numbers: dict[str, np.ndarray], reference: pathlib.Path
) -> dict[str, Any]:
    """The loss in evaluation and one training step, with no restarts, as the release took it."""
    window = json.loads((reference / "index.json").read_text())["window"]
    model, weights = loaded
    model = model.clone(restart_threshold=0.0)
    books = tuple(quantizer.resume(book.codes, 3 * model.bins) for book in weights.codebooks)

    def value(params: Any, train: bool) -> Any:
        return vqvae.loss(
            model,
            params,
            books,
            numbers["x"],
            jax.random.key(0),
            bandwidth=Bandwidth(**window["bandwidth"]),
            train=train,
        )

    compiled = jax.jit(
        lambda params: (
            value(params, False),
            *jax.value_and_grad(lambda params: value(params, True), has_aux=True)(params),
        )
    )
    evaluation, training, gradient = compiled(weights.params)
    return {"eval": evaluation, "train": training, "gradient": gradient}


def close(found: Any, expected: np.ndarray, name: str = "") -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        np.asarray(found) / scale, expected / scale, atol=1e-5, rtol=0, err_msg=name
    )


def test_codes_are_equal(loaded: tuple[VQVAE, Weights], numbers: dict[str, np.ndarray]) -> None:
    codes = vqvae.encode(*loaded, numbers["x"])
    for level, one in enumerate(codes):
        np.testing.assert_array_equal(one, numbers[f"codes_{level}"])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_encoders_and_decoders(
    loaded: tuple[VQVAE, Weights], numbers: dict[str, np.ndarray], level: int
) -> None:
    model, weights = loaded
    analyse = jax.jit(lambda p, x: model.apply({"params": p}, x, level, method="analyse"))
    close(analyse(weights.params, numbers["x"]), numbers[f"encoder_{level}_NTC"])
    audio = vqvae.decode(model, weights, numbers[f"codes_{level}"], level)
    close(audio, numbers[f"decoded_from_{level}"])


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_and_metrics(
    stepped: dict[str, Any], numbers: dict[str, np.ndarray], mode: str
) -> None:
    total, (_, metrics) = stepped[mode]
    close(total, numbers[f"{mode}_loss"])
    expected = {
        name.split("/")[1]: value
        for name, value in numbers.items()
        if name.startswith(f"{mode}_metric/")
    }
    assert len(expected) == (17 if mode == "eval" else 23)
    for name, value in expected.items():
        close(metrics[name], value, name)


def test_gradients(stepped: dict[str, Any], numbers: dict[str, np.ndarray]) -> None:
    for theirs, ours in GRADIENTS.items():
        leaf = stepped["gradient"]
        for part in ours.split("/"):
            leaf = leaf[part]
        close(np.transpose(leaf["kernel"], (2, 1, 0)), numbers[f"train_grad/{theirs}"], ours)
    squares = [
        np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(stepped["gradient"])
    ]
    close(np.sqrt(np.sum(squares)), numbers["train_grad_norm"])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_codebooks_after_a_step(
    stepped: dict[str, Any], numbers: dict[str, np.ndarray], level: int
) -> None:
    book = stepped["train"][1][0][level]
    close(book.codes, numbers[f"ema_k_{level}"])
    close(book.sums, numbers[f"ema_k_sum_{level}"])
    close(book.counts, numbers[f"ema_k_elem_{level}"])
