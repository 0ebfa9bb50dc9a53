"""A trained stage as others get it: averaged weights alone, and a card that says what it is.

    python launch/publish.py runs/level_2 --out published/level_2 --notes notes.md

--notes is Markdown to stand at the end of the card: what the stage is for, what it is not, whose
songs it was trained on. The new directory is a stage like any other: sample from it, or start from
it. What stems from a released checkpoint keeps that one's licence.
"""

import logging
import pathlib
import sys

import command
from absl import flags

OUT = flags.DEFINE_string("out", None, "The new stage's directory.", required=True)
NOTES = flags.DEFINE_string("notes", None, "A Markdown file for the end of the card.")
SOURCE = flags.DEFINE_string("source", "", "What to call the songs; by default as the config.")
LICENCE = flags.DEFINE_string("licence", "Apache-2.0", "Of the weights.")


def main() -> None:
    """Publishes."""
    from jukebox_jax.report import card

    if len(command.words) != 1:
        raise ValueError("give one stage: python launch/publish.py DIR --out DIR")
    notes = pathlib.Path(NOTES.value).read_text() if NOTES.value else ""
    count = card.publish(command.words[0], OUT.value, notes, LICENCE.value, SOURCE.value)
    logging.info("%s: %d parameters, and %s", OUT.value, count, card.CARD)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    command.run("publish", main)
