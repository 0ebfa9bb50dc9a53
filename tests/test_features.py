"""Features of sound are what a prior's layers make of its codes, whatever its length."""

import functools
from typing import Any

import counting
import jax
import numpy as np
import pytest

from jukebox_jax import features
from jukebox_jax.analysis import features as analysis
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import depth, prior
from jukebox_jax.prior.conditioning import Codes, Label, Vocabulary
from jukebox_jax.vqvae import vqvae

LAYERS = (1, 3)


@functools.cache
def box() -> Jukebox:
    """Four layers at the lowest of three levels, which read an artist and the codes above."""
    signals = (
        ("above", Codes(counting.BINS, width=4, depth=1, downs=1, stride=counting.FACTOR)),
        ("artist", Label(size=3)),
    )
    model = counting.model(0, "before", signals).clone(layout=((("row", "column"), 2),))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=0.3, size=leaf.shape).astype(np.float32),
        prior.abstract(model),
    )
    config = {"stage": {"kind": "prior", "level": 0, "rate": counting.RATE}}
    names = {"artist": Vocabulary(ids={"ada": 1})}
    return Jukebox(counting.sound(), (Stage(model, params, config, names),))


def sound(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.5, size=(1, samples, 1)).astype(np.float32)


@functools.cache
def by_hand() -> Any:
    """What layers make of one window of codes, without pooling."""
    stage = box().priors[0]
    assert stage is not None
    model = depth.cut(stage.model, LAYERS)
    params = depth.restack(stage.model, stage.weights, LAYERS)

    @jax.jit
    def run(codes: Any, above: Any, artist: Any) -> Any:
        conditions = prior.condition(model, params, {"artist": artist}, above)
        return depth.activations(model, params, codes, conditions, LAYERS)

    return run


def codes_of(audio: np.ndarray) -> tuple[np.ndarray, ...]:
    return vqvae.encode_long(box().vqvae.model, box().vqvae.weights, audio)


def test_a_long_sound_in_windows() -> None:
    """80 codes in windows of 16, of which the first half is the past of the second."""
    audio = sound(160)
    found = features(box(), audio, layers=LAYERS, pool=None, overlap=0.5, batch=4)
    codes, above, _ = codes_of(audio)
    for start in range(0, 80 - 8, 8):
        here = slice(start, start + 16), slice(start // 2, start // 2 + 8)
        made = by_hand()(codes[:, here[0]], above[:, here[1]], np.zeros((1, 1), np.int32))
        first = start + 8 if start else 0
        for layer, one in zip(LAYERS, made, strict=True):
            wanted = one[:, first - start :]
            np.testing.assert_allclose(found[layer][:, first : start + 16], wanted, atol=1e-4)
    assert found[1].shape == (1, 80, counting.BINS)


def test_pooling_is_a_mean_over_codes() -> None:
    """50 codes: the last window ends where they do; stretches of 0.5 s are 20 codes."""
    audio = sound(104)
    single = features(box(), audio, layers=LAYERS, pool=None, batch=2)[3][0]
    assert single.shape == (52, counting.BINS)
    whole = features(box(), audio, layers=LAYERS, batch=3)[3]
    np.testing.assert_allclose(whole[0], single.mean(axis=0), atol=1e-5)
    parts = features(box(), audio, layers=(3,), pool=0.5, batch=4)[3][0]
    wanted = [single[at : at + 20].mean(axis=0) for at in (0, 20, 40)]
    np.testing.assert_allclose(parts, wanted, atol=1e-5)


def test_silence_after_a_short_sound_does_not_count() -> None:
    audio = sound(21)  # 11 codes, the last one of half a code's sound
    codes = [one[:, :16] for one in codes_of(np.pad(audio, ((0, 0), (0, 11), (0, 0))))]
    made = by_hand()(codes[0], codes[1][:, :8], np.ones((1, 1), np.int32))[1]
    found = features(box(), audio, layers=LAYERS, labels={"artist": "ada"})
    np.testing.assert_allclose(found[3], made[:, :11].mean(axis=1), atol=1e-5)
    assert not np.allclose(found[3], made.mean(axis=1), atol=1e-3)


def test_songs_do_not_depend_on_their_neighbours() -> None:
    sounds = [sound(length, length)[0] for length in (21, 160, 3, 64)]
    alone = [features(box(), one[None], layers=LAYERS)[3][0] for one in sounds]
    plan = analysis.prepare(box(), LAYERS, batch=4)
    before = analysis.pooled._cache_size()
    together = list(analysis.stream(plan, [(one, None) for one in sounds]))
    np.testing.assert_allclose([one[3] for one in together], alone, atol=1e-5)
    assert analysis.pooled._cache_size() <= before + 1  # one program for all lengths


def test_less_is_computed_for_lower_layers() -> None:
    """Operations and the bytes of parameters of the compiled program."""
    counted = {}
    for layer in (1, 2, 4):
        plan = analysis.prepare(box(), (layer,))
        codes = np.zeros((1, 16), np.int32)
        lowered = analysis.pooled.lower(
            plan.model,
            plan.params,
            codes,
            {"artist": codes[:, :1]},
            codes[:, :8],
            codes,
            layers=(layer,),
            segments=1,
        )
        program = lowered.compile()
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(plan.params))
        assert program.memory_analysis().argument_size_in_bytes <= size + 400
        counted[layer] = size, program.cost_analysis()["flops"]
    one = sum(
        leaf[0].nbytes
        for leaf in jax.tree.leaves(box().priors[0].weights["transformer"]["group_0"]["layer_0"])
    )  # type: ignore
    assert counted[2][0] - counted[1][0] == one and counted[4][0] - counted[2][0] == 2 * one
    assert counted[1][1] < counted[2][1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(layers=(5,)), "layers 1 to 4"),
        (dict(layers=5), "layers 1 to 4"),
        (dict(layers="12"), "layers='12': give a whole number or several"),
        (dict(layers=1.5), "layers=1.5: give a whole number or several"),
        (dict(level=1), "no prior of level 1: loaded are those of levels"),
        (dict(pool="max"), "pool='max'"),
        (dict(pool=0.001), "pool=0.001 s is shorter than a code: give 0.025"),
        (dict(overlap=1.0), "overlap=1.0"),
        (dict(labels=[{}, {}]), "labels of 2 songs for 1"),
        (dict(labels={"artist": "nobody"}, allow_unknown=False), "nobody"),
    ],
)
def test_what_does_not_fit_is_told(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        features(box(), sound(40), **wrong)
    with pytest.raises(ValueError, match="mixed to mono"):
        features(box(), sound(40)[..., 0])


def test_what_is_no_sound_is_told() -> None:
    whole = (sound(40) * 32767).astype(np.int16)
    gap = np.where(np.arange(40)[None, :, None] == 20, np.nan, sound(40))
    plan = analysis.prepare(box(), 1)
    for wrong, said in ((whole, "audio of int16: .* divide by 32768"), (gap, "are not finite")):
        with pytest.raises(ValueError, match=said):
            features(box(), wrong)
        with pytest.raises(ValueError, match=said):
            list(analysis.stream(plan, [(wrong[0], None)]))


def test_numbers_may_come_from_numpy() -> None:
    wanted = analysis.prepare(box(), (3,), pool=0.5)
    for layers in (3, np.int64(3), np.array([3])):
        plan = analysis.prepare(box(), layers, pool=np.float32(0.5))
        assert plan.layers == wanted.layers and plan.segments == wanted.segments
