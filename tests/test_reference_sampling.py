"""Whole greedy runs give the codes and the sound that the 2020 release gave."""

import functools
import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.release import prior as release_prior
from jukebox_jax.release import stages, torchfile
from jukebox_jax.release import vqvae as release_vqvae
from jukebox_jax.sampling import alignment, attended, compose
from jukebox_jax.sampling.compose import Recording, Settings

RUNS = (
    "ancestral_labels",
    "upsample",
    "partial_labels",
    "ancestral_single",
    "ancestral_enc_dec",
    "partial_enc_dec",
    "continue_enc_dec",
    "primed_single",
)
FOLDER = pathlib.Path(__file__).parent / "data" / "reference"


@functools.cache
def index() -> dict[str, Any]:
    return json.loads((FOLDER / "index.json").read_text())


@functools.cache
def vqvae_stage() -> Stage:
    state = torchfile.load(FOLDER / "vqvae.pth.tar")["model"]
    hps = index()["vqvae"]
    model, weights = release_vqvae.convert(state, hps)
    return Stage(model, weights, {"stage": {"kind": "vqvae", "rate": hps["sr"]}})


@functools.cache
def prior_stage(name: str) -> Stage:
    state = torchfile.load(FOLDER / f"{name}.pth.tar")["model"]
    hps = index()[name]
    model, params = release_prior.convert(state, hps, vqvae_stage().model)
    vocabularies = stages.read_vocabularies(model, hps, FOLDER / "ids")
    config = {"stage": {"kind": "prior", "level": hps["level"]}}
    return Stage(model, jax.tree.map(np.asarray, params), config, vocabularies)


def jukebox(run: str) -> Jukebox:
    return Jukebox(vqvae_stage(), tuple(map(prior_stage, index()["sampling"][run]["priors"])))


def songs(run: str, rate: int) -> tuple[Song, ...]:
    found = []
    for meta in index()["sampling"][run]["metas"]:
        labels = {name: meta[name] for name in ("artist", "genre", "lyrics")}
        labels["total_seconds"] = meta["total_length"] / rate
        labels["start_seconds"] = meta["offset"] / rate
        found.append(Song("", meta["total_length"], labels, rate))
    return tuple(found)


@functools.cache
def sampled(run: str) -> tuple[Recording, Any]:
    """What we sample, and what the release did."""
    expected, said = np.load(FOLDER / f"sampling_{run}.npz"), index()["sampling"][run]
    box = jukebox(run)
    given = [expected[f"given_codes_{level}"] for level in range(3)]
    settings = Settings(
        temperature=said["temp"],
        top_k=said["top_k"],
        hop_fraction=tuple(said["hop_fraction"]),
        allow_unknown=True,
        chunk=100,
    )
    recording = compose.sample(
        box,
        songs(run, box.rate),
        said["sample_length"] / box.rate,
        codes=given,
        settings=settings,
    )
    return recording, expected


@pytest.mark.parametrize("run", RUNS)
def test_codes_are_those_of_the_release(run: str) -> None:
    recording, expected = sampled(run)
    for level in (2, 1, 0):
        assert np.array_equal(recording.codes[level], expected[f"codes_{level}"]), level


@pytest.mark.parametrize("run", RUNS)
def test_sound_is_that_of_the_release(run: str) -> None:
    recording, expected = sampled(run)
    for level in (2, 0):
        there = expected[f"audio_level_{level}"]
        assert np.abs(recording.audio[level] - there).max() <= 1e-4 * max(1, np.abs(there).max())


@pytest.mark.parametrize("run", [run for run in RUNS if "labels" not in run])
def test_lyrics_are_aligned_as_the_release_aligned_them(run: str) -> None:
    _, expected = sampled(run)
    said, box = index()["sampling"][run], jukebox(run)
    hps = index()[said["priors"][2]]
    found = attended.matrices(
        box,
        songs(run, box.rate),
        [expected[f"codes_{level}"] for level in range(3)],
        hps["alignment_layer"],
        [hps["alignment_head"]],
        Settings(hop_fraction=tuple(said["hop_fraction"]), allow_unknown=True),
    )
    for song, (weights,) in enumerate(found):
        there = expected[f"alignment_{song}"]
        assert weights.shape == there.shape
        np.testing.assert_allclose(weights, there, atol=1e-4)


def test_words_get_times_from_the_head_that_is_asked_for() -> None:
    run = "ancestral_enc_dec"
    _, expected = sampled(run)
    box, asked = jukebox(run), songs(run, 44100)
    codes = [expected[f"codes_{level}"] for level in range(3)]
    hps = index()["prior_lyrics_enc_dec"]
    head = (hps["alignment_layer"], hps["alignment_head"])
    settings = Settings(hop_fraction=(0.5, 0.5, 0.25), allow_unknown=True)
    lyrics = alignment.align(box, asked, codes, head=head, settings=settings)
    for song, lyric in enumerate(lyrics):
        begins = attended.path(expected[f"alignment_{song}"])
        assert lyric.text and lyric.text in asked[song].labels["lyrics"]
        assert lyric.times is not None and lyric.times[0] == np.nanmin(begins) * 128 / 44100
        assert lyric.times[-1] <= 22528 / 44100
    with pytest.raises(ValueError, match="layer 2 does not attend to lyrics"):
        attended.matrices(box, asked, codes, 2, [0], settings)
    with pytest.raises(ValueError, match="head 9 of layer 18: the prior has heads 0 to 3"):
        attended.matrices(box, asked, codes, 18, [9], settings)
    with pytest.raises(ValueError, match="codes of level 2 are not complete"):
        attended.matrices(box, asked, [*codes[:2], codes[2][:, :0]], 18, [1])
    with pytest.raises(ValueError, match="none of the priors reads lyrics"):
        alignment.align(jukebox("ancestral_labels"), asked, codes)
