"""Tones have their pitch and no clicks, noise is one at all rates, the desk keeps its promises."""

import dataclasses

import numpy as np
import pytest

from jukebox_jax.audio.band import artists, instruments

RATE = 16000
TIMBRES = {
    f"{name}-{part.name}": (part.timbre, part.centre)
    for name, artist in artists.ARTISTS.items()
    for part in artist.parts.values()
}


@pytest.mark.parametrize("name", TIMBRES)
def test_a_tone(name: str) -> None:
    timbre, pitch = TIMBRES[name]
    wave = instruments.tone(timbre, pitch, 0.8, RATE)
    assert wave.dtype == np.float32
    assert len(wave) == int(0.8 * RATE) + int(timbre.release * RATE)
    assert abs(wave[0]) < 0.05 and abs(wave[-1]) < 1e-2 and np.isfinite(wave).all()
    assert 0.2 < np.sqrt(np.mean(wave[: RATE // 2] ** 2)) < 1.3
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 17)) ** 2
    repeats = np.fft.irfft(power)[: RATE // 25]
    first = 440 * 2 ** ((pitch - 69) / 12)
    near = np.arange(int(RATE / first * 0.94), int(RATE / first * 1.06) + 2)
    lag = near[np.argmax(repeats[near])]
    assert repeats[lag] > 0.6 * repeats[0]
    assert abs(12 * np.log2(RATE / lag / first)) < 12 * np.log2(1 + 1.5 * first / RATE)
    again = instruments.tone(timbre, pitch, 0.3, RATE)
    same = int(0.3 * RATE)
    np.testing.assert_array_equal(again[:same], wave[:same])


def test_a_tone_is_the_same_at_any_rate() -> None:
    timbre = dataclasses.replace(TIMBRES["Velvet Harbor-piano"][0], click=0.0)
    low, high = (instruments.tone(timbre, 60, 0.5, rate) for rate in (8000, 24000))
    np.testing.assert_allclose(low, high[::3][: len(low)], atol=0.02)
    top = np.abs(np.fft.rfft(instruments.tone(timbre, 100, 0.5, 8000)))
    assert np.isfinite(top).all() and top[-40:].max() < 0.1 * top.max(), "nothing folds back"


def test_noise_is_the_same_at_any_rate() -> None:
    low, high = np.fft.rfft(instruments.noise(8000)), np.fft.rfft(instruments.noise(48000))
    np.testing.assert_allclose(low[1:7990], high[1:7990] / 6, atol=2e-2 * np.abs(low).max())
    assert instruments.noise(48000).std() == pytest.approx(1.0, abs=0.02)
    with pytest.raises(ValueError, match="read-only"):
        instruments.noise(8000)[0] = 1


@pytest.mark.parametrize("artist", artists.ARTISTS)
def test_drums(artist: str) -> None:
    kit, centres = artists.ARTISTS[artist].kit, {}
    for kind in ("kick", "snare", "rim", "hat", "open", "tom", "crash"):
        wave = instruments.drum(kit, kind, RATE)
        assert abs(wave[0]) < 0.05 and abs(wave[-1]) < 1e-3
        loud = np.abs(wave)
        assert 0.1 < loud.max() < 8
        assert np.argmax(loud) < 0.1 * RATE, "a stroke is loudest at once"
        power = np.abs(np.fft.rfft(wave)) ** 2
        centres[kind] = np.sum(power * np.fft.rfftfreq(len(wave), 1 / RATE)) / power.sum()
    assert centres["kick"] < 600 < centres["snare"] < centres["hat"]
    lengths = [len(instruments.drum(kit, kind, RATE)) for kind in ("hat", "open", "crash")]
    assert lengths == sorted(lengths) and len(set(lengths)) == 3


def test_a_room_dies_away() -> None:
    click = np.zeros(2 * RATE, np.float32)
    click[100] = 1
    wet = instruments.reverb(click, RATE, 1.0, 2500.0)
    assert wet.shape == (2, 2 * RATE)
    assert np.abs(wet[:, :200]).max() < 1e-6 < np.abs(wet).max()
    energy = [
        np.sum(wet[:, int(t * RATE) : int((t + 0.1) * RATE)] ** 2) for t in (0.05, 0.35, 0.65)
    ]
    for one, later in zip(energy, energy[1:], strict=False):
        assert 9 < 10 * np.log10(one / later) < 30, "60 dB a second, highs sooner"
    assert abs(np.corrcoef(wet)[0, 1]) < 0.3, "the sides differ"
    long = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)
    piece = instruments.reverb(long, RATE, 1.0, 2500.0)
    direct = np.convolve(long[:3000], instruments._room(RATE, 1.0, 2500.0)[0])[:3000]
    np.testing.assert_allclose(piece[0, :3000], direct, atol=1e-4)
    np.testing.assert_allclose(
        instruments.reverb(long[RATE:], RATE, 1.0, 2500.0)[:, 3 * RATE :],
        piece[:, 4 * RATE :],
        atol=1e-4,
        err_msg="blocks leave no seam",
    )


def test_places_and_echoes() -> None:
    wave = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    for pan in (-1.0, 0.0, 0.6):
        out = instruments.widen(wave, RATE, pan, 0.0)
        assert np.sum(out**2) == pytest.approx(np.sum(wave**2), rel=1e-3)
    assert np.abs(instruments.widen(wave, RATE, -1.0, 0.0)[1]).max() < 1e-5
    wide, narrow = (instruments.widen(wave, RATE, 0.0, width) for width in (0.5, 0.0))
    np.testing.assert_allclose(wide.sum(axis=0), narrow.sum(axis=0), atol=1e-4)
    assert np.corrcoef(wide)[0, 1] < 0.9
    click = np.zeros(RATE, np.float32)
    click[0] = 1
    repeats = instruments.echo(click, RATE, 0.2, 0.5)
    found = [(int(side), int(at)) for side, at in np.argwhere(repeats)]
    assert sorted(found, key=lambda one: one[1]) == [
        (1, 3200), (0, 6400), (1, 9600), (0, 12800),
    ]  # fmt: skip
    assert repeats[1, 3200] == 0.5 and repeats[0, 6400] == 0.25


def test_the_master_keeps_below_its_peak_and_changes_little() -> None:
    rng = np.random.default_rng(2)
    quiet = 0.1 * rng.standard_normal((2, 4 * RATE)).astype(np.float32)
    mix = quiet.copy()
    mix[:, 2 * RATE : 2 * RATE + 40] += 2.0
    out = instruments.master(mix, RATE)
    assert np.abs(out).max() == pytest.approx(0.84, abs=1e-6)
    far = np.r_[0:RATE, 3 * RATE : 4 * RATE]
    ratio = out[:, far] / mix[:, far]
    assert np.ptp(ratio) < 1e-4, "what is not loud is only scaled"
    assert not instruments.master(np.zeros((2, 100), np.float32), RATE).any()
