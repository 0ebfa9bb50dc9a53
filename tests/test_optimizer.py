"""The schedule, the step and the average are those that are published."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.training import optimizer
from jukebox_jax.training.optimizer import Optimizer


def test_the_schedule_rises_holds_and_falls() -> None:
    rates = [float(Optimizer(1.0, warmup=4, decay=5).schedule(step, 20)) for step in range(21)]
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(rates[4:16], 1.0)
    np.testing.assert_allclose(rates[15:], [1.0, 0.8, 0.6, 0.4, 0.2, 0.0], atol=1e-6)
    assert float(Optimizer(0.5, warmup=0).schedule(0, 10)) == 0.5


def test_one_step_is_adamw() -> None:
    """Against the formula, written out."""
    made = Optimizer(0.1, warmup=0, beta1=0.8, beta2=0.9, weight_decay=0.5, clip=1.0)
    params = {"layer": {"kernel": jnp.array([[2.0, -1.0]]), "bias": jnp.array([3.0, 1.0])}}
    grads = {"layer": {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.array([0.0, 12.0])}}
    norm = 13.0
    state = made.init(params)
    new, state, finite, metrics = made.update(params, grads, state, jnp.zeros((), jnp.int32), 10)
    assert bool(finite) and float(metrics["gradient_norm"]) == norm
    clipped = np.array([3.0, 4.0]) / norm
    direction = clipped / (np.abs(clipped) + 1e-8)  # the first step's moments cancel
    np.testing.assert_allclose(
        new["layer"]["kernel"][0],
        [2.0, -1.0] - 0.1 * (direction + 0.5 * np.array([2.0, -1.0])),
        rtol=1e-5,
    )
    np.testing.assert_allclose(new["layer"]["bias"], [3.0, 1.0 - 0.1], rtol=1e-5)  # no decay


def test_what_is_not_finite_changes_nothing() -> None:
    made = Optimizer(0.1)
    params = {"kernel": jnp.ones(3)}
    state = made.init(params)
    step = jax.jit(lambda p, g, s: made.update(p, g, s, jnp.zeros((), jnp.int32), 10))
    for expected in (1, 2):
        new, state, finite, _ = step(params, {"kernel": jnp.array([0.0, jnp.nan, 1.0])}, state)
        assert not bool(finite)
        np.testing.assert_array_equal(new["kernel"], params["kernel"])
        assert int(state.skipped_in_a_row) == int(state.skipped) == expected
    assert not np.any(state.moments[0].mu["kernel"])
    new, state, finite, _ = step(params, {"kernel": jnp.ones(3)}, state)
    assert bool(finite) and np.all(new["kernel"] < 1)
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (2, 0)


def test_the_average() -> None:
    assert Optimizer().average_decay_for(8) == pytest.approx(0.999)
    assert Optimizer().average_decay_for(256) == pytest.approx(0.968)
    assert Optimizer(average_decay=0.5).average_decay_for(8) == 0.5
    mean = optimizer.follow({"a": jnp.zeros(2)}, {"a": jnp.array([1.0, 2.0])}, 0.75)
    np.testing.assert_allclose(mean["a"], [0.25, 0.5])


def test_moments_in_bfloat16() -> None:
    state = Optimizer(moments="bfloat16").init({"kernel": jnp.ones(3)})
    assert state.moments[0].mu["kernel"].dtype == jnp.bfloat16
    assert state.moments[0].nu["kernel"].dtype == jnp.float32


def test_factored_moments_are_adams_where_they_can_be() -> None:
    """Of gradients whose squares are a row times a column, means of both say everything."""
    rng = np.random.default_rng(0)
    row, column = rng.uniform(0.5, 2, (1, 128)), rng.uniform(0.5, 2, (160, 1))
    signs = rng.choice([-1.0, 1.0], (160, 128))
    size = {"kernel": jnp.ones((160, 128)), "bias": jnp.ones(3)}
    adam = Optimizer(0.1, warmup=0, beta1=0.0, beta2=0.9, clip=0.0)
    factored = Optimizer(0.1, warmup=0, beta1=0.0, beta2=0.9, clip=0.0, moments="factored")
    states, params = [adam.init(size), factored.init(size)], [size, size]
    bytes_of = [sum(leaf.nbytes for leaf in jax.tree.leaves(state.moments)) for state in states]
    assert bytes_of[1] < 0.3 * bytes_of[0]
    for step in range(3):
        share = rng.uniform(0.9, 1.1)
        grads = {"kernel": jnp.asarray(share * row * column * signs, jnp.float32)}
        grads["bias"] = jnp.asarray(rng.normal(size=3), jnp.float32)
        for at, made in enumerate((adam, factored)):
            params[at], states[at], _, _ = made.update(
                params[at], grads, states[at], jnp.int32(step), 10
            )
    for name in size:
        np.testing.assert_allclose(params[1][name], params[0][name], rtol=1e-5)
    assert states[1].moments[1].ema["kernel"].dtype == jnp.bfloat16


def test_a_part_learns_at_a_rate_of_its_own() -> None:
    made = Optimizer(0.1, warmup=0, rates="slow=0.5,layer/.*=3", weight_decay=0.5)
    plain = Optimizer(0.1, warmup=0, weight_decay=0.5)
    params = {"slow": {"kernel": jnp.ones(2)}, "layer": {"norm": {"kernel": jnp.ones(2)}}}
    params["other"] = {"kernel": jnp.ones(2)}
    grads = jax.tree.map(lambda leaf: 0.1 * leaf, params)
    zero = jnp.int32(0)
    moved, expected = (
        one.update(params, grads, one.init(params), zero, 10)[0] for one in (made, plain)
    )
    step = 1 - expected["other"]["kernel"]
    np.testing.assert_allclose(1 - moved["other"]["kernel"], step)
    np.testing.assert_allclose(1 - moved["slow"]["kernel"], 0.5 * step, rtol=1e-5)
    np.testing.assert_allclose(1 - moved["layer"]["norm"]["kernel"], 3 * step, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"moments": "half"}, 'moments = \'half\': one of "float32", "bfloat16", "factored"'),
        ({"accumulate": 0}, "accumulate = 0: 1 or more pieces"),
        ({"freeze": "("}, "config.optimizer.freeze: .* is no regular expression"),
        ({"rates": "codes"}, "config.optimizer.rates: .* no pattern with a factor above 0"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Optimizer(**fields)
