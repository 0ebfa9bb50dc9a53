"""The comparison of weights' types reads the same codes with each."""

import counting
import jax
import numpy as np
import pytest

from jukebox_jax.analysis import precision
from jukebox_jax.prior import prior
from jukebox_jax.vqvae import vqvae


def test_types_are_compared_on_the_same_codes() -> None:
    box, level = counting.noisy(), 1
    sounds = [
        (np.random.default_rng(seed).normal(scale=0.5, size=(80, 1)).astype(np.float32), {})
        for seed in range(2)
    ]
    short = (sounds[0][0][:20], {})
    found = precision.compare(box, level, [*sounds, short])
    stage = box.priors[level]
    assert stage is not None
    wanted = []
    for audio, _ in sounds:
        codes = vqvae.encode_long(box.vqvae.model, box.vqvae.weights, audio[None, :64])
        labels = {"artist": np.zeros((1, 1), np.int32)}
        above = codes[2][:, :8]
        wanted.append(
            jax.jit(prior.loss, static_argnums=0)(
                stage.model, stage.weights, codes[1][:, :16], labels, above
            )[0]
        )
    assert found["float32"][1] == pytest.approx(np.mean(wanted), rel=1e-4)
    assert found["int8"][1] == pytest.approx(found["float32"][1], abs=0.3)
    assert found["int8"][1] != found["float32"][1]
    assert found["int8"][0] < found["float32"][0] and found["bfloat16"][0] < found["float32"][0]
    with pytest.raises(ValueError, match="no sound fills a window of level 1: give some of 0.80 s"):
        precision.compare(box, level, [short])
    with pytest.raises(ValueError, match="no prior of level 7"):
        precision.compare(box, 7, sounds)
