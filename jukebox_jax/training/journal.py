"""What a run tells about itself: metrics as JSON lines and for TensorBoard, sounds, progress.

`metrics.jsonl` in the workdir is the record: one line a step that was reported, and after a restart
nothing of what will be done again. TensorBoard's files are written beside it where clu and
TensorFlow are installed. Only the first process writes.
"""

import json
import logging
import math
import os
import pathlib
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from jukebox_jax import checkpoint
from jukebox_jax.audio import wave
from jukebox_jax.checkpoint import places

log = logging.getLogger(__name__)


class Journal:
    """Writes what a run tells; open one for each start.

    Args:
      workdir: the stage's directory.
      step: the step that the run starts from; lines of later steps are dropped.
      steps: steps of the whole run.
      rate: audio samples a second.
    """

    def __init__(self, workdir: str | os.PathLike, *, step: int, steps: int, rate: int) -> None:
        self._writes = jax.process_index() == 0
        self._folder = epath.Path(workdir)
        self._steps, self._rate = steps, rate
        self._lines: list[str] = []
        self._paced: tuple[int, float] | None = None
        self._board = _tensorboard(workdir) if self._writes else None
        if self._writes:
            self._keep_until(step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one line to the record."""
        if not self._writes:
            return
        line = {"step": step, **{name: _number(value) for name, value in values.items()}}
        self._add(json.dumps(line) + "\n")
        if self._board is not None:
            self._board.write_scalars(step, {name: float(value) for name, value in values.items()})

    def sounds(self, step: int, sounds: Mapping[str, np.ndarray]) -> None:
        """Writes sounds, f32[items, samples, 1] by name, as wav files and for TensorBoard."""
        if not self._writes:
            return
        for name, items in sounds.items():
            for index, item in enumerate(np.clip(np.nan_to_num(items), -1, 1)):
                file = self._folder / "examples" / f"{step:07d}" / f"{index}_{name}.wav"
                _save_sound(file, item, self._rate)
        if self._board is not None:
            self._board.write_audios(step, dict(sounds), sample_rate=self._rate)

    def progress(self, step: int, values: Mapping[str, float]) -> None:
        """Logs one line: where the run stands, how fast it is and how long it will take.

        The pace is counted from the first call on, so that compiling is left out of it.
        """
        figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        now = time.monotonic()
        if self._paced is None:
            self._paced = step, now
            log.info("step %d of %d: %s", step, self._steps, figures)
            return
        pace = max(step - self._paced[0], 1) / max(now - self._paced[1], 1e-9)
        left = _clock((self._steps - step) / pace)
        log.info("step %d of %d: %s; %.3g steps/s, %s left", step, self._steps, figures, pace, left)

    def close(self) -> None:
        """Writes what is still in memory."""
        if self._board is not None:
            self._board.close()

    def _add(self, line: str) -> None:
        file = self._folder / checkpoint.METRICS
        if not checkpoint.remote(file):
            try:
                with file.open("a") as record:
                    record.write(line)
            except OSError as error:
                why = error.strerror or str(error)
                raise checkpoint.CheckpointError(f"{file} cannot be written: {why}") from error
            return
        self._lines.append(line)  # nothing is added to what lies in a bucket: it is written anew
        checkpoint.write_text(self._folder, checkpoint.METRICS, "".join(self._lines))

    def _keep_until(self, step: int) -> None:
        file = self._folder / checkpoint.METRICS
        if not file.exists():
            return
        kept = [line for line in checkpoint.history(self._folder) if line["step"] <= step]
        lines = [json.dumps(line) + "\n" for line in kept]
        self._lines = lines
        checkpoint.write_text(self._folder, checkpoint.METRICS, "".join(lines))


def _save_sound(file: epath.Path, sound: np.ndarray, rate: int) -> None:
    """Writes a wav file; into a bucket by way of this machine, for the library knows none."""
    if not checkpoint.remote(file):
        wave.save(os.fspath(file), sound, rate)
        return
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder) / file.name
        wave.save(here, sound, rate)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(here.read_bytes())


def _tensorboard(workdir: str | os.PathLike) -> Any:
    """A clu writer, or None where TensorFlow is missing, or shall not be asked for a bucket."""
    if checkpoint.remote(workdir) and not places.by_tensorflow(workdir):
        log.info("no TensorBoard files: TensorFlow is not asked for %s", workdir)
        return None
    try:
        from clu import metric_writers
    except ImportError:
        log.info("no TensorBoard files: install the extra `train` for them")
        return None
    return metric_writers.SummaryWriter(str(workdir))


def _number(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
