"""A brief training takes the steps of the loop and gives back what it has learnt."""

import pathlib

import coding
import jax
import numpy as np
import pytest

from jukebox_jax.audio import song
from jukebox_jax.training import brief, settings


def config(source: pathlib.Path, steps: int, **optimizer: int) -> dict:
    names = "downs strides multipliers bins code_width width depth".split()
    return {
        "stage": {"kind": "vqvae", "rate": coding.RATE},
        "model": {name: getattr(coding.MODEL, name) for name in names} | {"linf_count": 64},
        "data": {"source": str(source), "batch": 8, "samples": 4096, "loader": "numpy"},
        "optimizer": {"learning_rate": 1e-3, **optimizer},
        "run": {"steps": steps, "log_every": 1},
    }


def test_a_joint_vqvae_is_trained(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    songs = song.find(coding.songs(tmp_path, [12000, 12000]), rate=coding.RATE)
    with caplog.at_level("INFO"):
        weights = brief.train_joint(config(tmp_path, 2), songs)
    assert [book.codes.shape for book in weights.codebooks] == [(16, 4), (16, 4)]
    assert {"down_0", "down_1", "merge_0", "up_0", "up_1", "out"} == set(weights.params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights))
    assert "step 2 of 2: loss" in caplog.text


def test_pieces_of_a_batch_are_refused(tmp_path: pathlib.Path) -> None:
    asked = settings.read(config(tmp_path, 1, accumulate=2))
    with pytest.raises(ValueError, match="a joint VQ-VAE takes each batch in one"):
        brief.joint_task(asked, ())
