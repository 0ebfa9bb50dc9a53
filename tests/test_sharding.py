"""The mesh, the table that places parameters, and how a run of several processes begins."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jukebox_jax import sharding
from jukebox_jax.prior import conditioning, prior, transformer
from jukebox_jax.prior.prior import Prior

LAYOUT = ((("row", "column", "previous"), 24),)
LABELS = (
    ("artist", conditioning.Label(size=7898)),
    ("genre", conditioning.Label(size=604, most=5)),
    ("timing", conditioning.Timing(bins=128, minimum_seconds=23.8, maximum_seconds=600.0)),
)
ABOVE = conditioning.Codes(bins=2048, width=1024, depth=16, downs=2)


@functools.cache
def big(kind: str) -> Any:
    """Shapes of a model as large as those that need a table."""
    if kind == "upsampler":
        model = Prior(layout=LAYOUT, signals=(*LABELS, ("codes_above", ABOVE)))
        return prior.abstract(model)
    model = Prior(width=4800, heads=8, layout=LAYOUT, tied=False, signals=LABELS)
    return prior.abstract(model)


def paths(tree: Any) -> list[str]:
    found = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in found]


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        ({}, (8, 1, 1)),
        ({"fsdp": 4}, (2, 4, 1)),
        ({"data": 1, "fsdp": -1}, (1, 8, 1)),
        ({"data": 2, "fsdp": 2, "tensor": 2}, (2, 2, 2)),
    ],
)
def test_mesh_takes_every_device(asked: dict[str, int], sizes: tuple[int, ...]) -> None:
    mesh = sharding.make_mesh(**asked)
    assert tuple(mesh.shape.items()) == tuple(zip(sharding.AXES, sizes, strict=True))
    assert set(mesh.devices.flat) == set(jax.devices())
    assert all(kind == jax.sharding.AxisType.Auto for kind in mesh.axis_types)


def test_mesh_of_some_devices() -> None:
    assert sharding.make_mesh(tensor=2, devices=jax.devices()[:4]).shape["data"] == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"data": 3}, "is 3 devices, but there are 8"),
        ({"data": 2, "fsdp": 2}, r"data=2 \* fsdp=2 \* tensor=1 is 4 devices"),
        ({"fsdp": 3}, "8 devices are no multiple of 3"),
        ({"fsdp": -1}, "only one size may be -1"),
        ({"fsdp": 0}, "at least 1"),
    ],
)
def test_mesh_says_which_numbers_do_not_fit(asked: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sharding.make_mesh(**asked)


def test_every_line_of_the_table_places_something() -> None:
    layout = ((("row",), 1),)
    small = prior.abstract(Prior(context=64, block=8, width=16, layout=layout))
    decoding = jax.eval_shape(lambda params: transformer.unstack(params, layout), small)
    text = conditioning.Lyrics(tokens=8, size=8, width=8, layout=layout, block=4)
    reading = ((("memory",), 1),)
    words = prior.abstract(
        Prior(context=64, block=8, width=16, layout=reading, signals=(("lyrics", text),))
    )
    trees = (big("top"), big("upsampler"), decoding, words)
    known = [path for tree in trees for path in paths(tree)]
    patterns = [pattern for pattern, _ in sharding.TABLE]
    first = {
        next(i for i, line in enumerate(patterns) if re.search(f"(^|/){line}$", path))
        for path in known
    }
    assert first == set(range(len(patterns))), "a line that no parameter comes to"
    for names in ("query", "key", "value", "query_key_value"):
        assert any(path.endswith(f"attention/{names}/kernel") for path in known), names


@pytest.mark.parametrize("kind", ["top", "upsampler"])
@pytest.mark.parametrize("sizes", [(1, 8, 1), (2, 2, 2)])
def test_at_most_two_percent_is_replicated(kind: str, sizes: tuple[int, int, int]) -> None:
    tree = big(kind)
    where = sharding.shardings(tree, sharding.make_mesh(*sizes))
    total = copied = held = 0
    for leaf, place in zip(jax.tree.leaves(tree), jax.tree.leaves(where), strict=True):
        size = leaf.size * leaf.dtype.itemsize
        total += size
        copied += size * place.is_fully_replicated
        held += int(np.prod(place.shard_shape(leaf.shape))) * leaf.dtype.itemsize
    assert total > 3.5e9
    assert copied <= 0.02 * total
    assert held <= (0.02 + 1 / (sizes[1] * sizes[2])) * total


def test_moments_and_averages_lie_with_their_parameters() -> None:
    params = {
        "transformer": {
            "group_0": {
                "layer_0": {
                    "attention": {
                        "query": {"kernel": jnp.zeros((24, 16, 8)), "bias": jnp.zeros((24, 8))},
                        "out": {"kernel": jnp.zeros((24, 8, 16))},
                    }
                }
            }
        },
        "codes": {"embedding": jnp.zeros((32, 16))},
    }
    mesh = sharding.make_mesh(2, 2, 2)
    state = (({"count": jnp.zeros(()), "mu": params, "nu": params},), {"average": params})
    where = sharding.shardings(state, mesh)
    one = sharding.shardings(params, mesh)
    for copy in (where[0][0]["mu"], where[0][0]["nu"], where[1]["average"]):
        assert copy == one
    attention = one["transformer"]["group_0"]["layer_0"]["attention"]
    assert attention["query"]["kernel"].spec == P(None, "fsdp", "tensor")
    assert attention["out"]["kernel"].spec == P(None, "tensor", "fsdp")
    assert one["codes"]["embedding"].spec == P("tensor", "fsdp")
    assert attention["query"]["bias"].is_fully_replicated
    assert where[0][0]["count"].is_fully_replicated


def test_names_match_whole_and_from_the_right() -> None:
    assert sharding.axes("mlp/up/kernel") == sharding.axes("0/nu/x/mlp/up/kernel") != ()
    assert sharding.axes("lyric_logits/kernel") == sharding.axes("logits/kernel") != ()
    assert sharding.axes("prenmlp/up/kernel") == ()
    assert sharding.axes("mlp/up/kernel/scale") == ()
    assert sharding.axes("encoder_0/block_0/out/kernel") == ()


def test_what_does_not_divide_stays_whole() -> None:
    mesh = sharding.make_mesh(1, 4, 2)
    tree = {
        "mlp": {"up": {"kernel": np.zeros((6, 4))}, "down": {"kernel": np.zeros((3, 5))}},
        "start": {"embedding": np.zeros((1, 8))},
    }
    where = sharding.shardings(tree, mesh)
    assert where["mlp"]["up"]["kernel"].spec == P(None, "tensor")
    assert where["mlp"]["down"]["kernel"].is_fully_replicated
    assert where["start"]["embedding"].spec == P(None, "fsdp")
    placed = sharding.place(tree, where)
    assert placed["mlp"]["up"]["kernel"].addressable_shards[0].data.shape == (6, 2)


@pytest.mark.parametrize("sizes", [(8, 1, 1), (2, 4, 1), (2, 2, 2)])
def test_a_step_is_the_same_on_every_mesh(sizes: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(0)
    params = {
        "mlp": {
            "up": {"kernel": generator.normal(size=(16, 32)).astype(np.float32)},
            "down": {"kernel": generator.normal(size=(32, 16)).astype(np.float32)},
        }
    }
    songs = {"x": generator.normal(size=(16, 16)).astype(np.float32)}

    def loss(params: Any, songs: Any) -> jax.Array:
        hidden = jnp.tanh(songs["x"] @ params["mlp"]["up"]["kernel"])
        return jnp.mean(jnp.square(hidden @ params["mlp"]["down"]["kernel"]))

    mesh = sharding.make_mesh(*sizes)
    where = sharding.shardings(params, mesh)
    step = jax.jit(jax.value_and_grad(loss), out_shardings=(sharding.replicated(mesh), where))
    value, slope = step(sharding.place(params, where), sharding.place_batch(songs, mesh))
    expected, expected_slope = jax.value_and_grad(loss)(params, songs)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for got, want in zip(jax.tree.leaves(slope), jax.tree.leaves(expected_slope), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    assert jax.tree.map(lambda leaf: leaf.sharding, slope) == where


def test_place_takes_one_sharding_for_all_and_random_keys() -> None:
    mesh = sharding.make_mesh()
    tree = {"key": jax.random.key(3), "values": np.arange(4)}
    placed = sharding.place(tree, sharding.replicated(mesh))
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(placed))
    assert jax.random.uniform(placed["key"]) == jax.random.uniform(jax.random.key(3))


def test_a_batch_is_split_by_song() -> None:
    mesh = sharding.make_mesh(2, 2, 2)
    codes = np.arange(24).reshape(8, 3)
    placed = sharding.place_batch({"codes": codes, "labels": np.arange(8)}, mesh)
    np.testing.assert_array_equal(placed["codes"], codes)
    assert placed["codes"].sharding == sharding.batch(mesh)
    assert placed["codes"].addressable_shards[0].data.shape == (2, 3)
    assert sharding.share(mesh) == (0, 1)


def test_a_batch_that_does_not_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"6 songs .* data \* fsdp = 4 .* multiple of 4"):
        sharding.place_batch(np.zeros((6, 2)), sharding.make_mesh(2, 2, 2))


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How jax.distributed was started; nothing in the environment tells of other processes."""
    calls: list[Any] = []
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *given, **more: calls.append((given, more))
    )
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_a_process_alone_stays_alone(joined: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "one")
    sharding.initialize()
    assert joined == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("SLURM_STEP_NUM_TASKS", "4"), ("OMPI_COMM_WORLD_SIZE", "2"), ("TPU_WORKER_HOSTNAMES", "a,b")],
)
def test_a_launcher_is_recognised(
    joined: list[Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    sharding.initialize()
    assert joined == [((), {"heartbeat_timeout_seconds": sharding.LOST_AFTER})]


def test_a_cluster_can_be_asked_outright(joined: list[Any]) -> None:
    sharding.initialize(cluster=True)
    assert joined == [((), {"heartbeat_timeout_seconds": sharding.LOST_AFTER})]


def test_explicit_processes_join(joined: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "leader:1234")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    sharding.initialize(index=1)
    (given, more) = joined[0]
    assert given == ("leader:1234", 2, 1)
    assert more["coordinator_bind_address"] is None


def test_a_loopback_coordinator_listens_nowhere_else(joined: list[Any]) -> None:
    sharding.initialize("127.0.0.1:1234", 2, 0)
    assert joined[0][1]["coordinator_bind_address"] == "127.0.0.1:1234"


def test_half_told_processes_are_an_error(joined: list[Any]) -> None:
    with pytest.raises(ValueError, match="processes, index missing"):
        sharding.initialize("leader:1234")
    assert joined == []


def test_numerics_of_this_machine() -> None:
    sharding.check_numerics()


def test_wrong_numerics_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = jnp.sum
    monkeypatch.setattr(jnp, "sum", lambda values: right(values) * (values[0] < 60))
    with pytest.raises(
        sharding.NumericsError, match=r"computes \d+ of 40000 sums wrongly: install"
    ):
        sharding.check_numerics()


def test_activations_are_split_by_song_under_a_mesh_alone() -> None:
    x = jnp.zeros((8, 4))
    assert sharding.by_song(x) is x and sharding.whole(x) is x  # no mesh is in force
    mesh = sharding.make_mesh(2, 2, 2)
    with jax.set_mesh(mesh):
        assert jax.jit(sharding.by_song)(x).sharding.is_equivalent_to(sharding.batch(mesh), 2)
        assert jax.jit(sharding.whole)(x).sharding.is_fully_replicated
        assert sharding.by_song(x[:6]) is not None  # six songs do not divide over four


def test_rows_of_this_process() -> None:
    rows = np.arange(24).reshape(8, 3)
    placed = sharding.place_batch(rows, sharding.make_mesh(2, 2, 2))
    np.testing.assert_array_equal(sharding.local(placed), rows)
