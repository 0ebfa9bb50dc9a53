"""Whether a wav, aiff or Ogg file holds all that its container promises, found from its bytes.

Decoders play what is there and say nothing of the rest, so that half a file passes as a shorter
song. This file knows how chunks and pages follow one another; it decodes nothing.
"""

import functools
import io
import os
import struct

_RIFF = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">", b"FORM": ">"}  # byte orders
_SOUND = (b"data", b"SSND")
_PIPED = 0x7FFFF000  # bits that are set in sizes which stand for "who knows"
_PAGE = 27 + 255 + 255 * 255  # bytes of the longest page of an Ogg file
_LAST = 4  # the flag of the page that ends a stream


def check(path: str | os.PathLike) -> tuple[float, bool]:
    """A file's `share`, and whether it `ends`; remembered until the file changes.

    Raises:
      OSError: it cannot be read.
    """
    status = os.stat(path)
    return _check(os.fspath(path), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1024)
def _check(path: str, changed: int, size: int) -> tuple[float, bool]:
    return share(path), ends(path)


def share(path: str | os.PathLike) -> float:
    """How much of its sound a file of chunks holds; 1 for all of it, and where that is not known.

    A program that writes to a pipe cannot go back to note a size, and leaves none or a very large
    one; such a file promises nothing.

    Args:
      path: a wav (also RF64) or aiff file; any other one has all.

    Raises:
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        order = _RIFF.get(head[:4])
        if order is None:
            return 1.0
        long = 0  # the size of the sound where 32 bits do not hold it
        while len(chunk := file.read(8)) == 8:
            name, promised = chunk[:4], struct.unpack(order + "I", chunk[4:])[0]
            if name in _SOUND:
                promised = long if promised == 0xFFFFFFFF else promised
                if promised in (0, 1 << 31) or promised & _PIPED == _PIPED:
                    return 1.0
                return min(1.0, (size - file.tell()) / promised)
            after = file.tell() + promised + promised % 2
            if name == b"ds64":
                long = int.from_bytes(file.read(16)[8:], "little")
            file.seek(after)
    return 1.0


def ends(path: str | os.PathLike) -> bool:
    """Whether the last page of an Ogg file is there whole and ends its stream.

    Args:
      path: the file; one that is no Ogg file ends as it likes.

    Raises:
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return True
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 2 * _PAGE))
        data = file.read()
    page = data[data.rfind(b"OggS\0") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    whole = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return len(page) >= whole and bool(page[5] & _LAST)
