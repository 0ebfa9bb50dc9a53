"""The page of a folder, whichever kind of folder it is.

A session's folder gets a page to listen to its songs, a stage's directory one to follow its
training. Either is one HTML file that asks a network for nothing.
"""

import logging
import os
import pathlib

from jukebox_jax import checkpoint
from jukebox_jax.audio import files
from jukebox_jax.page import document, listening, training
from jukebox_jax.page.document import Blocks
from jukebox_jax.sampling import session

log = logging.getLogger(__name__)

NAME = session.PAGE
"""What a page is called in the folder that it shows."""

_LARGE = 100e6  # bytes of a page that browsers still open at once
_MUCH = 500e6  # bytes of sounds, of which a page would be as large as that


def write(folder: str | os.PathLike, out: str | os.PathLike | None = None) -> pathlib.Path:
    """Writes the page of a folder; the file appears whole or not at all.

    Args:
      folder: a session's, or a stage's directory.
      out: the file; by default `NAME` in the folder.

    Returns:
      The file.

    Raises:
      ValueError: the folder is neither, or nothing is there to show yet.
      OSError: the file cannot be written.
    """
    place = os.fspath(folder)
    if checkpoint.remote(place):
        raise ValueError(f"{place}: pages are made of folders on this machine; copy it here first")
    here, blocks = pathlib.Path(place), Blocks()
    kind = _kind(here)
    data = (listening if kind == "listening" else training).page(here, blocks)
    file = here / NAME if out is None else pathlib.Path(out)
    if file.is_dir():
        raise ValueError(f"{file} is a folder: give a file, as {file / NAME}")
    text = document.render(kind, f"{data['name']} · jukebox_jax", data, blocks)
    file.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
    if len(text) > _LARGE:
        log.warning("%s has %.0f MB: some browsers will be slow", file, len(text) / 1e6)
    return file


def offer(folder: str | os.PathLike) -> None:
    """Writes the page of a folder at the end of other work, which it never makes fail.

    A session with hours of sound is left to those who ask for it.
    """
    try:
        much = sum(one.stat().st_size for one in pathlib.Path(folder).glob("level_*/item_*.wav"))
        if much > _MUCH:
            raise ValueError(f"its sounds take {much / 1e6:.0f} MB; launch/page.py makes one still")
        log.info("listen: %s", write(folder))
    except Exception as error:
        log.warning("no page for %s: %s", folder, session.line_of(error))


def _kind(folder: pathlib.Path) -> str:
    if (folder / session.SETTINGS).exists():
        return "listening"
    if (folder / checkpoint.CONFIG).exists():
        return "training"
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    raise ValueError(
        f"{folder} is neither a session's folder ({session.SETTINGS}) nor a stage's directory "
        f"({checkpoint.CONFIG})"
    )
