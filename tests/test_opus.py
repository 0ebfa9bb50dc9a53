"""Sounds come back from Opus at their length, and at about the bitrate that was asked for."""

import numpy as np
import pytest

from jukebox_jax.evaluation import opus

RNG = np.random.default_rng(0)


def sound(rate: int, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) * (1.2 + np.sin(2 * np.pi * 3 * time)) / 2
    return (tone + 0.01 * RNG.normal(size=len(time))).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 11025])
def test_more_bits_come_nearer(rate: int) -> None:
    sounds = [sound(rate, 3.0), sound(rate, 4.0)]
    errors = []
    for wanted in (8.0, 64.0):
        made, kbits = opus.code(sounds, rate, wanted)
        assert [one.shape for one in made] == [one.shape for one in sounds]
        assert 0.6 * wanted < kbits < 1.6 * wanted
        errors.append(float(np.square(made[1] - sounds[1]).mean()))
    assert errors[1] < errors[0] < 0.1 * float(np.square(sounds[1]).mean())


def test_what_cannot_be_asked_for_is_the_least() -> None:
    whole = [sound(8000, 8.0)]
    small, least = (opus.code(whole, 8000, wanted)[1] for wanted in (0.4, 6.0))
    assert small == least > 4


def test_bits_of_levels() -> None:
    assert opus.nearest(44100, (8, 32, 128), 2048) == pytest.approx([60.6, 15.2, 3.79], rel=0.01)
