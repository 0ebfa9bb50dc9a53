"""What the notebooks call: parameters from the environment, configs with changes, stages."""

import pathlib

import counting
import pytest

from jukebox_jax import notebook
from jukebox_jax.sampling import stages


def test_a_parameter_is_read_as_its_default_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebook.parameter("seconds", 3.0) == 3.0
    monkeypatch.setenv("JUKEBOX_SECONDS", "4")
    assert notebook.parameter("seconds", 3.0) == 4.0
    monkeypatch.setenv("JUKEBOX_CHANGES", '{"run.steps": 2}')
    assert notebook.parameter("changes", {}) == {"run.steps": 2}
    monkeypatch.setenv("JUKEBOX_COUNT", "many")
    with pytest.raises(ValueError, match="JUKEBOX_COUNT='many': give a value as 4"):
        notebook.parameter("count", 4)


def test_a_config_takes_changes_by_name() -> None:
    made = notebook.config("vqvae.py:tiny", {"model.downs": [2, 1], **notebook.steps(3)})
    assert made.model.downs == (2, 1) and made.run.steps == 3 and notebook.steps(0) == {}
    for key in ("model.dwons", "nothing.at_all"):
        with pytest.raises(ValueError, match=key):
            notebook.config("vqvae.py:tiny", {key: 1})
    with pytest.raises(ValueError, match="no such config"):
        notebook.config("none.py")


def test_stages_are_told_of_and_chosen_for(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    counting.save(tmp_path)
    found = stages.in_folder(tmp_path)
    notebook.describe(found)
    told = capsys.readouterr().out
    assert "3 levels at 80" in told and "artist: ada, the copper foxes" in told
    assert notebook.choose(found, lyrics="") == {"artist": "ada"}
    assert notebook.choose(found, artist="eve", seed=3) == {"artist": "eve", "seed": 3}


def test_a_song_without_words_has_no_attention(tmp_path: pathlib.Path) -> None:
    assert notebook.attention_over_lyrics(counting.jukebox(), notebook.Song("", 0), []) is None
