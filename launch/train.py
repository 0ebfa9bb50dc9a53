"""Trains a stage, or goes on training it where it stopped.

    python launch/train.py --config configs/vqvae.py:tiny --workdir runs/vqvae

Any value of the config is overridden on the command line, as --config.run.steps=1000; a key that
the config does not have is an error. SIGTERM saves and ends; the same command goes on.

    --stopped 3                           ends with 3, not 0, where SIGTERM came before the last
                                          step: whoever starts runs can tell that one is to go on

    --config.run.start_from=runs/other    begins with a trained stage's weights

The config may then name more artists (a larger size), further signals, or lyrics with "memory"
layers among the layers that the stage has: the model begins as it was, and learns the rest.

    --processes 2                         as two processes of this machine that work together

On a pod the same command runs on every host: see slurm.sh, tpu_pod.sh and jobset.yaml. Whether a
config fits a pod is found out on a laptop, without the pod and without making the model:

    python launch/train.py --config configs/prior.py:5b_lyrics --compile_only --devices 64 \
        --memory 80GB --config.mesh.fsdp=8

prints bytes by kind, operations and collectives of one device, and fails where they do not fit.
"""

import importlib.util
import logging
import pathlib
import sys

import command
import processes
from absl import flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "What to train.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "The stage's directory; made if missing.")
PROCESSES = flags.DEFINE_integer("processes", 1, "Processes on this machine's CPUs.", 1)
CLUSTER = flags.DEFINE_bool("cluster", False, "Ask the cluster for other processes: TPU VMs.")
COMPILE_ONLY = flags.DEFINE_bool("compile_only", False, "Tell what a run needs; train nothing.")
DEVICES = flags.DEFINE_integer("devices", 1, "With --compile_only: simulated devices.", 1)
PAGE = flags.DEFINE_bool("page", True, "At the end, write index.html in the workdir: see page.py.")
STOPPED = flags.DEFINE_integer("stopped", 0, "Exit status of a run that SIGTERM stopped.", 0, 255)
MEMORY = flags.DEFINE_string("memory", None, "With --compile_only: of a device, as 80GB.")
flags.mark_flag_as_required("config")


def main() -> None:
    """Trains, or tells what training would need."""
    if COMPILE_ONLY.value:
        return compile_only()
    if WORKDIR.value is None:
        raise ValueError("--workdir is missing: give the stage's directory")
    if PROCESSES.value > 1 and not processes.child():
        sys.exit(processes.start(PROCESSES.value))
    import jax

    from jukebox_jax import checkpoint, sharding
    from jukebox_jax.page import page
    from jukebox_jax.training import loop, watch

    command.keep_compiled_programs()
    sharding.initialize(cluster=CLUSTER.value)
    command.speak_once()
    with watch.together():
        state = loop.train_and_evaluate(CONFIG.value, WORKDIR.value)
    if PAGE.value and jax.process_index() == 0 and not checkpoint.remote(WORKDIR.value):
        page.offer(WORKDIR.value)
    if int(state.step) < CONFIG.value.run.steps:
        sys.exit(STOPPED.value)


def compile_only() -> None:
    """Prints what a step needs of each device."""
    from jukebox_jax import sharding
    from jukebox_jax.training import budget

    memory = budget.memory_of(MEMORY.value) if MEMORY.value else None
    sharding.simulate(DEVICES.value)
    logging.info("compiling for %d simulated devices", DEVICES.value)
    found = budget.measure(CONFIG.value, codec=codec())
    print("\n".join(found.lines()))
    if memory is not None:
        budget.check(found, CONFIG.value, memory)
        print(f"fits {MEMORY.value}")


def codec() -> dict | None:
    """The VQ-VAE's config whose codes a prior's config speaks of, where it is one of configs/."""
    config = CONFIG.value
    if config.stage.kind != "prior":
        return None
    file = pathlib.Path(__file__).resolve().parent.parent / "configs" / "vqvae.py"
    spec = importlib.util.spec_from_file_location("vqvae_config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for size in ("base", "small", "tiny"):
        found = module.get_config(size)
        if (found.stage.rate, found.model.bins) == (config.stage.rate, config.model.bins):
            return found.to_dict()
    return None


if __name__ == "__main__":
    command.run("train", main)
