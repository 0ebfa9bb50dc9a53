"""Packs a folder or a list of songs into a prepared TFDS dataset, and prints its source.

    python launch/pack.py --source=songs --out=prepared --name=my_songs --rate=44100

What it prints, as tfds:my_songs/train@..., stands wherever a config asks for data.source.
"""

import sys

from absl import app, flags

SOURCE = flags.DEFINE_string(
    "source", None, "A folder, a .jsonl or .csv list, or band:...", required=True
)
OUT = flags.DEFINE_string("out", None, "The folder of prepared datasets.", required=True)
NAME = flags.DEFINE_string("name", "songs", "The dataset's name.")
RATE = flags.DEFINE_integer("rate", 44100, "Samples a second to store.", lower_bound=1)


def main(_: list[str]) -> None:
    """Packs."""
    from jukebox_jax.audio import dataset, song

    try:
        print(dataset.pack(SOURCE.value, OUT.value, name=NAME.value, rate=RATE.value))
    except song.SongError as error:
        sys.exit(f"pack: {error}")


if __name__ == "__main__":
    app.run(main)
