"""Names and their numbers: how a name is normalised, which id it has, and which one is near it.

A vocabulary is a plain value that is saved beside the weights of the prior that learnt with it.
It knows no signal and no file format but its own JSON and the `name;id` lists of the 2020 release.
"""

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

NORMALISATIONS = ("plain", "v2", "v3")
"""How names are compared: as they stand, or as either generation of the release compared them."""

UNKNOWN = 0
"""The reserved id of whatever is not in a vocabulary."""


class LabelError(ValueError):
    """A label that a model cannot take, with what to do about it."""


def hint(mistyped: object, known: Iterable[str]) -> str:
    """How the message about a mistyped name ends: the name that is near it, or all that are known.

    Args:
      mistyped: the name that is none of them.
      known: the names.
    """
    names = list(known)
    near = difflib.get_close_matches(str(mistyped), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The names that a label signal knows.

    Attributes:
      normalise: how names are compared. "v2": lower case, every run of other characters than a-z
        and 0-9 becomes one underscore, none at the ends; a bag of words is split at underscores.
        "v3": lower case, otherwise whole. "plain": as it stands but for white space around it; a
        bag of words is split at commas.
      ids: normalised name -> id; several names may share one.
    """

    normalise: str = "plain"
    ids: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the normalisation's name."""
        if self.normalise not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise ValueError(f"normalise = {self.normalise!r} is unknown; known: {known}")

    @property
    def size(self) -> int:
        """Rows that an embedding needs: the largest id and one more."""
        return max(self.ids.values(), default=UNKNOWN) + 1

    def plain(self, name: str) -> str:
        """A name in the spelling in which this vocabulary lists it."""
        if self.normalise == "plain":
            return name.strip()
        name = name.lower()
        if self.normalise == "v2":
            name = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
        return name

    def words(self, value: Any, most: int = 1) -> tuple[str, ...]:
        """A label's value as normalised names.

        Args:
          value: text, or a list of texts; a number is taken as it is written.
          most: slots of the bag of words; text is split only where there are several.

        Returns:
          At least one name; "" stands for nothing.
        """
        if isinstance(value, (list, tuple)):
            return tuple(word for item in value for word in self.words(item, most)) or ("",)
        whole = self.plain(str(value))
        if most == 1 or self.normalise == "v3":
            return (whole,)
        separator = "_" if self.normalise == "v2" else ","
        return tuple(word.strip() for word in whole.split(separator) if word.strip()) or ("",)

    def id(self, name: str, allow_unknown: bool = False) -> int:
        """The id of a name.

        Raises:
          LabelError: the name is not in the vocabulary and `allow_unknown` is off.
        """
        known = self.ids.get(self.plain(name))
        if known is None and not allow_unknown:
            near = difflib.get_close_matches(self.plain(name), list(self.ids), n=3)
            hint = f"near names: {', '.join(map(repr, near))}" if near else "no name is near"
            raise LabelError(
                f"{name!r} is none of the {len(self.ids)} names that the model knows ({hint}); "
                "correct it, or allow unknown labels"
            )
        return UNKNOWN if known is None else known

    @classmethod
    def build(cls, names: Iterable[Any], normalise: str = "plain", most: int = 1) -> "Vocabulary":
        """A vocabulary of these names, numbered from 1 in sorted order."""
        empty = cls(normalise=normalise)
        words = {word for name in names for word in empty.words(name, most)} - {""}
        ids = {word: index for index, word in enumerate(sorted(words), start=UNKNOWN + 1)}
        return cls(normalise=normalise, ids=ids)

    @classmethod
    def read(cls, path: str | pathlib.Path, normalise: str) -> "Vocabulary":
        """Reads a list of `name;id` lines, UTF-8.

        Raises:
          LabelError: a line is not of that form.
        """
        ids = {}
        lines = (
            pathlib.Path(path).read_text("utf-8-sig").split("\n")
        )  # a name may hold any other break
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, _, index = line.rpartition(";")
            if not name or not index.strip().isdecimal():
                raise LabelError(f"{path}, line {number}: {line!r} is not of the form name;id")
            ids[name.strip().lower() if normalise != "plain" else name.strip()] = int(index)
        return cls(normalise=normalise, ids=ids)

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as JSON's types."""
        return {"normalise": self.normalise, "ids": dict(self.ids)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Vocabulary":
        """The inverse of `to_json`."""
        return cls(normalise=value["normalise"], ids=dict(value["ids"]))
