"""Decoding is measured against what was encoded, level by level, and codes are counted."""

import math
import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio import song
from jukebox_jax.evaluation import reconstruction
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.sampling import compose


def test_figures_of_songs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that gives back half of what it was given is off by what half is off by."""
    found = song.find(singing.songs(tmp_path), rate=singing.RATE)
    subject = Subject(singing.jukebox(), found)
    sounds = iter([reconstruction.heard.load(one, singing.RATE) for one in found])

    def decode(box: object, codes: np.ndarray, level: int) -> np.ndarray:
        return 0.5 * next(sounds)[None, : codes.shape[1] * singing.HOP]

    monkeypatch.setattr(compose, "decode", decode)
    figures = {one.name: one for one in reconstruction.reconstruction(subject)}
    convergence = figures["level 0: spectral convergence"]
    assert convergence.value == pytest.approx(20 * math.log10(0.5), abs=0.01)
    assert convergence.songs == 4 and convergence.low == pytest.approx(convergence.value, abs=0.01)
    assert figures["level 0: SI-SDR"].value > 60
    assert figures["level 0: mel distance"].value > 2
    assert figures["level 0: bitrate"].value == pytest.approx(3 * singing.RATE / singing.HOP / 1000)
    codes = np.concatenate([codes[0][0] for _, codes in subject.known])
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    entropy = figures["level 0: codebook entropy"].value
    assert entropy == pytest.approx(-(shares * np.log2(shares)).sum())
    assert figures["level 0: codebook use"].value == pytest.approx(100 * len(shares) / 8)


def test_windows_of_long_songs_and_silence() -> None:
    rate = 1000
    sound = np.random.default_rng(0).normal(0, 0.3, (9 * rate, 1)).astype(np.float32)
    sound[4 * rate : 8 * rate] = 0
    rows = reconstruction.distances(sound, sound, rate)
    assert len(rows) == 2  # of four seconds; what is left over is no window
    assert rows[0]["mel distance"] == rows[0]["STFT distance"] == 0 and rows[0]["SI-SDR"] > 60
    assert all(math.isnan(rows[1][name]) for name in ("SI-SDR", "spectral convergence"))


def test_no_songs() -> None:
    with pytest.raises(ValueError, match="no songs to reconstruct"):
        reconstruction.reconstruction(Subject(singing.jukebox(), ()))
