"""Our modules as the release's hyperparameters, and back."""

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from jukebox_jax.prior.conditioning import Codes, Label, Timing
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import description, hyperparameters, published
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

INDEX = json.loads(
    (pathlib.Path(__file__).parent / "data" / "reference" / "index.json").read_text()
)
PRIORS = {name: hps for name, hps in INDEX.items() if name.startswith(("prior", "upsampler"))}
LARGE = {
    f"{name}, level {level}": hps
    for name, model in published.PUBLISHED.items()
    for level, hps in enumerate(model["priors"])
}


@pytest.mark.parametrize(
    "model",
    [
        VQVAE(),
        VQVAE(downs=(2, 3), strides=(3, 2), multipliers=(1, 1), l1=0.5, dilation_cycle=4, bins=7),
    ],
)
def test_a_vqvae_comes_back(model: VQVAE) -> None:
    hps = description.of_vqvae(model, rate=22050)
    assert hps["sr"] == 22050
    assert VQVAE(**hyperparameters.vqvae_fields(json.loads(json.dumps(hps)))) == model


@pytest.mark.parametrize("name", [*PRIORS, *LARGE])
def test_a_prior_comes_back(name: str) -> None:
    given: dict[str, Any] = {**PRIORS, **LARGE}[name]
    vqvae = VQVAE(bins=64)
    model = Prior(**hyperparameters.prior_fields(given, vqvae))
    hps = description.of_prior(model, given["level"], labels_v3=given.get("labels_v3", False))
    assert Prior(**hyperparameters.prior_fields(json.loads(json.dumps(hps)), vqvae)) == model
    assert hps["attn_order"] <= given["attn_order"]  # the lowest of those with the same layers
    assert hps["labels_v3"] == given.get("labels_v3", False)


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ((("mood", Label(size=3)),), "labels artist and genre, not mood"),
        ((("artist", Label(size=3)),), "labels artist and genre, not artist"),
        ((("tempo", object()),), "no signal like 'tempo'"),
    ],
)
def test_signals_that_the_release_does_not_have(signals: Any, reason: str) -> None:
    timing = ("timing", Timing(bins=4, minimum_seconds=1.0, maximum_seconds=2.0))
    with pytest.raises(ReleaseError, match=reason):
        description.of_prior(Prior(signals=(*signals, timing)), 2)


TIMING = ("timing", Timing(bins=4, minimum_seconds=1.0, maximum_seconds=20.0))
LABELS = (("artist", Label(size=3)), ("genre", Label(size=4, most=2)))
ABOVE = ("above", Codes(bins=2048, width=8, depth=1, downs=2))


@pytest.mark.parametrize(
    ("signals", "level", "reason"),
    [
        (LABELS, 2, "needs min_duration and max_duration"),
        ((TIMING,), 2, r"signals.timing = Timing\(.*\), not None"),
        ((("artist", Label(size=3, most=3)), LABELS[1], TIMING), 2, r"most=3\), not .*most=1\)"),
        ((ABOVE, *LABELS, TIMING), 1, r"signals.timing = Timing\(.*\), not None"),
        ((*LABELS, ("timing", dataclasses.replace(TIMING[1], rate=8000))), 2, "rate=8000.*rate=44"),
    ],
)
def test_signals_are_not_left_out_without_a_word(signals: Any, level: int, reason: str) -> None:
    with pytest.raises(ReleaseError, match=reason):
        description.of_prior(Prior(signals=signals), level)


def test_a_vqvae_that_the_release_does_not_have() -> None:
    with pytest.raises(ReleaseError, match="scale_residual"):
        description.of_vqvae(VQVAE(scale_residual=True))
