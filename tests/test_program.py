"""Programs are read as the compiler writes them: loops with their turns, groups in every form."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jukebox_jax import sharding
from jukebox_jax.training import program
from jukebox_jax.training.program import Program

TEXT = """HloModule jit_step, is_scheduled=true

%region_0 (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %add = f32[] add(%x, %x)
}

%body (carry: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %carry = (s32[], f32[8,4]) parameter(0)
  %left = f32[8,4]{1,0} get-tuple-element(%carry), index=1
  %kernel = bf16[4,4]{1,0} all-gather(%left), channel_id=1, replica_groups=mesh['a'=2,'b'=4] \
{'b'}, dimensions={0}, metadata={op_name="layer/up"}
  %dot = f32[8,4]{1,0} dot(%left, %kernel), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %tuple = (s32[], f32[8,4]) tuple(%left, %dot)
}

%take (x: f32[16]) -> f32[16] {
  %x = f32[16]{0} parameter(0)
  ROOT %sum = (f32[16]{0}, f32[4]{0}) all-reduce(%x, %x), replica_groups=[2,4]<=[8]
}

%keep (x: f32[16]) -> f32[16] {
  ROOT %x = f32[16]{0} parameter(0)
}

ENTRY %main (x: f32[8,4]) -> f32[2] {
  %x = f32[8,4]{1,0} parameter(0)
  %while = (s32[], f32[8,4]) while(%x), condition=%region_0, body=%body, \
backend_config={"known_trip_count":{"n":"5"}}
  %cond = f32[16]{0} conditional(%x, %x, %x), branch_computations={%take, %keep}
  %signal = f32[8,1,6]{2,1,0} parameter(1)
  %taps = f32[3,6,10]{2,1,0} parameter(2)
  %conv = f32[8,1,10]{2,1,0} convolution(%signal, %taps), window={size=3}, dim_labels=b0f_0io->b0f
  %moved = f32[2]{0} collective-permute(%x), source_target_pairs={{0,1},{1,0}}
  ROOT %part = f32[2]{0} reduce-scatter(%x), replica_groups={{0,1},{2,3}}, to_apply=%region_0
}
"""


def test_collectives_count_as_often_as_they_run() -> None:
    found = {one.kind: one for one in Program(TEXT).collectives()}
    gathered = found["all-gather"]
    assert (gathered.times, gathered.group, gathered.name) == (5, 4, "layer/up")
    assert gathered.payload == 5 * 4 * 4 * 2 and gathered.sent == gathered.payload * 3 // 4
    summed = found["all-reduce"]  # in the branch that sends most
    assert (summed.times, summed.group) == (1, 4) and summed.sent == 2 * (16 + 4) * 4 * 3 // 4
    scattered = found["reduce-scatter"]
    assert scattered.shapes == (("f32", (2, 2)),) and scattered.sent == 8
    assert found["collective-permute"].sent == 8
    assert set(found) == set(program.KINDS) - {"all-to-all"}


def test_products_count_as_often_as_they_run() -> None:
    assert Program(TEXT).flops() == 5 * 2 * 8 * 4 * 4 + 2 * (8 * 10) * 3 * 6


def test_a_loop_of_unknown_length_is_an_error() -> None:
    text = TEXT.replace("known_trip_count", "something_else")
    with pytest.raises(ValueError, match="loop over body has no known number of turns"):
        Program(text).collectives()


def test_what_this_compiler_writes() -> None:
    """A scan over layers whose kernels are split, and a batch split over the same devices."""
    mesh = sharding.make_mesh(1, 8, 1)
    layers = NamedSharding(mesh, P(None, "fsdp"))

    def loss(kernels: jax.Array, x: jax.Array) -> jax.Array:
        def layer(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
            return sharding.by_song(jnp.tanh(x @ kernel)), None

        return jnp.sum(jax.lax.scan(layer, x, kernels)[0])

    with jax.set_mesh(mesh):
        kernels = jax.ShapeDtypeStruct((6, 64, 64), jnp.float32, sharding=layers)
        x = jax.ShapeDtypeStruct((16, 64), jnp.float32, sharding=sharding.batch(mesh))
        read = Program(jax.jit(loss).lower(kernels, x).compile().as_text())
    gathered = [one for one in read.collectives() if one.kind == "all-gather"]
    assert sum(one.payload for one in gathered) == 6 * 64 * 64 * 4
    assert {(one.group, one.times) for one in gathered} == {(8, 6)}
    assert read.flops() == 6 * 2 * 2 * 64 * 64  # two songs a device
