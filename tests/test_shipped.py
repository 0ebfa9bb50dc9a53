"""The model that comes along: small, complete, telling how it was made, and able to sing."""

import json
import pathlib

import numpy as np
import pytest

import jukebox_jax as jb
from jukebox_jax import checkpoint, models
from jukebox_jax.sampling import stages

STAGES = ("vqvae", "level_0", "level_1")
FILES = [path for path in pathlib.Path(models.SHIPPED).rglob("*") if path.is_file()]


def test_it_is_small_and_holds_no_path_of_the_machine_it_was_made_on() -> None:
    assert sum(path.stat().st_size for path in FILES) < 40e6
    for path in FILES:
        content = path.read_bytes()
        assert b"/tmp/" not in content and b"/home/" not in content, path
    assert {path.name for path in pathlib.Path(models.SHIPPED).iterdir()} == {*STAGES, "NOTES.md"}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_has_its_config_its_curve_and_its_card(name: str) -> None:
    stage = pathlib.Path(models.SHIPPED) / name
    config = json.loads((stage / "config.json").read_text())
    assert config["data"]["source"].startswith("band:") and "seed" in config["run"]
    losses = [row["train/loss"] for row in checkpoint.history(stage) if "train/loss" in row]
    assert len(losses) > 20 and np.mean(losses[-5:]) < 0.9 * losses[0]
    assert "launch/shipped.sh" in (stage / "README.md").read_text()


def test_it_sings_what_it_is_asked_for() -> None:
    """The same codes twice, other codes for another artist, and sound of each level."""
    box = jb.Jukebox.shipped()
    known = {field.name: field for field in stages.found("").fields}
    assert len(known["artist"].choices) == 4 and len(known["genre"].choices) == 6
    labels = {"genre": "electro", "lyrics": "[00:00.10]hey", "beats": 120, "total_seconds": 40}
    artists = ("Neon Orchard", "Neon Orchard", "Iron Lantern")
    songs = [
        jb.Song("", 40 * box.rate, {**labels, "artist": artist, "seed": 3}) for artist in artists
    ]
    recording = jb.sample(box, songs, seconds=0.5)
    assert [codes.shape[1] for codes in recording.codes] == [124, 31]
    for codes in recording.codes:
        np.testing.assert_array_equal(codes[0], codes[1])
        assert (codes[0] != codes[2]).any()
    for audio in recording.audio:
        assert np.isfinite(audio).all() and 0.001 < np.abs(audio).max() < 2
