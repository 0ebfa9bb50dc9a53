"""Sampled songs are drawn or read, and their windows begin where the sampler says."""

import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import drawn
from jukebox_jax.models import Jukebox
from jukebox_jax.sampling import session
from jukebox_jax.sampling.settings import Settings

SETTINGS = Settings(allow_unknown=True, hop_fraction=0.5)
SONGS = tuple(Song("", 0, {"lyrics": text, "seed": 3}, singing.RATE) for text in singing.TEXTS[:2])


def test_drawn_songs_and_their_borders() -> None:
    box = singing.jukebox()
    found = drawn.sample(box, SONGS, 0.25, SETTINGS)
    assert found.level == 0 and found.codes[0].shape == (2, 62)
    assert found.audio.shape == (2, 62 * singing.HOP, 1)
    # Windows of 32 codes that step by 16: the last, at 30, is filled from 48 on.
    assert found.borders(box, 0).tolist() == [32 * singing.HOP, 48 * singing.HOP]
    with pytest.raises(ValueError, match="no prior of the top level, 0, to sample"):
        drawn.sample(Jukebox(box.vqvae), SONGS, 0.25, SETTINGS)


def test_a_session_is_read(tmp_path: pathlib.Path) -> None:
    codec, prior = singing.save(tmp_path)
    config = {
        "vqvae": str(codec), "priors": str(prior), "seconds": 0.25, "hop_fraction": (0.5,),
        "songs": [{"lyrics": text, "seed": 3, "total_seconds": 0.25} for text in singing.TEXTS[:2]],
        "allow_unknown": True,
    }  # fmt: skip
    recording = session.run(config, tmp_path / "out")
    box = singing.jukebox()
    found = drawn.read(box, tmp_path / "out", most=8)
    np.testing.assert_array_equal(found.codes[0], recording.codes[0])
    np.testing.assert_allclose(found.audio, recording.audio[0], atol=1e-6)
    assert found.songs[0].labels["lyrics"] == singing.TEXTS[0]
    assert found.borders(box, 0).tolist() == [32 * singing.HOP, 48 * singing.HOP]
    assert len(drawn.read(box, tmp_path / "out", most=1).songs) == 1
    with pytest.raises(ValueError, match="holds no session"):
        drawn.read(box, tmp_path, most=1)


def test_a_session_of_other_stages_is_refused(tmp_path: pathlib.Path) -> None:
    said = '{"config": {}, "songs": [], "samples": 8, "rate": 4000, "hops": [8]}'
    (tmp_path / session.SETTINGS).write_text(said)
    with pytest.raises(ValueError, match=r"sampled at 4000 Hz with hops \[8\], but"):
        drawn.read(singing.jukebox(), tmp_path, most=1)
