"""Our weights under the release's names, in both kinds of files, and back."""

import functools
import json
import pathlib
import struct
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.release import description, export, hyperparameters, tensors, torchfile, vqvae
from jukebox_jax.release import prior as release
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

TYPES = {"F32": np.dtype("f4"), "F16": np.dtype("f2"), "BF16": np.dtype(jnp.bfloat16)}


@functools.cache
def converted(folder: pathlib.Path, name: str, dtype: str = "float32") -> tuple[Any, Any]:
    first = torchfile.load(folder / "vqvae.pth.tar")
    if name == "vqvae":
        return vqvae.convert(first["model"], first["hps"])
    whole = torchfile.load(folder / f"{name}.pth.tar")
    model = VQVAE(**hyperparameters.vqvae_fields(first["hps"]))
    return release.convert(whole["model"], whole["hps"], model, dtype=dtype)


def read_safetensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A reader of its own, after the format's description."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body, arrays, at = data[8 + length :], {}, 0
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        assert start == at, "tensors follow one another without a gap"
        arrays[name] = np.frombuffer(body[start:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        at = end
    assert at == len(body) and length % 8 == 0
    return arrays, metadata


CASES = [
    ("vqvae", "float32"),
    ("upsampler_level_0", "float32"),
    ("prior_labels", "bfloat16"),
    ("prior_lyrics_single_deep", "float16"),
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_safetensors_hold_what_the_release_had(
    name: str, dtype: str, reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model, weights = converted(reference, name, dtype)
    export.save_safetensors(tmp_path / "out.safetensors", model, weights, {"from": "a test"})
    found, metadata = read_safetensors(tmp_path / "out.safetensors")
    assert metadata == {"from": "a test"}
    expected = torchfile.load(reference / f"{name}.pth.tar")["model"]
    assert found.keys() == {key.removeprefix("module.") for key in expected}
    for key, array in expected.items():
        ours = found[key.removeprefix("module.")]
        np.testing.assert_array_equal(ours, array.astype(ours.dtype))
        assert ours.dtype == (np.float32 if array.ndim == 1 else jnp.dtype(dtype))


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_a_checkpoint_comes_back(
    name: str, dtype: str, reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model, weights = converted(reference, name, dtype)
    path = tmp_path / "new" / f"{name}.pth.tar"
    if isinstance(model, VQVAE):
        export.save_checkpoint(path, model, weights, description.of_vqvae(model), step=7)
        content = torchfile.load(path)
        again, same = vqvae.convert(content["model"], content["hps"])
    else:
        hps = description.of_prior(model, 0 if "upsampler" in name else 2)
        export.save_checkpoint(path, model, weights, hps, step=7)
        content = torchfile.load(path)
        first = VQVAE(bins=64)
        again, same = release.convert(content["model"], content["hps"], first, dtype=dtype)
    assert content["step"] == 7 and content["opt"] is None
    assert again == model
    assert jax.tree.structure(same) == jax.tree.structure(weights)
    for one, other in zip(jax.tree.leaves(same), jax.tree.leaves(weights), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_tied_tensor_is_kept_once(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model, params = converted(reference, "upsampler_level_0")
    export.save_checkpoint(tmp_path / "file.pth.tar", model, params, {"a": (1, 2.5, None, True)})
    content = torchfile.load(tmp_path / "file.pth.tar")
    assert content["hps"] == {"a": (1, 2.5, None, True)}
    state = content["model"]
    assert np.shares_memory(state["prior.x_emb.weight"], state["prior.x_out.weight"])
    with zipfile.ZipFile(tmp_path / "file.pth.tar") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"file/data.pkl", "file/byteorder", "file/version"} < set(names)
        assert len([name for name in names if "/data/" in name]) == len(state) - 1


def test_the_same_weights_give_the_same_bytes(
    reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model, params = converted(reference, "prior_unlabelled")
    for folder in ("a", "b"):
        export.save_checkpoint(tmp_path / folder / "file", model, params, {"n": 2**40, "t": "é"})
    first, second = ((tmp_path / folder / "file").read_bytes() for folder in ("a", "b"))
    assert first == second
    assert torchfile.load(tmp_path / "a" / "file")["hps"] == {"n": 2**40, "t": "é"}


def test_nothing_half_is_left(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model, params = converted(reference, "prior_unlabelled")
    with pytest.raises(ReleaseError, match="of a type that a checkpoint"):
        export.save_checkpoint(tmp_path / "file", model, params, {"a": object()})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReleaseError, match="folder cannot be written"):
        export.save_safetensors(tmp_path / "folder", model, params)
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    with pytest.raises(ReleaseError, match="is float64, which is not written"):
        export.save_safetensors(tmp_path / "file", model, wide)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_another_models_weights_are_told(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model, params = converted(reference, "prior_unlabelled")
    other = model.clone(context=64, block=8)
    with pytest.raises(ReleaseError, match="not those of the model: .*positions/embedding"):
        export.save_safetensors(tmp_path / "file", other, params)
    assert tensors.count(params) and not list(tmp_path.iterdir())
