"""The joint VQ-VAE rounds from the top down, learns, and gives back less from fewer levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.vqvae import joint, vqvae
from jukebox_jax.vqvae.losses import Bandwidth
from jukebox_jax.vqvae.vqvae import VQVAE, Weights

MODEL = VQVAE(
    downs=(2, 1), strides=(2, 2), multipliers=(1, 1), bins=16, code_width=4, width=8, depth=1,
    linf_count=64,
)  # fmt: skip
RNG = np.random.default_rng(0)
AUDIO = (0.3 * np.sin(np.arange(8192) * RNG.uniform(0.05, 0.3, (2, 1))))[..., None]
AUDIO = AUDIO.astype(np.float32)


@pytest.fixture(scope="module")
def weights() -> Weights:
    params = joint.init(MODEL, jax.random.key(0))
    return Weights(params, joint.start(MODEL, params, AUDIO, jax.random.key(1)))


def test_shapes_and_what_is_passed_over(weights: Weights) -> None:
    fine, codes = joint.through(MODEL, weights, AUDIO, 0)
    coarse, same = joint.through(MODEL, weights, AUDIO, 1)
    assert fine.shape == coarse.shape == AUDIO.shape
    assert [one.shape for one in codes] == [(2, 2048), (2, 1024)]
    assert all((one == other).all() for one, other in zip(codes[1:], same[1:], strict=True))
    assert not np.allclose(fine, coarse)
    # What the coarse level gives back does not depend on the fine codebook.
    moved = jax.tree.map(lambda leaf: leaf + 1.0, weights.codebooks[0])
    other = Weights(weights.params, (moved, weights.codebooks[1]))
    np.testing.assert_allclose(joint.through(MODEL, other, AUDIO, 1)[0], coarse, atol=1e-6)


def test_codes_above_change_those_below(weights: Weights) -> None:
    """Which is what separate levels never do."""
    codes = joint.through(MODEL, weights, AUDIO, 0)[1]
    moved = jax.tree.map(lambda leaf: leaf * -3.0, weights.codebooks[1])
    other = joint.through(MODEL, Weights(weights.params, (weights.codebooks[0], moved)), AUDIO, 0)
    assert (other[1][0] != codes[0]).any()


def test_it_learns(weights: Weights) -> None:
    params, books = weights.params, weights.codebooks
    model = MODEL.clone(multispectral=0.0)

    @jax.jit
    def step(params, books, key):  # noqa: ANN001, ANN202
        (total, (tallies, _)), grads = jax.value_and_grad(
            lambda params: joint.loss(model, params, books, AUDIO, key, bandwidth=Bandwidth()),
            has_aux=True,
        )(params)
        length = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(grads)))
        params = jax.tree.map(lambda leaf, grad: leaf - 0.05 * grad / length, params, grads)
        return params, vqvae.follow(MODEL, books, tallies)[0], total, grads

    totals = []
    for number in range(20):
        params, books, total, grads = step(params, books, jax.random.key(number))
        totals.append(float(total))
        assert number or all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(grads))
    assert totals[-1] < 0.95 * totals[0]
