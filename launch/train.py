"""Trains a stage, or goes on training it where it stopped.

    python launch/train.py --config configs/vqvae.py:tiny --workdir runs/vqvae

Any value of the config is overridden on the command line, as --config.run.steps=1000; a key that
the config does not have is an error. SIGTERM saves and ends; the same command goes on.

    --config.run.start_from=runs/other    begins with a trained stage's weights

The config may then name more artists (a larger size), further signals, or lyrics with "memory"
layers among the layers that the stage has: the model begins as it was, and learns the rest.
"""

import command
from absl import flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "What to train.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "The stage's directory; made if missing.")
flags.mark_flags_as_required(["config", "workdir"])


def main() -> None:
    """Trains."""
    from jukebox_jax import sharding
    from jukebox_jax.training import loop

    command.keep_compiled_programs()
    sharding.initialize()
    loop.train_and_evaluate(CONFIG.value, WORKDIR.value)


if __name__ == "__main__":
    command.run("train", main)
