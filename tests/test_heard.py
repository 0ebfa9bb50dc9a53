"""Songs that were held out are the same as in training, and become codes one after the other."""

import dataclasses
import pathlib

import numpy as np
import pytest
import singing
import soundfile

from jukebox_jax.audio import song
from jukebox_jax.audio.song import Song, SongError
from jukebox_jax.models import Stage
from jukebox_jax.sampling import compose, heard


def stage(**data: object) -> Stage:
    (one,) = singing.jukebox().priors
    assert one is not None
    return dataclasses.replace(one, config={**one.config, "data": data})


def test_the_songs_that_training_held_out(tmp_path: pathlib.Path) -> None:
    folder = singing.songs(tmp_path)
    own = stage(source=str(folder), held_out=2)
    _, expected = song.split(song.find(folder, rate=singing.RATE), 2)
    assert heard.held_out(own) == expected and len(expected) == 2
    assert len(heard.held_out(own, str(folder))) == 4
    assert len(heard.held_out(own, str(folder), 1)) == 1
    with pytest.raises(SongError, match="does not say which songs were held out"):
        heard.held_out(stage())
    short = stage(source=str(folder), held_out=2, minimum_seconds=9.0)
    with pytest.raises(SongError, match="no song to use; left out 4: 4 too short"):
        heard.held_out(short)


def test_songs_become_codes(tmp_path: pathlib.Path) -> None:
    box, found = singing.jukebox(), song.find(singing.songs(tmp_path), rate=singing.RATE)
    whole = dict(enumerate(heard.listen(box, found)))
    assert [one.path for one, _ in whole.values()] == [one.path for one in found]
    sound = heard.load(found[0], singing.RATE)
    np.testing.assert_array_equal(whole[0][1][0], compose.prime(box, sound[None])[0])
    filled = dict(enumerate(heard.listen(box, found, grid=1.0)))
    for (_, own), (_, codes) in zip(whole.values(), filled.values(), strict=True):
        assert own[0].shape == codes[0].shape  # and but for the end they are the same
        np.testing.assert_array_equal(own[0][:, :50], codes[0][:, :50])
    with pytest.raises(SongError, match="15 samples are less than one code"):
        next(heard.listen(box, found, 15 / singing.RATE))
    with pytest.raises(ValueError, match="nowhere.wav"):
        heard.load(Song("nowhere.wav", 9), singing.RATE)


def test_a_damaged_song_is_left_out(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    box, found = singing.jukebox(), song.find(singing.songs(tmp_path), rate=singing.RATE)
    broken = np.full((singing.RATE, 1), np.nan, np.float32)
    soundfile.write(found[1].path, broken, singing.RATE, subtype="FLOAT")
    left = [one.path for one, _ in heard.listen(box, found)]
    assert left == [one.path for one in found if one is not found[1]]
    assert "1.wav: sample 0 is nan, not a number to play; write it again; left out" in caplog.text
    with pytest.raises(SongError, match="none of 1 songs can be measured; the last: .*1.wav"):
        list(heard.listen(box, found[1:2]))
    assert not list(heard.listen(box, ()))
