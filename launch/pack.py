"""Packs a folder or a list of songs into a prepared TFDS dataset, and prints its source.

    python launch/pack.py --source=songs --out=prepared --name=my_songs --rate=44100

What it prints, as tfds:my_songs/train@..., stands wherever a config asks for data.source. Stop it
anywhere: the same command goes on. --process=I --processes=N is one of N commands, on one machine
or many, that each pack a share; whichever is last completes the dataset.
"""

import sys

import command
from absl import flags

SOURCE = flags.DEFINE_string(
    "source", None, "A folder, a .jsonl or .csv list, or band:...", required=True
)
OUT = flags.DEFINE_string("out", None, "The folder of prepared datasets.", required=True)
NAME = flags.DEFINE_string("name", "songs", "The dataset's name.")
RATE = flags.DEFINE_integer("rate", 44100, "Samples a second to store.", lower_bound=1)
SHARDS = flags.DEFINE_integer(
    "shards", None, "Files to write; one for each 64 songs by default.", lower_bound=1
)
PROCESS = flags.DEFINE_integer("process", 0, "Which of the processes this is, from 0.")
PROCESSES = flags.DEFINE_integer("processes", 1, "Processes that share the work.", lower_bound=1)


def main() -> None:
    """Packs."""
    from jukebox_jax.audio import dataset

    packed = dataset.pack(
        SOURCE.value,
        OUT.value,
        name=NAME.value,
        rate=RATE.value,
        files=SHARDS.value,
        process=(PROCESS.value, PROCESSES.value),
    )
    if packed:
        print(packed)
    else:
        print("other processes have shards left", file=sys.stderr)


if __name__ == "__main__":
    command.run("pack", main)
