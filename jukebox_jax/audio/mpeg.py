"""Where the frames of an MPEG audio file lie, found from its bytes.

An mp3 carries no length: a header may promise one, and decoders that lack it guess, both when they
say how long a file is and when they look for a place in it. This file finds the frames themselves,
so that a wrong promise can be seen, and so that a stretch of a file can be cut out as a small file
of its own and decoded exactly. It knows the layout of frame headers and tags; it decodes nothing.
"""

import array
import dataclasses
import functools
import mmap
import os
import struct
from collections.abc import Sequence

_KILOBITS = {  # by (MPEG 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SIZE_OF_TAG_HEADER = 10


_DELAY = 529  # samples that a decoder drops from the start of a file with tables
_LEAD = 120  # frames decoded ahead of a stretch: each leans on bits of those before it


@dataclasses.dataclass(frozen=True)
class Frames:
    """What was found.

    Attributes:
      offsets: the byte at which each whole frame of sound begins, and the end of the last.
      frame: samples of one frame.
      rate: samples a second, of the first frame.
      trimmed: samples that a decoder drops from the start; None where that is not known.
    """

    offsets: Sequence[int]
    frame: int
    rate: int
    trimmed: int | None

    @property
    def samples(self) -> int:
        """Samples in all frames, before a decoder trims any."""
        return (len(self.offsets) - 1) * self.frame


def frames(path: str | os.PathLike) -> Frames | None:
    """The frames of a file, as `find` finds them; remembered until the file changes."""
    status = os.stat(path)
    return _frames(os.fspath(path), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _frames(path: str, changed: int, size: int) -> Frames | None:
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find(data)  # type: ignore[arg-type]  # a memory map reads like bytes


def part(path: str | os.PathLike, first: int, length: int) -> tuple[bytes, int] | None:
    """The `excerpt` of a file; None where there is none, or where it has no frames."""
    found = frames(path)
    if found is None:
        return None
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return excerpt(data, found, first, length)  # type: ignore[arg-type]


def find(data: bytes) -> Frames | None:
    """Finds the frames of an mp3 (or mp2, mp1) file.

    Tags, junk between frames and the header frames that hold tables instead of sound are passed
    over, as is a last frame that is cut short.

    Args:
      data: the file's bytes; a memory map will do.

    Returns:
      None if there is not one frame.
    """
    position = end = _after_tag(data, 0)
    offsets = array.array("Q")
    frame, rate = 0, 0
    trimmed: int | None = 0
    at_start = True  # nothing yet vouches for the next header
    while position + 4 <= len(data):
        head = _header(data, position)
        if head is None or (at_start and not _followed(data, position, head)):
            position, at_start = _resume(data, position), True
            continue
        bytes_long, samples, frame_rate, tables = head
        if position + bytes_long > len(data):
            break
        first = not offsets
        frame, rate = frame or samples, rate or frame_rate
        if at_start and _holds_tables(data, position, tables):
            trimmed = _trimmed(data, position + tables) if first else trimmed
        else:
            offsets.append(position)
        position = end = position + bytes_long
        at_start = False
    if not offsets:
        return None
    offsets.append(end)
    return Frames(offsets, frame, rate, trimmed if frame in (576, 1152) else None)


def excerpt(data: bytes, frames: Frames, first: int, length: int) -> tuple[bytes, int] | None:
    """Cuts the frames that hold a stretch of the decoded file into a small file of their own.

    The small file opens with tables, so that a decoder knows its length and need not guess.

    Args:
      data: the file's bytes.
      frames: what `find` found in it.
      first: first sample of the stretch, as the whole file decodes.
      length: samples of the stretch.

    Returns:
      The small file, and how many samples of it come before the stretch; None where the stretch
      is so near the start that the file itself does as well, or where no excerpt can be exact.
    """
    if frames.trimmed is None:
        return None
    begin = (first + frames.trimmed) // frames.frame - _LEAD
    end = min((first + frames.trimmed + length) // frames.frame + 3, len(frames.offsets) - 1)
    if begin < 1 or begin >= end:
        return None
    head = bytearray(data[frames.offsets[begin] : frames.offsets[begin] + 4])
    head[1] |= 1  # no checksum
    head[2] = (head[2] & 0x0D) | 0xA0  # a bit rate with room for the tables
    found = _header(bytes(head), 0)
    if found is None:
        return None
    opening = bytearray(found[0])
    opening[:4] = head
    tables = b"Xing" + struct.pack(">II", 1, end - begin)
    opening[found[3] : found[3] + len(tables)] = tables
    small = bytes(opening) + data[frames.offsets[begin] : frames.offsets[end]]
    return small, first + frames.trimmed - _DELAY - begin * frames.frame


def _header(data: bytes, position: int) -> tuple[int, int, int, int] | None:
    """Bytes and samples of the frame here, its rate, and where tables would lie; None for none."""
    first, second, third, fourth = data[position : position + 4]
    if first != 0xFF or second & 0xE0 != 0xE0:
        return None
    version, layer = (second >> 3) & 3, 4 - ((second >> 1) & 3)
    if version == 1 or layer == 4 or third >> 4 == 15 or (third >> 2) & 3 == 3:
        return None
    one = version == 3
    bits = 1000 * _KILOBITS[one, layer][third >> 4]
    rate, padding = _RATES[version][(third >> 2) & 3], (third >> 1) & 1
    if not bits:
        return None  # a free format states no length
    samples = 384 if layer == 1 else 1152 if layer == 2 or one else 576
    slot = 4 if layer == 1 else 1
    bytes_long = (samples // 8 * bits // (rate * slot) + padding) * slot
    single = fourth >> 6 == 3
    side = (17 if single else 32) if one else (9 if single else 17)
    return bytes_long, samples, rate, 4 + side


def _followed(data: bytes, position: int, head: tuple[int, int, int, int]) -> bool:
    """Whether another frame, a tag or the end follows, so that the header is no accident."""
    after = position + head[0]
    if after + 4 > len(data):
        return True
    return _header(data, after) is not None or data[after : after + 3] in (b"TAG", b"ID3", b"APE")


def _resume(data: bytes, position: int) -> int:
    """Where the next frame may begin, beyond a tag or junk."""
    if data[position : position + 3] == b"ID3":
        return max(_after_tag(data, position), position + 1)
    nearest = [data.find(word, position + 1) for word in (b"\xff", b"ID3")]
    return min([found for found in nearest if found >= 0], default=len(data))


def _after_tag(data: bytes, position: int) -> int:
    """Where an ID3 tag that begins here ends; here if none does."""
    while data[position : position + 3] == b"ID3" and position + _SIZE_OF_TAG_HEADER <= len(data):
        size = 0
        for byte in data[position + 6 : position + _SIZE_OF_TAG_HEADER]:
            size = size << 7 | byte & 0x7F
        footer = _SIZE_OF_TAG_HEADER if data[position + 5] & 0x10 else 0
        position += _SIZE_OF_TAG_HEADER + size + footer
    return position


def _holds_tables(data: bytes, position: int, tables: int) -> bool:
    """Whether this frame holds an encoder's tables (Xing, Info or VBRI) in place of sound."""
    word = data[position + tables : position + tables + 4]
    return word in (b"Xing", b"Info") or data[position + 36 : position + 40] == b"VBRI"


def _trimmed(data: bytes, tables: int) -> int | None:
    """Samples that a decoder drops from the start of a file with these tables."""
    if data[tables : tables + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(data[tables + 4 : tables + 8], "big")
    sizes = (4, 4, 100, 4)  # frames, bytes, table of contents, quality
    encoder = tables + 8 + sum(size for bit, size in enumerate(sizes) if flags >> bit & 1)
    delay = data[encoder + 21 : encoder + 24]
    if not data[encoder : encoder + 4].isalnum() or len(delay) < 3:
        return _DELAY
    return _DELAY + (delay[0] << 4 | delay[1] >> 4)
