"""Whoever asks for a song is told what of the request nothing reads."""

import dataclasses
import logging

import counting
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior.conditioning import Timing
from jukebox_jax.sampling import compose, remarks
from jukebox_jax.sampling import plan as plans


def remarks_on(box: Jukebox, *labels: dict) -> list[str]:
    songs = tuple(Song("", 0, one) for one in labels)
    return list(remarks.of(box, songs, plans.plan(box, songs, 0.5)))


def test_labels_that_no_prior_reads_are_named_once() -> None:
    plain = {"artist": "ada", "seed": 3, "temperature": 0.9, "levels": {"1": {"top_k": 3}}}
    assert remarks_on(counting.noisy(), plain) == []
    first = {**plain, "artits": "x", "levels": {"1": {"mood": "dark"}}}
    (said,) = remarks_on(counting.noisy(), first, {**plain, "artits": "y"})
    assert said == "labels that no prior reads: artits (did you mean artist?), mood"


def test_characters_that_the_model_does_not_know_are_told_of() -> None:
    said = remarks_on(singing.jukebox(), {"lyrics": "la Le là"}, {"lyrics": "la le"})
    assert said == [
        "level 0, song 0, lyrics: 1 characters are outside the alphabet: 'à' (1)",
    ]


def test_a_length_that_the_model_does_not_know_is_told_of() -> None:
    timing = Timing(bins=4, minimum_seconds=8.0, maximum_seconds=120.0, rate=counting.RATE)
    stage = counting.stage(2, "before")
    model = counting.model(2, "before", (("timing", timing),))
    box = Jukebox(counting.sound(), (None, None, dataclasses.replace(stage, model=model)))
    said = remarks_on(box, {"total_seconds": 600.0}, {"total_seconds": 60.0}, {})
    assert said == [
        "level 2, song 0, timing: total_seconds = 600 is taken for 120; it knows 8 to 120"
    ]


def test_it_is_logged_before_the_first_code(caplog: pytest.LogCaptureFixture) -> None:
    song = Song("", 0, {"artist": "ada", "gener": "blues"})
    compose.sample(counting.noisy(), (song,), 0.2, levels=(2,), progress=False)
    first = caplog.records[0]
    assert first.levelno == logging.WARNING and "gener" in first.getMessage()
