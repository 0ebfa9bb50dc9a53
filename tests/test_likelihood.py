"""Bits a code are those of the model's own logits, each code counted once."""

import counting
import jax
import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.prior import prior
from jukebox_jax.sampling import compose, likelihood
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import DEFAULTS, Settings


def test_one_window_is_the_models_loss() -> None:
    box = singing.jukebox()
    (stage,) = box.priors
    assert stage is not None
    codes = np.random.default_rng(0).integers(0, 8, (2, 32)).astype(np.int32)
    songs = [Song("", 0, {"lyrics": text}) for text in singing.TEXTS[:2]]
    found = likelihood.bits(box, 0, songs, [codes])
    step, plan = plans.laid_out(box, 0, songs, 32, DEFAULTS)
    given = compose.conditioned(
        step, stage, stage.weights, songs, plan, [codes], np.array([0, 1]), 0
    )
    logits = prior.logits(stage.model, stage.weights, codes, given)
    log2 = np.asarray(jax.nn.log_softmax(logits)) / np.log(2)
    expected = -np.take_along_axis(log2, codes[..., None], axis=2)[..., 0].mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    other = likelihood.bits(box, 0, songs[::-1], [codes])
    assert (np.abs(other - found) > 1e-4).all()  # lyrics matter


def test_every_code_counts_once() -> None:
    """A jukebox that counts is sure of every code but the first, in any window."""
    box = counting.jukebox()
    right = np.arange(70)[None].astype(np.int32) % counting.BINS
    songs = [Song("", 0)]
    codes = [np.zeros((1, 0), np.int32)] * 2 + [right]
    for hop in (0.25, 0.5):  # so that each code but the first has one before it
        found = likelihood.bits(box, 2, songs, codes, Settings(hop_fraction=hop))
        assert found[0] * 70 == pytest.approx(0, abs=0.1)
    wrong = right.copy()
    wrong[0, 69] = (wrong[0, 69] + 1) % counting.BINS
    found = likelihood.bits(box, 2, songs, codes[:2] + [wrong], Settings(hop_fraction=0.5))
    assert found[0] * 70 > 20
    with pytest.raises(ValueError, match="level 2 are not complete"):
        likelihood.bits(box, 2, songs, codes[:2] + [wrong - 1])
