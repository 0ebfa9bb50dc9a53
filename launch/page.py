"""Makes the page of a folder: one HTML file to listen to its songs, or to follow its training.

    python launch/page.py out                        # a session of launch/sample.py or take.py
    python launch/page.py runs/vqvae                 # a stage that trains, or has trained
    python launch/page.py out --out song.html

It asks a network for nothing, so that it can be opened from a disk, sent or served as it is. By
default it is index.html in the folder; sample.py, take.py and train.py write it there themselves.
"""

import command
from absl import flags

OUT = flags.DEFINE_string("out", None, "The file; by default index.html in the folder.")


def main() -> None:
    """Writes the page."""
    from jukebox_jax.page import page

    if len(command.words) != 1:
        raise ValueError("give one folder, as in: page.py out")
    file = page.write(command.words[0], OUT.value)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    command.run("page", main)
