"""A code is drawn as its definition says, and its noise depends on its place alone."""

import collections
import functools
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Conditioning, LyricsPrefix
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import generate

LAYOUT = ((("column", "previous"), 1),)
FIELDS: dict = dict(context=48, block=8, bins=31, width=16, layout=LAYOUT, tied=False)


def sampled_set(logits: np.ndarray, k: int, p: float) -> set[int]:
    """What may be drawn, by sorting: the definition that `keep` computes in another way."""
    order = np.argsort(-logits, kind="stable")
    if k == 1:
        order = order[:1]
    elif k:
        order = [index for index in order if logits[index] >= logits[order[min(k, len(order)) - 1]]]
    if p:
        weights = np.exp(logits[order].astype(np.float64) - logits.max())
        before = np.cumsum(weights / weights.sum()) - weights / weights.sum()
        order = [index for index, mass in zip(order, before, strict=True) if mass <= p + 1e-12]
    return {int(index) for index in order}


keep = jax.jit(generate.keep)
logits_of = jax.jit(prior.logits, static_argnums=0)


@pytest.mark.parametrize("k", [0, 1, 2, 7, 90, 500])
@pytest.mark.parametrize("p", [0.0, 0.05, 0.5, 0.93, 1.0])
def test_keep_is_what_sorting_keeps(k: int, p: float) -> None:
    rng = np.random.default_rng(k)
    logits = rng.normal(size=(5, 97)).astype(np.float32) * np.array([[1], [9], [0.1], [3], [1]])
    logits[4] = np.round(logits[4])  # many equals, and both zeros
    logits = logits.astype(np.float32)
    kept = np.asarray(keep(logits, top_k=k, top_p=p))
    for row, before in zip(kept, logits, strict=True):
        left = {int(index) for index in np.flatnonzero(np.isfinite(row))}
        assert left == sampled_set(before, k, p if p < 1 else 0.0)
        assert np.array_equal(row[sorted(left)], before[sorted(left)])


def test_settings_may_differ_from_song_to_song() -> None:
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(4, 40)), jnp.float32)
    k, p, temperature = jnp.array([0, 3, 1, 0]), jnp.array([0, 0.6, 0, 0.3]), jnp.arange(1.0, 5.0)
    together = generate.keep(logits, temperature=temperature, top_k=k, top_p=p)
    for song in range(4):
        alone = keep(
            logits[song : song + 1],
            temperature=temperature[song],
            top_k=int(k[song]),
            top_p=float(p[song]) or None,
        )
        assert np.array_equal(together[song], alone[0])


def test_the_first_of_equals_is_the_most_probable() -> None:
    logits = jnp.array([[0.0, 2.0, 2.0, -1.0], [-0.0, 0.0, -5.0, -5.0]])
    kept = keep(logits, top_k=1)
    for uniform in (0.0, 0.5, 0.9999999):
        assert generate.draw(kept, jnp.full(2, uniform)).tolist() == [1, 0]
    assert np.isfinite(keep(logits, top_k=2)).sum(axis=1).tolist() == [2, 2]


def test_draws_follow_the_distribution() -> None:
    weights = np.array([0.0, 0.1, 0.25, 0.0, 0.4, 0.05, 0.2, 0.0])
    bins = 150  # more than two rows of a cumulative sum, the last one not full
    places = np.linspace(3, bins - 2, len(weights)).astype(int)
    logits = np.full((1, bins), -np.inf, np.float32)
    logits[0, places] = np.log(weights, where=weights > 0, out=np.full(8, -np.inf))
    count = 4000
    uniform = (np.arange(count) + 0.5) / count
    drawn = generate.draw(jnp.tile(jnp.asarray(logits), (count, 1)), jnp.asarray(uniform))
    counts = collections.Counter(np.asarray(drawn).tolist())
    expected = {int(place): int(w * count) for place, w in zip(places, weights, strict=True) if w}
    assert set(counts) == set(expected)
    assert all(abs(counts[place] - expected[place]) <= 1 for place in expected)


def test_the_ends_of_the_noise_draw_what_may_be_drawn() -> None:
    logits = np.full((2, 200), -np.inf, np.float32)
    logits[0, [70, 130]], logits[1, 199] = [0.0, -30.0], 5.0
    lowest = generate.draw(jnp.asarray(logits), jnp.zeros(2))
    highest = generate.draw(jnp.asarray(logits), jnp.full(2, 1 - 2**-24))
    assert lowest.tolist() == [70, 199]
    assert highest[1] == 199 and highest[0] in (70, 130)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_of_no_numbers_no_code_is_drawn(wrong: float) -> None:
    """However they are filtered, and of the songs beside it one is."""
    logits = jnp.asarray([[wrong] * 7, [0.0, 9, 0, 0, 0, 0, 0]], jnp.float32)
    for settings in ({}, {"top_k": 1}, {"top_k": 3}, {"top_p": 0.5}):
        kept = generate.keep(logits, **settings)
        assert generate.draw(kept, jnp.full(2, 0.5)).tolist() == [7, 1]


def test_noise_belongs_to_a_key_and_a_place() -> None:
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    all_places = np.array([generate.noise(keys, place) for place in range(50)])
    assert len(np.unique(all_places)) == 150
    assert np.array_equal(generate.noise(keys[1:2], 7), all_places[7, 1:2])
    assert 0.35 < all_places.mean() < 0.65


# A window of a small model with random parameters.


@functools.cache
def small(dtype: str = "float32") -> tuple[Prior, Any, Any]:
    model = Prior(**FIELDS, dtype=dtype)
    params = stacked()
    return model, prior.unstack(model, params), prior.condition(model, params, {}, None)


@functools.cache
def stacked() -> Any:
    """Its parameters as they are trained."""
    rng = np.random.default_rng(1)
    shapes = prior.abstract(Prior(**FIELDS))
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 3, shapes)


def seeds(batch: int) -> jax.Array:
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), 2))(jnp.arange(batch))


@functools.cache
def whole(batch: int = 3) -> np.ndarray:
    """A window of the model, drawn in one go."""
    model, params, conditioning = small()
    empty = jnp.zeros((batch, model.context), jnp.int32)
    return np.asarray(
        generate.generate(model, params, empty, 0, model.context, conditioning, seeds(batch))
    )


def test_greedy_codes_are_those_of_the_whole_pass() -> None:
    model, params, conditioning = small()
    given = np.random.default_rng(0).integers(0, model.bins, (3, model.context))
    known = 11
    window = generate.generate(
        model, params, jnp.asarray(given, jnp.int32), known, 48, conditioning, seeds(3), top_k=1
    )
    window = np.asarray(window)
    assert np.array_equal(window[:, :known], given[:, :known])
    best = logits_of(model, stacked(), jnp.asarray(window), conditioning).argmax(-1)
    assert np.array_equal(window[:, known:], np.asarray(best)[:, known:])
    assert len(np.unique(window[:, known:])) >= 5


@pytest.mark.parametrize("known", [1, 8, 30, 47, 48])
def test_a_window_goes_on_as_if_it_had_not_been_left(known: int) -> None:
    model, params, conditioning = small()
    cut = np.where(np.arange(48) < known, whole(), 30)
    again = generate.generate(model, params, jnp.asarray(cut), known, 48, conditioning, seeds(3))
    assert np.array_equal(again, whole())


@pytest.mark.parametrize(("known", "until"), [(0, 1), (0, 17), (5, 5), (20, 45), (48, 48)])
def test_nothing_is_drawn_outside_of_what_is_asked_for(known: int, until: int) -> None:
    model, params, conditioning = small()
    given = np.where(np.arange(48) < known, whole(), 7)
    window = np.asarray(
        generate.generate(model, params, jnp.asarray(given), known, until, conditioning, seeds(3))
    )
    assert np.array_equal(window[:, :until], whole()[:, :until])
    assert (window[:, until:] == 7).all()


@pytest.mark.parametrize("chunk", [1, 5, 16, 23])
def test_chunks_change_nothing(chunk: int) -> None:
    model, params, conditioning = small()
    state = generate.begin(model, params, jnp.asarray(whole()), 3, conditioning)
    for until in range(3 + chunk, 48 + chunk, chunk):
        state = generate.advance(
            model, params, state, min(until, 48), conditioning, seeds(3), start=0
        )
    assert np.array_equal(state.window, whole()) and int(state.position) == 48


@pytest.mark.parametrize("known", [0, 5, 8, 17, 30])
def test_no_more_is_read_than_is_known(known: int) -> None:
    model, params, conditioning = small()
    cut = np.where(np.arange(48) < known, whole(), 30)
    read = generate.reading(model, known)
    assert known <= read <= known + 8 and read % 8 == 0
    state = generate.begin(model, params, jnp.asarray(cut), known, conditioning, read=read)
    state = generate.advance(model, params, state, 48, conditioning, seeds(3))
    assert np.array_equal(state.window, whole())


def test_readings_are_few_and_whole_rows() -> None:
    published = Prior(context=8192, block=64)
    found = [generate.reading(published, known) for known in (0, 1, 1024, 1025, 4096, 7168, 8192)]
    assert found == [1024, 1024, 1024, 2048, 4096, 7168, 8192]
    tokens = LyricsPrefix(tokens=384, size=79)
    single = Prior(context=6144, block=102, signals=(("lyrics", tokens),))
    found = [generate.reading(single, known) for known in (0, 432, 433, 3072, 6144)]
    assert found == [432, 432, 1248, 3696, 6144]
    assert {(384 + read) % 102 for read in found} == {0}


def test_neighbours_change_nothing() -> None:
    model, params, conditioning = small()
    for song in range(3):
        empty = jnp.zeros((1, 48), jnp.int32)
        alone = generate.generate(
            model, params, empty, 0, 48, conditioning, seeds(3)[song : song + 1]
        )
        assert np.array_equal(alone[0], whole()[song])
    assert not np.array_equal(whole()[0], whole()[1])


def test_the_noise_of_a_window_is_that_of_its_place() -> None:
    model, params, conditioning = small()
    empty = jnp.zeros((1, 48), jnp.int32)
    fill = functools.partial(generate.generate, model, params, empty, 0, 48, conditioning)
    assert not np.array_equal(fill(seeds(1), start=0), fill(seeds(1), start=1))
    uniform = [float(generate.noise(seeds(1), 100 + place)[0]) for place in range(2)]
    window = np.asarray(fill(seeds(1), start=100))
    logits = logits_of(model, stacked(), jnp.asarray(window), conditioning)
    for place in range(2):
        drawn = generate.draw(logits[:, place], jnp.asarray(uniform[place : place + 1]))
        assert drawn[0] == window[0, place]


# What steers it.


def test_settings_may_differ_from_place_to_place() -> None:
    """The most probable code at every other place of two songs; of the third, none."""
    model, params, conditioning = small()
    empty = jnp.zeros((3, 48), jnp.int32)
    alternate = jnp.where((jnp.arange(48) % 2 == 0) & (jnp.arange(3) < 2)[:, None], 1, 0)
    window = np.asarray(
        generate.generate(
            model,
            params,
            empty,
            0,
            48,
            conditioning,
            seeds(3),
            temperature=jnp.ones((3, 48)),
            top_k=alternate,
        )
    )
    assert np.array_equal(window[2], whole()[2]) and not np.array_equal(window[0], whole()[0])
    best = np.asarray(logits_of(model, stacked(), jnp.asarray(window), conditioning).argmax(-1))
    assert np.array_equal(window[:2, ::2], best[:2, ::2])
    assert not np.array_equal(window[:2, 1::2], best[:2, 1::2])


def test_rows_of_a_batch_may_stand_at_different_places() -> None:
    model, params, conditioning = small()
    fill = functools.partial(
        generate.generate, model, params, jnp.zeros((3, 48), jnp.int32), 0, 48, conditioning
    )
    together = fill(seeds(3), start=jnp.array([0, 7, 100]))
    assert np.array_equal(together[0], whole()[0])
    assert np.array_equal(together[2], fill(seeds(3), start=100)[2])


def test_guidance_goes_beyond_the_conditional_logits() -> None:
    model, params, _ = small()
    towards, away = np.random.default_rng(4).normal(size=(2, 3, 1, 16)).astype(np.float32)
    given = Conditioning(start=jnp.asarray(towards))
    both = Conditioning(start=jnp.concatenate([towards, away]))
    empty, strength = jnp.zeros((3, 48), jnp.int32), jnp.array([1.0, 2.5, 0.0])

    def fill(conditioning: Conditioning, **more: Any) -> np.ndarray:
        return np.asarray(
            generate.generate(model, params, empty, 0, 48, conditioning, seeds(3), top_k=1, **more)
        )

    window = fill(both, guidance=strength)
    assert window.shape == (3, 48) and np.array_equal(window[0], fill(given)[0])
    seen = jnp.asarray(window)
    ends = [
        np.asarray(logits_of(model, stacked(), seen, Conditioning(start=jnp.asarray(start))))
        for start in (towards, away)
    ]
    mixed = ends[1] + np.asarray(strength)[:, None, None] * (ends[0] - ends[1])
    assert np.array_equal(window, mixed.argmax(-1))
    assert not np.array_equal(window[1], ends[0][1].argmax(-1))


def test_forced_codes_are_taken_and_the_rest_is_drawn_around_them() -> None:
    model, params, conditioning = small()
    forced = np.full((3, 48), -1)
    forced[:, [12, 13, 40]] = whole()[:, [12, 13, 40]]  # what would be drawn anyway
    forced[1, 20:24] = 3
    fill = functools.partial(
        generate.generate, model, params, jnp.zeros((3, 48), jnp.int32), 0, 48, conditioning
    )
    window = np.asarray(fill(seeds(3), forced=jnp.asarray(forced)))
    assert np.array_equal(window[[0, 2]], whole()[[0, 2]])
    assert np.array_equal(window[1, :20], whole()[1, :20]) and (window[1, 20:24] == 3).all()
    assert window[1, 40] == whole()[1, 40]
    assert not np.array_equal(window[1, 24:40], whole()[1, 24:40])


def above_the_last(logits: jax.Array, level: int, position: jax.Array, codes: jax.Array) -> Any:
    """Forbids all but codes of the place's parity, and those up to the last one but for a few."""
    places = jnp.arange(logits.shape[-1])
    fits = (places % 2 == position[:, None] % 2) & (places >= jnp.minimum(codes[:, -1:], level))
    return jnp.where(fits, logits, -jnp.inf)


def test_what_a_hook_forbids_is_never_drawn() -> None:
    model, params, conditioning = small()
    start = jnp.array([0, 7, 100])
    window = np.asarray(
        generate.generate(
            model,
            params,
            jnp.asarray(whole()),
            5,
            48,
            conditioning,
            seeds(3),
            start=start,
            hook=above_the_last,
            level=12,
        )
    )
    places = np.asarray(start)[:, None] + np.arange(48)
    assert np.array_equal(window[:, :5], whole()[:, :5])
    assert (window[:, 5:] % 2 == places[:, 5:] % 2).all()
    assert (window[:, 5:] >= np.minimum(window[:, 4:-1], 12)).all()
    assert len(np.unique(window[:, 5:])) > 5


def test_a_hook_sees_the_codes_before_and_no_surplus(
    flat: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, params, conditioning = small()

    def step(model: Any, _: Any, code: Any, *rest: Any) -> Any:
        return jnp.zeros((code.shape[0], model.bins + 10)), ()  # of which ten are no codes

    monkeypatch.setattr(prior, "step", step)

    def count(logits: Any, level: int, position: Any, codes: Any) -> Any:
        assert logits.shape == (2, flat.bins) and codes.shape == (2, 48)
        known = (codes >= 0).sum(axis=1)  # as many as there are before, the latest last
        following = jnp.where(known > 0, codes[:, -1] + known, 1) % flat.bins
        return jnp.where(jnp.arange(flat.bins) == following[:, None], 0, -jnp.inf)

    window = generate.generate(
        flat, params, jnp.zeros((2, 48), jnp.int32), 0, 48, conditioning, seeds(2), hook=count
    )
    expected = [1]
    for known in range(1, 48):
        expected.append((expected[-1] + known) % flat.bins)
    assert window.tolist() == [expected] * 2


def test_one_compilation_for_all_windows() -> None:
    model, params, conditioning = small()
    whole()
    sizes = generate.begin._cache_size(), generate.advance._cache_size()
    for known, until, start in ((0, 48, 0), (24, 48, 24), (7, 9, 1000)):
        generate.generate(
            model,
            params,
            jnp.asarray(whole()),
            known,
            until,
            conditioning,
            seeds(3),
            start=start,
            temperature=0.5 + known,
        )
    assert (generate.begin._cache_size(), generate.advance._cache_size()) == sizes


def test_the_state_is_used_up() -> None:
    model, params, conditioning = small()
    state = generate.begin(model, params, jnp.asarray(whole()), 3, conditioning)
    generate.advance(model, params, state, 5, conditioning, seeds(3))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.cache))


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> Prior:
    """A prior to which all codes are alike, quickly compiled."""

    def step(model: Any, _: Any, code: Any, *rest: Any) -> Any:
        return jnp.zeros((code.shape[0], model.bins)), ()

    monkeypatch.setattr(prior, "step", step)
    monkeypatch.setattr(prior, "prefill", lambda *_: ())
    return small()[0].clone(label_dropout=0.25)  # not yet traced


def test_no_cache_is_copied_to_be_written() -> None:
    model, params, conditioning = small()
    state = generate.begin(model, params, jnp.asarray(whole()), 3, conditioning)
    lowered = generate.advance.lower(model, params, state, 9, conditioning, seeds(3), start=0)
    text = lowered.compile().as_text()
    for kv in state.cache:
        shape = ",".join(map(str, kv.key.shape))
        assert f"f32[{shape}]" in text
        assert not re.findall(rf"f32\[{shape}\]\S* copy\(", text), shape


def test_generate_can_be_compiled_into_something_larger(flat: Prior) -> None:
    _, params, conditioning = small()

    @jax.jit
    def used(keys: jax.Array, top_k: jax.Array) -> jax.Array:
        window = jnp.zeros((3, 48), jnp.int32)
        drawn = generate.generate(
            flat, params, window, 0, 48, conditioning, keys, top_k=top_k, top_p=None
        )
        return jnp.bincount(drawn.reshape(-1), length=flat.bins) > 0

    assert used(seeds(3), jnp.array(1)).sum() == 1
    assert used(seeds(3), jnp.array(0)).sum() > 25


def test_half_precision_draws_codes_too() -> None:
    model, params, conditioning = small("bfloat16")
    empty = jnp.zeros((3, 48), jnp.int32)
    window = generate.generate(model, params, empty, 0, 48, conditioning, seeds(3), top_p=0.9)
    assert window.dtype == jnp.int32 and 0 <= int(window.min()) and int(window.max()) < 31


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(temperature=0.0), "temperature=0.0: give a number above 0"),
        (dict(temperature=math.nan), "temperature=nan"),
        (dict(top_k=-1), "top_k=-1"),
        (dict(top_k=2.5), "top_k=2.5"),
        (dict(top_p=1.5), "top_p=1.5"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict, message: str) -> None:
    model, params, conditioning = small()
    with pytest.raises(ValueError, match=message):
        generate.generate(
            model, params, jnp.asarray(whole()), 0, 1, conditioning, seeds(3), **settings
        )


def test_a_larger_vocabulary_puts_its_surplus_below_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models whose lyrics and codes share one vocabulary may draw either."""
    model, params, conditioning = small()
    wanted = jnp.array([3, 12, 9, 30])  # of a vocabulary whose first ten are no codes

    def step(model: Any, params: Any, code: Any, conditioning: Any, cache: Any, place: Any) -> Any:
        return jnp.where(jnp.arange(41) == wanted[place], 1.0, 0.0)[None].repeat(2, 0), cache

    monkeypatch.setattr(prior, "step", step)
    monkeypatch.setattr(prior, "prefill", lambda *_: ())
    other = model.clone(label_dropout=0.5)  # not yet traced
    window = generate.generate(
        other, params, jnp.zeros((2, 48), jnp.int32), 0, 4, conditioning, seeds(2), top_k=1
    )
    assert window[:, :4].tolist() == [[-7, 2, -1, 20]] * 2
