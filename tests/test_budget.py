"""What a run needs is known from its compiled step: bytes, operations, and nothing sent in vain."""

import copy
import importlib.util
import pathlib
from typing import Any

import jax
import pytest

from jukebox_jax import sharding
from jukebox_jax.training import budget, settings, state

ROOT = pathlib.Path(__file__).parent.parent
CODEC = {
    "stage": {"kind": "vqvae", "rate": 8000},
    "model": {
        "downs": [1, 1],
        "strides": [2, 2],
        "multipliers": [1, 1],
        "bins": 64,
        "code_width": 8,
        "width": 8,
        "depth": 1,
    },
}
TOP = {
    "stage": {"kind": "prior", "rate": 8000, "level": 1, "vqvae": "nowhere"},
    "model": {
        "context": 64,
        "block": 8,
        "bins": 64,
        "width": 128,
        "heads": 2,
        "layout": [[["column", "memory"], 3]],
        "dtype": "bfloat16",
    },
    "signals": {
        "artist": {"kind": "label", "size": 64},
        "lyrics": {
            "kind": "lyrics",
            "tokens": 32,
            "size": 64,
            "width": 64,
            "layout": [[["row"], 2]],
            "block": 8,
            "rate": 8000,
        },
    },
    "data": {"source": "", "batch": 16, "loader": "numpy"},
    "optimizer": {"average_decay": 0.9},
    "run": {"steps": 10},
}
LOWER = copy.deepcopy(TOP)
LOWER["stage"]["level"] = 0
LOWER["model"]["layout"] = [[["column"], 2]]
LOWER["signals"] = {"above": {"kind": "codes", "bins": 64, "width": 16, "depth": 1, "downs": 1}}


def measured(config: dict, sizes: tuple[int, int, int]) -> budget.Budget:
    mesh = dict(zip(sharding.AXES, sizes, strict=True))
    return budget.measure({**config, "mesh": mesh}, codec=CODEC)


@pytest.fixture(scope="module")
def split() -> budget.Budget:
    """A top prior with lyrics, its parameters split over eight devices."""
    return measured(TOP, (1, 8, 1))


def test_split_parameters_are_all_that_is_gathered(split: budget.Budget) -> None:
    sent = {(kind, what): bytes for kind, what, _, bytes in split.traffic}
    assert set(sent) <= {
        ("all-gather", "parameters"),
        ("all-reduce", "gradients"),
        ("all-reduce", "small values"),
    }
    # Of what every device holds the compiler may share out the update: four trees, in float32.
    shared = 4 * split.replicated * 4 * split.parameters * 7 / 8
    gathered = sent["all-gather", "parameters"]
    assert 0.98 * split.by_formula < gathered < 1.02 * split.by_formula + shared
    # Each gradient is summed once, in the type that the parameter is used in or in float32.
    ring = 2 * split.parameters * 7 / 8
    assert 2 * ring < sent["all-reduce", "gradients"] < 4 * ring


@pytest.mark.parametrize("config", [TOP, LOWER], ids=["top", "upsampler"])
def test_no_activation_is_gathered_where_products_are_split(config: dict) -> None:
    found = measured(config, (2, 2, 2))
    told = {(kind, what) for kind, what, _, _ in found.traffic}
    assert ("all-reduce", "activations") in told  # the sums of split products
    assert {what for kind, what in told if kind != "all-reduce"} == {"parameters"}


def test_bytes_and_operations(split: budget.Budget) -> None:
    assert split.total == sum(split.stored.values()) + split.temporary + split.output
    assert split.stored["average"] == split.stored["parameters"]
    assert split.stored["moments"] == pytest.approx(2 * split.stored["parameters"], rel=0.01)
    assert split.stored["batch"] == 2 * (64 * 4 + 1 + 32) * 4  # songs, artists, lyrics
    assert 0.6 < split.flops / split.model_flops < 2.5
    text = "\n".join(split.lines())
    assert "8 devices (data=1 * fsdp=8 * tensor=1)" in text and "all-gather" in text
    assert "activations" not in text.split("collectives")[1].split("The program")[0]


def test_what_does_not_fit_gets_advice(split: budget.Budget) -> None:
    config = {**TOP, "mesh": {"data": 1, "fsdp": 8}}
    budget.check(split, config, split.total)
    with pytest.raises(budget.BudgetError, match="2 songs are on a device at once: accumulate"):
        budget.check(split, config, split.total - 1)
    dealt = {**config, "optimizer": {**config.get("optimizer", {}), "accumulate": 2}}
    with pytest.raises(budget.BudgetError, match="--config.mesh.tensor=2"):  # one song is left
        budget.check(split, dealt, split.total - 1)
    eager = {**config, "model": {**TOP["model"], "remat": "none"}}
    with pytest.raises(budget.BudgetError, match="--config.model.remat=full"):
        budget.check(split, eager, split.total // 2)
    heavy = budget.dataclasses.replace(split, temporary=0)
    with pytest.raises(budget.BudgetError, match="--config.optimizer.moments=bfloat16") as caught:
        budget.check(heavy, config, heavy.total // 2)
    assert "\n" not in str(caught.value)
    copied = budget.dataclasses.replace(heavy, mesh={"data": 8, "fsdp": 1, "tensor": 1})
    with pytest.raises(budget.BudgetError, match="--config.mesh.fsdp=2"):
        budget.check(copied, config, heavy.total // 2)


def load(name: str, size: str) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(name, ROOT / "configs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(size).to_dict()


def test_the_largest_model_is_split_evenly() -> None:
    """Parameters, moments and average of 5b_lyrics: an eighth each, to 2 %."""
    config = load("prior", "5b_lyrics")
    config["data"]["source"] = "none"
    read = settings.read(config)
    task = budget.make_task(read, load("vqvae", "base"))
    places = state.abstract(read, task, sharding.make_mesh(1, 8, 1))
    for part, tree in (
        ("params", places.params),
        ("average", places.average),
        ("moments", places.optimizer.moments),
    ):
        total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
        assert budget.held(tree) == pytest.approx(total / 8, rel=0.02), part
    copied = [
        leaf.size for leaf in jax.tree.leaves(places.params) if leaf.sharding.is_fully_replicated
    ]
    assert sum(copied) <= 0.02 * sum(leaf.size for leaf in jax.tree.leaves(places.params))


@pytest.mark.parametrize(
    ("text", "bytes"), [("80GB", 80 * 10**9), ("1.5 GiB", 3 * 2**29), ("64", 64), ("2mib", 2**21)]
)
def test_memory_is_read(text: str, bytes: int) -> None:
    assert budget.memory_of(text) == bytes


@pytest.mark.parametrize("text", ["much", "80 TBs", ""])
def test_other_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give it as 80GB"):
        budget.memory_of(text)


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    with pytest.raises(ValueError, match="accumulate = 3 pieces over 8 devices: make it"):
        measured({**TOP, "optimizer": {"accumulate": 3}}, (8, 1, 1))


def test_a_prior_without_a_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="nowhere holds no VQ-VAE"):
        budget.measure(TOP)
