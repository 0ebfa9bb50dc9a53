"""A directory is found here or in a bucket, or what would reach it is named."""

import pathlib

import pytest
from etils import epath

from jukebox_jax.checkpoint import CheckpointError, disk, places


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
    with pytest.raises(CheckpointError, match="package google-cloud-storage: pip install google-"):
        places.located("gs://bucket/run")
    have.add("google.cloud.storage")
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


def test_of_a_bucket_only_half_steps_are_cleared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Whatever else lies beside the steps, numbered or not, is somebody's."""
    monkeypatch.setattr(disk, "remote", lambda folder: True)
    files = ["base/3/_CHECKPOINT_METADATA", "examples/0000010/0_song.wav", "songs/a.wav"]
    files += ["damaged/5/_CHECKPOINT_METADATA", "2024/report.txt", "config.json"]
    files += ["5/_CHECKPOINT_METADATA", "5/params/d", "5/commit_success.txt"]
    files += ["10/_CHECKPOINT_METADATA", "10/params/d"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert disk.unfinished(epath.Path(tmp_path)) == [epath.Path(tmp_path / "10")]
    assert disk.unfinished(epath.Path(tmp_path / "none")) == []
