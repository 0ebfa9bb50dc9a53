"""Characters follow evenly between known times, and lists of pieces are joined as they mean."""

from typing import Any

import numpy as np
import pytest

from jukebox_jax.prior import timed
from jukebox_jax.prior.timed import Piece
from jukebox_jax.prior.vocabulary import LabelError


def test_characters_follow_evenly() -> None:
    text, times = timed.spread([Piece(1, "ab"), Piece(2, "cd", 2.5), Piece(4, "e", 5)])
    assert text == "abcde"
    assert times == (1.0, 1.5, 2.0, 2.25, 4.0)


def test_the_last_goes_at_the_pace_of_the_others() -> None:
    assert timed.spread([Piece(0, "abcd"), Piece(2, "ef")])[1][-2:] == (2.0, 2.5)
    assert timed.spread([Piece(3, "ab")])[1] == (3.0, 3.0 + timed.PACE)
    assert timed.spread([]) == ("", ())
    assert timed.spread([Piece(3, "")]) == ("", ())


def test_none_outlasts_the_next() -> None:
    text, times = timed.spread([Piece(0, "ab", 9), Piece(5, "c"), Piece(1, "d", 2)])
    assert text == "abcd"
    assert times == (0.0, 0.5, 1.0, 1.0)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([(0, "one"), (1, "two")], "one two"),
        ([(0, "one "), (1, "two")], "one two"),
        ([(0, "one line"), (1, "Hallelujah")], "one line\nHallelujah"),
        ([(0, "I"), (1, " "), (2, "a")], "I a"),
        ([(0, "君"), (1, "が"), (2, "好")], "君が好"),
        ([(0, "君が"), (1, "好き。"), (2, "love"), (3, "you")], "君が好き。love you"),
        ([(0, "사랑"), (1, "해요")], "사랑 해요"),
        (
            [{"start": 0, "end": 1, "text": "a b"}, {"start": 2, "end": 3, "text": "c d"}],
            "a b\nc d",
        ),
        ([{"start": 0, "text": "one"}, {"start": 2, "text": "two"}], "one two"),
        ([(0, "one"), (1, ""), (2, "two")], "one two"),
        ([(0, "")], ""),
    ],
)
def test_pieces_are_joined(items: list[Any], text: str) -> None:
    assert timed.spread(timed.listed(items))[0] == text


def test_an_end_does_not_count_white_space() -> None:
    pieces = [{"start": 0, "end": 2, "text": "ab "}, {"start": 4, "end": 5, "text": "c"}]
    assert timed.spread(timed.listed(pieces)) == ("ab c", (0.0, 1.0, 2.0, 4.0))
    pieces = [{"start": 0, "end": 2, "text": "ab"}, {"start": 4, "end": 5, "text": "cc"}]
    assert timed.spread(timed.listed(pieces)) == ("ab cc", (0.0, 1.0, 2.0, 4.0, 4.5))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["ab"], "neither"),
        (["1a"], "neither"),
        ([(1, 2, 3)], "neither"),
        ([(1, 2)], "neither"),
        ([("x", "a")], "neither"),
        ([{"start": 1}], "neither"),
        ([5], "neither"),
        ([(-1, "a")], "no such time"),
        ([(float("nan"), "a")], "no such time"),
        ([(float("inf"), "a")], "no such time"),
        ([{"start": 2, "end": 1, "text": "a"}], "no such time"),
        ([(2, "a"), (1, "b")], "go back from 2 s to 1 s at 'b'"),
    ],
)
def test_what_is_wrong_is_named(items: list[Any], message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        timed.listed(items)
    assert "\n" not in str(caught.value)


def test_lines_and_words() -> None:
    text = "one, two\n\n 君が love\n"
    assert [text[slice(*span)] for span in timed.lines(text)] == ["one, two", "", " 君が love"]
    assert timed.lines("") == []
    assert timed.lines("\n") == [(0, 0)]
    found = [timed.words(text, *span) for span in timed.lines(text)]
    assert [[text[slice(*word)] for word in line] for line in found] == [
        ["one,", "two"],
        [],
        ["君", "が", "love"],
    ]


@pytest.mark.parametrize(
    "text", ["one, two\n\nthree\n", " 君が好き。\nlove you", "a", "", "x\ny z"]
)
@pytest.mark.parametrize("by", ["line", "word", "character"])
def test_json_round_trips(text: str, by: str) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(1, 400, len(text))) / 1000
    written = timed.to_json(zip(times, text, strict=True), by)
    assert "".join(item["text"] for item in written) == text
    again, heard = timed.spread(timed.listed(written))
    assert again == text
    known = {"line": [a for a, b in timed.lines(text) if text[a:b].strip()]}
    known["word"] = [a for span in timed.lines(text) for a, _ in timed.words(text, *span)]
    known["character"] = list(range(len(text)))
    np.testing.assert_allclose([item["start"] for item in written], times[known[by]], atol=6e-4)
    for place in known[by][1:]:
        assert heard[place] == pytest.approx(times[place], abs=6e-4)
    for item, after in zip(written, written[1:], strict=False):
        assert item["start"] <= item["end"] <= after["start"]


def test_json_knows_its_units() -> None:
    assert timed.to_json([(1.0, "a"), (1.5, " "), (2.0, "b"), (2.5, "c")], "word") == [
        {"start": 1.0, "end": 1.5, "text": "a "},
        {"start": 2.0, "end": 3.0, "text": "bc"},
    ]
    with pytest.raises(ValueError, match="'verse' is unknown"):
        timed.to_json([], "verse")


def test_pieces_are_found_in_a_text() -> None:
    pieces = [Piece(1, "Ah"), Piece(2, " la ", 2.5), Piece(3, "\n"), Piece(4, "la")]
    text, times = timed.spread(timed.located("(Ah, la, la)\n", pieces))
    assert text == "(Ah, la, la)\n"
    assert [times[i] for i in (0, 1, 3, 5, 6, 7, 9)] == [1, 1, 1.5, 2, 2.25, 2.5, 4]
    assert timed.located("text", [Piece(1, " ")]) == []
    with pytest.raises(LabelError, match="'Ah' at 3 s, which does not stand"):
        timed.located("Ah, la", [Piece(1, "Ah"), Piece(3, "Ah")])
