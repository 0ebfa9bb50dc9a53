"""The numbers of a sound move the way that their names say."""

import numpy as np
import pytest

from jukebox_jax.audio import measure
from jukebox_jax.evaluation import sound

RATE = 8000
TIMES = np.arange(2 * RATE) / RATE


@pytest.fixture(autouse=True)
def no_tempo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tempo has tests of its own where it is measured, and takes long to load."""
    monkeypatch.setattr(measure, "tempo", lambda audio, rate: None)


def heard(wave: np.ndarray) -> dict[str, float]:
    return sound.features(wave.astype(np.float32)[:, None], RATE)


def test_loud_bright_and_busy() -> None:
    low, high = np.sin(2 * np.pi * 200 * TIMES), np.sin(2 * np.pi * 2000 * TIMES)
    quiet, loud = heard(0.1 * low), heard(0.2 * low)
    assert loud["loudness"] - quiet["loudness"] == pytest.approx(6.02, abs=0.05)
    assert heard(low)["brightness"] == pytest.approx(200, abs=60)
    assert heard(high)["brightness"] == pytest.approx(2000, abs=60)
    pulsed = low * (np.sin(2 * np.pi * 4 * TIMES) > 0)
    assert heard(pulsed)["onsets"] > 2 * heard(low)["onsets"]
    assert np.isnan(loud["tempo"])


def test_silence_and_what_is_too_short() -> None:
    silent = heard(0 * TIMES)
    assert silent["loudness"] == measure.FLOOR and silent["onsets"] == 0
    with pytest.raises(ValueError, match="100 samples are too few to measure"):
        heard(TIMES[:100])
