"""Pictures are drawn whole or not at all, and say what is missing."""

import pathlib
import sys

import numpy as np
import pytest

from jukebox_jax.report import spectrograms

SOUND = np.sin(np.arange(8000) * 0.5).astype(np.float32)[:, None]


def test_a_picture_of_sounds(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "new" / "a.png"
    spectrograms.draw(file, [("one", [SOUND, 0.1 * SOUND])], ["left", "right"], 8000)
    assert file.read_bytes().startswith(b"\x89PNG") and len(list(file.parent.iterdir())) == 1


def test_a_tone_is_a_line() -> None:
    found = spectrograms._picture(SOUND, 8000)
    loudest = found[5:-5].argmax(axis=1)
    assert found.shape[1] == 96 and np.ptp(loudest) <= 1


def test_what_is_missing_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="one: 1 sounds for 2 columns"):
        spectrograms.draw(tmp_path / "a.png", [("one", [SOUND])], ["left", "right"], 8000)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match="pictures need matplotlib"):
        spectrograms.draw(tmp_path / "a.png", [("one", [SOUND])], ["left"], 8000)
