"""What a prior is made of: parameters by path, shapes, and what does not fit together."""

import re

import jax
import jax.numpy as jnp
import pytest

from jukebox_jax import sharding
from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, LyricsPrefix, Timing
from jukebox_jax.prior.module import Prior

THREE = ("row", "column", "previous")
ENCODER = Lyrics(tokens=512, size=80, width=1280, layout=((THREE, 6),), block=16, heads=4)
LABELS = (("artist", Label(4111)), ("genre", Label(120, most=5)))
TIMING = (("timing", Timing(128, 60.0, 600.0)),)
ABOVE = (("above", Codes(2048, 1024, 16, downs=2)),)
SMALL = dict(context=24, block=4, bins=11, width=8)

# The published models; parameters as their checkpoints hold them, where a tied kernel counts once.
PUBLISHED = {
    "upsampler": (Prior(signals=LABELS + ABOVE), 981_298_176),
    "5b": (
        Prior(width=4800, heads=8, layout=((THREE, 24),), tied=False, signals=LABELS + TIMING),
        5_060_452_800,
    ),
    "5b_lyrics": (
        Prior(
            width=4800,
            heads=8,
            layout=((THREE, 3), ((*THREE * 3, "memory"), 7)),
            tied=False,
            signals=(*LABELS, *TIMING, ("lyrics", ENCODER)),
        ),
        5_640_506_800,
    ),
    "1b_lyrics": (
        Prior(
            context=6144,
            block=102,
            width=2048,
            heads=2,
            layout=(
                (THREE, 5),
                (("prefix",), 1),
                (("column", "previous", "row"), 5),
                (("prefix",), 1),
                (("previous", "row", "column"), 5),
                (("dense",), 1),
                (THREE, 5),
                (("prefix",), 1),
                (("column", "previous", "row"), 2),
                (("column", "previous"), 1),
            ),
            signals=(
                ("artist", Label(7898)),
                ("genre", Label(604)),
                ("timing", Timing(64, 17.84, 600.0)),
                ("lyrics", LyricsPrefix(384, 79)),
            ),
        ),
        942_643_200,
    ),
}


def paths(model: Prior) -> dict[str, jax.ShapeDtypeStruct]:
    leaves = jax.tree_util.tree_leaves_with_path(prior.abstract(model))
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_models(name: str) -> None:
    model, count = PUBLISHED[name]
    assert sum(leaf.size for leaf in paths(model).values()) == count


def test_paths_of_lyrics_are_sharded_like_the_rest() -> None:
    found = paths(PUBLISHED["5b_lyrics"][0])
    wide = [path for path, leaf in found.items() if leaf.size > 4_000_000]
    patterns = [pattern for pattern, axes in sharding.TABLE if axes]
    assert any("conditioning/lyrics/transformer" in path for path in wide)
    for path in wide:
        if "conditioning/lyrics/out" in path or path.startswith(("positions", "logits")):
            continue
        if "rows/embedding" in path:
            continue
        assert any(re.search(pattern, path) for pattern in patterns), path


def test_lyrics_shift_positions_and_codes() -> None:
    model = Prior(
        **SMALL,
        layout=((("prefix",), 1),),
        signals=(("lyrics", LyricsPrefix(tokens=8, size=5)),),
    )
    assert (model.prefix, model.shift) == (8, 5)
    found = paths(model)
    assert found["codes/embedding"].shape == (16, 8)
    assert found["positions/embedding"].shape == (32, 8)
    plain = Prior(**SMALL)
    assert (plain.prefix, plain.shift, plain.lyrics) == (0, 0, None)


def test_heads_and_starts_are_made_where_needed() -> None:
    found = paths(Prior(**SMALL, tied=False))
    assert found["start/embedding"].shape == (1, 8)
    assert found["logits/kernel"].shape == (8, 11)
    assert "logits/kernel" not in paths(Prior(**SMALL))
    assert "start/embedding" not in paths(Prior(**SMALL, signals=LABELS))
    encoder = Lyrics(tokens=6, size=7, width=4, layout=((("row",), 1),), block=3)
    model = Prior(**SMALL, layout=((("row", "memory"), 1),), signals=(("lyrics", encoder),))
    assert paths(model)["lyric_logits/kernel"].shape == (8, 7)


def test_a_start_of_labels_replaces_the_learnt_one() -> None:
    model = Prior(**SMALL)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), prior.abstract(model))
    conditioning = prior.condition(model, params, {})
    assert conditioning.start.shape == (1, 1, 8)
    assert (conditioning.track, conditioning.memory, conditioning.prefix) == (None, None, None)


@pytest.mark.parametrize(
    ("layout", "signals", "words"),
    [
        (("row", "memory"), (), "the layout has 'memory' layers, but no signal enters at"),
        (("row", "prefix"), (), "the layout has 'prefix' layers, but no signal enters at"),
        (("row",), (("lyrics", ENCODER),), "but the layout has no 'memory' layers"),
    ],
)
def test_layers_and_signals_must_fit(layout, signals, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prior.abstract(Prior(**SMALL, layout=((layout, 1),), signals=signals))
