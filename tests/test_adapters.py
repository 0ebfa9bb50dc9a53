"""Adapters change nothing at first, act where they are attached as where they are merged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import adapters, prior
from jukebox_jax.prior.adapters import Lora
from jukebox_jax.prior.conditioning import Label, Lyrics
from jukebox_jax.prior.prior import Prior

QUICK = {"xla_backend_optimization_level": 0}  # to compile
ENCODER = Lyrics(tokens=4, size=5, width=8, layout=((("row",), 1),), block=2, heads=1)
MODEL = Prior(
    context=8,
    block=4,
    bins=7,
    width=8,
    layout=((("row", "memory"), 2),),
    signals=(("artist", Label(6)), ("lyrics", ENCODER)),
)
LABELS = {"artist": jnp.asarray([[1], [5]]), "lyrics": jnp.ones((2, 4), jnp.int32)}
CODES = jnp.asarray(np.random.default_rng(0).integers(0, 7, (2, 8)), jnp.int32)
LORA = Lora(rank=2, alpha=6.0)


@pytest.fixture(scope="module")
def params() -> dict:
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: 0.3 * rng.standard_normal(leaf.shape, np.float32), prior.abstract(MODEL)
    )


@pytest.fixture(scope="module")
def added(params: dict) -> dict:
    """Adapters as training might leave them."""
    rng = np.random.default_rng(2)
    fresh = adapters.init(LORA, params, {"artist": 4}, jax.random.key(0))
    return jax.tree.map(lambda leaf: 0.3 * rng.standard_normal(leaf.shape, np.float32), fresh)


def test_every_kernel_of_a_layer_gets_one(params: dict) -> None:
    fresh = adapters.init(LORA, params, {"artist": 4}, jax.random.key(0))
    layer = fresh["transformer"]["group_0"]["layer_1"]
    assert set(layer) == {"attention", "mlp"}
    assert set(layer["attention"]) == {"query", "key", "value", "out"}
    assert layer["mlp"]["up"]["lora_a"].shape == (2, 8, 2)
    assert layer["attention"]["query"]["lora_b"].shape == (2, 2, 2)
    assert fresh["conditioning"]["artist"]["rows"]["lora_rows"].shape == (2, 8)
    assert "group_0" in str(fresh["conditioning"]["lyrics"])
    assert "codes" not in fresh
    some = adapters.init(Lora(1, targets="query,down"), params, {"artist": 6}, jax.random.key(0))
    layer = some["transformer"]["group_0"]["layer_0"]
    assert set(layer["attention"]) == {"query"} and set(layer["mlp"]) == {"down"}
    assert "artist" not in some.get("conditioning", {})


def test_fresh_ones_change_nothing(params: dict) -> None:
    fresh = adapters.init(LORA, params, {"artist": 4}, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, adapters.merge(LORA, params, fresh), params)


def test_attached_is_merged(params: dict, added: dict) -> None:
    """The loss and where it leads to, with the base's kernels left alone."""
    whole = adapters.merge(LORA, params, added)
    assert isinstance(whole["conditioning"]["artist"]["rows"]["embedding"], np.ndarray)
    plain = jax.jit(lambda p: prior.loss(MODEL, p, CODES, LABELS)[0], compiler_options=QUICK)
    expected = plain(whole)

    def loss(added: dict) -> jax.Array:
        with adapters.applied(LORA):
            return prior.loss(MODEL, adapters.attach(params, added), CODES, LABELS)[0]

    found, grads = jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)(added)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(float(expected - plain(params))) > 0.01
    assert jax.tree.structure(grads) == jax.tree.structure(added)
    rows = np.abs(grads["conditioning"]["artist"]["rows"]["lora_rows"]).sum(axis=1)
    assert rows[0] == 0 and rows[1] > 0  # of the artists 4 and 5 only 5 is heard
    without = [
        path for path, one in jax.tree_util.tree_leaves_with_path(grads) if not np.any(one[-1])
    ]
    assert not without  # every other one learns


def test_known_rows_stay(params: dict, added: dict) -> None:
    rows = adapters.merge(LORA, params, added)["conditioning"]["artist"]["rows"]["embedding"]
    known = params["conditioning"]["artist"]["rows"]["embedding"]
    np.testing.assert_array_equal(rows[:4], known[:4])
    new = added["conditioning"]["artist"]["rows"]["lora_rows"]
    np.testing.assert_array_equal(rows[4:], known[4:] + new)


def test_those_of_another_model_are_refused(params: dict, added: dict) -> None:
    with pytest.raises(ValueError, match="the adapters belong to another model"):
        adapters.merge(LORA, {"codes": params["codes"]}, added)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": -1}, "config.lora.rank = -1: 0 for no adapters"),
        ({"alpha": 0.0}, "config.lora.alpha = 0.0: above 0"),
        ({"targets": "atention"}, "config.lora.targets: 'atention' is unknown; known: attention"),
        ({"targets": ()}, "config.lora.targets is empty"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lora(**{"rank": 2, **fields})
    assert adapters.read({}).rank == 0 and adapters.read({"lora": {"rank": 3}}).rank == 3
