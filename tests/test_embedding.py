"""Vectors stand for seconds of sound, and those of files are read as they were written."""

import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.evaluation import embedding
from jukebox_jax.vqvae import vqvae

SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, (9000, 1)).astype(np.float32)


def test_code_vectors_are_averaged_over_seconds() -> None:
    box = singing.jukebox()
    (found,) = embedding.of_codes(box, [SOUND])
    assert found.shape == (2, 8)
    (codes,) = vqvae.encode(box.vqvae.model, box.vqvae.weights, SOUND[None, :8992])
    vectors = np.asarray(box.vqvae.weights.codebooks[0].codes)[np.asarray(codes)[0, :250]]
    np.testing.assert_allclose(found[0, :4], vectors.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found[0, 4:], vectors.std(axis=0), atol=1e-5)


def test_a_prior_makes_a_vector_a_second() -> None:
    (found,) = embedding.of_prior(singing.jukebox(), [SOUND[:8000]])
    assert found.shape == (2, 16) and np.isfinite(found).all()


def test_files(tmp_path: pathlib.Path) -> None:
    rows = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "a.npz", paths=np.array(["x", "y"]), rows=np.array([3, 1]), layer_2=rows)
    found = embedding.load(tmp_path / "a.npz")
    assert [len(one) for one in found] == [3, 1] and embedding.count(found) == 4
    np.testing.assert_array_equal(found[1], rows[3:])
    np.savez(tmp_path / "b.npz", rows)
    assert len(embedding.load(tmp_path / "b.npz")) == 4
    np.savez(tmp_path / "c.npz", rows=np.array([3, 1]))
    with pytest.raises(ValueError, match=r"c.npz: holds no array \[rows, width\] among rows"):
        embedding.load(tmp_path / "c.npz")
    with pytest.raises(ValueError, match="d.npz: is no file of features"):
        embedding.load(tmp_path / "d.npz")
