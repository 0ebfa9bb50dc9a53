"""Every script keeps its characters, the release's alphabets keep theirs, and losses are told."""

import json
import random
import unicodedata

import numpy as np
import pytest
import unidecode

from jukebox_jax.prior import alphabet, vocabulary
from jukebox_jax.prior.alphabet import Alphabet

SCRIPTS = {
    "latin": 'Ah, the first line\nand "again" [x2]\n',
    "cyrillic": "Ещё раз — «да»\nЙод",
    "japanese": "君が好きだ。\nラブソング",
    "arabic": "حَبيبي يا نور العين",
    "accents": "Ngoại lệ, x\u030c and e\u0301 o\u0308\u0301",
    "hangul": unicodedata.normalize("NFD", "사랑해요"),
    "indic": "\u0995\u09c7\u09be \u0b95\u0bca",
    "emoji": "la 🎵 la 👩‍🚀 🇫🇷",
}


def test_numbers_of_the_release() -> None:
    v2, v3 = Alphabet("v2"), Alphabet("v3")
    assert (v2.size, v3.size) == (80, 79)
    assert v2.tokens("AZaz09. \t\n") == [1, 26, 27, 52, 53, 62, 63, 77, 78, 79]
    assert v3.tokens("AZaz09. \t\n") == [1, 26, 27, 52, 53, 62, 63, 76, 77, 78]
    assert v2.tokens(".,:;!?-+'\"()[]") == list(range(63, 77))
    assert v3.tokens(".,:;!?-+'\"()[]") == list(range(63, 76))
    assert v3.lost("1+1") == {"+": 1}


@pytest.mark.parametrize("kind", ["v2", "v3"])
@pytest.mark.parametrize("text", [*SCRIPTS.values(), "a\\b — “c” {d} ½ ∖ \r\n \x00", "漢字 ñandú"])
def test_the_release_transliterates_and_then_drops(kind: str, text: str) -> None:
    known = Alphabet(kind)
    listed = known.text(range(1, known.size))
    whole = unidecode.unidecode(text).replace("\\", "\n")
    assert known.text(known.tokens(text)) == "".join(c for c in whole if c in listed)


def test_each_token_knows_its_character() -> None:
    found = Alphabet("v2").encode("a—漢{Ж")
    assert Alphabet("v2").text(found.tokens) == "a--Han Zh"
    assert found.sources.tolist() == [0, 1, 1, 2, 2, 2, 2, 4, 4]
    assert found.lost == {"{": 1}
    assert found.tokens.dtype == np.int32


def test_what_is_lost_is_told() -> None:
    known = Alphabet.build(["abc abc"])
    assert known.lost("a cab, a dé,") == {",": 2, "d": 1, "é": 1}
    report = known.encode("a cab, a dé,").report()
    assert report == "4 characters are outside the alphabet: ',' (2), 'd' (1), 'é' (1)"
    assert known.encode("abc").report() == ""
    assert "and 2 others" in known.encode("0123456789").report()


def test_capitals_that_are_not_listed_are_small_letters() -> None:
    known = Alphabet.build(["abc C"])
    assert known.text(known.encode("A CAB").tokens) == "a Cab"
    assert known.lost("A CABD") == {"D": 1}
    assert Alphabet("v3").tokens("A") != Alphabet("v3").tokens("a")


def test_a_part_of_a_character_is_a_loss_but_a_dropped_accent_is_not() -> None:
    known = Alphabet("v2")
    assert known.lost("½") == {"½": 1}  # 1/2, without the stroke
    assert known.lost("e\u0301 é") == {}
    assert known.lost("🎵\ud800") == {"🎵": 1, "\ud800": 1}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_round_trip(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    known = Alphabet.build([text])
    assert known.size == len(set(composed)) + 1
    assert known.text(known.tokens(text)) == known.text(known.tokens(composed)) == composed
    assert known.lost(text) == {}
    spelt = Alphabet("bytes")
    assert spelt.text(spelt.tokens(text)) == text
    assert spelt.tokens(text) == [byte + 1 for byte in text.encode()]
    assert spelt.lost(text) == {}


def test_composition_keeps_places() -> None:
    pool = "ae\u0301\u0323\u030c가각\u1100\u1161\u11a8\u09c7\u09be\u212b\u0958ñ \n👩"
    draw = random.Random(0)
    for _ in range(400):
        text = "".join(draw.choice(pool) for _ in range(draw.randrange(12)))
        found = Alphabet("characters", "".join(sorted(set(pool) | set(
            unicodedata.normalize("NFC", text))))).encode(text)  # fmt: skip
        assert len(found.tokens) == len(unicodedata.normalize("NFC", text))
        assert (np.diff(found.sources) >= 0).all()
    found = Alphabet.build(["éab"]).encode("e\u0301ab")
    assert found.sources.tolist() == [0, 2, 3]


def test_padding_and_cut_bytes() -> None:
    assert Alphabet("v2").text([0, 0, 1, 2]) == "AB"
    spelt = Alphabet("bytes")
    assert spelt.size == 257
    assert spelt.text(spelt.tokens("aé")[:2]) == "a\ufffd"
    assert spelt.lost("a\ud800") == {"\ud800": 1}


def test_the_most_frequent_are_kept() -> None:
    assert Alphabet.build(["bbb", "aac", "cd"], most=3).characters == "abc"
    assert Alphabet.build(["zzyyx"], most=2).characters == "yz"
    assert Alphabet.build(["ba"]).tokens("ab") == [1, 2]
    assert Alphabet.build([], "v3") == Alphabet("v3")
    with pytest.raises(vocabulary.LabelError, match="no song has lyrics"):
        Alphabet.build(["", ""])


@pytest.mark.parametrize(
    "known", [Alphabet("v2"), Alphabet("v3"), Alphabet("bytes"), Alphabet.build(["Ж\né🎵"])]
)
def test_json(known: Alphabet) -> None:
    value = json.loads(json.dumps(known.to_json()))
    assert value["kind"] == alphabet.KIND
    assert Alphabet.from_json(value) == known
    assert hash(Alphabet.from_json(value)) == hash(known)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="'v4' is unknown; known: v2, v3"):
        Alphabet("v4")
    with pytest.raises(ValueError, match="'a' stands twice"):
        Alphabet("characters", "aba")
    with pytest.raises(ValueError, match="lists no characters"):
        Alphabet("v2", "abc")
    with pytest.raises(ValueError, match="token 80 is outside"):
        Alphabet("v2").text([80])
    with pytest.raises(ValueError, match="is no alphabet"):
        Alphabet.from_json(vocabulary.Vocabulary.build(["rock"]).to_json())
