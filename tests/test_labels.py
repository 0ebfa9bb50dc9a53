"""Songs of the band are recognised, and songs that were swapped are not."""

import dataclasses
import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio import song
from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import fresh, labels, words
from jukebox_jax.evaluation.drawn import Drawn
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling.settings import Settings

RATE = 8000
LENGTH = 3 * RATE


@pytest.fixture(scope="module")
def band() -> list[tuple[np.ndarray, dict]]:
    """The beginnings of 96 short songs."""
    return [(sound[:LENGTH, 0], told) for sound, told in fresh.sounds(96, 3.6, fresh.LEARN, RATE)]


def jukebox() -> Jukebox:
    """A VQ-VAE at the band's rate."""
    box = singing.jukebox()
    stage = dataclasses.replace(box.vqvae, config={**box.vqvae.config, "stage": {"rate": RATE}})
    return Jukebox(stage, (None,))


def subject(audio: list[np.ndarray], told: list[dict]) -> Subject:
    songs = tuple(Song("", int(3.6 * RATE), one, RATE) for one in told)
    found = Subject(jukebox(), songs)
    found.__dict__["drawn"] = Drawn(songs, (), 0, np.stack(audio)[..., None], Settings())
    return found


def test_the_bands_own_songs_are_recognised(band: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled songs that are real ones, under their own labels and under those of others."""
    learnt, new = band[:72], band[72:]
    monkeypatch.setattr(labels, "heard", lambda *_: (learnt, learnt))
    audio, told = [sound for sound, _ in new], [one for _, one in new]
    figures = {one.name: one for one in labels.labels(subject(audio, told))}
    artist = figures["artist, by timbre: sampled songs"]
    genre = figures["genre, by rhythm: sampled songs"]
    assert artist.value > 70 and artist.low > 25 and "chance 25 %" in artist.note
    assert genre.value > 45 and genre.low > 17 and genre.songs == 24
    sung = figures["vowels, by sound: sampled songs"]
    assert sung.value > 50 and sung.low > 20, sung
    # Each artist's songs under the next one's name, each genre's under the next one's.
    moved = [{**one, "artist": told[at - 1]["artist"], "genre": told[at - 1]["genre"]}
             for at, one in enumerate(told)]  # fmt: skip
    swapped = {one.name: one for one in labels.labels(subject(audio, moved))}
    assert swapped["artist, by timbre: sampled songs"].value < 25
    assert swapped["genre, by rhythm: sampled songs"].value < 25


def test_songs_too_short_for_singing_are_judged_all_the_same(
    band: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [(sound, {**told, "lyrics": "", "lyrics_times": []}) for sound, told in band]
    monkeypatch.setattr(labels, "heard", lambda *_: (silent[:16], silent[:8]))
    audio, told = ([one[at] for one in silent[88:]] for at in (0, 1))
    names = [one.name for one in labels.labels(subject(audio, told))]
    assert "artist, by timbre: sampled songs" in names
    assert not any(name.startswith("vowels") for name in names)


def test_whose_lyrics_songs_have(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled songs that cost least under their own lyrics, and held-out ones that do not."""
    found = song.find(singing.songs(tmp_path), rate=singing.RATE)
    given = Subject(singing.jukebox(), found, samples=4)
    codes = (np.zeros((4, 62), np.int32),)
    audio = np.zeros((4, 992, 1), np.float32)
    given.__dict__["drawn"] = Drawn(given.requests, codes, 0, audio, Settings())

    def costs(_: object, level: int, name: str, one: Song, *more: object) -> np.ndarray:
        sampled = "seed" in one.labels
        assert level == 0 and name == "lyrics" and "lyrics_times" not in one.labels
        return np.array([1.0, 2.0, 2.0, 2.0]) if sampled else np.array([2.0, 2.0, 1.0, 2.0])

    monkeypatch.setattr(words, "costs", costs)
    figures = {one.name: one for one in labels._sung(given)}
    assert figures["lyrics: sampled songs"].value == 100
    assert figures["lyrics: held-out songs"].value == 0
    assert "chance 25 %" in figures["lyrics: sampled songs"].note
    few = dataclasses.replace(given, songs=found[:3])
    few.__dict__["drawn"] = Drawn(given.requests[:3], (codes[0][:3],), 0, audio[:3], Settings())
    assert all(np.isnan(one.value) for one in labels._sung(few))  # no three others to tell from


def test_beats_are_in_time_with_their_own_song(band: list) -> None:
    (own,) = labels._in_time(band[:12], RATE, "songs")
    shifted = [
        (sound, {**told, "beats": [[second + 0.2, beat] for second, beat in told["beats"]]})
        for sound, told in band[:12]
    ]
    (late,) = labels._in_time(shifted, RATE, "songs")
    assert own.value > 0.5 > 0.4 > late.value and "against another song's" in own.note
    assert labels._in_time([(sound, {}) for sound, _ in band[:2]], RATE, "songs") == []


@pytest.mark.parametrize(
    ("beats", "told"),
    [
        (120, [0, 0.5, 1, 1.5]),
        ("120", [0, 0.5, 1, 1.5]),
        ({"tempo": 120, "metre": 4, "start": 0.25}, [0.25, 0.75, 1.25, 1.75]),
        ([0.5, 1, 1.5], [0, 0.5, 1, 1.5]),  # the pulse goes on
        ([[0.1, 1], [0.9, 2], [1.3, 3]], [0.1, 0.9, 1.3, 1.7]),
        ([0.5], []),
    ],
)
def test_beats_are_read_in_each_form(beats: object, told: list[float]) -> None:
    np.testing.assert_allclose(labels.beats_of({"beats": beats}, 2.0), told, atol=2e-3)
    sounds = [(np.zeros(2 * RATE, np.float32), {"beats": beats})] * 2
    (figure,) = labels._in_time(sounds, RATE, "songs")
    assert figure.value == 0 and figure.songs == 2


def test_the_f_measure_counts_each_beat_once() -> None:
    told = np.arange(1.0, 5.0)
    assert labels.f_measure(told + 0.06, told) == 1 and labels.f_measure(told + 0.08, told) == 0
    assert labels.f_measure(told[::2], told) == pytest.approx(2 * 2 / 6)  # half as fast
    assert labels.f_measure(np.array([1.0, 1.01, 1.02]), told) == pytest.approx(2 / 7)
    assert labels.f_measure(np.array([]), told) == 0


def test_only_the_bands_labels_are_known() -> None:
    with pytest.raises(ValueError, match="only labels of the procedural band"):
        labels.labels(Subject(singing.jukebox(), (Song("", 8000, {"artist": "Ann"}, 8000),)))


def test_both_versions_of_a_song_are_heard(band: list) -> None:
    """At the rate of the stage, of the level that was sampled."""
    given = Subject(jukebox(), (Song("", int(3.6 * RATE), band[0][1], RATE),))
    through, plain = labels.heard(given, 2, fresh.LEARN, 0, LENGTH)
    assert [told["artist"] for _, told in through] == [one["artist"] for _, one in band[:2]]
    np.testing.assert_allclose(plain[0][0], band[0][0], atol=1e-6)
    assert through[0][0].shape == plain[0][0].shape and (through[0][0] != plain[0][0]).any()
