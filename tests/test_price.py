"""What codes cost is what the prior says of them, window by window."""

import dataclasses

import counting
import numpy as np
import pytest

from jukebox_jax import models
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import prior
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling import price, scores, settings
from jukebox_jax.sampling.settings import Settings

SONGS = (Song("", 0, {"artist": "ada"}), Song("", 0, {"artist": "the copper foxes"}))


def random(length: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, counting.BINS, (2, length * 8 // hop)) for hop in counting.HOPS]


@pytest.mark.parametrize("level", [1, 2])
def test_costs_are_those_of_the_loss(level: int) -> None:
    """Over one full window the mean is the loss; a second one counts its new codes alone."""
    box, length = counting.noisy(), {1: 8, 2: 32}[level]
    stage = box.priors[level]
    assert stage is not None
    codes = random(length + length // 2)
    cost = price.bits(box, SONGS, codes, level, settings=Settings(hop_fraction=0.5, batch=1))
    context = stage.model.context
    assert cost.shape == (2, context * 3 // 2)
    for first, known in ((0, 0), (context // 2, context // 2)):
        window = codes[level][:, first : first + context]
        above = codes[level + 1][:, first // 2 : (first + context) // 2] if level < 2 else None
        labels = {"artist": np.array([[2], [1]])}
        given = prior.condition(stage.model, stage.weights, labels, above)
        logits = np.asarray(prior.logits(stage.model, stage.weights, window, given), np.float64)
        picked = np.take_along_axis(logits, window[..., None], -1)[..., 0] / np.log(2)
        expected = (np.log2(np.exp(logits).sum(-1)) - picked)[:, known:]
        np.testing.assert_allclose(cost[:, first + known : first + context], expected, atol=1e-4)
    _, metrics = prior.loss(
        stage.model,
        stage.weights,
        codes[level][:, :context],
        labels,
        codes[level + 1][:, : context // 2] if level < 2 else None,
    )
    assert cost[:, :context].mean() == pytest.approx(float(metrics["bits_per_code"]), abs=1e-4)


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_weights_of_any_type_tell_what_codes_cost(weights: str) -> None:
    """Close to those that were saved, at a level below another; and candidates are scored."""
    box, codes = counting.noisy(), random(16)
    held = dataclasses.replace(
        box, priors=tuple(stage and models.held_as(stage, weights) for stage in box.priors)
    )
    found = price.bits(held, SONGS, codes, 1)
    np.testing.assert_allclose(found, price.bits(box, SONGS, codes, 1), atol=0.1)
    (first, second) = scores.score(held, SONGS, codes, 1)
    assert first.bits_per_code == pytest.approx(found[0].mean())
    assert second.bits_per_code == pytest.approx(found[1].mean())


def test_codes_that_are_not_complete_have_no_price() -> None:
    codes = random(32)
    codes[2][1, -1] = plans.UNKNOWN
    for level in (1, 2):
        with pytest.raises(ValueError, match=f"codes of level {level}, or those above, are not"):
            price.bits(counting.noisy(), SONGS, codes, level)
    with pytest.raises(ValueError, match="level 0 has no prior"):
        price.bits(Jukebox(counting.sound(), (None,)), SONGS, codes, 0)


def test_seams_are_where_pieces_begin() -> None:
    def seams(pieces: int) -> list[int]:
        step = settings.at(
            Settings(approximate_pieces=pieces),
            0,
            levels=1,
            total=64,
            context=16,
            factor=0,
            samples=2,
        )
        return np.flatnonzero(price.behind_seams(step)).tolist()

    assert seams(1) == [] and seams(2) == [32, 33] and seams(4) == [16, 17, 32, 33, 48, 49]
