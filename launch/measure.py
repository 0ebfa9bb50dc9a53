"""Measures loudness, tempo and chords of songs once, and writes them into their list.

    python launch/measure.py --songs=songs --labels=loudness,tempo,chords
    python launch/measure.py --songs=songs --labels=loudness --out=lists/loud.jsonl

The list is songs/manifest.jsonl unless --out says otherwise, as it must where a manifest.csv would
be hidden by it; training and sampling read it like any other. Labels that a song has already are
kept, whoever wrote them. The same command goes on where it was stopped.
"""

import command
from absl import flags

SONGS = flags.DEFINE_string("songs", None, "A folder, or a list of songs.", required=True)
LABELS = flags.DEFINE_list(
    "labels", None, "Of loudness, dynamics, tempo, beats, chords.", required=True
)
OUT = flags.DEFINE_string("out", "", "The list to write; by default the folder's manifest.jsonl.")
THREADS = flags.DEFINE_integer("threads", 4, "Files measured at a time.", lower_bound=1)


def main() -> None:
    """Measures."""
    from jukebox_jax.audio import annotate

    done = annotate.annotate(SONGS.value, LABELS.value, OUT.value or None, threads=THREADS.value)
    print(
        f"{done.songs} songs: labels added to {done.measured}, "
        f"{done.unreadable} files could not be read"
    )


if __name__ == "__main__":
    command.run("measure", main)
