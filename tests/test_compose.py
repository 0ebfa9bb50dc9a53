"""Whatever is asked for, every level counts on from the last code without a seam."""

import dataclasses
import functools
from typing import Any

import counting
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from counting import BINS, RATE

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior.conditioning import LabelError
from jukebox_jax.sampling import compose, generate
from jukebox_jax.sampling import plan as plans
from jukebox_jax.sampling.compose import Settings
from jukebox_jax.vqvae import vqvae

HOPS = counting.HOPS
TOP = HOPS[-1] / RATE  # seconds of a code of the top level
ONE = (Song("", 0, {}),)
ADA = {"artist": "ada"}


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeats codes as sound, where sound is not what is tested: no decoder is compiled."""
    if "sound" not in request.node.name:

        def repeated(model: Any, weights: Any, codes: np.ndarray, level: int) -> np.ndarray:
            return np.repeat(codes, HOPS[level], axis=1)[..., None].astype(np.float32)

        monkeypatch.setattr(vqvae, "decode_long", repeated)


def count(length: int, first: int = 0) -> list[int]:
    return [(first + place) % BINS for place in range(length)]


def settings(**more: Any) -> Settings:
    return Settings(top_k=1, **more)


@pytest.mark.parametrize("by", ["before", "above", "place"])
@pytest.mark.parametrize("hop_fraction", [None, (0.25, 0.5, 0.75)])
@pytest.mark.parametrize("top", [1, 11, 32, 33, 60])
def test_every_level_counts(by: str, hop_fraction: Any, top: int) -> None:
    recording = compose.sample(
        counting.jukebox(by), ONE, top * TOP, settings=settings(hop_fraction=hop_fraction)
    )
    for codes, audio, hop in zip(recording.codes, recording.audio, HOPS, strict=True):
        assert codes.dtype == np.int32 and codes.tolist() == [count(top * 8 // hop)]
        assert audio.dtype == np.float32 and audio.shape == (1, top * 8, 1)


def test_sound_is_that_of_the_codes() -> None:
    box = counting.jukebox()
    recording = compose.sample(box, ONE * 3, 20 * TOP, settings=settings(batch=2))
    stage = box.vqvae
    for level, (codes, audio) in enumerate(zip(recording.codes, recording.audio, strict=True)):
        np.testing.assert_allclose(
            audio, vqvae.decode(stage.model, stage.weights, codes, level), rtol=1e-5, atol=1e-5
        )
        assert audio.std() > 0


def test_a_length_is_cut_to_whole_codes_of_the_top() -> None:
    recording = compose.sample(counting.jukebox(), ONE, 20.9 * TOP, settings=settings())
    assert [codes.shape[1] for codes in recording.codes] == [80, 40, 20]


@pytest.mark.parametrize("start", [0.0, 0.1, 2.3])
def test_a_recording_stands_where_the_song_says(start: float) -> None:
    song = Song("", 0, {"start_seconds": start, "total_seconds": 100.0})
    recording = compose.sample(counting.jukebox("place"), (song,), 50 * TOP, settings=settings())
    for codes, hop in zip(recording.codes, HOPS, strict=True):
        assert codes.tolist() == [count(400 // hop, round(start * RATE) // hop)]


@pytest.mark.parametrize("given", [1, 8, 31, 32, 45])
def test_given_codes_are_gone_on_from(given: int) -> None:
    """Primed and continued sampling: codes at every level, which count from elsewhere."""
    first = 5
    codes = [np.array([count(given * 8 // hop, first * 8 // hop)]) for hop in HOPS]
    recording = compose.sample(counting.jukebox(), ONE, 45 * TOP, codes=codes, settings=settings())
    for found, hop in zip(recording.codes, HOPS, strict=True):
        assert found.tolist() == [count(360 // hop, first * 8 // hop)]


@pytest.mark.parametrize("from_level", [2, 1])
def test_given_codes_are_upsampled(from_level: int) -> None:
    codes: list[Any] = [None, None, None]
    hop = HOPS[from_level]
    codes[from_level] = np.array([count(400 // hop, 3), count(400 // hop, 7)])
    levels: list[int] = []
    recording = compose.sample(
        counting.jukebox(),
        ONE * 2,
        codes=codes,
        settings=settings(),
        on_level=lambda level, *_: levels.append(level),
    )
    assert levels == list(range(from_level, -1, -1))
    for level in range(from_level + 1):
        factor = hop // HOPS[level]
        expected = [count(400 // HOPS[level], first * factor) for first in (3, 7)]
        assert recording.codes[level].tolist() == expected
    for level in range(from_level + 1, 3):
        assert recording.codes[level].shape == (2, 0) and recording.audio[level].shape == (2, 0, 1)


def test_songs_of_different_pasts_go_on_from_their_own() -> None:
    top = np.full((3, 40), plans.UNKNOWN)
    top[0, :40], top[1, :9], top[2, :1] = count(40, 1), count(9, 2), count(1, 3)
    recording = compose.sample(
        counting.jukebox(), ONE * 3, 40 * TOP, codes=[None, None, top], settings=settings()
    )
    assert recording.codes[2].tolist() == [count(40, first) for first in (1, 2, 3)]
    assert recording.codes[0].tolist() == [count(160, first * 4) for first in (1, 2, 3)]


def test_what_lies_beyond_the_recording_is_left_out() -> None:
    codes = [None, None, np.array([count(60)])]
    recording = compose.sample(counting.jukebox(), ONE, 35 * TOP, codes=codes, settings=settings())
    assert [array.shape[1] for array in recording.codes] == [140, 70, 35]


def test_only_the_levels_that_are_asked_for() -> None:
    box = counting.jukebox()
    first = compose.sample(box, ONE, 40 * TOP, levels=(2,), settings=settings())
    assert [array.shape[1] for array in first.codes] == [0, 0, 40]
    then = compose.sample(box, ONE, codes=first.codes, levels=(1,), settings=settings())
    assert [array.shape[1] for array in then.codes] == [0, 80, 40]
    last = compose.sample(box, ONE, codes=then.codes, settings=settings())
    assert last.codes[0].tolist() == [count(160)]


def test_sampling_stops_above_a_missing_prior() -> None:
    whole = counting.jukebox()
    box = Jukebox(whole.vqvae, (None, *whole.priors[1:]))
    recording = compose.sample(box, ONE, 40 * TOP, settings=settings())
    assert [array.shape[1] for array in recording.codes] == [0, 80, 40]
    assert [array.shape[1] for array in recording.audio] == [0, 320, 320]


def test_a_prompt_is_encoded_whole_and_then_cut() -> None:
    box = counting.jukebox()
    audio = np.asarray(jax.random.normal(jax.random.key(3), (2, 250, 1)))
    codes = compose.prime(box, audio, 1.55)
    whole = vqvae.encode(box.vqvae.model, box.vqvae.weights, audio[:, :248])
    for level, hop in enumerate(HOPS):
        assert np.array_equal(codes[level], np.asarray(whole[level])[:, : 120 // hop])
    assert compose.prime(box, audio)[2].shape == (2, 31)
    recording = compose.sample(box, ONE * 2, 40 * TOP, codes=codes, settings=settings())
    for level, hop in enumerate(HOPS):
        assert np.array_equal(recording.codes[level][:, : 120 // hop], codes[level])
    first = codes[2][:, -1]
    assert recording.codes[2][:, 15:].tolist() == [count(25, int(last) + 1) for last in first]


@pytest.mark.parametrize(("seconds", "message"), [(4.0, "prompt of 3.125 s"), (0.01, "or more")])
def test_a_prompt_that_is_too_short_is_refused(seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose.prime(counting.jukebox(), np.zeros((1, 250, 1), np.float32), seconds)


# The same codes, however they come about.


def songs(number: int, **more: Any) -> tuple[Song, ...]:
    return tuple(Song("", 0, {**ADA, "seed": 10 + index, **more}) for index in range(number))


@functools.cache
def noise() -> tuple[np.ndarray, ...]:
    return compose.sample(counting.noisy(), songs(3), 40 * TOP).codes


def test_songs_differ_and_repeat() -> None:
    assert all(len(np.unique(codes)) > 4 for codes in noise())
    assert all(not np.array_equal(codes[0], codes[1]) for codes in noise())
    again = compose.sample(counting.noisy(), songs(3), 40 * TOP).codes
    assert all(map(np.array_equal, again, noise()))
    other = compose.sample(counting.noisy(), songs(3, artist="the copper foxes"), 40 * TOP).codes
    assert not np.array_equal(other[2], noise()[2])


@pytest.mark.parametrize(("batch", "chunk"), [(1, 256), (2, 7), (3, 1)])
def test_batch_and_chunk_change_nothing(batch: int, chunk: int) -> None:
    found = compose.sample(
        counting.noisy(), songs(3), 40 * TOP, settings=Settings(batch=batch, chunk=chunk)
    ).codes
    assert all(map(np.array_equal, found, noise()))


def test_neighbours_and_order_change_nothing() -> None:
    turned = compose.sample(counting.noisy(), songs(3)[::-1], 40 * TOP).codes
    assert all(
        np.array_equal(codes[::-1], before) for codes, before in zip(turned, noise(), strict=True)
    )


def test_a_song_without_a_seed_has_that_of_its_place() -> None:
    named = tuple(Song("", 0, ADA) for _ in range(3))
    found = compose.sample(counting.noisy(), named, 40 * TOP, settings=Settings(seed=10)).codes
    assert all(map(np.array_equal, found, noise()))


@pytest.mark.parametrize("known", [1, 17, 39])
def test_an_interrupted_level_goes_on_as_if_it_had_not_been(known: int) -> None:
    codes = [None, noise()[1][:, : known + 10], noise()[2][:, :known]]
    found = compose.sample(counting.noisy(), songs(3), 40 * TOP, codes=codes).codes
    assert all(map(np.array_equal, found, noise()))


def test_a_short_recording_is_the_beginning_of_one_full_window() -> None:
    """Level 1 has 16 codes of context, which are 8 of the top."""
    short = compose.sample(counting.noisy(), songs(3), 5 * TOP).codes
    whole = compose.sample(counting.noisy(), songs(3), 8 * TOP).codes
    for codes, longer in zip(short, whole, strict=True):
        assert np.array_equal(codes, longer[:, : codes.shape[1]])
    again = compose.sample(counting.noisy(), songs(3), codes=(None, None, short[2])).codes
    assert all(map(np.array_equal, again, short))


# What steers it; `generate` says what each does to a window.


def untitled() -> Jukebox:
    """Of `noisy` the top level alone, said to know songs without labels."""
    (*_, top) = counting.noisy().priors
    assert top is not None
    known = dataclasses.replace(top, model=top.model.clone(label_dropout=0.5))
    return Jukebox(counting.sound(), (None, None, known))


def test_each_song_is_steered_by_itself() -> None:
    """Guided songs and others do not meet in a batch, so that others are as ever."""
    own: tuple[dict, ...] = ({}, {"guidance": 40.0}, {"temperature": [[0, 0.99], [1.6, 0.05]]})
    steered = [
        dataclasses.replace(song, labels={**song.labels, **more})
        for song, more in zip(songs(3), own, strict=True)
    ]
    top = compose.sample(untitled(), steered, 40 * TOP, levels=(2,)).codes[2]
    assert np.array_equal(top[0], noise()[2][0]) and not np.array_equal(top[1], noise()[2][1])
    assert not np.array_equal(top[2], noise()[2][2])


def test_labels_of_single_levels_are_those_of_their_level() -> None:
    other = {"levels": {"1": {"artist": "the copper foxes"}}}
    found = compose.sample(counting.noisy(), songs(3, **other), 40 * TOP).codes
    assert np.array_equal(found[2], noise()[2]) and not np.array_equal(found[1], noise()[1])


def no_sevens(logits: Any, level: int, position: Any, codes: Any) -> Any:
    return logits.at[:, 7].set(-np.inf) if level == 2 else logits


def test_forced_codes_are_kept_and_hooks_obeyed_across_windows() -> None:
    forced = np.full((3, 60), plans.UNKNOWN)
    forced[0, 30:38], forced[1, 3] = 3, 7
    assert (noise()[2] == 7).sum() > 1
    found = compose.sample(
        counting.noisy(),
        songs(3),
        40 * TOP,
        levels=(2,),
        forced=[None, None, forced],
        hook=no_sevens,
    ).codes[2]
    assert (found[0, 30:38] == 3).all() and not (found[0] == 3).all()
    assert [tuple(map(int, place)) for place in np.argwhere(found == 7)] == [(1, 3)]


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_where_nothing_can_be_drawn_it_is_said(wrong: float) -> None:
    """Codes before are told of, no level is called complete, and none goes on with it."""

    def late(logits: Any, level: int, position: Any, codes: Any) -> Any:
        return jnp.where((position == 37)[:, None], wrong, logits)

    told: list[int] = []
    with pytest.raises(ValueError, match="level 2, song 0: code 37 cannot be drawn"):
        compose.sample(
            counting.noisy(),
            songs(1),
            60 * TOP,
            hook=late,
            on_window=lambda level, codes: told.append(int((codes != plans.UNKNOWN).sum())),
            on_level=lambda *_: told.append(-1),
        )
    assert told == [32, 36]


# What it costs, and what can be seen meanwhile.


def test_one_compilation_a_level() -> None:
    """Levels 0 and 1 share a prior here, so it is one less."""

    def compiled() -> tuple[int, ...]:
        return generate.begin._cache_size(), generate.advance._cache_size()

    whole = counting.jukebox()
    priors = [
        dataclasses.replace(stage, model=stage.model.clone(label_dropout=0.5))
        for stage in whole.priors
        if stage is not None
    ]
    box = Jukebox(whole.vqvae, tuple(priors))  # priors that no test has used
    before = compiled()
    compose.sample(box, ONE * 3, 60 * TOP, settings=settings(batch=2, chunk=3))
    after = compiled()
    assert after == (before[0] + 2, before[1] + 2)
    compose.sample(box, ONE * 3, 60 * TOP, settings=settings(batch=2, chunk=50))
    assert compiled() == after
    compose.sample(box, ONE * 3, 45 * TOP, settings=settings(batch=2))
    assert compiled()[1] == after[1]  # as much of a past as here was never read before


def test_one_level_at_a_time_lies_on_the_device() -> None:
    box, seen = counting.noisy(), {}

    def look(level: int, _: Any) -> None:
        shapes = [array.shape for array in jax.live_arrays()]
        seen[level] = [shapes.count((context, BINS)) for context in (16, 32)]

    compose.sample(box, songs(3), 40 * TOP, on_window=look)
    assert seen == {2: [0, 1], 1: [1, 0], 0: [1, 0]}  # tables of positions


def test_codes_can_be_seen_as_they_come() -> None:
    seen: list[tuple[int, int]] = []

    def look(level: int, codes: np.ndarray) -> None:
        known = plans.filled(codes)[0]
        assert codes.tolist() == [count(known) + [plans.UNKNOWN] * (codes.shape[1] - known)]
        seen.append((level, known))

    compose.sample(
        counting.jukebox(), ONE, 64 * TOP, on_window=look, settings=settings(hop_fraction=0.5)
    )
    assert seen[:3] == [(2, 32), (2, 48), (2, 64)]
    assert [known for level, known in seen if level == 1] == [*range(16, 129, 8)]


def test_levels_are_handed_over_as_they_complete() -> None:
    seen: list[int] = []

    def look(level: int, codes: np.ndarray, audio: np.ndarray) -> None:
        assert codes.tolist() == [count(320 // HOPS[level])] and audio.shape == (1, 320, 1)
        seen.append(level)

    compose.sample(counting.jukebox(), ONE, 40 * TOP, on_level=look, settings=settings())
    assert seen == [2, 1, 0]


def test_lyric_tokens_become_code_0_when_their_window_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advance = generate.advance

    def negative(*arguments: Any, **more: Any) -> Any:
        state = advance(*arguments, **more)
        window = np.where(np.asarray(state.window) == 4, -3, state.window)
        return generate.Decoding(window=window, cache=state.cache, position=state.position)

    monkeypatch.setattr(generate, "advance", negative)
    recording = compose.sample(
        counting.jukebox(), ONE, 20 * TOP, levels=(2,), settings=settings(chunk=1000)
    )
    assert recording.codes[2].tolist() == [[0 if code == 4 else code for code in count(20)]]


def test_unknown_labels_are_refused_before_anything_is_drawn() -> None:
    with pytest.raises(LabelError, match="level 2, song 1: .*'eve'.* none of the 2 names"):
        compose.sample(
            counting.noisy(), (Song("", 0, ADA), Song("", 0, {"artist": "eve"})), 40 * TOP
        )
    with pytest.raises(LabelError, match="the song: the song has no label 'artist'"):
        compose.sample(counting.noisy(), ONE, 40 * TOP)
    allowed = Settings(allow_unknown=True)
    assert compose.sample(counting.noisy(), ONE * 3, 9 * TOP, settings=allowed).codes[0].size == 108
