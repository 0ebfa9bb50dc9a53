"""Damage of every kind is recognised, told in one line, and an older step serves."""

import gc
import json
import logging
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint, sharding
from jukebox_jax.checkpoint import disk

KERNEL = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)


def kernel(loaded: dict[str, Any]) -> Any:
    return loaded["params"]["mlp"]["down"]["kernel"]


def largest(folder: pathlib.Path) -> pathlib.Path:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


def flip(step: pathlib.Path) -> None:
    """One bit in the midst of an array, which Orbax alone reads back without a word."""
    path = largest(step / "params")
    data = bytearray(path.read_bytes())
    assert len(data) > KERNEL.nbytes / 2
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))


def truncate(step: pathlib.Path) -> None:
    path = largest(step / "params")
    path.write_bytes(path.read_bytes()[:100])


def without_manifests(step: pathlib.Path) -> None:
    for path in step.rglob("manifest.ocdbt"):
        path.unlink()


def without_data(step: pathlib.Path) -> None:
    shutil.rmtree(step / "params")


def empty(step: pathlib.Path) -> None:
    shutil.rmtree(step)
    step.mkdir()


def without_fingerprints(step: pathlib.Path) -> None:
    shutil.rmtree(step / "fingerprint")


def garbled_fingerprints(step: pathlib.Path) -> None:
    path = step / "fingerprint" / "metadata"
    path.write_bytes(path.read_bytes()[:50])


def other_fingerprints(step: pathlib.Path) -> None:
    (step / "fingerprint" / "metadata").write_text('{"format": 1, "parts": [1], "metrics": {}}')


DAMAGES = {
    flip: "kernel has other values than were saved",
    truncate: "params is unreadable",
    without_manifests: "params is unreadable",
    without_data: "params is unreadable",
    empty: "half-written or not ours",
    without_fingerprints: "half-written or not ours",
    garbled_fingerprints: "its fingerprints are unreadable",
    other_fingerprints: "its fingerprints are unreadable",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two steps, 1 and 2, whose kernels differ in their sign."""
    directory = tmp_path_factory.mktemp("whole") / "stage"
    with checkpoint.Checkpoints(directory, asynchronous=False) as checkpoints:
        for step, sign in ((1, 1), (2, -1)):
            arrays = {"kernel": sign * KERNEL, "bias": np.arange(100)}
            checkpoints.save(step, {"params": {"mlp": {"up": arrays, "down": arrays}}})
    return directory


@pytest.fixture
def stage(whole: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(whole, tmp_path / "stage"))


@pytest.mark.parametrize("place", ["host", "mesh"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_told_and_the_older_step_serves(
    damage: Callable[[pathlib.Path], None],
    place: str,
    stage: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    mesh = sharding.make_mesh(2, 2, 2)
    where = (lambda tree: sharding.shardings(tree, mesh)) if place == "mesh" else None
    np.testing.assert_array_equal(kernel(checkpoint.load(stage)), -KERNEL)
    assert not caplog.records
    damage(stage / "2")
    with caplog.at_level(logging.INFO):
        loaded = checkpoint.load(stage, sharding=where)
    np.testing.assert_array_equal(kernel(loaded), KERNEL)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{stage}/2 is damaged: ") and DAMAGES[damage] in line
    assert line.endswith("; 1 serves") and "\n" not in line and len(line) < 500
    assert (stage / "2").exists(), "reading changes nothing on the disk"
    with pytest.raises(checkpoint.CheckpointError, match=DAMAGES[damage]):
        checkpoint.load(stage, step=2, sharding=where)
    gc.collect()
    assert capfd.readouterr() == ("", ""), "nothing else is said"
    warned = [str(warning.message) for warning in recwarn]  # whatever filter there is
    assert not [line for line in warned if not re.match(disk.LEFT_BEHIND, line)]


def test_nothing_whole_is_an_error(stage: pathlib.Path) -> None:
    flip(stage / "1")
    empty(stage / "2")
    with pytest.raises(checkpoint.CheckpointError, match=r"no whole step \(2: .*; 1: .*values"):
        checkpoint.load(stage)


def test_a_lost_part_is_damage_only_of_that_part(stage: pathlib.Path) -> None:
    with checkpoint.Checkpoints(stage, asynchronous=False) as checkpoints:
        checkpoints.save(3, {"params": {"a": KERNEL}, "optimizer": {"b": KERNEL}})
    shutil.rmtree(stage / "3" / "optimizer")
    assert set(checkpoint.load(stage)["params"]) == {"a"}
    with pytest.raises(checkpoint.CheckpointError, match="3: optimizer is unreadable"):
        checkpoint.load(stage, ("optimizer",), step=3)


def test_a_newer_format_is_no_damage(stage: pathlib.Path) -> None:
    path = stage / "2" / "fingerprint" / "metadata"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(checkpoint.CheckpointError, match="has format 2, not 1: use a newer"):
        checkpoint.load(stage)


def test_what_is_no_step_is_ignored(stage: pathlib.Path) -> None:
    (stage / "7.orbax-checkpoint-tmp").mkdir()
    (stage / "events").mkdir()
    (stage / "12").write_text("a file")
    assert disk.steps(disk.epath.Path(stage)) == [1, 2]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "is no directory: give"),
        (lambda path: path.write_text("text"), "is no directory: give"),
        (lambda path: path.mkdir(), "holds no saved step: give the directory of a trained stage"),
        (lambda path: (path / "photos").mkdir(parents=True), "holds no saved step"),
        (lambda path: (path / "2019").mkdir(parents=True), r"no whole step \(2019: half-written"),
        (lambda path: (path / "5.orbax-checkpoint-tmp").mkdir(parents=True), "no saved step"),
    ],
    ids=["absent", "file", "empty", "foreign", "foreign-number", "unfinished"],
)
def test_a_foreign_place_is_told_in_a_line(
    make: Callable[[pathlib.Path], None], said: str, tmp_path: pathlib.Path
) -> None:
    make(tmp_path / "place")
    for read in (checkpoint.load, checkpoint.parts, checkpoint.weights_part):
        with pytest.raises(checkpoint.CheckpointError, match=said) as caught:
            read(tmp_path / "place")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "x"), "No space left on device"),
        (ValueError("OUT_OF_RANGE: failed [os_error_code='27']"), "File too large"),
        (ValueError("NOT_FOUND: no such key [tensorstore_spec='{}']"), "NOT_FOUND: no such key"),
        (KeyError(), "KeyError"),
        (ValueError("one\ntwo"), "one"),
    ],
)
def test_reasons_are_short(error: Exception, said: str) -> None:
    assert disk.reason(error) == said


def test_the_reason_is_the_first_cause() -> None:
    outside = Exception("outside")
    assert disk.reason(outside) == "outside"
    outside.__cause__ = ValueError("inside\nand more")
    assert disk.reason(outside) == "inside"
    outside.__cause__ = OSError(28, "No space left on device")
    assert disk.reason(outside) == "No space left on device"


@pytest.mark.parametrize("error", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED")])
def test_a_want_of_memory_is_no_damage(
    error: Exception, stage: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **more: Any) -> None:
        raise Exception("of placed arrays") from error

    monkeypatch.setattr(disk._orbax().PyTreeCheckpointHandler, "restore", fail)
    with pytest.raises(Exception, match="of placed arrays"):
        checkpoint.load(stage)


def test_orbax_waits_until_it_is_needed_and_brings_no_tensorflow() -> None:
    code = (
        "import sys\n"
        "from jukebox_jax import checkpoint\n"
        "from jukebox_jax.checkpoint import disk\n"
        "print('orbax' in sys.modules)\n"
        "disk.steps(disk.epath.Path('.'))\n"
        "print([m for m in ('orbax', 'tensorflow', 'optax') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "['orbax']"]
