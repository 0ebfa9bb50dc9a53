"""What the compiled loop of decoding does, and does not do: nothing here needs a clock."""

import collections
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import attention, prior
from jukebox_jax.prior import cache as caches
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import generate

SPARSE = ("row", "column", "previous")
ALL = ((("row", "column", "previous", "dense"), 1),)
QUICK = {"xla_backend_optimization_level": 0}  # to compile; the program is the same
FIELDS: dict[str, Any] = dict(block=16, bins=31, width=48, heads=2, layout=((SPARSE, 1),))


def lowered(model: Prior, batch: int = 1) -> Any:
    """The loop of a model, from shapes alone."""
    params = jax.eval_shape(lambda: prior.unstack(model, prior.init(model, jax.random.key(0))))
    cache = jax.eval_shape(lambda: prior.empty(model, batch))
    window = jax.ShapeDtypeStruct((batch, model.context), jnp.int32)
    number = jax.ShapeDtypeStruct((), jnp.int32)
    state = generate.Decoding(window=window, cache=cache, position=number)
    conditions = jax.eval_shape(lambda params: prior.condition(model, params, {}), params)
    keys = jax.eval_shape(lambda: jax.vmap(jax.random.key)(jnp.arange(batch)))
    return generate.advance.lower(model, params, state, number, conditions, keys, start=0)


def compiled(layers: int, **changes: Any) -> str:
    fields = {**FIELDS, "context": 128, **changes, "layout": ((SPARSE, layers),)}
    return lowered(Prior(**fields)).compile(QUICK).as_text()


def bodies(text: str) -> dict[str, list[str]]:
    """The instructions of each computation of a program, by its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if (head := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line)) and "=" not in line[:40]:
            name = head[1]
            found[name] = []
        elif " = " in line and name:
            found[name].append(line.strip())
    return found


def step_of(text: str) -> list[str]:
    """The instructions of one code: the longest loop's body."""
    computations = bodies(text)
    loops = re.findall(r"while\(.*?body=%?([\w.\-]+)", text)
    return max((computations[name] for name in loops), key=len)


KERNELS = """call concatenate conditional convert copy custom-call dot dynamic-slice
dynamic-update-slice fusion reduce select transpose""".split()


def operations(text: str) -> collections.Counter[str]:
    """How many kernels a step runs, by kind: what XLA calls one after the other on a CPU."""
    computations = bodies(text)

    def count(lines: list[str]) -> collections.Counter[str]:
        counts: collections.Counter[str] = collections.Counter()
        for line in lines:
            kind = re.search(r"[\]\})] ([a-z][a-z\-]*)\(", line)
            if kind and kind[1] in KERNELS:
                counts[kind[1]] += 1
            if kind and kind[1] == "conditional":
                names = re.search(r"branch_computations=\{(.*?)\}", line)[1].split(", ")
                branches = [count(computations[name.lstrip("%")]) for name in names]
                counts.update(max(branches, key=lambda branch: branch.total()))
        return counts

    return count(step_of(text))


@pytest.mark.parametrize(
    ("dtype", "layout", "batch"),
    [("float32", ALL, 1), ("bfloat16", ((SPARSE, 1),), 1), ("float32", ALL, 3)],
)
def test_every_cache_is_written_in_place(dtype: str, layout: Any, batch: int) -> None:
    """The buffers that come in are those that go out, and none is copied on the way."""
    model = Prior(**{**FIELDS, "context": 128, "dtype": dtype, "layout": layout})
    program = lowered(model, batch).compile(QUICK)
    text = program.as_text()
    pairs = re.findall(r"\{(\d+)\}: \((\d+), \{\}, (?:may|must)-alias\)", text.split("\n")[0])
    leaves = jax.tree.leaves(jax.eval_shape(lambda: prior.empty(model, batch)))
    # The state's leaves are the window, then keys and values of every layer, then the position.
    aliased = {int(output) for output, _ in pairs}
    assert aliased == set(range(len(leaves) + 2))
    held = program.memory_analysis().alias_size_in_bytes
    assert held == sum(math.prod(one.shape) * one.dtype.itemsize for one in leaves) + 4 * (
        128 * batch + 1
    )
    kind = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    for leaf in leaves:
        shape = ",".join(map(str, leaf.shape))
        assert f"{kind}[{shape}]" in text
        assert not re.search(rf"= {kind}\[{shape}\]\S* copy\(", text), shape


def test_no_weight_is_sliced_or_converted() -> None:
    """Per-layer leaves of the compute type are read where they lie."""
    width = 80  # a size that nothing else has
    for dtype in ("float32", "bfloat16"):
        model = Prior(**{**FIELDS, "context": 64, "width": width, "dtype": dtype})
        text = lowered(model).as_text()  # before XLA, which turns half precision into floats
        wide = {60, 80, 20}  # of queries, keys and values together, of the model, of one
        for operation, shape in re.findall(
            r"stablehlo\.(convert|slice|dynamic_slice|transpose)\b.*-> tensor<([\dx]+)x\w+>", text
        ):
            sides = {int(side) for side in shape.split("x")}
            assert not (len(sides & wide) and len(shape.split("x")) == 2 and min(sides) >= 20), (
                f"{dtype}: {operation} makes {shape}"
            )


# From the table of section 1.2 and 1.3 of how little a released model has to remember: bytes a
# song in bfloat16, for (blocks, context, width of keys, patterns of a period, periods, memory).
RELEASED = {
    "upsampler": (dict(context=8192, block=64, width=1920, layout=((SPARSE, 24),)), 386e6),
    "5b": (dict(context=8192, block=64, width=4800, heads=8, layout=((SPARSE, 24),)), 966e6),
}


@pytest.mark.parametrize("name", RELEASED)
def test_caches_are_as_small_as_they_can_be(name: str) -> None:
    fields, published = RELEASED[name]
    model = Prior(**fields, dtype="bfloat16")
    caches = jax.tree.leaves(jax.eval_shape(lambda: prior.empty(model, 1)))
    found = sum(math.prod(one.shape) * one.dtype.itemsize for one in caches)
    rows = 24 * (64 + 2 * 64 + 8192)  # one row, two rows, all positions
    assert found == 2 * 2 * rows * (model.width // 4)
    assert found == pytest.approx(published, rel=0.01)


def test_a_model_with_lyrics_remembers_no_more_than_it_must() -> None:
    """The patterns of the 1B prior with lyrics: 6528 positions in rows of 102."""
    grid = attention.Grid(context=6528, block=102, lyrics=384)
    counts = {"row": 22, "column": 23, "previous": 23, "prefix": 3, "dense": 1}
    rows = sum(count * caches.length(name, grid) for name, count in counts.items())
    assert 2 * 2 * 512 * rows == pytest.approx(338e6, rel=0.01)


def test_one_program_serves_every_window() -> None:
    model = Prior(**{**FIELDS, "context": 64, "layout": ((("row",), 1),), "heads": 1})
    random = np.random.default_rng(0)
    params = prior.unstack(
        model,
        jax.tree.map(
            lambda leaf: 0.1 * random.standard_normal(leaf.shape, np.float32), prior.abstract(model)
        ),
    )
    conditions = prior.condition(model, params, {})
    keys = jax.vmap(jax.random.key)(jnp.arange(1))
    window = np.zeros((1, 64), np.int32)
    sizes = []
    for known, until, start, temperature in [(0, 20, 0, 1.0), (32, 60, 32, 0.9), (7, 64, 640, 1.1)]:
        state = generate.begin(model, params, window, known, conditions, read=64)
        for end in (until - 3, until):
            state = generate.advance(
                model, params, state, end, conditions, keys, start=start, temperature=temperature
            )
        window = np.asarray(state.window)
        sizes.append((generate.begin._cache_size(), generate.advance._cache_size()))
    assert sizes[0] == sizes[1] == sizes[2]


def test_a_step_costs_the_same_in_a_long_context() -> None:
    """Operations and bytes of the loop, of 2048 positions and of sixteen times as many.

    Rows stay as wide, so that only the columns grow: of 16 rows, and of 256.
    """
    flops, read = {}, {}
    for context in (2048, 32768):
        model = Prior(**{**FIELDS, "context": context, "block": 128, "width": 256, "heads": 1})
        found = lowered(model).compile(QUICK).cost_analysis()
        flops[context], read[context] = found["flops"], found["bytes accessed"]
    rows = 32768 // 128 - 2048 // 128
    more = 2 * rows * 64  # products with a key, or a value, of each further row of a column
    assert 2 * more <= flops[32768] - flops[2048] <= 2 * more + 20 * rows
    assert flops[32768] < 1.1 * flops[2048]
    # What grows is a column of keys and one of values, each cut out of the cache and then read.
    assert read[32768] - read[2048] < 8 * rows * 64 * 4
    assert read[32768] < 1.2 * read[2048]


def test_a_step_is_no_function_of_one_core() -> None:
    """XLA makes one of a loop that it takes for small, and may be wrong about that."""
    text = compiled(1, heads=1)
    computations = bodies(text)
    for name in re.findall(r'to_apply=%?([\w.\-]+),.*xla_cpu_small_call="true"', text):
        loops = re.findall(r"while\(.*?body=%?([\w.\-]+)", "\n".join(computations[name]))
        assert all(len(computations[loop]) < len(step_of(text)) / 4 for loop in loops)


MOST = {1: 27.7, 2: 28.0} if jax.__version_info__ < (0, 11) else {1: 30.7, 2: 31.4}


@pytest.mark.parametrize(("heads", "most"), MOST.items())
def test_how_many_operations_a_layer_takes(heads: int, most: float) -> None:
    """One after the other on a CPU, where each costs its call: what three more layers add."""
    one, two = (operations(compiled(layers, heads=heads)) for layers in (1, 2))
    assert two.get("copy", 0) == one.get("copy", 0)
    assert (sum(two.values()) - sum(one.values())) / 3 <= most
