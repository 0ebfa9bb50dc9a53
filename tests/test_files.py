"""A file is there whole, or as it was before."""

import pathlib

import pytest

from jukebox_jax.audio import files


def test_a_file_appears_when_it_is_whole(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "a.txt"
    with files.whole(file) as unfinished:
        unfinished.write_text("new")
        assert not file.exists() and unfinished.parent == tmp_path
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


def test_what_is_stopped_leaves_the_file_as_it_was(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.whole(str(file)) as unfinished:
        unfinished.write_text("ne")
        raise KeyboardInterrupt
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
