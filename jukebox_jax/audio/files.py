"""Files that appear whole or not at all, whatever stops the program that writes them.

Knows nothing of what is in them.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A path beside a file, to write to; at the end what is there takes the file's place.

    If anything is raised before, it is removed, and the file is as it was.

    Args:
      path: the file; its folder is there.

    Raises:
      OSError: the file cannot be replaced.
    """
    file = pathlib.Path(path)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield unfinished
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
