"""Requests are made of songs' labels, and what comes of them is told as it is."""

import dataclasses

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import signals
from jukebox_jax.evaluation.signals import With, Without
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.prior.conditioning import Beats, Curve, Events, Label, Track
from jukebox_jax.sampling.compose import Recording

EVEN = {"loudness": -20.0, "tempo": 100.0, "brightness": 500.0, "onsets": 1.0}


def labelled(count: int = 12) -> tuple[list[Song], list[dict[str, float]]]:
    """Songs of which odd ones are wild, loud, fast and have drums, and how they sound."""
    songs, heard_as = [], []
    for index in range(count):
        wild = index % 2
        labels = {
            "mood": ["calm", "wild"][wild],
            "dynamics": [[0, 0.2 + 0.6 * wild], [5, 0.3 + 0.6 * wild]],
            "tempo": 80 + 40 * wild + index,
            "activity": {"bass": [[0, 9]], **({"drums": [[1, 2]]} if wild else {})},
        }
        songs.append(Song("a.wav", 10 * singing.RATE, labels, singing.RATE))
        heard_as.append({**EVEN, "loudness": -30 + 10 * wild + 0.1 * index, "onsets": 1 + wild})
    return songs, heard_as


def test_requests_differ_most_in_how_songs_sound() -> None:
    songs, heard_as = labelled()
    mood = signals.contrast("mood", Label(4), songs, heard_as)
    assert mood is not None
    assert (mood.low, mood.high, mood.feature, mood.real) == ("calm", "wild", "onsets", 1.0)
    assert signals.contrast("mood", Track(4), songs, heard_as) == mood
    dynamics = signals.contrast("dynamics", Curve(0, 1, 4), songs, heard_as)
    assert dynamics is not None
    assert dynamics.feature == "loudness" and dynamics.low < 0.31 and dynamics.high > 0.8
    assert dynamics.real == pytest.approx(10, abs=1)
    tempo = signals.contrast("tempo", Curve(60, 200, 4), songs, heard_as)
    assert tempo is not None and tempo.feature == "tempo" and tempo.high > 120
    drums = signals.contrast("activity", Events(4), songs, heard_as)
    assert drums is not None
    assert (drums.low, drums.high, drums.real) == (Without("drums"), With("drums"), 1.0)
    assert "with 'drums' against without" in drums.title


def test_too_few_or_all_alike_make_no_request() -> None:
    songs, heard_as = labelled(6)
    assert signals.contrast("mood", Label(4), songs, heard_as) is None
    assert signals.contrast("key", Label(4), songs, heard_as) is None
    alike = [dataclasses.replace(song, labels={"tempo": 90}) for song in labelled()[0]]
    assert signals.contrast("tempo", Curve(60, 200, 4), alike, labelled(12)[1]) is None


def test_what_cannot_be_contrasted_is_named() -> None:
    (stage,) = singing.jukebox().priors
    assert stage is not None
    told = dataclasses.replace(stage, model=stage.model.clone(signals=(("beats", Beats()),)))
    box = type(singing.jukebox())(singing.jukebox().vqvae, (told,))
    with pytest.raises(ValueError, match=r"Label, Track, Curve or Events .* has beats \(Beats\)"):
        signals.signals(Subject(box, ()))


@pytest.mark.parametrize(
    ("value", "own", "expected"),
    [
        ("wild", "calm", "wild"),
        (0.8, [[0, 0.2]], 0.8),
        (With("drums"), {"bass": [[0, 1]]}, {"bass": [[0, 1]], "drums": [[0.0, 9.0]]}),
        (Without("drums"), {"drums": [[0, 1]], "bass": [[0, 1]]}, {"bass": [[0, 1]]}),
        (With("drums"), ["bass"], ["bass", "drums"]),
        (Without("drums"), ["drums", "bass"], ["bass"]),
        (Without("drums"), None, []),
    ],
)
def test_a_request_changes_one_thing(value: object, own: object, expected: object) -> None:
    assert signals.request(value, own, 9.0) == expected


@pytest.mark.parametrize(
    ("obeys", "verdict"),
    [(1.0, "as asked; 100%"), (-1.0, "against what was asked; 0%"), (0.0, "not shown; 0%")],
)
def test_what_comes_of_it_is_told(
    monkeypatch: pytest.MonkeyPatch, obeys: float, verdict: str
) -> None:
    """Pairs share their noise and all other labels."""
    songs, heard_as = labelled()
    asked: list[Song] = []

    def sample(box: object, wanted: list[Song], *_: object, **__: object) -> Recording:
        asked.extend(wanted)
        audio = [np.full((600, 1), 1.0 + obeys * (one.labels["mood"] == "wild")) for one in wanted]
        return Recording((), (np.stack(audio),))

    monkeypatch.setattr(signals.compose, "sample", sample)
    monkeypatch.setattr(signals.heard, "load", lambda song, *_: songs.index(song))
    monkeypatch.setattr(
        signals.sound,
        "features",
        lambda audio, rate: (
            heard_as[audio] if isinstance(audio, int) else {**EVEN, "onsets": float(audio[0, 0])}
        ),
    )
    (stage,) = singing.jukebox().priors
    assert stage is not None
    told = dataclasses.replace(stage, model=stage.model.clone(signals=(("mood", Label(4)),)))
    box = type(singing.jukebox())(singing.jukebox().vqvae, (told,))
    (figure,) = signals.signals(Subject(box, tuple(songs), samples=4))
    assert figure.name == "mood 'wild' against 'calm': onsets"
    assert (figure.value, figure.songs) == (obeys, 4) and figure.note.startswith(verdict)
    assert "+1 dB in real songs" in figure.note
    for low, high in zip(asked[:4], asked[4:], strict=True):
        assert (low.labels["mood"], high.labels["mood"]) == ("calm", "wild")
        assert {**low.labels, "mood": ""} == {**high.labels, "mood": ""}
