"""A directory is found anywhere, or what would reach it is named."""

import pathlib

import pytest
from etils import epath

from jukebox_jax.checkpoint import CheckpointError, places


def test_directories_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """What cannot be reached is one line that names the package."""
    assert places.located(tmp_path) == epath.Path(tmp_path)
    have: set[str] = set()
    monkeypatch.setattr(
        places.importlib.util, "find_spec", lambda name: object() if name in have else None
    )
    for scheme, package in (("gs", "gcsfs"), ("s3", "s3fs")):
        with pytest.raises(CheckpointError, match=f"needs the package {package}: pip install"):
            places.located(f"{scheme}://bucket/run")
    have.add("tensorflow")
    assert str(places.located("gs://bucket/run")) == "gs://bucket/run"
    with pytest.raises(CheckpointError, match="needs the package tensorflow_io"):
        places.located("s3://bucket/run")
    with pytest.raises(CheckpointError, match="ftp:// is unknown; known: gs://, s3://"):
        places.located("ftp://bucket/run")
