"""Pieces lie side by side, overlap by no less than what is seen, and by little more."""

import jax
import numpy as np
import pytest

from jukebox_jax.vqvae import coder, pieces
from jukebox_jax.vqvae.pieces import Margin, Piece

SIZES = [
    ((1,), (2,), 1, 3, None),
    ((2,), (3,), 2, 2, None),
    ((2, 1), (2, 3), 3, 3, 2),
    ((1, 1, 2), (3, 2, 2), 2, 3, None),
]


def test_pieces_of_one_size() -> None:
    margin = Margin(2, 3)
    assert pieces.lay(10, 10, margin) == (Piece(0, 0, 10),)
    assert pieces.lay(4, 10, margin) == (Piece(0, 0, 4),)
    assert pieces.lay(11, 10, margin) == (Piece(0, 0, 7), Piece(1, 7, 11))
    assert pieces.lay(21, 10, margin) == (
        Piece(0, 0, 7),
        Piece(5, 7, 12),
        Piece(10, 12, 17),
        Piece(11, 17, 21),
    )


@pytest.mark.parametrize("margin", [Margin(0, 0), Margin(2, 3), Margin(4, 0)])
@pytest.mark.parametrize("size", [8, 13])
def test_each_code_is_kept_once_and_whole(margin: Margin, size: int) -> None:
    for length in range(1, 60):
        laid = pieces.lay(length, size, margin)
        kept = [code for piece in laid for code in range(piece.first, piece.last)]
        assert kept == list(range(length))
        for piece in laid:
            assert 0 <= piece.start and piece.start + min(size, length) <= length
            assert piece.start == 0 or piece.first >= piece.start + margin.before
            assert piece.last in (length, piece.start + size - margin.after)


def seen(function, length: int, width: int, rows: slice) -> np.ndarray:
    """Inputs that some outputs depend on, by poisoning the input."""
    x = np.zeros((length, length, width), np.float32)
    x[np.arange(length), np.arange(length)] = np.nan
    spoilt = np.isnan(np.asarray(function(x))[:, rows]).any((1, 2))
    return np.flatnonzero(spoilt)


@pytest.mark.parametrize("sizes", SIZES)
def test_margins_are_what_is_seen(sizes: tuple) -> None:
    downs, strides, depth, growth, cycle = sizes
    shape = {"width": 1, "depth": depth, "dilation_growth": growth, "dilation_cycle": cycle}
    hop = int(np.prod([stride**down for down, stride in zip(downs, strides, strict=True)]))
    ones = lambda module, x: jax.tree.map(  # noqa: E731
        lambda leaf: np.ones(leaf.shape, np.float32),
        jax.eval_shape(module.init, jax.random.key(0), x),
    )

    encoder = coder.Encoder(downs, strides, out_width=1, **shape)
    margin = pieces.encoder_margin(*sizes)
    length = margin.before + margin.after + 3
    params = ones(encoder, np.zeros((1, length * hop, 1), np.float32))
    place = margin.before + 1
    run = jax.jit(lambda x: encoder.apply(params, x))
    samples = seen(run, length * hop, 1, slice(place, place + 1))
    assert samples.min() // hop == place - margin.before
    assert samples.max() // hop == place + margin.after

    decoder = coder.Decoder(downs, strides, in_width=1, **shape)
    margin = pieces.decoder_margin(*sizes)
    length = margin.before + margin.after + 3
    params = ones(decoder, np.zeros((1, length, 1), np.float32))
    place = margin.before + 1
    run = jax.jit(lambda x: decoder.apply(params, x))
    codes = seen(run, length, 1, slice(place * hop, (place + 1) * hop))
    assert codes.min() == place - margin.before
    assert codes.max() == place + margin.after


def test_pieces_are_of_the_size_asked_for_where_margins_allow() -> None:
    shapes = []

    def compute(some: np.ndarray) -> np.ndarray:
        shapes.append(some.shape)
        return some[:, ::4, 0].astype(np.int32)

    audio = np.arange(2 * 400).reshape(2, 400, 1)
    codes = pieces.encode(compute, audio, 4, Margin(3, 2), samples=2 * 4 * 20)
    np.testing.assert_array_equal(codes, audio[:, ::4, 0])
    assert len(shapes) > 5 and set(shapes) == {(2, 80, 1)}
    shapes.clear()
    pieces.encode(compute, audio, 4, Margin(3, 2), samples=1)
    assert set(shapes) == {(2, 44, 1)}


def test_audio_comes_as_it_is_ready() -> None:
    started = []

    def compute(some: np.ndarray) -> np.ndarray:
        started.append(len(some))
        return np.repeat(some, 4, axis=1)[..., None].astype(np.float32)

    codes = np.arange(100)[None]
    stream = pieces.decode(compute, codes, 4, Margin(2, 2), samples=4 * 20)
    first = next(stream)
    assert len(started) == 2  # the next one is on its way
    audio = np.concatenate([first, *stream], axis=1)
    np.testing.assert_array_equal(audio[0, :, 0], np.repeat(codes[0], 4))
