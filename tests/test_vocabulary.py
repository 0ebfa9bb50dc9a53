"""Names become numbers as the release did it, or plainly; what is unknown is said."""

import json
import pathlib

import pytest

from jukebox_jax.prior import vocabulary
from jukebox_jax.prior.vocabulary import LabelError, Vocabulary


@pytest.mark.parametrize(
    ("normalise", "value", "most", "words"),
    [
        ("v2", "Über Écho", 1, ("ber_cho",)),
        ("v3", "Über Écho", 1, ("über écho",)),
        ("v2", "  The   BAND! ", 1, ("the_band",)),
        ("v2", "Rock/Blues--Folk", 5, ("rock", "blues", "folk")),
        ("v2", "Blues Rock", 1, ("blues_rock",)),
        ("v3", "Blues Rock", 5, ("blues rock",)),
        ("v2", "", 5, ("",)),
        ("plain", " Hip Hop , soul,", 3, ("Hip Hop", "soul")),
        ("plain", "Earth, Wind", 1, ("Earth, Wind",)),
        ("plain", ["a, b", "c"], 3, ("a", "b", "c")),
        ("plain", [], 3, ("",)),
        ("plain", 1999, 1, ("1999",)),
    ],
)
def test_words(normalise: str, value, most: int, words: tuple[str, ...]) -> None:
    assert Vocabulary(normalise).words(value, most) == words


def test_ids_are_looked_up_by_normalised_name() -> None:
    names = Vocabulary("v2", {"the_band": 1, "someone_else": 2, "somebody": 2})
    assert names.id("The Band") == 1 and names.id("Somebody!") == 2
    assert names.size == 3 and Vocabulary().size == 1
    assert names.id("nobody", allow_unknown=True) == 0
    with pytest.raises(LabelError, match=r"'The Bond' is none of the 3 names .*near.*'the_band'"):
        names.id("The Bond")
    with pytest.raises(LabelError, match="no name is near"):
        names.id("zzz")


def test_a_vocabulary_of_training_labels() -> None:
    names = Vocabulary.build(["rock, folk", ["soul"], "folk", "", 7], most=3)
    assert dict(names.ids) == {"7": 1, "folk": 2, "rock": 3, "soul": 4}
    assert dict(Vocabulary.build(["B b", "a"], "v2").ids) == {"a": 1, "b_b": 2}


def test_the_lists_of_the_release(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    names = Vocabulary.read(reference / "ids" / "v3_artist_ids.txt", "v3")
    assert names.id("ÜBER ÉCHO") == 2
    odd = tmp_path / "ids.txt"
    odd.write_bytes("\ufeffa;b;3\r\nline\u2028break;4\n\n A ;5\n".encode())
    assert dict(Vocabulary.read(odd, "v3").ids) == {"a;b": 3, "line\u2028break": 4, "a": 5}
    assert Vocabulary.read(odd, "plain").id("A") == 5
    for line in ("no number", "x;²", ";3"):
        odd.write_text(line, "utf-8")
        with pytest.raises(LabelError, match="line 1: .* is not of the form name;id"):
            Vocabulary.read(odd, "v2")


def test_json_and_back() -> None:
    names = Vocabulary("v3", {"über": 1})
    assert Vocabulary.from_json(json.loads(json.dumps(names.to_json()))) == names


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="normalise = 'v4' is unknown; known: plain, v2, v3"):
        Vocabulary("v4")


def test_a_mistyped_name_is_answered_with_the_nearest_or_all() -> None:
    assert vocabulary.hint("widht", ["depth", "width"]) == "did you mean 'width'?"
    assert vocabulary.hint("x", {"depth": 1, "width": 2}) == "known: depth, width"
