"""What training finds out first: names, characters, the sound's size, and whether stages fit."""

import dataclasses
import logging

import numpy as np
import pytest

from jukebox_jax.audio import song, wave
from jukebox_jax.audio.song import Song
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import preparation, settings
from jukebox_jax.vqvae.vqvae import VQVAE

CODEC = VQVAE(downs=(2, 1), strides=(2, 2), multipliers=(1, 1), bins=16)
LABEL = {"kind": "label", "size": 4}
LYRICS = {"kind": "lyrics", "tokens": 8, "size": 12, "width": 8, "block": 4}
LYRICS["layout"] = [[["row"], 1]]
ABOVE = {"kind": "codes", "bins": 16, "width": 4, "depth": 1, "downs": 1}


def model(**signals: dict) -> Prior:
    made = tuple((name, conditioning.make(name, spec)) for name, spec in sorted(signals.items()))
    return Prior(context=64, block=8, bins=16, width=16, signals=made)


def read(level: int = 1, **data) -> settings.Settings:
    return settings.read(
        {
            "stage": {"kind": "prior", "rate": 8000, "level": level, "vqvae": "somewhere"},
            "model": {},
            "data": {"source": "songs", "batch": 8, **data},
            "run": {"steps": 5},
        }
    )


def songs(*labels: dict) -> list[Song]:
    return [Song(f"{number}.wav", 9000, one, 8000) for number, one in enumerate(labels)]


def test_names_are_learnt(caplog: pytest.LogCaptureFixture) -> None:
    heard = songs(
        {"artist": "B"}, {"artist": "A"}, {}, {"artist": {"schedule": [[0, "A"], [2, "C"]]}}
    )
    with caplog.at_level(logging.INFO):
        found = preparation.learn_vocabularies(model(artist=LABEL), read(), heard)
    assert dict(found["artist"].ids) == {"A": 1, "B": 2, "C": 3}
    assert "1 of 4 songs have no label 'artist'" in caplog.text
    with pytest.raises(ValueError, match=r"artist\.size = 4, but the songs have 4 names"):
        preparation.learn_vocabularies(
            model(artist=LABEL), read(), [*heard, *songs({"artist": "D"})]
        )


def test_names_that_a_run_does_not_know_are_told(caplog: pytest.LogCaptureFixture) -> None:
    prior = model(artist=LABEL, chords={"kind": "track", "size": 5, "rate": 8000})
    heard = songs({"artist": "A", "chords": [[0, "C"], [2, "F"]]}, {"artist": "B"})
    known = preparation.learn_vocabularies(prior, read(), heard)
    with caplog.at_level(logging.WARNING):
        preparation.tell_unknown(prior, heard, known)
        assert not caplog.records
        more = songs({"artist": "D", "chords": [[0, "G"]]}, {"artist": "C"}, {})
        preparation.tell_unknown(prior, [*heard, *more], known)
    artist, chords = caplog.messages
    assert artist.startswith("2 names of artist in the songs are none of the 2") and "'C'" in artist
    assert chords.startswith("1 names of chords") and "'G'" in chords


def test_names_in_time_are_learnt_as_they_are_spelt(caplog: pytest.LogCaptureFixture) -> None:
    prior = model(
        chords={"kind": "track", "size": 5, "rate": 8000},
        playing={"kind": "events", "size": 3, "rate": 8000},
        tempo={"kind": "curve", "minimum": 40, "maximum": 240, "bins": 8, "rate": 8000},
        mood={"kind": "curve", "minimum": 0, "maximum": 1, "bins": 8, "rate": 8000},
    )
    heard = songs({"chords": [[0, "C"], [2, "c"]], "playing": {"Bass": [[0, 1]]}}, {"chords": "C#"})
    with caplog.at_level(logging.INFO):
        found = preparation.learn_vocabularies(prior, read(normalise="v2"), heard)
    assert dict(found["chords"].ids) == {"C": 1, "C#": 2, "c": 3}
    assert dict(found["playing"].ids) == {"Bass": 1}
    assert set(found) == {"chords", "playing"}
    assert "1 of 2 songs have no label 'playing'" in caplog.text
    more = [*heard, *songs({"playing": ["drums", "Bass"]})]
    grown = preparation.learn_vocabularies(prior, read(), more, found)
    assert dict(grown["playing"].ids) == {"Bass": 1, "drums": 2}
    with pytest.raises(ValueError, match=r"playing\.size = 3, but the songs have 3 names"):
        preparation.learn_vocabularies(prior, read(), [*more, *songs({"playing": "lute"})])
    assert preparation.measured(prior) == ("chords", "tempo")
    preparation.check_rates(prior, 8000)
    with pytest.raises(ValueError, match=r"chords\.rate = 8000, but config\.stage\.rate = 44100"):
        preparation.check_rates(prior, 44100)


def test_characters_are_learnt_and_losses_reported(caplog: pytest.LogCaptureFixture) -> None:
    heard = songs({"lyrics": "Ой на ой"}, {"lyrics": [[0.0, "на"], [0.5, "на"]]}, {})
    prior = model(lyrics=LYRICS)
    found = preparation.learn_vocabularies(prior, read(), heard)["lyrics"]
    assert found.text(found.tokens("Ой на")) == "Ой на"
    with caplog.at_level(logging.INFO):
        small = dataclasses.replace(prior.signals[0][1], size=3)
        preparation.learn_vocabularies(Prior(signals=(("lyrics", small),)), read(), heard)
    assert "0.wav" in caplog.text and "2.wav: no lyrics" in caplog.text
    with pytest.raises(ValueError, match="the alphabet 'v2' has 80: set it to that or more"):
        preparation.learn_vocabularies(prior, read(alphabet="v2"), heard)
    with pytest.raises(ValueError, match=r"lyrics of 0\.wav"):
        preparation.learn_vocabularies(prior, read(), songs({"lyrics": [[3.0, "a"], [1.0, "b"]]}))


@pytest.mark.parametrize(("level", "signals", "top"), [(1, {}, True), (0, {"above": ABOVE}, False)])
def test_a_level_that_fits(level: int, signals: dict, top: bool) -> None:
    assert preparation.check_level(model(**signals), read(level), CODEC, 8000) is top


@pytest.mark.parametrize(
    ("level", "signals", "message"),
    [
        (0, {}, "needs one signal of kind 'codes', not 0"),
        (1, {"above": ABOVE}, "is the top, and no codes lie above it"),
        (0, {"above": {**ABOVE, "downs": 2}}, "4 times their own, but .* 2 times slower"),
        (0, {"above": {**ABOVE, "bins": 8}}, "codes of 8 bins"),
        (2, {}, "the VQ-VAE has levels 0 to 1"),
    ],
)
def test_a_level_that_does_not_fit(level: int, signals: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preparation.check_level(model(**signals), read(level), CODEC, 8000)


def test_bandwidth_is_that_of_the_songs(tmp_path) -> None:
    rng = np.random.default_rng(0)
    wave.save(tmp_path / "a.wav", np.clip(0.2 * rng.standard_normal(40000), -1, 1), 8000)
    heard = song.find(tmp_path, rate=8000)
    found = preparation.measure_bandwidth(read(), heard, 4000)
    assert float(found.l2) == pytest.approx(0.04, rel=0.1)
    assert float(found.l1) == pytest.approx(0.2 * np.sqrt(2 / np.pi), rel=0.1)


def test_bandwidth_is_that_of_all_channels(tmp_path) -> None:
    """What stands in opposite channels is sound, though a mix of both is silent."""
    left = np.clip(0.2 * np.random.default_rng(0).standard_normal(40000), -1, 1)
    wave.save(tmp_path / "a.wav", np.stack([left, -left + 0.001], axis=1), 8000)
    found = preparation.measure_bandwidth(read(), song.find(tmp_path, rate=8000), 4000)
    assert float(found.l2) == pytest.approx(0.04, rel=0.1)
    assert float(found.l1) == pytest.approx(0.2 * np.sqrt(2 / np.pi), rel=0.1)


def test_bandwidth_of_few_windows(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    """Eight are heard, or all, and if they are silent the next one that is not."""
    sound = np.zeros(16 * 4000)
    wave.save(tmp_path / "silent" / "a.wav", sound, 8000)
    with pytest.raises(ValueError, match="silent, all 16 windows of them"):
        preparation.measure_bandwidth(read(), song.find(tmp_path / "silent", rate=8000), 4000)
    sound[20000:24000] = 0.2 * np.sin(np.arange(4000))
    wave.save(tmp_path / "once" / "a.wav", sound, 8000)
    found = preparation.measure_bandwidth(read(), song.find(tmp_path / "once", rate=8000), 4000)
    assert 0.02 / 17 < float(found.l2) < 0.021
    with caplog.at_level(logging.INFO):
        for count in (5, 16, 16 * 9):
            heard = tmp_path / str(count)
            wave.save(heard / "a.wav", 0.2 * np.sin(np.arange(count * 2100)), 8000)
            preparation.measure_bandwidth(read(), song.find(heard, rate=8000), 2100)
    said = [line for line in caplog.messages if "measuring the bandwidth" in line]
    assert said == [f"measuring the bandwidth of {count} windows" for count in (5, 8, 9)]


def check_restarts(batch: int, **changes: dict) -> None:
    plain = {"stage": {"kind": "vqvae", "rate": 8000}, "model": {}, "run": {"steps": 5}}
    plain["data"] = {"source": "songs", "batch": batch, "samples": 64}
    given = settings.read(
        {**plain, **{name: plain.get(name, {}) | changes[name] for name in changes}}
    )
    preparation.check_restarts(CODEC, given, 64)


def test_codes_that_cannot_settle_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """16 and 8 vectors a window, for 16 codes."""
    check_restarts(4)
    assert not caplog.records
    check_restarts(2)
    check_restarts(3, run={"start_from": "somewhere"})
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("level 1: a step has 16 vectors for 16 codes, 1 for each")
    assert "restart before they settle" in said[0] and "lower the threshold to 0.25" in said[0]


def test_the_codebook_of_a_trained_stage_is_not_thrown_away() -> None:
    run = {"start_from": "somewhere"}
    with pytest.raises(ValueError, match="level 1: .*would be lost; raise config.data.batch"):
        check_restarts(2, run=run)
    check_restarts(2, run=run, optimizer={"freeze": "codebooks"})
