"""Pictures are drawn from what is to be seen, and are files that others can open."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is missing: install the extra `notebook`")

from jukebox_jax.prior import attention  # noqa: E402
from jukebox_jax.prior.attention import Grid  # noqa: E402
from jukebox_jax.report import plots  # noqa: E402


def test_patterns_are_those_of_their_definition() -> None:
    grid = Grid(16, 4, lyrics=4)
    figure = plots.patterns(grid)
    shown = {axis.get_title(): axis for axis in figure.axes if axis.get_title()}
    assert set(shown) == set(attention.PATTERNS) - {"memory"}
    for name, axis in shown.items():
        np.testing.assert_array_equal(axis.images[0].get_array(), attention.sees(name, grid))
    assert plots.png(figure).startswith(b"\x89PNG")


def test_codes_stand_at_their_seconds() -> None:
    figure = plots.codes([np.arange(8), np.arange(4)], (2, 4), 8)
    top, low = figure.axes  # the coarsest on top
    assert top.get_title() == "level 1: 2 codes a second"
    np.testing.assert_array_equal(top.lines[0].get_xdata(), np.arange(4) / 2)
    np.testing.assert_array_equal(low.lines[0].get_ydata(), np.arange(8))


def test_use_counts_entries_and_their_spread() -> None:
    even, one = np.arange(8), np.zeros(5, int)
    figure = plots.use([even, one], 8)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["level 0: 100% used, as 8 even ones", "level 1: 12% used, as 1 even ones"]


def test_a_tone_stands_at_its_height() -> None:
    rate = 8000
    seconds = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 1000 * seconds).astype(np.float32)
    figure = plots.spectrograms({"tone": tone, "softer": 0.1 * tone}, rate)
    loud, soft = (axis.images[0].get_array() for axis in figure.axes[:2])
    height = loud[:, loud.shape[1] // 2].argmax() / (loud.shape[0] - 1) * rate / 2
    assert abs(height - 1000) < 30
    assert loud.max() == pytest.approx(0, abs=0.1) and soft.max() == pytest.approx(-20, abs=0.1)


def test_a_sound_shorter_than_a_frame_is_drawn() -> None:
    assert plots.spectrograms({"click": np.ones(5, np.float32)}, 8000).axes


def test_words_stand_at_their_first_letters() -> None:
    text = "oh my  oh"
    figure = plots.lyrics(np.eye(20, len(text), dtype=np.float32), text, 2.0)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["oh", "my", "oh"]
    assert list(axis.get_yticks()) == [0, 3, 7]
