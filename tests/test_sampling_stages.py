"""A folder of stages says what it is and what it can be told, without its weights."""

import json
import pathlib

import counting
import pytest
import singing

from jukebox_jax import models
from jukebox_jax.sampling import stages
from jukebox_jax.sampling.stages import Field


def test_a_folder_of_stages(tmp_path: pathlib.Path) -> None:
    counting.save(tmp_path)
    (tmp_path / "level_1" / "config.json").unlink()  # what is left is no stage
    found = stages.in_folder(tmp_path)
    assert (found.rate, found.hops, found.top) == (80, (2, 4, 8), 2)
    assert [bool(path) for path in found.priors] == [True, False, True]
    assert found.config["vqvae"] == str(tmp_path / "vqvae")
    assert found.fields == (Field("artist", "names", ("ada", "the copper foxes"), needed=True),)


def test_what_is_no_folder_of_stages_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="holds no stages"):
        stages.in_folder(tmp_path)
    counting.save(tmp_path)
    vqvae, prior = tmp_path / "vqvae", tmp_path / "level_0"
    for given, message in (
        ((prior, [prior]), "kind 'prior', not a VQ-VAE"),
        ((vqvae, [vqvae]), "kind 'vqvae', not a prior"),
        ((vqvae, [prior] * 4), "4 priors for a VQ-VAE of 3 levels"),
        ((vqvae, ["-", ""]), "no prior beside it"),
        ((tmp_path / "none", [prior]), "is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            stages.read(*given)


def test_without_a_name_the_stages_that_come_along_are_taken(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match="no stages: name the folder"):
        stages.found("")
    counting.save(tmp_path)
    assert stages.found(None) == stages.found(tmp_path) == stages.in_folder(tmp_path)


def test_lyrics_are_a_text_however_they_are_read(tmp_path: pathlib.Path) -> None:
    vqvae, prior = singing.save(tmp_path)
    config = json.loads((prior / "config.json").read_text())
    for signal in (
        config["signals"]["lyrics"],
        {"kind": "sung", "size": 12},
        {"kind": "lyrics_prefix", "tokens": 8, "size": 12},
    ):
        config["signals"]["lyrics"] = signal
        (prior / "config.json").write_text(json.dumps(config))
        assert stages.read(vqvae, [prior]).fields == (Field("lyrics", "text"),)


def test_only_names_that_all_levels_know_are_offered(tmp_path: pathlib.Path) -> None:
    counting.save(tmp_path)
    file = tmp_path / "level_0" / "vocabularies.json"
    words = json.loads(file.read_text())
    words["artist"]["ids"] = {"ada": 2}
    file.write_text(json.dumps(words))
    assert stages.in_folder(tmp_path).fields[0].choices == ("ada",)


def test_other_signals_are_numbers_and_values(tmp_path: pathlib.Path) -> None:
    counting.save(tmp_path)
    file = tmp_path / "level_2" / "config.json"
    config = json.loads(file.read_text())
    config["signals"] |= {
        "timing": {"kind": "timing", "bins": 4, "minimum_seconds": 1.0, "maximum_seconds": 9.0},
        "tempo": {"kind": "curve", "minimum": 60.0, "maximum": 200.0, "bins": 4},
        "played": {"kind": "events", "size": 4},
        "beats": {"kind": "beats"},
    }
    file.write_text(json.dumps(config))
    fields = {field.name: field for field in stages.in_folder(tmp_path).fields}
    assert fields["total_seconds"] == Field("total_seconds", "number", low=1.0, high=9.0)
    assert fields["tempo"].kind == "values" and fields["tempo"].high == 200.0
    assert fields["played"].kind == "values" and fields["played"].needed
    assert fields["beats"] == Field("beats", "beats")


def test_names_that_may_change_come_first_too() -> None:
    fields = stages.found("").fields  # the artist and the genre are tracks
    assert [field.name for field in fields[:2]] == ["artist", "genre"]
    assert fields[0].kind == "values" and fields[0].choices[0] == "Iron Lantern"


def test_labels_leave_out_what_is_empty_and_ask_for_what_is_needed() -> None:
    fields = (
        Field("artist", "names", ("ada",), needed=True),
        Field("genre", "names", ("x", "y", "z"), most=2),
        Field("tempo", "values", low=60.0, needed=True),
    )
    given = {"artist": "ada", "genre": [], "tempo": "90", "lyrics": "", "seed": 0}
    assert stages.labels(fields, given) == {"artist": "ada", "tempo": "90", "seed": 0}
    for change, message in (
        ({"artist": ""}, "artist is empty: give it a value, as ada"),
        ({"tempo": None}, "tempo is empty: give it a value, as 60"),
        ({"genre": ["x", "y", "z"]}, "3 names for genre: give 2 at most"),
    ):
        with pytest.raises(ValueError, match=message):
            stages.labels(fields, {**given, **change})


def test_a_name_that_one_level_reads_over_time_is_asked_for_as_a_name() -> None:
    over_time = stages.Field("artist", "values", ("ada", "bo"), needed=True)
    name = stages.Field("artist", "names", ("bo", "eve"), most=5)
    for both in (stages._both(over_time, name), stages._both(name, over_time)):
        assert both == stages.Field("artist", "names", ("bo",), needed=True)


def test_guidance_is_for_levels_that_can_be_guided(tmp_path: pathlib.Path) -> None:
    counting.save(tmp_path)
    assert stages.in_folder(tmp_path).guidance(3) == [1.0, 1.0, 1.0]
    for level in (0, 2):
        file = tmp_path / f"level_{level}" / "config.json"
        config = json.loads(file.read_text())
        config["model"]["label_dropout"] = 0.1
        file.write_text(json.dumps(config))
    found = stages.in_folder(tmp_path)
    assert found.guided == (True, False, True)
    assert found.guidance(3) == [3.0, 1.0, 3.0]
