"""What is measured is encoded once, and new songs are asked for with old songs' labels."""

import pathlib

import numpy as np
import singing

from jukebox_jax.audio import song
from jukebox_jax.audio.song import Song
from jukebox_jax.report.subject import Subject


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
