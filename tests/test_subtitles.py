"""LRC and SRT are read as they are written, by us and by others."""

import numpy as np
import pytest

from jukebox_jax.prior import subtitles, timed
from jukebox_jax.prior.vocabulary import LabelError


def timed_text(text: str) -> tuple[str, tuple[float, ...]]:
    pieces = subtitles.read(text)
    assert pieces is not None
    return timed.spread(pieces)


def starts(text: str) -> dict[str, float]:
    """The time of each line's first character, by its text; empty lines by their number."""
    whole, times = timed_text(text)
    return {
        whole[begin:end] or str(number): times[begin]
        for number, (begin, end) in enumerate(timed.lines(whole))
    }


LRC = """[ti: A Title]
[AR:Somebody]
[offset: +500]

[00:10.50]First line
[00:20.5] second line\x20
[00:30]
[01:00.500][00:40.25]Chorus

[1:02:03.04]later
[1:02:05]
"""


def test_lrc() -> None:
    whole, times = timed_text(LRC)
    assert whole == "First line\nsecond line\n\nChorus\n\nChorus\n\nlater"
    assert {k: v for k, v in starts(LRC).items() if k != "Chorus"} == {
        "First line": 10.0, "second line": 20.0, "2": 29.5, "4": 39.75 + 20.25 * 7 / 8,
        "6": pytest.approx(60 + (3722.54 - 60) * 7 / 8), "later": 3722.54,
    }  # fmt: skip
    assert times[whole.index("Chorus")] == 39.75
    assert times[whole.rindex("Chorus")] == 60.0
    np.testing.assert_allclose(np.diff(times[-5:]), (3724.5 - 3722.54) / 5)


def test_enhanced_lrc() -> None:
    whole, times = timed_text(
        "[00:12.00] <00:12.50> When <00:13.00> the <00:14.00> truth <00:15.00>\n"
        "[00:20.00]Is <00:21.00>found<00:23.00>\n"
        "[00:30.00][00:40.00]<00:30.00>la<00:31.00> <00:31.50>lo\n"
        "[00:50.00]"
    )
    assert whole == "When the truth\nIs found\nla lo\nla lo"
    at = dict(zip(range(len(whole)), times, strict=True))
    assert [at[0], at[5], at[9], at[14]] == [12.5, 13.0, 14.0, 15.0]
    assert [at[15], at[18], at[23]] == [20.0, 21.0, 23.0]
    assert [at[24], at[26], at[27]] == [30.0, 31.0, 31.5]
    assert [at[30], at[32], at[33]] == [40.0, 41.0, 41.5]
    assert at[10] == pytest.approx(14.2)


def test_lines_of_lrc_without_times_belong_to_the_one_before() -> None:
    assert starts("before\n[00:02.00]one\n[Chorus]\n\n[00:08.00]two\n[00:09.00]\n") == {
        "before": 0.0, "one": 2.0, "[Chorus]": pytest.approx(2 + 6 * 4 / 14),
        "3": pytest.approx(2 + 6 * 13 / 14), "two": 8.0,
    }  # fmt: skip
    assert timed_text("[00:02.00]one\n[00:01.00]zero")[0] == "zero\none"
    assert timed_text("[00:02.00]one\r\n[00:03.00]two\r\n\r\n")[0] == "one\ntwo"
    assert timed_text("[00:02.00]\n")[0] == ""


SRT = """\ufeff1
00:00:10,500 --> 00:00:12,000
<i>First</i> line
{\\an8}second one

2
00:00:20.5 --> 00:00:21.000 X1:3
Third

3
00:00:22,000 --> 00:00:23,000

4
00:00:20,900 --> 01:00:00,000
last
"""


@pytest.mark.parametrize("text", [SRT, SRT.replace("\n\n2", "\n2"), SRT.replace("\n", "\r\n")])
def test_srt(text: str) -> None:
    whole, times = timed_text(text)
    assert whole == "First line\nsecond one\nThird\nlast"
    assert times[whole.index("\nThird")] == 12.0
    assert times[whole.index("Third")] == 20.5
    assert times[whole.index("Third") + 1] == pytest.approx(20.5 + 0.4 / 5)
    assert times[whole.index("last")] == 20.9
    assert times[-1] == pytest.approx(20.9 + 3579.1 * 3 / 4)


@pytest.mark.parametrize(
    "text",
    ["", "plain", "[Verse 1]\nla [x2]\n12:30 it is", "[note: none]\n<b>a</b> --> b", "1\n2\n"],
)
def test_other_text_is_neither(text: str) -> None:
    assert subtitles.read(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[00:10.00]a\n[00:75.00]b", "LRC line 2: a time with 75 seconds"),
        ("[offset:soon]\n[00:10.00]b", "LRC line 1: offset 'soon' is no number"),
        ("[00:10.00]a <00:12.00>b <00:11.00>c", "LRC line 1: the time of 'c' goes back"),
        ("1\n00:00:10,000 --> 00:00:09,000\na", "ends before it begins"),
        ("1\n00:00:10,000 --> 00:00:11,000\na\n\n2\n00:10 -> --> x\nb", "SRT line 6: '00:10 "),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        subtitles.read(text)
    assert "\n" not in str(caught.value)


TEXTS = [
    "Ah, the first line\nof a  song\n\nfor ever",
    "Ещё раз — «да»\nЙод",
    "君が好きだ。\nlove song ラブ",
    "حَبيبي يا نور\nالعين",
    "x\u030c é 🎵\n👩‍🚀",
    "one",
]


def paced(text: str) -> list[tuple[float, str]]:
    times = 3540 + np.cumsum(np.random.default_rng(1).integers(1, 900, len(text))) / 100
    return list(zip(times.tolist(), text, strict=True))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("words", [True, False])
def test_lrc_round_trips(text: str, words: bool) -> None:
    pairs = paced(text)
    whole, times = timed_text(subtitles.to_lrc(pairs, words=words))
    assert whole == text
    places = [begin for begin, end in timed.lines(text)]
    if words:
        places += [a for span in timed.lines(text) for a, _ in timed.words(text, *span)]
        places += [end for _, end in timed.lines(text)[:-1]]
    for place in places:
        assert times[place] == pytest.approx(pairs[place][0], abs=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_srt_round_trips(text: str) -> None:
    pairs = paced(text)
    whole, times = timed_text(subtitles.to_srt(pairs))
    assert whole == text.replace("\n\n", "\n")
    for line in whole.split("\n"):
        there, here = whole.index(line), text.index(line)
        assert times[there] == pytest.approx(pairs[here][0], abs=1e-6)
        if here + len(line) < len(text):
            assert times[there + len(line)] == pytest.approx(pairs[here + len(line)][0], abs=1e-6)


def test_what_is_written() -> None:
    pairs = [(59.996, "H"), (60.5, "i"), (61, " "), (62, "y"), (63, "\n"), (3725.0, "o")]
    assert subtitles.to_lrc(pairs) == (
        "[01:00.00]<01:00.00>Hi <01:02.00>y<01:03.00>\n[62:05.00]<62:05.00>o<62:05.10>\n"
    )
    assert subtitles.to_lrc(pairs, words=False) == "[01:00.00]Hi y\n[62:05.00]o\n[62:05.10]\n"
    assert subtitles.to_srt(pairs) == (
        "1\n00:00:59,996 --> 00:01:03,000\nHi y\n\n2\n01:02:05,000 --> 01:02:05,100\no\n"
    )
    assert subtitles.to_lrc([]) == subtitles.to_srt([]) == ""
