"""What a train step holds in memory, read off the compiled program."""

import re

import jax
import jax.numpy as jnp
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import LyricsPrefix
from jukebox_jax.prior.prior import Prior

QUICK = {"xla_backend_optimization_level": 0}  # to compile
CONTEXT, LYRICS = 216, 24  # together 240, a size that nothing else has
SPARSE = ("row", "column", "previous", "summary", "summary_spread", "prefix")


def compiled(model: Prior, batch: int, labels: dict) -> jax.stages.Compiled:
    """The gradient of a prior's loss."""
    codes = jax.ShapeDtypeStruct((batch, model.context), jnp.int32)

    def loss(params: dict, codes: jax.Array, labels: dict) -> jax.Array:
        return prior.loss(model, params, codes, labels)[0]

    step = jax.jit(jax.grad(loss), compiler_options=QUICK)
    return step.lower(prior.abstract(model), codes, labels).compile()


def squares(layers: tuple[str, ...]) -> set[str]:
    """Arrays of the compiled step that hold a number for each two positions."""
    model = Prior(
        context=CONTEXT,
        block=12,
        bins=7,
        width=8,
        spread=2,
        layout=((layers, 1),),
        signals=(("lyrics", LyricsPrefix(LYRICS, 5)),),
    )
    labels = {"lyrics": jax.ShapeDtypeStruct((1, LYRICS), jnp.int32)}
    shapes = re.findall(r"\w+\[([\d,]+)\]", compiled(model, 1, labels).as_text())
    whole = str(CONTEXT + LYRICS)
    return {shape for shape in shapes if shape.split(",").count(whole) > 1}


def test_no_sparse_pattern_scores_all_pairs() -> None:
    assert not squares(SPARSE)
    assert squares(("dense",))  # where they are, they are found


def test_recomputing_saves_memory() -> None:
    layout = ((("row", "column", "previous"), 8),)
    model = Prior(context=256, block=16, bins=16, width=32, layout=layout)
    used = {
        remat: compiled(model.clone(remat=remat), 4, {}).memory_analysis().temp_size_in_bytes
        for remat in ("none", "dots", "full")
    }
    assert used["full"] < used["none"] / 4, used
    assert used["full"] < used["dots"] < used["none"], used


@pytest.mark.parametrize("remat", ["dots_saveable", "nothing_saveable"])
def test_policies_are_known_by_name(remat: str) -> None:
    model = Prior(context=16, block=4, bins=7, width=8, layout=((("row",), 1),), remat=remat)
    codes = jnp.zeros((1, 16), jnp.int32)
    traced = jax.make_jaxpr(jax.grad(lambda p: prior.loss(model, p, codes, {})[0]))(
        prior.init(model, jax.random.key(0))
    )
    assert "remat" in str(traced) or "checkpoint" in str(traced)
