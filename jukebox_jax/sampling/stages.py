"""Which stages a folder holds, and what they ask of a song, told from their configs alone.

A folder of stages holds `vqvae` and a `level_N` for each level that has a prior, as the commands of
the README write them. No weights are read here: a form is filled in before anything is loaded.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from jukebox_jax import checkpoint, models
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.conditioning import (
    Alphabet,
    Beats,
    Codes,
    Curve,
    Label,
    Lyrics,
    LyricsPrefix,
    Sung,
    Timing,
    Vocabulary,
)
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import steering
from jukebox_jax.vqvae.vqvae import VQVAE


@dataclasses.dataclass(frozen=True)
class Field:
    """One thing that the stages can be told about a song.

    Attributes:
      name: the label's name, as a list of songs has it.
      kind: "names" for names of a vocabulary, "text" for lyrics, "number", "beats" for a tempo or
        the times of beats, or "values" for what may change during the song, written as
        `prior.timeline` reads it.
      choices: the names that every level which reads them knows.
      most: of names, how many at once.
      low: the least number that the stages were told of; None where there are no numbers.
      high: and the greatest.
      needed: whether a song without it is refused, unless unknown labels are allowed.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    most: int = 1
    low: float | None = None
    high: float | None = None
    needed: bool = False


@dataclasses.dataclass(frozen=True)
class Stages:
    """A VQ-VAE and its priors, as directories.

    Attributes:
      vqvae: the VQ-VAE's directory.
      priors: the priors' directories, finest level first; "" for a level without one.
      rate: audio samples a second.
      hops: audio samples a code, finest level first.
      fields: what they can be told about a song, those with names to choose from first.
      guided: for each level, whether its prior was trained to be guided by labels.
    """

    vqvae: str
    priors: tuple[str, ...]
    rate: int
    hops: tuple[int, ...]
    fields: tuple[Field, ...] = ()
    guided: tuple[bool, ...] = ()

    @property
    def top(self) -> int:
        """The coarsest level."""
        return len(self.hops) - 1

    @property
    def config(self) -> dict[str, Any]:
        """The two keys of a session's config that name them."""
        return {"vqvae": self.vqvae, "priors": list(self.priors)}

    def guidance(self, value: float) -> list[float]:
        """Guidance of each level: 1, which is none, where a prior cannot be guided."""
        return [float(value) if guided else 1.0 for guided in self.guided] or [1.0]


def in_folder(folder: str | os.PathLike) -> Stages:
    """The stages of a folder.

    Args:
      folder: holds `vqvae`, `level_0` and so on.

    Raises:
      ValueError: it holds no VQ-VAE, or something else is there under one of these names.
    """
    folder = pathlib.Path(folder)
    if not (folder / "vqvae" / checkpoint.CONFIG).is_file():
        raise ValueError(
            f"{folder} holds no stages: there is no vqvae/{checkpoint.CONFIG}; give a folder that "
            "holds vqvae, level_0, level_1, ..."
        )
    there = [folder / f"level_{level}" for level in range(len(_codec(str(folder / "vqvae"))[1]))]
    return read(
        folder / "vqvae",
        [path if (path / checkpoint.CONFIG).is_file() else "" for path in there],
    )


def found(folder: str | os.PathLike | None) -> Stages:
    """The stages of a folder that is named, or else those that come with the package.

    Raises:
      ValueError: there are none.
    """
    if not folder and not (models.SHIPPED / "vqvae" / checkpoint.CONFIG).is_file():
        raise ValueError(
            "no stages: name the folder that holds vqvae, level_0, ..., as launch/demo.sh and "
            "notebooks/train.ipynb make one"
        )
    return in_folder(folder or models.SHIPPED)


def read(vqvae: str | os.PathLike, priors: Iterable[str | os.PathLike]) -> Stages:
    """Stages by their directories.

    Args:
      vqvae: the VQ-VAE's.
      priors: the priors', finest level first; "" or "-" for a level without one.

    Raises:
      ValueError: a directory holds no such stage, or there are more priors than levels.
    """
    rate, hops = _codec(str(vqvae))
    names = [str(path).strip() for path in priors]
    names = ["" if name == "-" else name for name in names]
    if len(names) > len(hops):
        raise ValueError(f"{len(names)} priors for a VQ-VAE of {len(hops)} levels: give one each")
    names += [""] * (len(hops) - len(names))
    if not any(names):
        raise ValueError(f"{vqvae}: there is no prior beside it to sample from: train one")
    found: dict[str, Field] = {}
    priors_read = [_prior(name) if name else None for name in names]
    for one in reversed(priors_read):
        for field in _fields(*one) if one else ():
            found[field.name] = _both(found[field.name], field) if field.name in found else field
    order = ("names", "number", "text", "beats", "values")
    fields = sorted(
        found.values(), key=lambda field: 0 if field.choices else order.index(field.kind)
    )
    guided = tuple(one is not None and steering.can_guide(one[0]) for one in priors_read)
    return Stages(str(vqvae), tuple(names), rate, hops, tuple(fields), guided)


def labels(fields: Iterable[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """A song's labels from what a person filled in; what is empty is left out.

    Args:
      fields: of the stages.
      given: by name of a field; other names are passed on as they are.

    Raises:
      ValueError: something that is needed is missing, or one name is no name that is known.
    """
    known = {field.name: field for field in fields}
    told = {name: value for name, value in given.items() if value not in (None, "", [], ())}
    for field in known.values():
        value = told.get(field.name)
        if value is None and field.needed:
            example = field.choices[0] if field.choices else field.low
            raise ValueError(f"{field.name} is empty: give it a value, as {example}")
        if isinstance(value, (list, tuple)) and field.kind == "names" and len(value) > field.most:
            raise ValueError(f"{len(value)} names for {field.name}: give {field.most} at most")
    return told


def _codec(directory: str) -> tuple[int, tuple[int, ...]]:
    """Rate and hops of a VQ-VAE's directory."""
    model, config, _ = _stage(directory)
    if not isinstance(model, VQVAE):
        raise ValueError(f"{directory}: a stage of kind {config['stage']['kind']!r}, not a VQ-VAE")
    return int(config["stage"]["rate"]), model.hops


def _prior(directory: str) -> tuple[Prior, dict[str, Any]]:
    """A prior's module, and its vocabularies."""
    model, config, words = _stage(directory)
    if not isinstance(model, Prior):
        raise ValueError(f"{directory}: a stage of kind {config['stage']['kind']!r}, not a prior")
    return model, words


def _fields(model: Prior, words: Mapping[str, Any]) -> list[Field]:
    """What a prior asks for."""
    found = (_field(name, signal, words.get(name)) for name, signal in model.signals)
    return [field for field in found if field is not None]


def _field(name: str, signal: Any, words: Vocabulary | Alphabet | None) -> Field | None:
    """What a signal asks for; None where a person has nothing to say."""
    if isinstance(signal, Codes):
        return None
    if isinstance(signal, Label):
        ids = words.ids if isinstance(words, Vocabulary) else {}
        known = tuple(sorted(word for word, number in ids.items() if number > conditioning.UNKNOWN))
        return Field(name, "names", known, signal.most, needed=bool(known)) if known else None
    if isinstance(signal, (Lyrics, LyricsPrefix, Sung)):
        return Field(name, "text")
    if isinstance(signal, Timing):
        return Field(
            "total_seconds", "number", low=signal.minimum_seconds, high=signal.maximum_seconds
        )
    if isinstance(signal, Curve):
        return Field(name, "values", low=signal.minimum, high=signal.maximum, needed=True)
    if isinstance(signal, Beats):
        return Field(name, "beats")
    ids = words.ids if isinstance(words, Vocabulary) else {}
    return Field(name, "values", tuple(sorted(ids)), needed=True)


def _both(one: Field, other: Field) -> Field:
    """A field that two levels read: only names that both know, one at a time if one needs that."""
    kind = "names" if "names" in (one.kind, other.kind) else one.kind
    shared = tuple(name for name in one.choices if name in set(other.choices))
    return dataclasses.replace(
        one,
        kind=kind,
        choices=shared,
        most=min(one.most, other.most),
        needed=one.needed or other.needed,
    )


def _stage(directory: str) -> tuple[Any, Mapping[str, Any], dict[str, Any]]:
    """A stage's module, config and vocabularies, without its weights."""
    config = checkpoint.read_json(directory, checkpoint.CONFIG)
    names = checkpoint.read_json(directory, checkpoint.VOCABULARIES, missing={})
    try:
        model = models.build(config)
        words = {key: conditioning.vocabulary_from_json(one) for key, one in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{directory} holds no stage: {error}") from None
    return model, config, words
