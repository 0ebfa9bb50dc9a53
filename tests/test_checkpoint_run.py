"""The steps of a run: saved in the background, kept, restored on another mesh, after any death."""

import dataclasses
import logging
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import checkpoint, sharding
from jukebox_jax.checkpoint import CheckpointError, Checkpoints

ROOT = pathlib.Path(__file__).parent.parent


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Book:
    codes: Any
    counts: Any


def state(seed: int) -> dict[str, Any]:
    """A small run's parts, with every kind of container and leaf that a real one has."""
    key = jax.random.key(seed)
    kernel = jax.random.normal(key, (16, 32))
    params = {"mlp": {"up": {"kernel": kernel, "bias": jnp.full((32,), seed, jnp.bfloat16)}}}
    return {
        "params": params,
        "codebooks": (Book(kernel[:4], jnp.zeros(4)), Book(kernel[4:6], jnp.ones(2))),
        "optimizer": ({"count": jnp.int32(seed), "mu": params, "nu": None}, (), {"mask": [True]}),
        "data": {"key": key, "keys": jax.random.split(key, 3), "seen": 10 * seed},
    }


def abstract(parts: Any, mesh: jax.sharding.Mesh | None) -> Any:
    """The shapes of a state, and where it shall lie."""

    def shape(leaf: Any, place: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    if mesh is None:
        return jax.tree.map(lambda leaf: shape(leaf, None), parts)
    return jax.tree.map(shape, parts, sharding.shardings(parts, mesh))


def assert_same(found: Any, wanted: Any) -> None:
    """The same structure, types and bits."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        if isinstance(other, jax.Array) and jnp.issubdtype(other.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def placed(parts: Any, mesh: jax.sharding.Mesh) -> Any:
    arrays = sharding.place(parts, sharding.shardings(parts, mesh))
    return {**arrays, "data": parts["data"]}


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run"


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 8, 1), None])
def test_a_step_comes_back_on_another_mesh(
    directory: pathlib.Path, sizes: tuple[int, int, int] | None
) -> None:
    parts = state(1)
    with Checkpoints(directory) as checkpoints:
        assert checkpoints.restore(abstract(parts, None)) is None
        assert checkpoints.save(5, placed(parts, sharding.make_mesh(8, 1, 1)))
    mesh = None if sizes is None else sharding.make_mesh(*sizes)
    with Checkpoints(str(directory)) as checkpoints:
        found = checkpoints.restore(abstract(parts, mesh))
    assert found is not None and found[0] == 5
    assert_same(found[1], parts)
    kernel = found[1]["params"]["mlp"]["up"]["kernel"]
    if mesh is None:
        assert isinstance(kernel, np.ndarray)
    else:
        assert kernel.sharding == sharding.shardings(parts, mesh)["params"]["mlp"]["up"]["kernel"]
    assert isinstance(found[1]["codebooks"][0], Book)
    assert jnp.issubdtype(found[1]["data"]["key"].dtype, jax.dtypes.prng_key)


def test_parts_are_restored_alone(directory: pathlib.Path) -> None:
    parts = state(1)
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(5, parts)
        found = checkpoints.restore({"codebooks": abstract(parts["codebooks"], None)}, step=5)
    assert found is not None
    assert_same(found[1], {"codebooks": parts["codebooks"]})
    loaded = checkpoint.load(directory, ("codebooks",))["codebooks"]
    np.testing.assert_array_equal(loaded["1"]["codes"], parts["codebooks"][1].codes)


def test_what_is_saved_may_be_donated_and_changed_at_once(directory: pathlib.Path) -> None:
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0 - 7, tree), donate_argnums=0)
    draw = lambda number: jax.random.normal(jax.random.key(number), (512, 512))  # noqa: E731
    with Checkpoints(directory, keep=5) as checkpoints:
        for number in range(4):
            arrays, host = {"w": draw(number)}, np.full(1000, number)
            checkpoints.save(number, {"params": arrays, "data": {"x": host}})
            jax.block_until_ready(step(arrays))
            host[:] = -1
    for number in range(4):
        loaded = checkpoint.load(directory, ("params", "data"), step=number)
        wanted = {"params": {"w": draw(number)}, "data": {"x": np.full(1000, number)}}
        assert_same(loaded, wanted)


def test_the_last_and_the_best_stay(directory: pathlib.Path) -> None:
    losses = {1: 3.0, 2: 0.5, 3: float("nan"), 4: 2.0, 5: 1.0}
    with Checkpoints(directory, keep=2, best="loss") as checkpoints:
        for step, loss in losses.items():
            checkpoints.save(step, {"params": {"w": np.zeros(2)}}, metrics={"loss": loss})
    assert checkpoints.steps() == [2, 4, 5] and checkpoints.best() == 2
    with Checkpoints(directory, keep=1, best="loss") as checkpoints:  # it knows them again
        checkpoints.save(6, {"params": {"w": np.zeros(2)}})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 6]
        assert (checkpoints.best(), checkpoints.latest()) == (2, 6)
        checkpoints.save(7, {"params": {"w": np.zeros(2)}}, metrics={"loss": 0.1})
    assert checkpoints.steps() == [7]
    assert sorted(os.listdir(directory)) == ["7"], "nothing of the deleted ones is left"


def test_a_step_is_saved_once_and_in_order(directory: pathlib.Path) -> None:
    with Checkpoints(directory) as checkpoints:
        assert checkpoints.latest() is None
        assert checkpoints.save(5, {"params": {"w": np.zeros(2)}})
        assert not checkpoints.save(5, {"params": {"w": np.ones(2)}})
        with pytest.raises(CheckpointError, match="holds step 5, later than the step 4 to save"):
            checkpoints.save(4, {"params": {"w": np.ones(2)}})
    assert not checkpoint.load(directory)["params"]["w"].any()


def test_other_shapes_are_no_reason_to_go_back(directory: pathlib.Path) -> None:
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(1, {"params": {"w": np.zeros((64, 2), np.float32)}})
        checkpoints.save(2, {"params": {"w": np.zeros((32, 2), np.float32)}})
        wide = {"params": {"w": jax.ShapeDtypeStruct((64, 2), np.float32)}}
        with pytest.raises(CheckpointError, match=r"32, 2\] there and float32\[64, 2\] here$"):
            checkpoints.restore(wide)
        with pytest.raises(CheckpointError, match="no part 'average'; it has params"):
            checkpoints.restore({"average": wide["params"]})
        assert checkpoints.steps() == [1, 2]


def test_damaged_steps_are_set_aside_and_reached_again(
    directory: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = {step: {"params": {"w": np.full(8, step)}} for step in range(1, 5)}
    with Checkpoints(directory, keep=4) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, parts[step])
    for path in (directory / "3").rglob("manifest.ocdbt"):
        path.unlink()
    (directory / "4").mkdir()  # an empty folder, as a failing disk leaves it
    with Checkpoints(directory, keep=4) as checkpoints, caplog.at_level(logging.INFO):
        found = checkpoints.restore(parts[1])
        assert found is not None and found[0] == 2
        assert_same(found[1], parts[2])
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
        assert sorted(os.listdir(directory / "damaged")) == ["3", "4"]
        assert checkpoints.save(3, parts[3]) and checkpoints.save(4, parts[4])
        found = checkpoints.restore(parts[1])
    assert found is not None and found[0] == 4
    assert_same(found[1], parts[4])


def test_nothing_whole_is_no_fresh_start(directory: pathlib.Path) -> None:
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(1, {"params": {"w": np.zeros(8)}})
    for path in (directory / "1").rglob("manifest.ocdbt"):
        path.unlink()
    with Checkpoints(directory) as checkpoints:
        with pytest.raises(CheckpointError, match="no whole step"):
            checkpoints.restore({"params": {"w": np.zeros(8)}})
    assert (directory / "1").exists()


@pytest.fixture
def small_disk() -> Iterator[Any]:
    """Makes every file that grows beyond so many bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_full_disk_leaves_the_last_step_and_one_line(
    directory: pathlib.Path, small_disk: Any, asynchronous: bool, capfd: Any
) -> None:
    generator = np.random.default_rng(0)
    parts = {"params": {name: generator.normal(size=50_000) for name in "abc"}}
    checkpoints = Checkpoints(directory, keep=1, asynchronous=asynchronous)
    checkpoints.save(1, parts)
    checkpoints.wait()
    small_disk(100_000)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.save(2, parts)
        checkpoints.wait()
    small_disk(resource.RLIM_INFINITY)
    assert str(caught.value) == (
        f"step 2 cannot be written to {directory}: File too large; step 1 is the last whole one"
    )
    time.sleep(0.1)
    assert capfd.readouterr() == ("", ""), "threads of others print nothing of their own"
    assert checkpoints.steps() == [1]
    assert_same(checkpoint.load(directory), parts)
    assert checkpoints.save(3, parts), "with room again it goes on"
    checkpoints.close()
    assert checkpoints.steps() == [3]
    Checkpoints(directory).close()
    assert sorted(os.listdir(directory)) == ["3"], "what was half written is gone"


def test_the_first_error_is_the_one_that_is_raised(
    directory: pathlib.Path, small_disk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    parts = {"params": {"a": np.random.default_rng(0).normal(size=50_000)}}
    with pytest.raises(ZeroDivisionError):
        with Checkpoints(directory) as checkpoints:
            small_disk(100_000)
            checkpoints.save(2, parts)
            raise ZeroDivisionError
    small_disk(resource.RLIM_INFINITY)
    assert "step 2 cannot be written" in caplog.text
    with pytest.raises(CheckpointError, match="step 2 cannot be written"):
        with Checkpoints(directory) as checkpoints:
            small_disk(100_000)
            checkpoints.save(2, parts)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: pathlib.Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written: (Not a directory|File exists)"):
        Checkpoints(tmp_path / place)


def test_keeping_nothing_is_refused(directory: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="keep=0"):
        Checkpoints(directory, keep=0)


CHILD = """
import sys
import numpy as np
from jukebox_jax.checkpoint import Checkpoints

with Checkpoints(sys.argv[1], keep=2) as checkpoints:
    for step in range(1, 1000):
        arrays = {str(i): np.random.default_rng(i).normal(size=200_000) + step for i in range(4)}
        checkpoints.save(step, {"params": arrays, "data": {"step": step}})
        print(step, flush=True)
"""


def test_a_killed_run_finds_its_last_whole_step(tmp_path: pathlib.Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / str(index))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for index in range(3)
    ]
    reached = []
    for index, child in enumerate(children):
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(4 + index)]
        time.sleep(0.013 * index)  # somewhere in the middle of writing or deleting
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().split()
        child.wait()
        reached.append(int(lines[-1]))
    target = {
        "params": {str(i): np.zeros(200_000) for i in range(4)},
        "data": {"step": 0},
    }
    for index, last in enumerate(reached):
        directory = tmp_path / str(index)
        with Checkpoints(directory, keep=2) as checkpoints:
            found = checkpoints.restore(target)
            assert found is not None
            step, parts = found
            assert last - 1 <= step <= last + 1 and parts["data"]["step"] == step
            wanted = np.random.default_rng(3).normal(size=200_000) + step
            np.testing.assert_array_equal(parts["params"]["3"], wanted)
            checkpoints.save(2000, {"params": {"w": np.zeros(2)}})
        assert not [name for name in os.listdir(directory) if not name.isdigit()]


PROCESS = """
import sys
import jax
import numpy as np
from jax.experimental import multihost_utils

jax.config.update("jax_num_cpu_devices", 2)
from jukebox_jax import checkpoint, sharding

index, address, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sharding.initialize(address, 2, index)
mesh = sharding.make_mesh(1, 2, 2)
kernel = np.arange(32, dtype=np.float32).reshape(8, 4)
host = {"mlp": {"up": {"kernel": kernel}}, "key": np.int32(7)}
params = sharding.place(host, sharding.shardings(host, mesh))
batch = sharding.place_batch(np.full((1, 3), index), mesh)
assert batch.shape == (2, 3) and sharding.share(mesh) == (index, 2), sharding.share(mesh)
assert sharding.share(sharding.make_mesh(1, 1, 4)) == (0, 1)
shape = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
wanted = {"params": jax.tree.map(shape, params)}
with checkpoint.Checkpoints(directory, keep=2) as checkpoints:
    for step in (1, 2):
        assert checkpoints.save(step, {"params": params, "data": {"seed": 5}})
    assert checkpoints.restore(wanted)[0] == 2
    if index == 0:
        import pathlib
        for path in pathlib.Path(directory, "2").rglob("manifest.ocdbt"):
            path.unlink()
    multihost_utils.sync_global_devices("damaged")
    step, found = checkpoints.restore(wanted)
    assert step == 1 and checkpoints.steps() == [1], step
    assert found["params"]["mlp"]["up"]["kernel"].sharding == params["mlp"]["up"]["kernel"].sharding
    assert checkpoints.save(2, found)
print("finished")
"""


def test_two_processes_save_together_and_fall_back_together(directory: pathlib.Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(index), address, str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        for index in range(2)
    ]
    try:
        said = [child.communicate(timeout=120)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    for child, text in zip(children, said, strict=True):
        assert child.returncode == 0 and "finished" in text, text[-3000:]
    loaded = checkpoint.load(directory)["params"]
    np.testing.assert_array_equal(loaded["mlp"]["up"]["kernel"].ravel(), np.arange(32))
    assert loaded["key"] == 7
