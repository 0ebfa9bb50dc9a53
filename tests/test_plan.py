"""Everything that can stand against a recording is said in one line, before its first code."""

import dataclasses
import logging
import math
from typing import Any

import counting
import numpy as np
import pytest
from counting import BINS, RATE, Above

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.settings import Settings

TOP = counting.HOPS[-1] / RATE
ONE = (Song("", 0, {}),)


def refused(message: str, *arguments: Any, box: Jukebox | None = None, **more: Any) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        plans.plan(box or counting.jukebox(), *arguments, **more)
    assert "\n" not in str(caught.value)


def with_model(level: int, **fields: Any) -> Jukebox:
    """A jukebox of which one prior is changed."""
    whole = counting.jukebox()
    priors = list(whole.priors)
    stage = priors[level]
    assert stage is not None
    priors[level] = dataclasses.replace(stage, model=stage.model.clone(**fields))
    return Jukebox(whole.vqvae, tuple(priors))


def test_a_plan_says_what_is_done() -> None:
    song = Song("", 0, {"total_seconds": 30.0, "start_seconds": 2.0, "seed": 9})
    made = plans.plan(counting.jukebox(), (song, *ONE), 41.5 * TOP, settings=Settings(seed=3))
    assert made.samples == 41 * 8
    assert [(step.level, step.total, step.hop, step.factor) for step in made.levels] == [
        (2, 41, 4, 0),
        (1, 82, 8, 2),
        (0, 164, 8, 2),
    ]
    assert made.starts == (160, 0) and made.totals == (2400, 328) and made.seeds == (9, 4)


def test_the_length_of_a_song_is_that_of_its_file_or_else_its_own() -> None:
    made = plans.plan(counting.jukebox(), (Song("", 44100 * 7), Song("", 0)), 4.0)
    assert made.totals == (7 * RATE, 4 * RATE)


@pytest.mark.parametrize("samples", [8, 2816 * 8, 22528, 1_000_000 * 8])
def test_seconds_of_whole_samples_are_not_rounded_away(samples: int) -> None:
    made = plans.plan(counting.jukebox(), ONE, samples / RATE)
    assert made.samples == samples


def test_a_short_recording_is_said_to_be_cut(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = plans.plan(counting.jukebox(), ONE, 3 * TOP)
    assert made.samples == 24 and [step.total for step in made.levels] == [8, 16, 32]
    assert "0.30 s is shorter than a window" in caplog.text and "0.80 s are sampled" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "seconds is missing"),
        (0.0, "seconds=0.0: give a number above 0"),
        (-3, "seconds=-3"),
        (math.nan, "seconds=nan"),
        (math.inf, "seconds=inf"),
        (7 / RATE, "7 samples is shorter than one code of the top level, 8 samples: give 0.1000"),
    ],
)
def test_lengths_that_cannot_be(seconds: Any, message: str) -> None:
    refused(message, ONE, seconds)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"start_seconds": 9.0, "total_seconds": 8.0}, "song 0 is to begin at 9.00 s, but is 8.00"),
        ({"start_seconds": -1.0}, "start_seconds=-1.0 of song 0: give a number of seconds"),
        ({"total_seconds": "long"}, "total_seconds='long' of song 0"),
        ({"total_seconds": math.nan}, "total_seconds=nan"),
        ({"seed": -1}, "seed=-1 of song 0"),
        ({"seed": 1 << 32}, "seed=4294967296 of song 0"),
        ({"seed": "one"}, "seed='one' of song 0"),
    ],
)
def test_labels_that_cannot_be(labels: dict, message: str) -> None:
    refused(message, (Song("", 0, labels),), 4.0)


def test_no_songs() -> None:
    refused("no songs to sample", (), 4.0)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([None], "codes of 1 levels are given, the VQ-VAE has 3"),
        ([None, None, np.zeros(4, int)], r"codes of level 2 are int64\[4\]"),
        ([None, None, np.zeros((1, 4))], "codes of level 2 are float64"),
        ([None, None, np.zeros((3, 4), int)], "are those of 3 songs, but 2 are asked for"),
        ([None, None, np.full((2, 4), BINS)], f"hold {BINS}, but the VQ-VAE has {BINS} codes"),
        ([None, None, np.full((2, 4), -2)], "hold -2, but"),
        ([None, None, np.array([[1, -1, 1], [1, 1, 1]])], "codes of level 2 have a gap"),
    ],
)
def test_codes_that_cannot_be(codes: Any, message: str) -> None:
    refused(message, ONE * 2, 4.0, codes=codes)


def test_forced_codes_may_have_gaps_where_their_level_is_sampled() -> None:
    codes = np.array([[1, -1, 1, -1]])
    made = plans.plan(counting.jukebox(), ONE * 2, 4.0, forced=[None, None, codes])
    assert made.forced[2].tolist() == codes.tolist() * 2 and made.forced[0].shape == (2, 0)
    refused(
        "codes of level 0 are forced, but it is not to be sampled",
        ONE,
        4.0,
        forced=[codes, None, None],
        levels=(2,),
    )
    refused(f"level 2 hold {BINS}, but", ONE, 4.0, forced=[None, None, codes * BINS])


def test_a_song_that_cannot_be_steered() -> None:
    labels = {"levels": {3: {"temperature": 1.0}}}
    refused("song 0 has labels for level 3: the VQ-VAE has", (Song("", 0, labels),), 4.0)
    refused("temperature=0 at level 2 of song 1", (*ONE, Song("", 0, {"temperature": 0})), 4.0)
    refused("guidance at level 2: its prior was trained", ONE, 4.0, settings=Settings(guidance=2))


def test_one_row_of_codes_serves_all_songs() -> None:
    made = plans.plan(counting.jukebox(), ONE * 3, codes=[None, None, np.ones((1, 40), int)])
    assert made.given[2].shape == (3, 40) and [step.level for step in made.levels] == [1, 0]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((3,), "levels=.3,.: the VQ-VAE has levels 0 to 2"),
        ((0,), "level 0 reads 20 codes of level 1 .*, but only 0 are given: sample level 1 too"),
        ((2, 0), "level 0 reads 20 codes of level 1"),
    ],
)
def test_levels_that_cannot_be(levels: tuple[int, ...], message: str) -> None:
    refused(message, ONE, 10 * TOP, levels=levels)


def test_missing_priors() -> None:
    whole = counting.jukebox()
    headless = Jukebox(whole.vqvae, (*whole.priors[:2], None))
    refused("level 2 comes first, but its prior is missing", ONE, 4.0, box=headless)
    refused("level 2 is to be sampled, but its prior", ONE, 4.0, box=headless, levels=(2,))
    short = [None, None, np.ones((1, 5), int)]
    refused("level 1 reads 8 codes of level 2 .0.80 s., but only 5", ONE, codes=short, box=headless)
    full = [None, None, np.ones((1, 8), int)]
    assert [step.level for step in plans.plan(headless, ONE, codes=full).levels] == [1, 0]


def test_nothing_is_sampled_where_all_is_given() -> None:
    whole = counting.jukebox()
    codes = [np.ones((1, 20 * 8 // hop), int) for hop in counting.HOPS]
    assert plans.plan(whole, ONE, codes=codes).levels == ()
    assert plans.plan(Jukebox(whole.vqvae, ()), ONE, codes=codes).levels == ()


def test_priors_that_do_not_fit_the_vqvae() -> None:
    above = (("above", Above(BINS, width=4, depth=1, downs=1, stride=4)),)
    refused(
        "reads one code above for 4 of its own, but the VQ-VAE has one for 2",
        ONE,
        4.0,
        box=with_model(1, signals=above),
    )
    refused(
        "level 2 reads codes of a level above, but this is the top",
        ONE,
        4.0,
        box=with_model(2, signals=above),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            dict(hop_fraction=(0.5, 0.5)),
            "hop_fraction=.0.5, 0.5.: give one number, or one for each",
        ),
        (dict(hop_fraction=(0.5, 0.45, 0.5)), "steps by 7 codes.*one for 2.: give 0.375"),
        (dict(hop_fraction=0.01), "hop_fraction=0.01 at level 2: .*from one code .0.031. to 1"),
        (dict(hop_fraction=1.5), "hop_fraction=1.5 at level 2"),
        (dict(temperature=0.0), "temperature=0.0 at level 2: .*or top_k=1"),
        (dict(temperature=(1.0, -1.0, 1.0)), "temperature=-1.0 at level 1"),
        (dict(top_k=-1), "top_k=-1 at level 2"),
        (dict(top_k=(0, 0, 1.5)), "top_k=1.5 at level 2"),
        (dict(top_p=1.1), "top_p=1.1 at level 2"),
        (dict(temperature="hot"), "temperature=.* give one number"),
    ],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    refused(message, ONE, 4.0, settings=Settings(**settings))


@pytest.mark.parametrize("settings", [dict(batch=0), dict(chunk=0), dict(chunk=1.5)])
def test_nothing_at_a_time_is_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="give a whole number, 1 or more"):
        Settings(**settings)
