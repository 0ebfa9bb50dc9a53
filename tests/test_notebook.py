"""What the notebooks call: parameters from the environment, configs with changes, stages."""

import json
import pathlib
import subprocess
import sys
import types

import counting
import numpy as np
import pytest

from jukebox_jax import notebook
from jukebox_jax.audio import wave
from jukebox_jax.sampling import stages

ROOT = pathlib.Path(__file__).parent.parent


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


def test_the_stages_that_come_along_need_no_choice(capsys: pytest.CaptureFixture) -> None:
    found = stages.found("")
    told = notebook.choose(found, artist="", genre="electro", lyrics="", beats=120)
    assert told == {"artist": "Iron Lantern", "genre": "electro", "beats": 120}
    assert list(notebook.choose(found)) == ["artist", "genre"]


def test_a_song_without_words_has_no_attention(tmp_path: pathlib.Path) -> None:
    assert notebook.attention_over_lyrics(counting.jukebox(), notebook.Song("", 0), []) is None


def test_sounds_are_handed_over_as_a_download_on_colab(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for song in (0, 1):
        wave.save(tmp_path / "level_0" / f"item_{song}.wav", np.zeros((8, 1)), 8000)
    given: list[str] = []
    colab = types.SimpleNamespace(files=types.SimpleNamespace(download=given.append))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    pytest.importorskip("IPython", reason="IPython is missing: install the extra `notebook`")
    notebook.download(str(tmp_path))
    assert [pathlib.Path(one).name for one in given] == ["item_0.wav", "item_1.wav"]


@pytest.mark.parametrize("name", ["explore", "sample", "train"])
def test_the_first_cell_installs_the_pinned_versions_on_colab_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    first = next(cell for cell in book["cells"] if cell["cell_type"] == "code")
    ran: list[tuple[list[str], dict]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **more: ran.append((command, more)))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(ROOT / "notebooks")
    exec("".join(first["source"]), {})
    assert not ran and sys.path[0] == str(ROOT)
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace())
    exec("".join(first["source"]), {})
    ((command, more),) = ran
    assert "-c launch/constraints.txt -e .[notebook" in " ".join(command) and more["check"]
    assert pathlib.Path(more["cwd"]) == ROOT


def test_the_song_is_a_file_or_the_first_of_a_source(tmp_path: pathlib.Path) -> None:
    box = counting.jukebox()
    rng = np.random.default_rng(0)
    wave.save(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, (8000, 1)), 8000)
    for source in (tmp_path, tmp_path / "a.wav"):
        song, sound, codes = notebook.hear(str(source), box, 0.5)
        assert song.path == str(tmp_path / "a.wav") and sound.shape == (40, 1)
        assert [array.shape for array in codes] == [(1, 20), (1, 10), (1, 5)]
    kept = notebook.reconstructions(box, sound, codes)
    assert list(kept) == ["ground truth", "level 0", "level 1", "level 2"]
    assert all(one.shape == (40,) for one in kept.values())
