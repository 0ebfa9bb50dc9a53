"""Every fast form is the definition, with any stride, at both ends, and so is its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jukebox_jax.vqvae import convolution
from jukebox_jax.vqvae.convolution import Convolution


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_downsample_is_its_definition(stride: int) -> None:
    x, kernel, bias = arrays((2, 6 * stride, 5), (2 * stride, 5, 7), (7,))
    padded = np.pad(x, ((0, 0), (stride // 2, stride), (0, 0)))
    expected = np.zeros((2, 6, 7))
    for place in range(6):
        for position in range(2 * stride):
            expected[:, place] += padded[:, place * stride + position] @ kernel[position]
    found = convolution.downsample(x, kernel, bias, stride=stride)
    np.testing.assert_allclose(found, expected + bias, atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_upsample_is_its_definition(stride: int) -> None:
    x, kernel, bias = arrays((2, 6, 5), (2 * stride, 5, 7), (7,))
    whole = np.zeros((2, 8 * stride, 7))
    for place in range(6):
        for position in range(2 * stride):
            whole[:, place * stride + position] += x[:, place] @ kernel[position]
    expected = whole[:, stride // 2 : stride // 2 + 6 * stride] + bias
    found = convolution.upsample(x, kernel, bias, stride=stride)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("stride", [2, 3])
def test_upsample_is_the_transposed_convolution_and_so_is_its_gradient(stride: int) -> None:
    x, kernel, bias = arrays((2, 6, 5), (2 * stride, 5, 7), (7,))

    def dilated(x: jax.Array, kernel: jax.Array) -> jax.Array:
        before = 2 * stride - 1 - stride // 2
        return lax.conv_general_dilated(
            x,
            kernel[::-1],
            window_strides=(1,),
            padding=[(before, stride + stride // 2 - 1)],
            lhs_dilation=(stride,),
            dimension_numbers=("NWC", "WIO", "NWC"),
        )

    def ours(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolution.upsample(x, kernel, 0 * bias, stride=stride)

    np.testing.assert_allclose(ours(x, kernel), dilated(x, kernel), atol=2e-5)
    (weights,) = arrays((2, 6 * stride, 7))
    gradients = [
        jax.grad(lambda *a, f=f: jnp.sum(f(*a) * weights), argnums=(0, 1))(x, kernel)
        for f in (ours, dilated)
    ]
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("stride", "size", "outputs"), [(2, 3, 1), (3, 3, 2), (2, 5, 1)])
def test_upsample_and_convolve_at_once(stride: int, size: int, outputs: int) -> None:
    x, *others = arrays((2, 6, 5), (2 * stride, 5, 7), (7,), (size, 7, outputs), (outputs,))

    def two(x: jax.Array, *others: jax.Array) -> jax.Array:
        between = convolution.upsample(x, *others[:2], stride=stride)
        return convolution.convolve(between, *others[2:])

    def one(x: jax.Array, *others: jax.Array) -> jax.Array:
        return convolution.upsample_convolve(x, others[:2], others[2:], stride=stride)

    np.testing.assert_allclose(one(x, *others), two(x, *others), atol=5e-5)
    gradients = [
        jax.grad(lambda *a, f=f: jnp.sum(jnp.sin(f(*a))), argnums=range(5))(x, *others)
        for f in (one, two)
    ]
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize("dilation", [1, 3, 20])
def test_convolve_pads_with_zeros(dilation: int) -> None:
    x, kernel, bias = arrays((1, 10, 3), (3, 3, 4), (4,))
    padded = np.pad(x, ((0, 0), (dilation, dilation), (0, 0)))
    expected = sum(
        padded[:, place * dilation : place * dilation + 10] @ kernel[place] for place in range(3)
    )
    found = convolution.convolve(x, kernel, bias, dilation=dilation)
    np.testing.assert_allclose(found, expected + bias, atol=1e-5)


def test_a_length_that_the_stride_does_not_divide() -> None:
    x, kernel, bias = arrays((1, 7, 3), (4, 3, 4), (4,))
    with pytest.raises(ValueError, match="a length of 7 is not a multiple of the stride 2"):
        convolution.downsample(x, kernel, bias, stride=2)


@pytest.mark.parametrize(("transposed", "fan"), [(False, 3 * 40), (True, 3 * 90)])
def test_parameters_start_within_their_bound(transposed: bool, fan: int) -> None:
    module = Convolution(40, 90, 3, transposed=transposed)
    params = module.init(jax.random.key(0), jnp.zeros((1, 4, 40)))["params"]
    most = fan**-0.5
    assert jax.tree.map(jnp.shape, params) == {"kernel": (3, 40, 90), "bias": (90,)}
    for leaf in params.values():
        assert 0.95 * most < float(jnp.max(jnp.abs(leaf))) <= most
    assert float(jnp.std(params["kernel"])) == pytest.approx(most / 3**0.5, 0.05)


def test_the_compute_type_is_asked_for() -> None:
    module = Convolution(4, 4, 3, dtype="bfloat16")
    params = module.init(jax.random.key(0), jnp.zeros((1, 4, 4)))
    assert params["params"]["kernel"].dtype == jnp.float32
    assert module.apply(params, jnp.zeros((1, 4, 4))).dtype == jnp.bfloat16
