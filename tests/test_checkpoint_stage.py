"""A stage written at once and read from its directory alone, part by part, onto any mesh."""

import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import checkpoint, sharding

PARTS = {
    "params": {
        "mlp": {"up": {"kernel": np.arange(512, dtype=np.float32).reshape(16, 32)}},
        "scale": np.float32(2),
    },
    "average": {"mlp": {"up": {"kernel": np.ones((16, 32), jnp.bfloat16)}}},
    "codebooks": ({"codes": np.eye(3, dtype=np.float32)}, {"codes": np.eye(4, dtype=np.float32)}),
    "optimizer": {},
    "data": {"seed": 7, "key": jax.random.key(3), "nothing": np.zeros((0, 3), np.int16)},
}
CONFIG = {"stage": {"kind": "vqvae", "rate": 44100}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("stage") / "deep" / "stage"
    checkpoint.save_stage(directory, CONFIG, PARTS, {"artist": {"ids": {"ä": 1}}})
    return directory


def test_the_files_of_a_stage(stage: pathlib.Path) -> None:
    assert sorted(os.listdir(stage)) == ["0", "config.json", "vocabularies.json"]
    assert {"params", "average", "codebooks", "data"} <= set(os.listdir(stage / "0"))
    assert checkpoint.read_json(stage, checkpoint.CONFIG) == CONFIG
    assert checkpoint.read_json(str(stage), checkpoint.VOCABULARIES)["artist"]["ids"] == {"ä": 1}
    assert checkpoint.parts(stage) == ("params", "average", "codebooks", "data")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_loads_alone_as_dictionaries_on_the_host(stage: pathlib.Path, part: str) -> None:
    loaded = checkpoint.load(str(stage), parts=(part,))
    assert set(loaded) == {part}
    found = jax.tree_util.tree_leaves_with_path(loaded[part])
    wanted = jax.tree.leaves(PARTS[part])
    assert len(found) == len(wanted)
    for (path, leaf), want in zip(found, wanted, strict=True):
        assert all(isinstance(entry, jax.tree_util.DictKey) for entry in path)
        assert leaf.dtype == (want if hasattr(want, "dtype") else np.asarray(want)).dtype
        if isinstance(want, jax.Array):
            assert jax.random.uniform(leaf) == jax.random.uniform(want)
        else:
            assert isinstance(leaf, np.ndarray)
            np.testing.assert_array_equal(leaf, want)


def test_tuples_keep_their_order(tmp_path: pathlib.Path) -> None:
    books = tuple({"codes": np.full(2, i, np.float32)} for i in range(12))
    checkpoint.save_stage(tmp_path / "s", CONFIG, {"codebooks": books})
    loaded = checkpoint.load(tmp_path / "s", ("codebooks",))["codebooks"]
    assert [int(book["codes"][0]) for book in loaded.values()] == list(range(12))


@pytest.mark.parametrize("how", ["function", "tree", "one"])
def test_arrays_come_where_they_should_lie(stage: pathlib.Path, how: str) -> None:
    mesh = sharding.make_mesh(2, 2, 2)
    whole = sharding.replicated(mesh)
    where: Any = {
        "function": lambda tree: sharding.shardings(tree, mesh),
        "tree": {"params": sharding.shardings(PARTS["params"], mesh), "data": whole},
        "one": whole,
    }[how]
    loaded = checkpoint.load(stage, ("params", "data"), sharding=where)
    kernel = loaded["params"]["mlp"]["up"]["kernel"]
    np.testing.assert_array_equal(kernel, PARTS["params"]["mlp"]["up"]["kernel"])
    expected = whole if how == "one" else sharding.shardings(PARTS["params"], mesh)
    if how != "one":
        expected = expected["mlp"]["up"]["kernel"]
    assert kernel.sharding == expected
    assert loaded["data"]["key"].sharding.is_fully_replicated
    assert loaded["data"]["nothing"].sharding == whole
    assert loaded["data"]["seed"] == 7 and loaded["data"]["seed"].dtype == np.int64


def test_which_weights_to_sample_with(stage: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert checkpoint.weights_part(stage) == "average"
    assert checkpoint.weights_part(stage, step=0, average=False) == "params"
    parts = {"params": PARTS["params"], "average": None}  # a run that averages nothing
    checkpoint.save_stage(tmp_path / "plain", CONFIG, parts)
    assert checkpoint.weights_part(tmp_path / "plain") == "params"


def test_a_missing_part_or_step_is_told(stage: pathlib.Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="no part 'weights'; it has params, ave"):
        checkpoint.load(stage, ("weights",))
    with pytest.raises(checkpoint.CheckpointError, match=r"has no step 5; it has \[0\]"):
        checkpoint.load(stage, step=5)
    with pytest.raises(checkpoint.CheckpointError, match="has no step 5"):
        checkpoint.weights_part(stage, step=5)


def test_other_shapes_are_told_before_anything_is_read(
    stage: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jukebox_jax.checkpoint import disk

    monkeypatch.setattr(disk, "read", lambda *given: pytest.fail("it was read"))
    wide = {"mlp": {"up": {"kernel": jax.ShapeDtypeStruct((64, 64), np.float32)}}}
    with pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.load(stage, like={"params": wide})
    assert str(caught.value) == (
        f"{stage}/0 was saved with another config: params/mlp/up/kernel is float32[16, 32] there "
        "and float32[64, 64] here; params/scale is float32[] there and missing here"
    )
    many = {"params": {f"layer_{i}": np.zeros(2) for i in range(40)}}
    with pytest.raises(checkpoint.CheckpointError, match="; and 39 more$"):
        checkpoint.load(stage, like=many)


def test_right_shapes_are_let_through(stage: pathlib.Path) -> None:
    like = jax.eval_shape(lambda: {"params": PARTS["params"]})
    assert "scale" in checkpoint.load(stage, like=like)["params"]


def test_a_stage_is_not_overwritten(stage: pathlib.Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="holds a stage already: give another"):
        checkpoint.save_stage(stage, {}, PARTS)
    assert checkpoint.read_json(stage, checkpoint.CONFIG) == CONFIG


def test_json_that_is_missing_or_broken(tmp_path: pathlib.Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match=r"config\.json is missing: give the dir"):
        checkpoint.read_json(tmp_path, "config.json")
    assert checkpoint.read_json(tmp_path, "config.json", missing=None) is None
    (tmp_path / "config.json").write_text('{"stage": ')
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        checkpoint.read_json(tmp_path, "config.json", missing={})
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        checkpoint.read_json(tmp_path, "config.json")


def test_json_is_written_whole_or_not_at_all(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.write_json(tmp_path, "config.json", {"a": 1})

    def fail(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(checkpoint.stage.epath.Path(tmp_path)), "replace", fail)
        with pytest.raises(checkpoint.CheckpointError, match="written: No space left on device$"):
            checkpoint.write_json(tmp_path, "config.json", {"a": 2})
    assert checkpoint.read_json(tmp_path, "config.json") == {"a": 1}
    with pytest.raises(TypeError):
        checkpoint.write_json(tmp_path, "config.json", {"a": object()})
    assert checkpoint.read_json(tmp_path, "config.json") == {"a": 1}


def test_json_into_a_place_that_is_no_directory(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(checkpoint.CheckpointError, match="config.json cannot be written"):
        checkpoint.write_json(tmp_path / "file", "config.json", {})


def test_the_record_of_a_run_is_read_up_to_a_line_that_was_cut_short(
    tmp_path: pathlib.Path,
) -> None:
    assert checkpoint.history(tmp_path) == []
    whole = '{"step": 1, "train/loss": 2.5}\n{"step": 2, "train/loss": NaN}\n'
    (tmp_path / checkpoint.METRICS).write_text(whole + 'null\n{"train/loss": 1}\n{"step": 3, "tra')
    lines = checkpoint.history(tmp_path)
    assert [line["step"] for line in lines] == [1, 2] and lines[0]["train/loss"] == 2.5
