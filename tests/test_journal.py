"""The record of a run has each step once, whatever happened in between."""

import json
import logging
import pathlib

import numpy as np
import pytest

from jukebox_jax import checkpoint
from jukebox_jax.audio import wave
from jukebox_jax.checkpoint import METRICS, CheckpointError
from jukebox_jax.training.journal import Journal


def lines(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_lines_and_tensorboard(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path, step=0, steps=10, rate=8000)
    journal.scalars(1, {"train/loss": 2.5})
    journal.scalars(2, {"train/loss": float("nan")})
    journal.close()
    assert lines(tmp_path) == [{"step": 1, "train/loss": 2.5}, {"step": 2, "train/loss": None}]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_a_restart_drops_what_will_be_done_again(tmp_path: pathlib.Path) -> None:
    first = Journal(tmp_path, step=0, steps=10, rate=8000)
    for step in (2, 4, 6):
        first.scalars(step, {"train/loss": float(step)})
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 7, "train/lo')  # cut short by a crash
    second = Journal(tmp_path, step=4, steps=10, rate=8000)
    second.scalars(6, {"train/loss": 0.5})
    assert [(line["step"], line["train/loss"]) for line in lines(tmp_path)] == [
        (2, 2.0),
        (4, 4.0),
        (6, 0.5),
    ]


def test_sounds(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path, step=0, steps=10, rate=8000)
    sound = np.sin(np.arange(400) / 5)[None, :, None].repeat(2, 0).astype(np.float32)
    journal.sounds(7, {"original": sound, "level_0": 2 * sound})
    journal.close()
    found = sorted(file.name for file in (tmp_path / "examples" / "0000007").iterdir())
    assert found == ["0_level_0.wav", "0_original.wav", "1_level_0.wav", "1_original.wav"]
    loud = wave.load(tmp_path / "examples" / "0000007" / "0_level_0.wav", 8000)
    assert loud.shape == (400, 1) and abs(loud).max() <= 1


def test_progress_tells_the_time_left(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, step=4, steps=10, rate=8000)
    with caplog.at_level(logging.INFO):
        journal.progress(5, {"loss": 1.25})
        journal.progress(7, {"loss": 1.25})
    first, second = (record.getMessage() for record in caplog.records[-2:])
    assert first.startswith("step 5 of 10: loss 1.25")
    assert "steps/s" in second and second.endswith("0:00 left")


def test_into_a_bucket_files_are_written_whole(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "remote", lambda path: True)
    first = Journal(tmp_path, step=0, steps=10, rate=8000)
    first.scalars(1, {"train/loss": 2.0})
    again = Journal(tmp_path, step=1, steps=10, rate=8000)
    again.scalars(2, {"train/loss": 1.0})
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]
    again.sounds(2, {"tone": np.zeros((1, 400, 1), np.float32)})
    assert wave.load(tmp_path / "examples" / "0000002" / "0_tone.wav", 8000).shape == (400, 1)


def test_a_full_disk_is_told_with_the_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, step=0, steps=2, rate=8000)

    def fail(*given: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(journal._folder), "open", fail)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl cannot be written: No space left"):
        journal.scalars(1, {"train/loss": 1.0})
