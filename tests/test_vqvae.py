"""Audio to codes and back, in one piece or many, on one device or eight, and it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Bandwidth, Weights

SMALL = {"width": 4, "code_width": 6, "bins": 16, "linf_count": 64}
ODD = {
    "one level": dict(downs=(2,), strides=(3,), multipliers=(1,), depth=1, scale_residual=True),
    "cycles": dict(downs=(1, 1), strides=(3, 2), multipliers=(1, 3), depth=1, dilation_cycle=2),
    "three levels": dict(
        downs=(2, 1, 1), strides=(2, 2, 2), multipliers=(2, 1, 1), depth=1, conv_multiplier=0.5
    ),
}


def model_of(name: str = "cycles", **changes) -> VQVAE:
    return VQVAE(**(SMALL | ODD[name] | changes))


def sound(model: VQVAE, codes: int, batch: int = 2, seed: int = 0) -> np.ndarray:
    """Audio that lasts so many codes of the top level."""
    shape = (batch, codes * model.hops[-1], 1)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def weights_of(model: VQVAE, audio: np.ndarray) -> Weights:
    params = vqvae.init(model, jax.random.key(0))
    return Weights(params, vqvae.start(model, params, audio, jax.random.key(1)))


@pytest.mark.parametrize("name", ODD)
def test_pieces_equal_the_whole(name: str) -> None:
    model = model_of(name)
    audio = sound(model, 90)
    weights = weights_of(model, audio)
    codes = vqvae.encode(model, weights, audio)
    assert [one.shape for one in codes] == [(2, audio.shape[1] // hop) for hop in model.hops]
    assert all(one.dtype == jnp.int32 and len(np.unique(one)) > 8 for one in codes)
    long = vqvae.encode_long(model, weights, audio, piece=1)
    for level, one in enumerate(codes):
        np.testing.assert_array_equal(long[level], one)
        whole = vqvae.decode(model, weights, one, level)
        assert whole.shape == audio.shape and whole.dtype == jnp.float32
        pieces = list(vqvae.decode_pieces(model, weights, np.asarray(one), level, piece=1))
        assert len(pieces) > 1
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)
    level = model.levels - 1
    again = vqvae.decode_long(model, weights, np.asarray(codes[-1]), level)
    np.testing.assert_allclose(again, whole, atol=1e-6)


def test_whole_numbers_are_no_sound() -> None:
    model = model_of()
    audio = sound(model, 1)
    weights = weights_of(model, audio)
    whole = (audio * 32767).astype(np.int16)
    for encode in (vqvae.encode, vqvae.encode_long, jax.jit(vqvae.encode, static_argnums=0)):
        with pytest.raises(ValueError, match="audio of int16: give float32; .* by 32768"):
            encode(model, weights, whole)


def test_pieces_compile_once() -> None:
    model = model_of()
    audio = sound(model, 200)
    weights = weights_of(model, audio[:, : model.hops[-1]])
    jax.clear_caches()
    vqvae.encode_long(model, weights, audio, piece=1)
    assert vqvae._encode._cache_size() == model.levels
    vqvae.encode_long(model, weights, audio[:, : 150 * model.hops[-1]], piece=1)
    assert vqvae._encode._cache_size() == model.levels


def test_a_user_may_compile_it() -> None:
    model = model_of()
    audio = sound(model, 3)
    weights = weights_of(model, audio)
    encode = jax.jit(vqvae.encode, static_argnums=0)
    codes = encode(model, weights, audio)
    for one, other in zip(codes, vqvae.encode(model, weights, audio), strict=True):
        np.testing.assert_array_equal(one, other)
    decode = jax.jit(vqvae.decode, static_argnums=(0, 3))
    assert decode(model, weights, codes[1], 1).shape == audio.shape


def test_parameters_start_as_convolutions_do() -> None:
    model = model_of(width=16)
    params = vqvae.init(model, jax.random.key(0))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params)
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), vqvae.abstract(model))
    assert shapes == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype),
        jax.eval_shape(lambda key: vqvae.init(model, key), jax.random.key(0)),
    )
    stage = params["decoder_1"]["block_1"]["stage_0"]
    for part, fan in ((stage["up"], 4 * 6), (stage["stack"]["unit_0"]["dilated"], 3 * 48)):
        assert float(jnp.max(jnp.abs(part["kernel"]))) == pytest.approx(fan**-0.5, 0.02)
        for leaf in part.values():
            assert float(jnp.max(jnp.abs(leaf))) <= fan**-0.5
    traced = jax.jit(lambda key: vqvae.init(model, key))(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, traced, params)
    other = vqvae.init(model, jax.random.key(1))["decoder_1"]["out"]["kernel"]
    assert (np.asarray(other) != np.asarray(params["decoder_1"]["out"]["kernel"])).all()


def test_levels_share_nothing() -> None:
    model = model_of("three levels")
    audio = sound(model, 2)
    weights = weights_of(model, audio)
    codes = vqvae.encode(model, weights, audio)
    only = {name: tree for name, tree in weights.params.items() if name.endswith("_1")}
    alone = Weights(only, weights.codebooks)
    np.testing.assert_array_equal(vqvae._encode(model, alone, audio, 1), codes[1])
    np.testing.assert_array_equal(
        vqvae.decode(model, alone, codes[1], 1), vqvae.decode(model, weights, codes[1], 1)
    )


def test_published_codebooks_resume() -> None:
    model = model_of()
    codes = [np.random.default_rng(level).normal(size=(16, 6)) for level in range(2)]
    books = vqvae.codebooks_from(model, codes, samples=9600)
    for book, one, hop in zip(books, codes, model.hops, strict=True):
        share = 9600 / hop / 16
        np.testing.assert_allclose(book.counts, np.full(16, share))
        np.testing.assert_allclose(book.sums, one * share, rtol=1e-6)
    with pytest.raises(ValueError, match=r"give 2, each \[16, 6\]"):
        vqvae.codebooks_from(model, codes[:1], samples=9600)


BAND = Bandwidth(2.0, 3.0, 50.0)


def objective(model: VQVAE):
    def value(params, books, audio, key):
        return vqvae.loss(model, params, books, audio, key, bandwidth=BAND)

    return jax.jit(jax.value_and_grad(value, has_aux=True))


@pytest.fixture(scope="module")
def stepped() -> tuple:
    """A model with all losses, a batch of eight, and one step on one device."""
    weighed = dict(l1=0.3, linf=0.1, commit=0.7, spectral=0.2, multispectral=0.4)
    model = model_of(decay=0.5, restart_threshold=30.0, **weighed)
    audio = sound(model, 100, batch=8)
    weights = weights_of(model, audio)
    step = objective(model)
    key = jax.random.key(5)
    return model, weights, audio, key, step, step(weights.params, weights.codebooks, audio, key)


def test_the_loss_is_the_sum_of_its_parts(stepped: tuple) -> None:
    model, weights, audio, *_, ((total, (books, metrics)), _) = stepped
    m = {name: float(value) for name, value in metrics.items()}
    expected = m["recons_loss"] + 0.7 * m["commit_loss"]
    expected += 0.2 * m["spectral_loss"] + 0.4 * m["multispectral_loss"]
    assert float(total) == pytest.approx(expected, 1e-5)
    finest = m["l2_loss"] + 0.3 * m["l1_loss"] + 0.1 * m["linf_loss"]
    assert m["recons_loss_l1"] == pytest.approx(finest, 1e-5)
    for name in ("recons_loss", "spectral_loss", "multispectral_loss"):
        assert m[name] == pytest.approx(m[f"{name}_l1"] + m[f"{name}_l2"], 1e-5)
    assert m["spectral_convergence"] == m["spectral_convergence_l1"]
    codes = vqvae.encode(model, weights, audio)
    for level, one in enumerate(codes):
        assert m[f"codebook_use_l{level + 1}"] == pytest.approx(len(np.unique(one)) / 16)
    l2 = ((np.asarray(vqvae.decode(model, weights, codes[0], 0)) - audio) ** 2).mean() / 2
    assert m["l2_loss"] == pytest.approx(float(l2), 1e-5)
    assert {"entropy", "used_curr", "usage", "dk", "fit", "pn"} <= set(m)
    assert (np.asarray(books[0].codes) != np.asarray(weights.codebooks[0].codes)).any()


def test_a_loss_of_spectra_alone() -> None:
    """Without any term of the waveform there is still one figure a level."""
    model = model_of(l2=0.0, l1=0.0, linf=0.0, multispectral=1.0)
    audio = sound(model, 100, batch=8)
    weights = weights_of(model, audio)
    total, (_, metrics) = jax.eval_shape(
        objective(model), weights.params, weights.codebooks, audio, jax.random.key(0)
    )[0]
    assert total.shape == () and {leaf.shape for leaf in jax.tree.leaves(metrics)} == {()}
    assert {"recons_loss_l1", "recons_loss_l2", "multispectral_loss_l2"} <= set(metrics)


def test_evaluation_moves_no_codebook_and_needs_no_key(stepped: tuple) -> None:
    model, weights, audio, *_, ((trained, (_, metrics)), _) = stepped
    evaluate = jax.jit(
        lambda w: vqvae.loss(model, w.params, w.codebooks, audio, bandwidth=BAND, train=False)
    )
    evaluated, (books, fewer) = evaluate(weights)
    jax.tree.map(np.testing.assert_array_equal, books, weights.codebooks)
    assert float(evaluated) == pytest.approx(float(trained), 1e-5)
    assert set(metrics) - set(fewer) == {"entropy", "used_curr", "usage", "dk", "fit", "pn"}
    with pytest.raises(ValueError, match="training needs a key"):
        vqvae.loss(model, weights.params, weights.codebooks, audio)


def test_gradients_pass_the_codes_and_leave_codebooks_alone() -> None:
    model = model_of("one level", commit=0.0)
    audio = sound(model, 120)
    weights = weights_of(model, audio)

    def value(params, codes):
        books = (dataclasses.replace(weights.codebooks[0], codes=codes),)
        return vqvae.loss(model, params, books, audio, train=False)[0]

    params, codes = jax.jit(jax.grad(value, argnums=(0, 1)))(
        weights.params, weights.codebooks[0].codes
    )
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(params["encoder_0"]))
    np.testing.assert_array_equal(codes, 0)


def test_it_learns() -> None:
    model = model_of("one level", bins=8, multispectral=0.1, linf=0.0)
    time = np.arange(6 * 9 * 60).reshape(6, -1, 1)
    audio = (0.5 * np.sin(time * (0.05 + 0.02 * np.arange(6)[:, None, None]))).astype(np.float32)
    weights = weights_of(model, audio)
    step = objective(model)
    params, books, first = weights.params, weights.codebooks, None
    momentum = jax.tree.map(jnp.zeros_like, params)
    descend = jax.jit(
        lambda p, m, g: (
            (m := jax.tree.map(lambda a, b: 0.9 * a + b / (1e-3 + jnp.linalg.norm(b)), m, g)),
            jax.tree.map(lambda a, b: a - 2e-3 * b, p, m),
        )
    )
    for number in range(60):
        (value, (books, _)), gradient = step(params, books, audio, jax.random.key(number))
        first = float(value) if first is None else first
        momentum, params = descend(params, momentum, gradient)
    assert float(value) < 0.85 * first


def test_one_device_equals_eight(stepped: tuple) -> None:
    model, weights, audio, key, step, one = stepped
    mesh = sharding.make_mesh()
    placed = jax.device_put((weights.params, weights.codebooks), sharding.replicated(mesh))
    spread = jax.device_put(audio, sharding.batch(mesh))
    program = step.lower(*placed, spread, key).compile()
    eight = program(*placed, spread, key)
    assert 0 < float(one[0][1][1]["usage"]) < 16  # some codes restart
    for found, expected in zip(jax.tree.leaves(eight), jax.tree.leaves(one), strict=True):
        scale = np.abs(np.asarray(expected)).max() + 1e-6
        np.testing.assert_allclose(
            np.asarray(found) / scale, np.asarray(expected) / scale, atol=3e-5
        )
    text = program.as_text()
    for moved in ("all-gather", "all-to-all", "collective-permute"):
        assert moved not in text  # only sums travel
    for one, other in zip(
        vqvae.encode(model, weights, audio),
        vqvae.encode(model, Weights(*placed), spread),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_bfloat16_is_near() -> None:
    model = model_of("one level", multispectral=0.0)
    audio = 0.3 * sound(model, 100)
    weights = weights_of(model, audio)
    vectors = []
    for dtype in ("float32", "bfloat16"):
        typed = model.clone(dtype=dtype)
        codes = vqvae.encode(typed, weights, audio)
        output = vqvae.decode(typed, weights, codes[0], 0)
        assert output.dtype == jnp.float32
        vectors.append(vqvae._analyse(typed, weights.params, audio, 0))
        assert vectors[-1].dtype == jnp.float32  # codes are searched for in full
    apart = float(jnp.max(jnp.abs(vectors[0] - vectors[1])) / jnp.max(jnp.abs(vectors[0])))
    assert 1e-5 < apart < 0.05


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 100, 1),
            "audio of 100 samples is no multiple .* hop 6: cut it to 96 or pad it to 102",
        ),
        ((1, 5, 1), "pad it to 6(\n|$)"),
        ((1, 0, 1), "audio of 0 samples"),
        ((1, 24), r"audio of shape \(1, 24\): give f32\[batch, samples, 1\]"),
        ((1, 24, 2), "mixed to mono"),
    ],
)
def test_audio_that_does_not_fit(shape: tuple, message: str) -> None:
    model = model_of()
    weights = weights_of(model, sound(model, 2))
    audio = np.zeros(shape, np.float32)
    for encode in (vqvae.encode, vqvae.encode_long):
        with pytest.raises(ValueError, match=message):
            encode(model, weights, audio)
    with pytest.raises(ValueError, match=message):
        vqvae.start(model, weights.params, audio, jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        vqvae.loss(model, weights.params, weights.codebooks, audio, jax.random.key(0))


@pytest.mark.parametrize(
    ("codes", "level", "message"),
    [
        (np.zeros((1, 4), np.int32), 2, "level = 2: the model has levels 0 to 1"),
        (np.zeros((1, 4), np.int32), -1, "level = -1"),
        (np.zeros((1, 4), np.float32), 0, "float32: give i32"),
        (np.zeros(4, np.int32), 0, r"codes of shape \(4,\)"),
    ],
)
def test_codes_that_do_not_fit(codes: np.ndarray, level: int, message: str) -> None:
    model = model_of()
    weights = Weights(vqvae.init(model, jax.random.key(0)), ())
    for decode in (vqvae.decode, vqvae.decode_long):
        with pytest.raises(ValueError, match=message):
            decode(model, weights, codes, level)
