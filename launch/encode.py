r"""Encodes songs once with a trained VQ-VAE, so that priors train from codes.

    python launch/encode.py --vqvae runs/vqvae --songs DIR --out codes
    python launch/train.py --config configs/prior.py:small --workdir runs/level_1 \
        --config.stage.vqvae=runs/vqvae --config.data.source=codes

--songs is what config.data.source takes: a folder, a .jsonl or .csv list, tfds:NAME or band:...
Stop it anywhere: the same command goes on, with the same result. --process=I --processes=N is one
of N commands, on one machine or many, that each encode a share into the same folder; whichever is
last completes it. --measure=loudness,tempo,beats,chords adds what a prior's signals of these names
need.
"""

import sys

import command
from absl import flags

VQVAE = flags.DEFINE_string("vqvae", None, "The directory of a trained VQ-VAE.", required=True)
SONGS = flags.DEFINE_string(
    "songs", None, "A folder, a .jsonl or .csv list, tfds:NAME or band:...", required=True
)
OUT = flags.DEFINE_string("out", None, "The folder of the codes; made if missing.", required=True)
SHARDS = flags.DEFINE_integer(
    "shards", None, "Files to write; one for each 64 songs by default.", lower_bound=1
)
PROCESS = flags.DEFINE_integer("process", 0, "Which of the processes this is, from 0.")
PROCESSES = flags.DEFINE_integer("processes", 1, "Processes that share the work.", lower_bound=1)
PIECE = flags.DEFINE_integer(
    "piece", 1 << 20, "Audio samples of a song to compute at once on a device.", lower_bound=1
)
BATCH = flags.DEFINE_integer(
    "batch", None, "Pieces of a song to compute at once; one a device by default.", lower_bound=1
)
MEASURE = flags.DEFINE_list("measure", [], "Labels to measure: loudness, tempo, beats, chords.")
MINIMUM = flags.DEFINE_float("minimum_seconds", 0.0, "Shorter songs are left out.")


def main() -> None:
    """Encodes."""
    from jukebox_jax import sharding
    from jukebox_jax.training import encoding

    command.keep_compiled_programs()
    sharding.check_numerics()
    finished = encoding.encode(
        VQVAE.value,
        SONGS.value,
        OUT.value,
        files=SHARDS.value,
        process=(PROCESS.value, PROCESSES.value),
        piece=PIECE.value,
        batch=BATCH.value,
        measure=MEASURE.value,
        minimum_seconds=MINIMUM.value,
    )
    if finished:
        print(OUT.value)
    else:
        print("other processes have shards left", file=sys.stderr)


if __name__ == "__main__":
    command.run("encode", main)
