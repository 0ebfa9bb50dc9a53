"""The mesh of devices, the table from a parameter's path to its axes, and placing arrays.

The only file that knows machines: it names the mesh axes, starts processes that work together and
refuses a library that computes wrongly. It knows parameters by their paths alone, so that weights,
their averages and an optimizer's moments are all placed by the same lines.
"""

import math
import os
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXES = ("data", "fsdp", "tensor")
"""The mesh axes: copies of the model, its parameters split, its products split."""

SONGS = ("data", "fsdp")
"""Those along which a batch is split, song by song."""

TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    # the end of a parameter's path                            mesh axes of its trailing dimensions
    (r"attention/(query|key|value|query_key_value)/kernel", ("fsdp", "tensor")),
    (r"attention/out/kernel", ("tensor", "fsdp")),
    (r"mlp/up/kernel", ("fsdp", "tensor")),
    (r"mlp/down/kernel", ("tensor", "fsdp")),
    (r"(lyric_)?logits/kernel", ("fsdp", "tensor")),
    (r"conditioning/.*/out/kernel", ("fsdp",)),  # its outputs are read by all
    (r"conditioning/.*/kernel", ("fsdp", "tensor")),
    (r"embedding", ("tensor", "fsdp")),
    (r".*", ()),  # the VQ-VAE, norms, biases, codebooks, counters: a copy on every device
)
"""First match wins. Axes are read from the right, so a leading axis of layers stays whole."""

LOST_AFTER = 60
"""Seconds of silence after which a process of a run is lost, and the others end."""

_COMPILED = [(re.compile(rf"(?:.*/)?{pattern}"), axes) for pattern, axes in TABLE]
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class NumericsError(ValueError):
    """The library computes wrongly on this machine; one line with the remedy."""


def make_mesh(
    data: int = -1,
    fsdp: int = 1,
    tensor: int = 1,
    devices: Sequence[jax.Device] | None = None,
) -> Mesh:
    """The mesh of all devices, with the axes `AXES`.

    Args:
      data: devices along which the batch is split and parameters are copied.
      fsdp: devices along which the batch and the parameters are split.
      tensor: devices along which each matrix product is split.
      devices: the devices, all of all processes by default.

    One of the three sizes may be -1: all devices that the others leave.

    Raises:
      ValueError: the sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = {"data": data, "fsdp": fsdp, "tensor": tensor}
    asked = " * ".join(f"{name}={size}" for name, size in sizes.items())
    rest = [name for name, size in sizes.items() if size == -1]
    if len(rest) > 1:
        raise ValueError(f"mesh {asked}: only one size may be -1 (the rest of the devices)")
    if any(size < 1 for size in sizes.values() if size != -1):
        raise ValueError(f"mesh {asked}: a size is at least 1, or -1 for the rest of the devices")
    if rest:
        taken = math.prod(size for size in sizes.values() if size != -1)
        if len(devices) % taken:
            raise ValueError(
                f"mesh {asked}: {len(devices)} devices are no multiple of {taken}; "
                "change the other sizes"
            )
        sizes[rest[0]] = len(devices) // taken
    elif math.prod(sizes.values()) != len(devices):
        raise ValueError(
            f"mesh {asked} is {math.prod(sizes.values())} devices, but there are {len(devices)}; "
            "set one of the sizes to -1 to take the rest"
        )
    # Explicit axes, which jax.make_mesh makes unless told, carry shardings in types, and Linen's
    # layers fail there as soon as a kernel is split; under Auto the compiler propagates them.
    return jax.make_mesh(
        tuple(sizes.values()), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
    )


def axes(path: str) -> tuple[str, ...]:
    """The mesh axes of a parameter's trailing dimensions.

    Args:
      path: the names on the way to it, joined by "/"; only its end is looked at, so a parameter,
        its average and its moments get the same answer.
    """
    return next(found for pattern, found in _COMPILED if pattern.fullmatch(path))


def shardings(tree: Any, mesh: Mesh) -> Any:
    """Where each leaf of a tree lies on a mesh, by `TABLE`.

    A dimension that its mesh axis does not divide is left whole.

    Args:
      tree: arrays or their shapes: parameters, or any tree that ends in parameters' paths.
      mesh: from `make_mesh`.

    Returns:
      A `NamedSharding` for each leaf.
    """

    def place_leaf(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        shape = np.shape(leaf)
        found = axes(jax.tree_util.keystr(path, simple=True, separator="/"))
        if len(found) > len(shape):
            return replicated(mesh)
        trailing = shape[len(shape) - len(found) :]
        fits = [
            axis if size % mesh.shape[axis] == 0 else None
            for axis, size in zip(found, trailing, strict=True)
        ]
        if not any(fits):
            return replicated(mesh)
        return NamedSharding(mesh, P(*[None] * (len(shape) - len(found)), *fits))

    return jax.tree_util.tree_map_with_path(place_leaf, tree)


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, P())


def batch(mesh: Mesh) -> NamedSharding:
    """The leading dimension split over every device that holds songs of its own."""
    return NamedSharding(mesh, P(SONGS))


def by_song(x: jax.Array) -> jax.Array:
    """Says inside a computation that an activation is split by song, and whole otherwise.

    Left to itself the compiler may rather split its width, as the parameters are, and then sums
    activations over the pod in each product. The mesh is the one in force (`jax.set_mesh`);
    without one, or where the songs do not divide over it, nothing is said.

    Args:
      x: [songs, ...].
    """
    mesh = jax.sharding.get_abstract_mesh()
    parts = math.prod(mesh.shape.get(axis, 1) for axis in SONGS)
    return x if x.shape[0] % parts else _said(x, P(SONGS))


def whole(x: jax.Array) -> jax.Array:
    """Says inside a computation that a parameter is wanted whole, as a table to look up in is."""
    return _said(x, P())


def _said(x: jax.Array, spec: P) -> jax.Array:
    mesh = jax.sharding.get_abstract_mesh()
    known = set(AXES) <= set(mesh.shape)
    return jax.lax.with_sharding_constraint(x, spec) if known and mesh.size > 1 else x


def place(tree: Any, where: Any) -> Any:
    """Puts arrays where they belong.

    Args:
      tree: arrays, on the host or on devices; every process holds the same values.
      where: a tree of shardings, or one sharding for all.
    """
    where = jax.tree.broadcast(where, tree)
    if jax.process_count() == 1:
        return jax.device_put(tree, where)

    def put(leaf: Any, sharding: NamedSharding) -> Any:
        if isinstance(leaf, jax.Array):
            return jax.device_put(leaf, sharding)
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, values.__getitem__)

    return jax.tree.map(put, tree, where)


def place_batch(local: Any, mesh: Mesh) -> Any:
    """Makes a batch of what each process has loaded.

    Args:
      local: a tree of host arrays [batch / hosts, ...], this process's share (see `share`).
      mesh: from `make_mesh`.

    Returns:
      The same tree of arrays [batch, ...], split over the mesh by song.

    Raises:
      ValueError: the batch cannot be split evenly over the devices.
    """
    where = batch(mesh)
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    hosts = share(mesh)[1]

    def put(leaf: Any) -> jax.Array:
        values = np.asarray(leaf)
        songs = len(values) * hosts
        if songs % parts:
            raise ValueError(
                f"a batch of {songs} songs does not split over data * fsdp = {parts} devices; "
                f"make it a multiple of {parts}"
            )
        shape = (songs, *values.shape[1:])
        return jax.make_array_from_process_local_data(where, values, shape)

    return jax.tree.map(put, local)


def local(array: jax.Array) -> np.ndarray:
    """The rows of a batch's array that this process holds, as `place_batch` was given them."""
    rows = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return np.concatenate([np.asarray(rows[start]) for start in sorted(rows)])


def share(mesh: Mesh) -> tuple[int, int]:
    """Which part of each batch this process has to load, and how many parts there are.

    Processes whose devices hold the same songs, as when one model is split over several hosts,
    load the same part.

    Raises:
      ValueError: two processes hold songs that are neither the same nor different.
    """
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    rows: dict[int, set[int]] = {}
    for device, (index,) in batch(mesh).devices_indices_map((parts,)).items():
        rows.setdefault(device.process_index, set()).update(range(*index.indices(parts)))
    groups = sorted({tuple(sorted(held)) for held in rows.values()})
    if sum(map(len, groups)) != parts:
        raise ValueError(
            "this mesh gives some processes overlapping parts of the batch: make tensor a divisor "
            "or a multiple of the devices of a process"
        )
    return groups.index(tuple(sorted(rows[jax.process_index()]))), len(groups)


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    index: int | None = None,
    *,
    cluster: bool = False,
) -> None:
    """Joins the processes of a run, if it has several; call it before anything touches a device.

    What is not given is looked up in JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID, which a Kubernetes JobSet sets in its template. Without either, the tasks of a
    SLURM step, of Open MPI and the workers of a TPU slice whose environment names them find each
    other. A process that is alone is left alone.

    Args:
      coordinator: host:port of process 0.
      processes: how many there are.
      index: which one this is, from 0.
      cluster: ask the cluster although the environment tells of none, as on plain TPU machines.

    Raises:
      ValueError: only some of the three are known.
    """
    environ = os.environ
    coordinator = coordinator or environ.get("JAX_COORDINATOR_ADDRESS")
    processes = _number(processes, "JAX_NUM_PROCESSES")
    index = _number(index, "JAX_PROCESS_ID")
    given = {"coordinator": coordinator, "processes": processes, "index": index}
    missing = [name for name, value in given.items() if value is None]
    if not missing:
        host = str(coordinator).rpartition(":")[0]
        bind = coordinator if host in _LOOPBACK else None  # by default it listens everywhere
        jax.distributed.initialize(
            coordinator,
            processes,
            index,
            coordinator_bind_address=bind,
            cluster_detection_method="deactivate",
            heartbeat_timeout_seconds=LOST_AFTER,
        )
    elif len(missing) < 3:
        raise ValueError(
            f"several processes need coordinator, processes and index; {', '.join(missing)} "
            "missing: give all three, or none where the launcher tells"
        )
    elif cluster or _launched_together():
        jax.distributed.initialize(heartbeat_timeout_seconds=LOST_AFTER)


def simulate(devices: int) -> None:
    """Makes this process see so many CPU devices; call it before anything touches a device.

    Raises:
      RuntimeError: devices were in use already.
    """
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)


def check_numerics() -> None:
    """Refuses a library that is known to compute wrong numbers, in a tenth of a second.

    jaxlib 0.10.2 on CPU gets the later rows of a small batched product and sum wrong without a
    word; so may some release to come. Whole numbers this small are exact in any precision.

    Raises:
      NumericsError: some rows are wrong.
    """
    rows = np.arange(120_000, dtype=np.float32).reshape(40_000, 3) % 61
    identity = np.eye(3, dtype=np.float32)

    @jax.jit
    def squares(rows: jax.Array, matrix: jax.Array) -> jax.Array:
        return jax.vmap(lambda row: jnp.sum(jnp.square(matrix @ row)))(rows)

    wrong = int(np.sum(np.asarray(squares(rows, identity)) != np.sum(rows * rows, axis=1)))
    if wrong:
        import jaxlib

        raise NumericsError(
            f"jaxlib {jaxlib.__version__} on {jax.default_backend()} computes {wrong} of "
            f"{len(rows)} sums wrongly: install another release (0.10.1 is right), or set "
            "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type="
        )


def _number(value: int | None, name: str) -> int | None:
    if value is not None or name not in os.environ:
        return value
    return int(os.environ[name])


def _launched_together() -> bool:
    """Whether the environment tells of other processes of this run."""
    environ = os.environ
    counts = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES")
    several = any(int(environ.get(name, "1")) > 1 for name in counts)
    hosts = environ.get("TPU_WORKER_HOSTNAMES") or environ.get("TPU_PROCESS_ADDRESSES") or ""
    return several or "," in hosts
