"""A directory is found here or in a bucket, or what would reach it is named."""

import pathlib

import pytest
from etils import epath

from jukebox_jax.checkpoint import CheckpointError, places


def test_directories_here_and_in_buckets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """What cannot be reached is one line that says what to do."""
    monkeypatch.delenv("EPATH_USE_TF", raising=False)
    assert places.located(tmp_path) == epath.Path(tmp_path)
    have: set[str] = set()
    monkeypatch.setattr(
        places.importlib.util, "find_spec", lambda name: object() if name in have else None
    )
    with pytest.raises(CheckpointError, match="needs the package gcsfs: pip install gcsfs"):
        places.located("gs://bucket/run")
    have.add("tensorflow")
    assert str(places.located("gs://bucket/run")) == "gs://bucket/run"
    assert places.by_tensorflow("gs://bucket/run") and not places.by_tensorflow(tmp_path)
    monkeypatch.setenv("EPATH_USE_TF", "0")
    assert not places.by_tensorflow("gs://bucket/run")
    with pytest.raises(CheckpointError, match="needs the package gcsfs"):
        places.located("gs://bucket/run")
    have.add("gcsfs")
    assert str(places.located("gs://bucket/run")) == "gs://bucket/run"
    for scheme in ("s3", "ftp"):
        with pytest.raises(CheckpointError, match=f"not to {scheme}://; mount it and give its"):
            places.located(f"{scheme}://bucket/run")
