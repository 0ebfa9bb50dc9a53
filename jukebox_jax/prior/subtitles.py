"""LRC and SRT, the two file formats of timed lyrics, read and written.

LRC: a line of text with the time of its beginning, [mm:ss.xx], or with several such times where it
is repeated; enhanced LRC adds the times of words, <mm:ss.xx>. SRT: numbered cues with a beginning
and an end. Both are read into pieces and written from characters with their times.
"""

import re
from collections.abc import Iterable, Sequence

from jukebox_jax.prior import timed
from jukebox_jax.prior.timed import Piece
from jukebox_jax.prior.vocabulary import LabelError

_STAMP = r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d{1,3})?)"
_LEADING = re.compile(rf"\s*\[{_STAMP}\]")
_INNER = re.compile(rf"[<\[]{_STAMP}[>\]]")
_TAGS = "ar|al|ti|au|by|lr|la|id|re|ve|tool|key|length|encoding|offset|#"
_TAG = re.compile(rf"\s*\[({_TAGS})\s*:(.*)\]\s*", re.I)
_CLOCK = r"(?:(\d+):)?(\d+):(\d{1,2}[.,]\d{1,3})"
_CUE = re.compile(rf"^(?:[ \t]*\d+[ \t]*\n)?[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}\b.*$", re.M)
_STYLE = re.compile(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}")


def read(text: str) -> list[Piece] | None:
    """The pieces of an LRC or an SRT text; None if it is neither.

    A line hh:mm:ss,mmm --> hh:mm:ss,mmm makes it SRT, otherwise one that begins with [mm:ss.xx]
    LRC. Of LRC's tags only `offset` counts: so many milliseconds earlier is all sung. A line
    without a time belongs to the one before, one without text ends it. Styles of SRT are left out.

    Raises:
      LabelError: a line cannot be read.
    """
    text = text.replace("\r\n", "\n")
    if _CUE.search(text):
        return _read_srt(text)
    if any(_LEADING.match(line) for line in text.split("\n")):
        return _read_lrc(text)
    return None


def to_lrc(pairs: Iterable[tuple[float, str]], *, words: bool = True) -> str:
    """LRC: each line of the text with its time, to a hundredth of a second.

    Args:
      pairs: (seconds, character) of the whole text.
      words: also the time of each word and the end of each line, as in enhanced LRC; otherwise
        only the last line's end.
    """
    text, times = timed.spread([Piece(*pair) for pair in pairs])
    written = []
    for begin, end in timed.lines(text):
        line = f"[{_lrc_clock(times[begin])}]"
        found = timed.words(text, begin, end)
        if words and found:
            follows = [first for first, _ in found[1:]] + [found[-1][1]]
            for (first, _), after in zip(found, follows, strict=True):
                line += f"<{_lrc_clock(times[first])}>{text[first:after]}"
            line += f"<{_lrc_clock(timed.finish(times, *found[-1]))}>"
        else:
            line += text[begin:end].strip()
        written.append(line)
    if written and not words:
        written.append(f"[{_lrc_clock(timed.finish(times, *timed.lines(text)[-1]))}]")
    return "".join(line + "\n" for line in written)


def to_srt(pairs: Iterable[tuple[float, str]]) -> str:
    """SRT: each line of the text as a cue, to a thousandth of a second; empty lines have none.

    Args:
      pairs: (seconds, character) of the whole text.
    """
    text, times = timed.spread([Piece(*pair) for pair in pairs])
    spans = [span for span in timed.lines(text) if text[slice(*span)].strip()]
    cues = []
    for number, (begin, end) in enumerate(spans, start=1):
        first, last = _srt_clock(times[begin]), _srt_clock(timed.finish(times, begin, end))
        cues.append(f"{number}\n{first} --> {last}\n{text[begin:end].strip()}\n")
    return "\n".join(cues)


def _read_lrc(text: str) -> list[Piece]:
    earlier = 0.0
    sung: list[tuple[float, list[Piece]]] = []
    latest: list[list[Piece]] = []  # the line before, once for each of its times
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        times = []
        while found := _LEADING.match(line):
            times.append(_seconds(found.groups(), f"LRC line {number}"))
            line = line[found.end() :]
        tag = _TAG.fullmatch(line)
        if times:
            latest = [_words(line, time, time - times[0], number) for time in times]
            sung += zip(times, latest, strict=True)
        elif tag and tag[1].lower() == "offset":
            try:
                earlier = float(tag[2]) / 1000
            except ValueError:
                raise LabelError(f"LRC line {number}: offset {tag[2]!r} is no number") from None
        elif not tag and latest:
            for pieces in latest:
                pieces[-1] = pieces[-1]._replace(text=f"{pieces[-1].text}\n{line.strip()}")
        elif not tag and line.strip():
            latest = [[Piece(0.0, line.strip())]]
            sung += [(0.0, latest[0])]
    sung.sort(key=lambda entry: entry[0])  # stable: lines of one time keep their order
    last = sung[-1][1][-1]
    sung[-1][1][-1] = last._replace(text=last.text.rstrip("\n"))
    while len(sung) > 1 and not any(piece.text for piece in sung[-1][1]):
        time, _ = sung.pop()
        sung[-1][1].append(Piece(time, ""))  # it only said where the line before ends
    for _, pieces in sung[:-1]:
        pieces[-1] = pieces[-1]._replace(text=pieces[-1].text + "\n")
    return [
        piece._replace(start=max(piece.start - earlier, 0.0))
        for _, pieces in sung
        for piece in pieces
    ]


def _words(line: str, time: float, shift: float, number: int) -> list[Piece]:
    """The pieces of one line: its words where it tells their times."""
    parts = _INNER.split(line.strip())
    pieces, sung = [Piece(time, parts[0])], parts[0]
    for index in range(1, len(parts), 4):
        start = _seconds(parts[index : index + 3], f"LRC line {number}") + shift
        text = parts[index + 3]
        if start < pieces[-1].start:
            raise LabelError(f"LRC line {number}: the time of {text[:40]!r} goes back")
        if not sung or sung[-1].isspace():
            text = text.lstrip()
        pieces.append(Piece(start, text))
        sung += text
    if len(pieces) > 1 and not pieces[-1].text:  # the end of the last word, not of a space after it
        pieces[-2] = pieces[-2]._replace(text=pieces[-2].text.rstrip())
    return pieces


def _read_srt(text: str) -> list[Piece]:
    for number, line in enumerate(text.split("\n"), start=1):
        if "-->" in line and not _CUE.fullmatch(line):
            raise LabelError(
                f"SRT line {number}: {line.strip()[:60]!r} is not hh:mm:ss,mmm --> hh:mm:ss,mmm"
            )
    found = list(_CUE.finditer(text))
    cues = []
    for cue, after in zip(found, [*(cue.start() for cue in found[1:]), len(text)], strict=True):
        first, last = (_seconds(cue.groups()[i : i + 3], "SRT") for i in (0, 3))
        if last < first:
            stamp = cue.group().split("\n")[-1].strip()
            raise LabelError(f"SRT: {stamp!r} ends before it begins")
        said = [_STYLE.sub("", line).strip() for line in text[cue.end() : after].split("\n")]
        if any(said):
            cues.append((first, last, "\n".join(line for line in said if line)))
    pieces = []
    for first, last, sung in sorted(cues, key=lambda cue: cue[0]):
        pieces += [Piece(first, sung, last), Piece(last, "\n")]
    return pieces[:-1]


def _seconds(stamp: Sequence[str | None], where: str) -> float:
    hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in stamp)
    if seconds >= 60:
        raise LabelError(f"{where}: a time with {seconds:g} seconds; write minutes and seconds")
    return hours * 3600 + minutes * 60 + seconds


def _lrc_clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


def _srt_clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    hours, rest = divmod(whole, 3600)
    return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d},{thousandths:03d}"
