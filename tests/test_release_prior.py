"""The release's priors as ours: what they compute, and what does not fit."""

import functools
import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import hyperparameters, tensors, torchfile
from jukebox_jax.release import prior as release
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

FOLDER = pathlib.Path(__file__).parent / "data" / "reference"
NAMES = sorted(path.name.removesuffix(".pth.tar") for path in FOLDER.glob("*.pth.tar"))
PRIORS = [name for name in NAMES if not name.startswith("vqvae")]
SOME = ["prior_labels", "upsampler_level_1", "prior_lyrics_enc_dec", "prior_lyrics_single"]


@functools.cache
def content(name: str) -> dict[str, Any]:
    return torchfile.load(FOLDER / f"{name}.pth.tar")


@functools.cache
def vqvae() -> VQVAE:
    return VQVAE(**hyperparameters.vqvae_fields(content("vqvae")["hps"]))


@functools.cache
def converted(name: str) -> tuple[Prior, dict[str, Any]]:
    return release.convert(content(name)["model"], content(name)["hps"], vqvae())


def labels_of(model: Prior, vector: np.ndarray) -> dict[str, np.ndarray]:
    """Our labels from the release's vector: three lengths, artist, genres."""
    labels = {}
    for name, signal in model.signals:
        if name == "timing":
            labels[name] = vector[:, :3]
        elif name == "artist":
            labels[name] = vector[:, 3:4]
        elif name == "genre":
            labels[name] = vector[:, 4 : 4 + signal.most]
    return {name: values.astype("i4") for name, values in labels.items()}


@pytest.mark.parametrize("name", ["prior_labels", "upsampler_level_1"])
def test_it_computes_what_the_release_did(name: str) -> None:
    model, params = converted(name)
    numbers = np.load(FOLDER / f"{name}.npz")
    labels = labels_of(model, numbers["y"])

    @jax.jit
    def run(params: Any, codes: Any, above: Any) -> Any:
        conditioning = prior.condition(model, params, labels, above)
        return conditioning.start, prior.logits(model, params, codes, conditioning)

    above = numbers["z_cond"].astype("i4") if "z_cond" in numbers else None
    start, logits = run(params, numbers["z"].astype("i4"), above)
    expected = numbers["logits"]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(start, numbers["y_cond"].reshape(start.shape), atol=1e-6)


@pytest.mark.parametrize("name", PRIORS)
def test_names_are_those_of_the_file(name: str) -> None:
    state, hps = content(name)["model"], content(name)["hps"]
    model = Prior(**hyperparameters.prior_fields(hps, vqvae()))
    ours = [tensor.name for tensor in release.names(model)]
    assert len(set(ours)) == len(ours)
    assert set(ours) == {key.removeprefix("module.") for key in state}


@pytest.mark.parametrize("name", SOME)
def test_there_and_back_is_the_same(name: str) -> None:
    model, params = converted(name)
    back = dict(tensors.restore(release.names(model), params))
    for key, array in content(name)["model"].items():
        np.testing.assert_array_equal(back[key], array)


def test_layers_of_a_group_are_stacked() -> None:
    _, params = converted("prior_labels")
    kernel = params["transformer"]["group_0"]["layer_2"]["attention"]["value"]["kernel"]
    last = content("prior_labels")["model"]["prior.transformer._attn_mods.5.attn.c_attn.w"]
    np.testing.assert_array_equal(kernel[1], last[:, 24:])


def test_the_hyperparameters_of_the_index_do_as_well() -> None:
    hps = json.loads((FOLDER / "index.json").read_text())["upsampler_level_1"]
    model, _ = release.convert(content("upsampler_level_1")["model"], hps, vqvae())
    assert model == converted("upsampler_level_1")[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_it_can_be_kept_small(dtype: str) -> None:
    whole, state = content("prior_labels"), content("prior_labels")["model"]
    model, params = release.convert(state, whole["hps"], vqvae(), dtype=dtype)
    assert model.dtype == dtype
    assert str(params["codes"]["embedding"].dtype) == dtype
    norm = params["transformer"]["group_0"]["layer_0"]["norm_1"]["scale"]
    assert norm.dtype == np.float32
    bytes_of = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    assert bytes_of < 0.55 * sum(array.nbytes for array in state.values())


def test_another_model_is_told() -> None:
    whole = content("prior_labels")
    state = dict(whole["model"])
    del state["y_emb.artist_emb.emb.weight"]
    state["prior.start_token"] = np.zeros((1, 48), "f4")
    state["prior.x_emb.weight"] = state["prior.x_emb.weight"][:60]
    with pytest.raises(ReleaseError) as caught:
        release.convert(state, whole["hps"], vqvae(), title="mine.pth.tar")
    message = str(caught.value)
    assert "mine.pth.tar: " in message
    assert "1 missing: y_emb.artist_emb.emb.weight" in message
    assert "1 left over: prior.start_token" in message
    assert "1 of another shape: prior.x_emb.weight (60, 48), not (64, 48)" in message


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"heads": 5}, "heads = 5"), ({"attn_order": 6}, "memory")],
)
def test_fields_that_do_not_fit_are_told(change: dict[str, Any], reason: str) -> None:
    whole = content("prior_labels")
    with pytest.raises(ReleaseError, match=reason):
        release.convert(whole["model"], {**whole["hps"], **change}, vqvae())


def test_a_label_that_the_release_does_not_have() -> None:
    model = Prior(signals=(("mood", release.Label(size=3)),))
    with pytest.raises(ReleaseError, match="no label 'mood', only artist, genre"):
        release.names(model)
