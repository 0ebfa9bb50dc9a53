"""A window reads the lyrics that fall in it, and every form of lyrics says what it is."""

import unicodedata
from typing import Any

import numpy as np
import pytest

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import lyrics, subtitles, timed
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.lyrics import LabelError, Lyric

V2 = Alphabet("v2")
RATE = 100


def span(start: float, seconds: float, total: float) -> Span:
    return Span(round(start * RATE), round(seconds * RATE), round(total * RATE))


def read_in(value: Any, count: int, where: Span, known: Alphabet = V2) -> str:
    return known.text(lyrics.encode(value, known, count, where, RATE))


def test_the_window_of_evenly_spread_lyrics() -> None:
    draw = np.random.default_rng(0)
    for _ in range(500):
        length, count = int(draw.integers(0, 300)), 2 * int(draw.integers(1, 40))
        total, size = int(draw.integers(1, 10**8)), int(draw.integers(1, 10**6))
        where = Span(int(draw.integers(0, total)), size, total)
        found = lyrics.window_indices(length, count, where)
        if length < count:
            expected = [-1] * (count - length) + list(range(length))
        else:
            centre = int(length * (where.start + size / 2) / total)
            centre = min(max(centre, count // 2), length - count // 2)
            expected = list(range(centre - count // 2, centre + count // 2))
        assert found.tolist() == expected
        tokens = np.arange(1, length + 1)
        assert lyrics.window(tokens, count, where).tolist() == [i + 1 for i in expected]


def test_odd_windows_stay_within_the_lyrics() -> None:
    assert lyrics.window_indices(10, 5, Span(95, 5, 100)).tolist() == [5, 6, 7, 8, 9]
    assert lyrics.window_indices(10, 5, Span(0, 5, 100)).tolist() == [0, 1, 2, 3, 4]
    assert lyrics.window_indices(5, 5, Span(50, 5, 100)).tolist() == [0, 1, 2, 3, 4]
    assert lyrics.window([], 3, Span(0, 5, 100)).tolist() == [0, 0, 0]


TIMES = [0.0, 0.5, 1.0, 1.5, 5.0, 5.0, 5.5, 9.0, 9.5, 10.0]


@pytest.mark.parametrize(
    ("start", "seconds", "count", "expected"),
    [
        (1.0, 4.5, 4, [2, 3, 4, 5]),  # its beginning included, its end not
        (5.0, 0.5, 2, [4, 5]),
        (5.0, 0.5, 6, [2, 3, 4, 5, 6, 7]),  # neighbours on both sides
        (0.0, 0.5, 4, [0, 1, 2, 3]),
        (2.0, 2.0, 4, [2, 3, 4, 5]),  # in a pause: what is around it
        (20.0, 2.0, 3, [7, 8, 9]),
        (0.0, 20.0, 4, [3, 4, 5, 6]),  # more than can be read: cut at both ends
        (1.0, 2.0, 12, [-1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1.0, 2.0, 10, list(range(10))),
    ],
)
def test_the_window_of_lyrics_in_time(
    start: float, seconds: float, count: int, expected: list[int]
) -> None:
    found = lyrics.timed_indices(TIMES, count, span(start, seconds, 10), RATE)
    assert found.tolist() == expected
    assert found.dtype == np.int32


def test_even_times_agree_with_the_even_spread() -> None:
    times = 60 * np.arange(240) / 240
    for start in range(0, 60, 7):
        where = span(start, 9, 60)
        even, timely = lyrics.window_indices(240, 20, where), lyrics.timed_indices(
            times, 20, where, RATE)  # fmt: skip
        assert abs(int(even[0]) - int(timely[0])) <= 1


LRC = "[00:00.00]a first verse\n[00:10.00]\n[00:40.00]here's the chorus\n[00:50.00]"


def test_words_fall_where_they_are_sung() -> None:
    assert read_in(LRC, 16, span(40, 10, 60)) == "here's the choru"
    assert read_in(LRC, 14, span(0, 10, 60)) == "a first verse\n"
    plain = lyrics.plain(LRC)
    assert plain == "a first verse\n\nhere's the chorus"
    assert read_in(plain, 16, span(40, 10, 60)) != "here's the choru"


def test_times_follow_the_tokens_that_a_character_becomes() -> None:
    value = [(0, "漢"), (5, "字"), (6, "—"), (8, "x")]
    assert V2.text(V2.tokens("漢字—x")) == "Han Zi --x"
    assert read_in(value, 2, span(6, 1, 10)) == "--"
    assert read_in(value, 4, span(0, 1, 10)) == "Han "
    assert lyrics.indices(value, V2, 2, span(6, 1, 10), RATE).tolist() == [7, 8]


SAME = [
    [(1.0, "la"), (2.0, "lo")],
    [[1, "la "], [2, "lo"]],
    "[00:01.00]<00:01.00>la <00:02.00>lo",
    {"schedule": [[1.0, [(0, "la"), (1, "lo")]]]},
    Lyric.read([(1.0, "la"), (2.0, "lo")]),
]


@pytest.mark.parametrize("value", SAME)
def test_forms_of_the_same(value: Any) -> None:
    lyric = Lyric.read(value)
    assert lyric.text == "la lo"
    assert lyric.times is not None
    assert (lyric.times[0], lyric.times[3]) == (1.0, 2.0)
    assert Lyric.read(lyric) is lyric


@pytest.mark.parametrize("value", [None, "", [], (), [(1.0, "")]])
def test_none(value: Any) -> None:
    assert Lyric.read(value).text == ""
    found = lyrics.encode(value, V2, 5, span(0, 10, 60), RATE)
    assert found.tolist() == [0] * 5
    assert found.dtype == np.int32


def test_plain_text_is_kept_as_it_is() -> None:
    text = " [Verse 1]\n1. la: [x2]\n\n"
    assert Lyric.read(text) == Lyric(text)
    assert Lyric.read("\ufeffa\r\nb") == Lyric("a\nb")
    assert Lyric("a").pairs == ()


@pytest.mark.parametrize(
    "value", [3, b"la", {"text": "la"}, [1, 2], ["1a"], [[1, ["a"]]], object()]
)
def test_other_forms_are_refused(value: Any) -> None:
    with pytest.raises(LabelError) as caught:
        Lyric.read(value)
    assert "\n" not in str(caught.value)
    assert "seconds" in str(caught.value)


def test_lyrics_that_the_model_cannot_say() -> None:
    known = Alphabet.build(["abc"])
    with pytest.raises(LabelError, match="'Ж' have no character that the model knows"):
        lyrics.encode(" Ж\n", known, 4, span(0, 10, 60), RATE)
    with pytest.raises(LabelError, match="'ЖЖ Ж' have no character that the model knows"):
        lyrics.encode("ЖЖ Ж", Alphabet.build(["a b"]), 4, span(0, 10, 60), RATE)  # but a space
    found = lyrics.encode("Ж", known, 4, span(0, 10, 60), RATE, allow_unknown=True)
    assert found.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "text", ["Ещё раз да", "君が好きだ。", "حَبيبي يا نور", "x\u030cе\u0301 ö", "🎵 👩‍🚀"]
)
@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_any_script(text: str, kind: str) -> None:
    known = Alphabet.build([text], kind)
    value = [(float(second), character) for second, character in enumerate(text)]
    tokens = lyrics.encode(value, known, 64, span(0, 10, 60), RATE)
    assert unicodedata.normalize("NFC", known.text(tokens)) == unicodedata.normalize("NFC", text)
    halfway = lyrics.indices(value, known, 1, span(len(text) - 1, 1, 60), RATE)
    assert len(known.tokens(text)) > halfway[0] >= len(known.tokens(text)) - 4


def test_text_and_times_together() -> None:
    text = 'Ah, "la la"\nla!\n'
    labels = {"lyrics": text, "lyrics_times": [(1, "Ah"), (3, "la"), (4, "la"), (8, "la!")]}
    lyric = Lyric.of(labels)
    assert lyric.text == text
    assert lyric.times is not None
    assert [lyric.times[i] for i in (0, 5, 8, 12)] == [1.0, 3.0, 4.0, 8.0]
    assert lyric.times[3] == pytest.approx(1 + 2 * 3 / 5)
    times = labels["lyrics_times"]
    assert Lyric.of({"lyrics": times, "lyrics_times": times}) == Lyric.read(times)
    assert Lyric.of({"lyrics_times": times}) == Lyric.read(times)
    assert Lyric.of({"lyrics": text, "lyrics_times": []}) == Lyric(text)
    assert Lyric.of({"words": text}, "words") == Lyric(text)
    assert Lyric.of({}) == Lyric()
    with pytest.raises(
        LabelError, match="'lo' at 2 s, which does not stand in the lyrics after 'A"
    ):
        Lyric.of({"lyrics": text, "lyrics_times": [(1, "Ah"), (2, "lo")]})


def test_text_with_ends_of_words() -> None:
    times = [{"start": 1, "end": 2, "text": "ab"}, {"start": 5, "end": 6, "text": "cd"}]
    lyric = Lyric.of({"lyrics": "- ab, cd.", "lyrics_times": times})
    assert lyric.times == (1.0, 1.0, 1.0, 1.5, 2.0, 3.5, 5.0, 5.5, 6.0)


def test_a_schedule_of_lyrics() -> None:
    value = {"schedule": [[0, "verse"], [10, None], [20, [(0, "re"), (5, "frain"), (15, "later")]],
                          [30, "coda"]]}  # fmt: skip
    lyric = Lyric.read(value, seconds=40)
    assert lyric.text == "verse\nre fra\ncoda"
    assert lyric.times is not None
    at = {word: lyric.times[lyric.text.index(word)] for word in ("verse", "re f", "fra", "coda")}
    assert at == {"verse": 0.0, "re f": 20.0, "fra": 25.0, "coda": 30.0}
    assert lyric.times[4] == 8.0
    assert lyric.times[-1] == 37.5
    assert read_in(value, 4, span(30, 10, 40)) == "coda"
    assert read_in(value, 5, span(0, 10, 40)) == "verse"


def test_a_schedule_of_one_text_is_spread_over_the_song() -> None:
    text = "abcdefghijklmnopqrst"
    lyric = Lyric.read({"schedule": [[0, text]]}, seconds=40)
    np.testing.assert_allclose(lyric.times or (), np.arange(20) * 2)


def test_a_lyric_checks_its_times() -> None:
    with pytest.raises(ValueError, match="1 times for 2"):
        Lyric("ab", (0.0,))
    with pytest.raises(ValueError, match="fall"):
        Lyric("ab", (1.0, 0.0))
    with pytest.raises(ValueError, match="fall"):
        Lyric("a", (float("nan"),))


def test_aligned_lyrics() -> None:
    text = "a—{b c"
    assert len(V2.tokens(text)) == 6
    lyric = lyrics.aligned(text, V2, [1.0, 2.0, 2.5, 4.0, np.nan, 3.0])
    assert lyric.text == text
    np.testing.assert_allclose(lyric.times or (), [1.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    assert lyrics.aligned(text, V2, [np.nan] * 6) == Lyric(text)
    with pytest.raises(ValueError, match="5 times for lyrics of 6 tokens"):
        lyrics.aligned(text, V2, [0.0] * 5)


@pytest.mark.parametrize("known", [V2, Alphabet("bytes")])
def test_an_alignment_is_written_and_read_again(known: Alphabet) -> None:
    text = "Ah, the line — on\nÉcho [x2]"
    seconds = np.arange(len(known.tokens(text))) * 0.25
    lyric = lyrics.aligned(text, known, seconds)
    for written in (subtitles.to_lrc(lyric.pairs), subtitles.to_srt(lyric.pairs),
                    timed.to_json(lyric.pairs, "word")):  # fmt: skip
        again = Lyric.read(written)
        assert again.text == text
        assert again.times is not None and lyric.times is not None
        assert again.times[0] == lyric.times[0]
        assert again.times[18] == pytest.approx(lyric.times[18], abs=0.006)
