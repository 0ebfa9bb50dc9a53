"""A whole context at once, and code by code against a cache, are one model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, LyricsPrefix, Timing
from jukebox_jax.prior.prior import Prior

CONTEXT, BINS, SIZE, BATCH = 24, 11, 7, 2
LABELS = (("artist", Label(size=5)), ("genre", Label(size=6, most=3)))
TIMING = (("timing", Timing(bins=8, minimum_seconds=1.0, maximum_seconds=9.0, rate=100)),)
ABOVE = (("above", Codes(bins=BINS, width=8, depth=2, downs=2)),)
ENCODED = Lyrics(tokens=6, size=SIZE, width=8, layout=((("row",), 2),), block=3)

MODELS = {
    "plain": dict(
        layout=((("dense", "column", "previous"), 1), (("summary", "summary_spread"), 1)),
        spread=2,
        mlp_width=2.0,
    ),
    "labels": dict(
        layout=((("column", "previous"), 1),), signals=LABELS + TIMING, tied=False, heads=1
    ),
    "upsampler": dict(layout=((("row", "column"), 1),), signals=LABELS + ABOVE),
    "memory": dict(
        layout=((("row", "memory"), 2),),
        signals=(*TIMING, ("lyrics", ENCODED)),
        tied=False,
        scale_residual=True,
    ),
    "prefix": dict(
        layout=((("prefix", "previous"), 2),),
        block=5,
        signals=(*LABELS, *TIMING, ("lyrics", LyricsPrefix(tokens=6, size=SIZE))),
    ),
}
compiled = functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
"""As jax.jit, but quick to compile."""


def make(name: str, **changes) -> Prior:
    fields = dict(context=CONTEXT, block=4, bins=BINS, width=16, heads=2, remat="none")
    return Prior(**{**fields, **MODELS[name], **changes})


@functools.cache
def parameters(model: Prior) -> dict:
    """Far from the start, so that every part of the model makes a difference."""
    shapes, tree = jax.tree.flatten(prior.abstract(model.clone(dtype="float32")))
    generator = np.random.default_rng(0)
    return jax.tree.unflatten(
        tree, [0.4 * generator.standard_normal(leaf.shape, np.float32) for leaf in shapes]
    )


def inputs(model: Prior) -> tuple[jax.Array, dict[str, jax.Array], jax.Array | None]:
    """Codes, labels and codes above; where lyrics share the vocabulary, some codes are lyrics."""
    generator = np.random.default_rng(1)
    labels, above = {}, None
    for name, signal in model.signals:
        if isinstance(signal, Label):
            labels[name] = generator.integers(-1, signal.size, (BATCH, signal.most))
        elif isinstance(signal, Timing):
            labels[name] = np.array([[800, 100, 300], [400, 0, 300]])
        elif isinstance(signal, Codes):
            above = generator.integers(0, BINS, (BATCH, CONTEXT // signal.factor))
        else:
            labels[name] = generator.integers(0, signal.size, (BATCH, signal.tokens))
    codes = generator.integers(-model.shift, BINS, (BATCH, CONTEXT))
    return jax.tree.map(jnp.asarray, (codes, labels, above))


logits = compiled(prior.logits)
condition = compiled(prior.condition)
loss = compiled(prior.loss)


@compiled
def decode(model: Prior, params, codes, known, conditioning) -> tuple[jax.Array, prior.Cache]:
    """Logits from position `known` on, code by code; the prefill is given no code from there."""
    params = prior.unstack(model, params)
    behind = jnp.arange(CONTEXT) >= known
    cache = prior.prefill(model, params, jnp.where(behind, 0, codes), known, conditioning)

    def body(position, carried):
        cache, out = carried
        before = codes[:, jnp.maximum(position - 1, 0)]
        row, cache = prior.step(model, params, before, conditioning, cache, position)
        return cache, out.at[:, position].set(row)

    out = jnp.zeros((BATCH, CONTEXT, model.shift + BINS))
    cache, out = jax.lax.fori_loop(known, CONTEXT, body, (cache, out))
    return out, cache


@pytest.mark.parametrize("name", MODELS)
def test_step_repeated_is_logits(name: str) -> None:
    model = make(name)
    params, (codes, labels, above) = parameters(model), inputs(model)
    conditioning = condition(model, params, labels, above)
    expected = logits(model, params, codes, conditioning)
    assert expected.shape == (BATCH, CONTEXT, model.shift + BINS)
    before = decode._cache_size()
    for known in (0, 1, 3, 4, 5, 11, 12, 20, 23, 24):
        out, cache = decode(model, params, codes, known, conditioning)
        np.testing.assert_allclose(out[:, known:], expected[:, known:], rtol=1e-4, atol=1e-4)
    assert decode._cache_size() == before + 1  # `known` and the position are data
    shapes = jax.eval_shape(lambda: prior.empty(model, BATCH))
    assert jax.tree.map(jnp.shape, cache) == jax.tree.map(jnp.shape, shapes)


@pytest.mark.parametrize("name", MODELS)
def test_no_code_reaches_back(name: str) -> None:
    model = make(name)
    params, (codes, labels, above) = parameters(model), inputs(model)
    conditioning = condition(model, params, labels, above)
    before = logits(model, params, codes, conditioning)
    for place in (0, 3, 4, 13, 22):
        other = codes.at[:, place].set((codes[:, place] + 1) % BINS)
        changed = np.any(logits(model, params, other, conditioning) != before, axis=(0, 2))
        assert not changed[: place + 1].any() and changed[place + 1], place


@pytest.mark.parametrize("name", ["memory", "prefix"])
def test_lyrics_are_read_from_the_first_code_on(name: str) -> None:
    model = make(name)
    params, (codes, labels, above) = parameters(model), inputs(model)
    sung = []
    for tokens in (labels["lyrics"], labels["lyrics"].at[:, 2].set(1 + labels["lyrics"][:, 1])):
        conditioning = condition(model, params, labels | {"lyrics": tokens % SIZE}, above)
        sung.append(logits(model, params, codes, conditioning))
    assert np.all(np.any(sung[0] != sung[1], axis=2))


@pytest.mark.parametrize("name", ["memory", "prefix"])
def test_loss_is_cross_entropy_in_bits(name: str) -> None:
    model = make(name)
    params, (codes, labels, above) = parameters(model), inputs(model)
    codes = jnp.maximum(codes, 0)
    total, metrics = loss(model, params, codes, labels, above)
    conditioning = condition(model, params, labels, above)

    def bits(rows: jax.Array, targets: jax.Array) -> float:
        shares = jax.nn.log_softmax(rows) / np.log(2)
        return -float(jnp.take_along_axis(shares, targets[..., None], -1).mean())

    of_codes = bits(logits(model, params, codes, conditioning), codes + model.shift)
    np.testing.assert_allclose(metrics["bits_per_code"], of_codes, rtol=1e-5)
    of_lyrics = metrics["lyric_bits_per_token"]
    if name == "memory":
        rows = conditioning.memory @ params["lyric_logits"]["kernel"]
        np.testing.assert_allclose(of_lyrics, bits(rows, labels["lyrics"]), rtol=1e-5)
    expected = 0.4 * of_lyrics * 6 / 30 + of_codes * 24 / 30
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_labels_are_hidden_where_asked() -> None:
    def draws(rate: float, key: jax.Array | None) -> bool:
        model = make("labels", label_dropout=rate)
        codes, labels, _ = inputs(model)
        traced = jax.make_jaxpr(
            lambda key: prior.loss(model, parameters(model), codes, labels, None, key)
        )
        return "random_bits" in str(traced(key))

    assert draws(0.5, jax.random.key(0))
    assert not draws(0.5, None) and not draws(0.0, jax.random.key(0))


def test_memory_layers_that_give_zero_change_nothing() -> None:
    """So they start, see test_layer: a trained prior to which they are added begins as it was."""
    model = make("memory")
    params, (codes, labels, above) = dict(parameters(model)), inputs(model)
    params["transformer"] = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * ("layer_1/attention/out" not in _words(path)),
        params["transformer"],
    )
    one = logits(model, params, codes, condition(model, params, labels, above))
    other = labels | {"lyrics": (labels["lyrics"] + 1) % SIZE}
    two = logits(model, params, codes, condition(model, params, other, above))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("name", "layer"), [("memory", 1), ("prefix", 2)])
def test_attention_weights_stop_at_their_layer(name: str, layer: int) -> None:
    model = make(name)
    params, (codes, labels, above) = parameters(model), inputs(model)
    conditioning = condition(model, params, labels, above)
    params = prior.unstack(model, params)
    layers = {
        place: tree
        if int(place.split("_")[1]) <= layer
        else jax.tree.map(lambda x: x * np.nan, tree)
        for place, tree in params["transformer"].items()
    }
    take = compiled(prior.attention_weights, static_argnums=(0, 4))
    weights = take(model, params | {"transformer": layers}, codes, conditioning, layer)
    assert weights.shape == (BATCH, 2, CONTEXT, 6) and np.all(weights > 0)
    summed = weights.sum(-1)
    if name == "memory":
        np.testing.assert_allclose(summed, 1.0, rtol=1e-5)
    else:  # the prefix of 30 positions in 6 rows is 12 long: 6 of lyrics, 6 of codes
        assert np.all(summed < 1)
    with pytest.raises(ValueError, match=r"layer 5 does not attend to lyrics; "):
        prior.attention_weights(model, params, codes, conditioning, 5)


def test_bfloat16_is_close_to_float32() -> None:
    model, exact = make("labels", dtype="bfloat16"), make("labels")
    params, (codes, labels, above) = parameters(model), inputs(model)
    expected = logits(exact, params, codes, condition(exact, params, labels, above))
    conditioning = condition(model, params, labels, above)
    rows = logits(model, params, codes, conditioning)
    stepped, _ = decode(model, params, codes, 9, conditioning)
    for found, known in ((rows, 0), (stepped, 9)):
        error = np.abs(found - expected)[:, known:].max() / np.abs(expected).max()
        assert error < 0.06, error
    assert np.any(rows != rows.astype(jnp.bfloat16))  # not rounded on their way


@pytest.mark.parametrize("name", MODELS)
def test_float32_is_not_rounded_on_an_accelerator(name: str) -> None:
    """Every product says so, forward and backward, and code by code."""
    model = make(name, dtype="float32")
    params, (codes, labels, above) = prior.abstract(model), inputs(model)

    def change(params: dict) -> dict:
        return jax.grad(lambda params: prior.loss(model, params, codes, labels, above)[0])(params)

    def next_code(params: dict) -> jax.Array:
        conditioning = prior.condition(model, params, labels, above)
        cache = prior.prefill(model, params, codes, 3, conditioning)
        return prior.step(model, params, codes[:, 3], conditioning, cache, 3)[0]

    for of in (change, next_code):
        text = jax.jit(of).trace(params).lower(lowering_platforms=("cuda",)).as_text()
        products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
        assert len(products) > 8
        assert [line for line in products if "HIGHEST, HIGHEST" not in line] == []


@pytest.mark.parametrize("name", ["upsampler", "memory", "prefix"])
def test_bfloat16_where_it_may_be(name: str) -> None:
    """Compute and caches are bfloat16; norms, logits, losses and gradients float32."""
    model = make(name, dtype="bfloat16")
    params, (codes, labels, above) = parameters(model), inputs(model)

    def types(function, *arguments) -> set:
        shapes = jax.eval_shape(functools.partial(function, model), *arguments)
        return {leaf.dtype.name for leaf in jax.tree.leaves(shapes)}

    embedded = jax.eval_shape(functools.partial(prior.condition, model), params, labels, above)
    assert embedded.start.dtype == jnp.bfloat16
    assert types(prior.logits, params, codes, embedded) == {"float32"}
    assert types(prior.prefill, params, codes, 3, embedded) == {"bfloat16"}
    rows, cache = jax.eval_shape(
        lambda *a: prior.step(model, params, *a, prior.empty(model, BATCH), 3),
        codes[:, 0],
        embedded,
    )
    assert rows.dtype == jnp.float32
    assert {leaf.dtype.name for leaf in jax.tree.leaves(cache)} == {"bfloat16"}
    assert types(jax.grad(prior.loss, argnums=1, has_aux=True), params, codes, labels, above) == {
        "float32"
    }
    layer = jax.eval_shape(lambda: prior.unstack(model, params))["transformer"]["layer_0"]
    assert layer["mlp"]["up"]["kernel"].dtype == jnp.bfloat16
    assert layer["norm_1"]["scale"].dtype == jnp.float32


def test_both_forms_of_parameters_are_read() -> None:
    model = make("memory")
    params, (codes, labels, above) = parameters(model), inputs(model)
    flat = prior.unstack(model, params)
    again = prior.unstack(model, flat)
    assert jax.tree.structure(again) == jax.tree.structure(flat)
    conditioning = condition(model, params, labels, above)
    fill = compiled(prior.prefill)
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6),
        fill(model, params, codes, 5, conditioning),
        fill(model, flat, codes, 5, conditioning),
    )


def _words(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
