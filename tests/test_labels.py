"""Songs of the band are recognised, and songs that were swapped are not."""

import dataclasses

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import fresh, labels
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
    """Stages at the band's rate."""
    box = singing.jukebox()
    stage = dataclasses.replace(box.vqvae, config={**box.vqvae.config, "stage": {"rate": RATE}})
    return dataclasses.replace(box, vqvae=stage)


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
    # Each artist's songs under the next one's name, each genre's under the next one's.
    moved = [{**one, "artist": told[at - 1]["artist"], "genre": told[at - 1]["genre"]}
             for at, one in enumerate(told)]  # fmt: skip
    swapped = {one.name: one for one in labels.labels(subject(audio, moved))}
    assert swapped["artist, by timbre: sampled songs"].value < 25
    assert swapped["genre, by rhythm: sampled songs"].value < 25


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
