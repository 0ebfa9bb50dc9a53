"""What is measured is encoded once, and new songs are asked for with old songs' labels."""

import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio import band, song
from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation.subject import Subject


def test_songs_are_encoded_once(tmp_path: pathlib.Path) -> None:
    found = song.find(singing.songs(tmp_path), rate=singing.RATE)
    subject = Subject(singing.jukebox(), found[:2], seconds=0.1)
    assert subject.known is subject.known
    for one, (codes,) in subject.known:
        assert one in found and codes.shape == (1, 25) and codes.dtype == np.int32


def test_a_new_song_has_anothers_labels() -> None:
    subject = Subject(singing.jukebox(), (), sampled_seconds=6.0)
    old = Song("a.wav", 8000, {"artist": "Ann", "start_seconds": 3.0, "seed": 9}, 4000)
    new = subject.asked(old, 2)
    assert new.labels == {"artist": "Ann", "total_seconds": 6.0, "seed": 2} and not new.path


def test_requests_take_labels_in_turn() -> None:
    songs = tuple(Song("", 8000, {"artist": name}, 4000) for name in "ab")
    asked = Subject(singing.jukebox(), songs, samples=3).requests
    assert [one.labels["artist"] for one in asked] == ["a", "b", "a"]
    assert [one.labels["seed"] for one in asked] == [0, 1, 2]
    with pytest.raises(ValueError, match="no songs whose labels"):
        _ = Subject(singing.jukebox(), ()).requests


def test_of_the_band_each_pair_is_asked_for() -> None:
    labels = {"artist": band.ARTISTS[0], "genre": band.GENRES[0]}
    subject = Subject(singing.jukebox(), (Song("", 16000, labels, 4000),), samples=24)
    asked = [one.labels for one in subject.requests]
    assert len({(one["artist"], one["genre"]) for one in asked}) == 24
    assert all(one["lyrics"] and one["total_seconds"] >= 6 for one in asked)
