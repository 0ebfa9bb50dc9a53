"""The first layers of a prior are a prior of their own, and make of codes what the whole makes."""

import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint
from jukebox_jax.models import Stage
from jukebox_jax.prior import depth, prior, transformer
from jukebox_jax.prior.depth import Piece
from jukebox_jax.prior.lyric_signals import Lyrics
from jukebox_jax.prior.module import Prior
from jukebox_jax.prior.signals import Label

LAYOUT = ((("row", "column", "previous"), 2), (("memory", "row"), 1))
FIELDS: dict[str, Any] = dict(
    context=32, block=8, bins=16, width=16, layout=LAYOUT, tied=False, remat="none"
)
SIGNALS = (
    ("artist", Label(size=3)),
    ("lyrics", Lyrics(size=5, tokens=8, width=8, heads=2, layout=((("dense",), 1),), block=8)),
)
MODEL = Prior(**FIELDS, signals=SIGNALS)
CODES = np.random.default_rng(3).integers(0, 16, (2, 32)).astype(np.int32)
LABELS = {
    "artist": np.array([[1], [2]], np.int32),
    "lyrics": np.arange(16, dtype=np.int32).reshape(2, 8) % 5,
}


@pytest.fixture(scope="module")
def params() -> Any:
    generator = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: 0.3 * generator.standard_normal(leaf.shape, np.float32), prior.abstract(MODEL)
    )


@pytest.fixture(scope="module")
def whole(params: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """What each layer makes, by the layers one by one, and the logits of all together."""

    @jax.jit
    def run(params: Any) -> Any:
        conditioning = prior.condition(MODEL, params, LABELS)
        flat = prior.unstack(MODEL, params)
        x = MODEL.apply({"params": params}, CODES, conditioning, method="_shifted")
        stack = MODEL.bind({"params": flat}).transformer
        made = []
        for layer in stack.layer:
            x, _ = layer.fill(x, 0, conditioning.memory)
            made.append(x)
        return made, prior.logits(MODEL, params, CODES, conditioning)

    return run(params)


def made_by(params: Any, layers: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    model, part = depth.cut(MODEL, layers), depth.restack(MODEL, params, layers)

    @jax.jit
    def run(part: Any) -> Any:
        conditioning = prior.condition(model, part, LABELS)
        return depth.activations(model, part, CODES, conditioning, layers)

    return run(part)


@pytest.mark.parametrize("layers", [(1, 3, 5), (2, 6, 8)])
def test_layers_make_what_they_make_in_the_whole(
    params: Any, whole: Any, layers: tuple[int, ...]
) -> None:
    found = made_by(params, layers)
    for layer, one in zip(layers, found, strict=True):
        np.testing.assert_allclose(one, whole[0][layer - 1], rtol=1e-4, atol=1e-5)
    if 8 in layers:
        predicted = found[-1] @ params["logits"]["kernel"]
        np.testing.assert_allclose(predicted, whole[1], rtol=1e-4, atol=1e-4)


def test_pieces_end_at_each_layer() -> None:
    layout = ((("row", "column", "previous"), 4), (("dense",), 2))
    found = depth.pieces(layout, (5, 12, 13))
    assert found == (
        Piece(0, (0, 1, 2), 0, 1),
        Piece(0, (0, 1), 1, 1),
        Piece(0, (2,), 1, 1),
        Piece(0, (0, 1, 2), 2, 2),
        Piece(1, (0,), 0, 1),
    )
    for layers in [(3,), (2, 4), (14,), (1, 7, 13)]:
        names = [
            layout[p.group][0][place]
            for p in depth.pieces(layout, layers)
            for place in p.places * p.repeats
        ]
        assert tuple(names) == transformer.patterns(layout)[: layers[-1]]


def test_lyrics_that_are_read_above_are_no_signal() -> None:
    assert [name for name, _ in depth.cut(MODEL, (6,)).signals] == ["artist"]
    assert [name for name, _ in depth.cut(MODEL, (7,)).signals] == ["artist", "lyrics"]


@pytest.mark.parametrize("layers", [(), (0,), (9,)])
def test_layers_that_there_are_not(layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"layers 1 to 8; give some"):
        depth.cut(MODEL, layers)


def test_parameters_of_decoding_are_refused(params: Any) -> None:
    with pytest.raises(ValueError, match="unstacked for decoding"):
        depth.restack(MODEL, transformer.unstack(params, LAYOUT), (1,))


def test_only_what_is_needed_is_held(params: Any, tmp_path: pathlib.Path) -> None:
    """What a stage holds falls with the layers asked for, and is what the whole holds."""
    config = {
        "stage": {"kind": "prior", "rate": 80, "level": 0},
        "model": {**FIELDS, "layout": [[list(names), count] for names, count in LAYOUT]},
        "signals": {
            "artist": {"kind": "label", "size": 3},
            "lyrics": dict(
                kind="lyrics", size=5, tokens=8, width=8, heads=2, block=8, layout=[[["dense"], 1]]
            ),
        },
    }
    checkpoint.save_stage(tmp_path, config, {"params": params})
    sizes = {}
    for layers in [(1,), (3,), (6,), (2, 8)]:
        stage = Stage.load(tmp_path, layers=layers)
        assert stage.model == depth.cut(Stage.load(tmp_path).model, layers)
        kept = depth.restack(MODEL, params, layers)
        assert jax.tree.structure(stage.weights) == jax.tree.structure(kept)
        jax.tree.map(np.testing.assert_array_equal, stage.weights, kept)
        sizes[layers[-1]] = sum(leaf.nbytes for leaf in jax.tree.leaves(stage.weights))
    layer = sum(leaf[:1].nbytes for leaf in jax.tree.leaves(params["transformer"]["group_0"])) // 3
    assert sizes[3] == sizes[1] + 2 * layer and sizes[6] == sizes[3] + 3 * layer
    assert sizes[8] > sizes[6] + layer  # and the lyrics' encoder
    with pytest.raises(ValueError, match="layers 1 to 8"):
        Stage.load(tmp_path, layers=(12,))
