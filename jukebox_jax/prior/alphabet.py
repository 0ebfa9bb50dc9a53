"""Characters and their numbers: what a prior can read of lyrics, and what it cannot say.

An alphabet is a plain value that is saved beside the weights of the prior that learnt with it. It
is one of the two of the 2020 release, all characters of some training texts in any script, or the
bytes of UTF-8. It knows no song, no time and no window.
"""

import dataclasses
import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from types import MappingProxyType
from typing import Any

import numpy as np

from jukebox_jax.prior.vocabulary import LabelError

KIND = "alphabet"
"""What `kind` says in an alphabet's JSON, so that it is not taken for a list of names."""

_LETTERS = ascii_uppercase + ascii_lowercase + digits
_RELEASE = {
    "v2": _LETTERS + ".,:;!?-+'\"()[] \t\n",
    "v3": _LETTERS + ".,:;!?-'\"()[] \t\n",
}
KINDS = (*_RELEASE, "characters", "bytes")
"""The kinds of alphabets."""

PADDING = 0
"""The token of no character: it fills a window that has more places than characters."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A text as tokens.

    Attributes:
      tokens: i32[length], from 1.
      sources: i32[length], the place in the text of the character that each token stands for.
      lost: what of the text has no token, and how often it stood there.
    """

    tokens: np.ndarray
    sources: np.ndarray
    lost: Mapping[str, int]

    def report(self) -> str:
        """What is lost in one line, "" if nothing is."""
        if not self.lost:
            return ""
        shown = ", ".join(f"{text!r} ({times})" for text, times in list(self.lost.items())[:8])
        more = f" and {len(self.lost) - 8} others" if len(self.lost) > 8 else ""
        return f"{sum(self.lost.values())} characters are outside the alphabet: {shown}{more}"


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """The characters that a lyrics signal knows, numbered from 1.

    Attributes:
      kind: "v2" or "v3": those of the release, in whose tongue all else is transliterated to
        ASCII, a backslash is the end of a line, and what then is outside is dropped.
        "characters": those listed in `characters`, after Unicode's composition (NFC); others are
        taken in lower case, if that is listed, or dropped. "bytes": the bytes of UTF-8, which
        lack nothing.
      characters: each character once, where kind is "characters"; "" otherwise.
    """

    kind: str = "v2"
    characters: str = ""

    def __post_init__(self) -> None:
        """Checks the kind, and that no character has two numbers."""
        if self.kind not in KINDS:
            raise ValueError(f"alphabet kind {self.kind!r} is unknown; known: {', '.join(KINDS)}")
        if self.characters and self.kind != "characters":
            raise ValueError(f"an alphabet of kind {self.kind!r} lists no characters")
        twice = [text for text, times in Counter(self.characters).items() if times > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice in the alphabet's characters")

    @property
    def size(self) -> int:
        """Rows that an embedding needs: the largest token and one more."""
        return 257 if self.kind == "bytes" else len(self._listed) + 1

    def encode(self, text: str) -> Encoded:
        """A text as tokens, with their places in it and what is lost of it.

        Marks that belong to the character before them are not counted as lost where
        transliteration has dropped them.
        """
        if self.kind == "bytes":
            return _encode_bytes(text)
        numbers = _numbers(self._listed)
        tokens: list[int] = []
        sources: list[int] = []
        lost: Counter[str] = Counter()
        for place, character, spelt in self._spelt(text):
            if self.kind == "characters" and spelt not in numbers:
                spelt = spelt.lower()
            known = [numbers[part] for part in spelt if part in numbers]
            tokens += known
            sources += [place] * len(known)
            mark = not spelt and unicodedata.category(character) in ("Mn", "Me")
            if (len(known) < len(spelt) or not spelt) and not mark:
                lost[character] += 1
        return Encoded(_fixed(tokens), _fixed(sources), MappingProxyType(dict(lost)))

    def tokens(self, text: str) -> list[int]:
        """A text as tokens, without what the alphabet cannot say."""
        return [int(token) for token in self.encode(text).tokens]

    def lost(self, text: str) -> dict[str, int]:
        """The characters of a text that the alphabet cannot say, and how often they stand there."""
        return dict(self.encode(text).lost)

    def text(self, tokens: Iterable[int]) -> str:
        """Tokens as text; padding says nothing, bytes that are no UTF-8 become U+FFFD.

        Raises:
          ValueError: a token that the alphabet does not have.
        """
        kept = [int(token) for token in tokens if token != PADDING]
        outside = [token for token in kept if not 0 < token < self.size]
        if outside:
            raise ValueError(f"token {outside[0]} is outside this alphabet of size {self.size}")
        if self.kind == "bytes":
            return bytes(token - 1 for token in kept).decode("utf-8", "replace")
        return "".join(self._listed[token - 1] for token in kept)

    @classmethod
    def build(
        cls, texts: Iterable[str], kind: str = "characters", most: int | None = None
    ) -> "Alphabet":
        """An alphabet for these texts.

        Args:
          texts: the training lyrics, of which only "characters" takes notice.
          kind: see the class.
          most: keep only so many characters, the most frequent ones; the first in Unicode's
            order among equals.

        Raises:
          LabelError: no text has a character.
        """
        if kind != "characters":
            return cls(kind)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(unicodedata.normalize("NFC", text))
        if not counts:
            raise LabelError(
                "no song has lyrics to build an alphabet from: give some, or leave the signal out"
            )
        frequent = sorted(counts, key=lambda text: (-counts[text], text))[:most]
        return cls(kind, "".join(sorted(frequent)))

    def to_json(self) -> dict[str, Any]:
        """The alphabet as JSON's types."""
        value = {"kind": KIND, "alphabet": self.kind}
        return {**value, "characters": self.characters} if self.kind == "characters" else value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Alphabet":
        """The inverse of `to_json`.

        Raises:
          ValueError: the value is no alphabet.
        """
        if value.get("kind") != KIND or "alphabet" not in value:
            raise ValueError(f"{str(dict(value))[:60]} is no alphabet: kind is not {KIND!r}")
        return cls(value["alphabet"], value.get("characters", ""))

    @property
    def _listed(self) -> str:
        return _RELEASE.get(self.kind, self.characters)

    def _spelt(self, text: str) -> Iterator[tuple[int, str, str]]:
        """(place, character, what stands for it) of all characters."""
        if self.kind == "characters":
            for place, cluster in _composed(text):
                for character in cluster:
                    yield place, character, character
        else:
            for place, character in enumerate(text):
                yield place, character, _transliterated(character)


@functools.lru_cache(maxsize=64)
def _numbers(listed: str) -> Mapping[str, int]:
    return {character: number for number, character in enumerate(listed, start=1)}


@functools.lru_cache(maxsize=65536)
def _transliterated(character: str) -> str:
    """A character as the release spelt it."""
    try:
        import unidecode
    except ImportError:
        raise LabelError(
            "the alphabets v2 and v3 write lyrics in ASCII by way of Unidecode, which is not "
            "installed: pip install 'jukebox-jax[release]'"
        ) from None
    if "\ud800" <= character <= "\udfff":  # half of a character: warned of, and then dropped
        return ""
    return unidecode.unidecode(character).replace("\\", "\n")


def _composed(text: str) -> Iterator[tuple[int, str]]:
    """The NFC of a text in the shortest pieces that compose on their own, with their places."""
    if unicodedata.is_normalized("NFC", text):
        yield from enumerate(text)
        return
    begin = 0
    for end in range(1, len(text) + 1):
        if end < len(text):
            before = unicodedata.normalize("NFC", text[begin:end])
            after = unicodedata.normalize("NFC", text[end])
            joined = unicodedata.normalize("NFC", text[begin : end + 1])
            if unicodedata.combining(text[end]) or joined != before + after:
                continue
        yield begin, unicodedata.normalize("NFC", text[begin:end])
        begin = end


def _encode_bytes(text: str) -> Encoded:
    spelt = [character.encode("utf-8", "ignore") for character in text]
    tokens = [byte + 1 for character in spelt for byte in character]
    sources = [place for place, character in enumerate(spelt) for _ in character]
    lost = Counter(given for given, character in zip(text, spelt, strict=True) if not character)
    return Encoded(_fixed(tokens), _fixed(sources), MappingProxyType(dict(lost)))


def _fixed(values: list[int]) -> np.ndarray:
    """An array that nobody can change, since it may be remembered and handed out again."""
    array = np.array(values, np.int32)
    array.setflags(write=False)
    return array
