"""Everything a prior can be conditioned on, brought together.

A signal enters by one of four doors: `start` (in place of the code before the first), `track`
(added at every position), `memory` (attended to) or `prefix` (in front of the codes, in one
sequence with them). The records of its kinds stand in `signals`, `curves`, `beat`,
`sung` and `lyric_signals`; here a config line becomes a record, a song's labels become arrays, and
arrays are embedded and summed door by door. Nothing here knows of codes to come.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import alphabet, mixture, schedule, vocabulary
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.beat import Beats
from jukebox_jax.prior.curves import Curve, Events, Track
from jukebox_jax.prior.lyric_signals import Lyrics, LyricsPrefix
from jukebox_jax.prior.mixture import Mixture
from jukebox_jax.prior.signals import UNUSED, Codes, Label, Signal, Timing
from jukebox_jax.prior.sung import Sung
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, Vocabulary

__all__ = ["KINDS", "UNKNOWN", "UNUSED", "Alphabet", "Beats", "Codes", "Conditioner"]
__all__ += ["Conditioning", "Curve", "Events", "Label", "LabelError", "Lyrics", "LyricsPrefix"]
__all__ += ["Signal", "Sung", "Timing", "Track", "Vocabulary"]
__all__ += ["drop", "encode", "example", "hides", "lyrics_of", "make", "vocabulary_from_json"]
__all__ += ["without"]

KINDS: dict[str, type] = {
    "label": Label,
    "timing": Timing,
    "codes": Codes,
    "curve": Curve,
    "track": Track,
    "events": Events,
    "beats": Beats,
    "sung": Sung,
    "lyrics": Lyrics,
    "lyrics_prefix": LyricsPrefix,
}
"""The kinds of signals by the name that a config calls them."""

_HIDDEN = (Label, Curve, Track, Events, Beats, Sung)  # what label dropout hides
_TEXT = (Lyrics, LyricsPrefix)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Conditioning:
    """What a prior is conditioned on, embedded.

    Attributes:
      start: [batch, 1, width], in place of the code before the first; of batch 1 where nothing
        but a learned vector stands there.
      track: [batch, context, width], added at every position; None where no signal is.
      memory: [batch, tokens, width], attended to; None where no signal is.
      prefix: i32[batch, tokens], lyric tokens in front of the codes, which the prior embeds; None
        where no signal is.
    """

    start: Array
    track: Array | None = None
    memory: Array | None = None
    prefix: Array | None = None


def make(name: str, spec: Mapping[str, Any]) -> Any:
    """A signal from its line of a config.

    Args:
      name: the signal's name, for messages.
      spec: `kind` and the fields of its record.

    Raises:
      ValueError: an unknown kind, an unknown field, or a field that is missing.
    """
    fields = {key: _frozen(value) for key, value in spec.items()}
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(f"config.signals.{name}.kind = {kind!r} is unknown; known: {known}")
    declared = {field.name: field for field in dataclasses.fields(KINDS[kind])}
    for key in fields:
        if key not in declared:
            hint = vocabulary.hint(key, declared)
            raise ValueError(f"config.signals.{name}.{key}: {kind} has no such field; {hint}")
    for key, field in declared.items():
        if key not in fields and field.default is dataclasses.MISSING:
            raise ValueError(f"config.signals.{name}: a {kind} needs {key}=...")
    return KINDS[kind](**fields)


def encode(
    signals: tuple[tuple[str, Any], ...],
    vocabularies: Mapping[str, Vocabulary | Alphabet],
    song: Song,
    span: Span,
    length: int,
    *,
    allow_unknown: bool = False,
    rate: int = 44100,
    mixtures: bool = False,
) -> dict[str, Any]:
    """All signals over a span of a song, on the host, without the batch axis.

    A label that changes during the song (see `schedule`) is the one in force in the span's middle.

    Args:
      signals: the fields of `Prior.signals`.
      vocabularies: for each label signal its names, for a lyrics signal its alphabet.
      song: whose labels they are.
      span: where the window lies in it, in samples.
      length: codes in the span.
      allow_unknown: unknown and missing labels become the reserved 0.
      rate: samples a second of the span.
      mixtures: labels may be weighted mixtures (see `mixture`), encoded as a `Mixture`. Batches
        of them need `mixture.stack`.

    Raises:
      LabelError: a label that the model cannot take.
    """
    now = {
        name: schedule.at(song.labels[name], span, rate)
        for name, signal in signals
        if isinstance(signal, Label) and schedule.is_schedule(song.labels.get(name))
    }
    song = dataclasses.replace(song, labels={**song.labels, **now}) if now else song
    encoded = {}
    for name, signal in signals:
        how: Any = signal.encode
        if mixtures and isinstance(signal, Label) and mixture.is_mixture(song.labels.get(name)):
            how = functools.partial(mixture.encode, signal)
        encoded[name] = how(name, song, span, length, vocabularies.get(name), allow_unknown)
    return {name: values for name, values in encoded.items() if values is not None}


def lyrics_of(signals: tuple[tuple[str, Any], ...]) -> tuple[str, Lyrics | LyricsPrefix] | None:
    """The name and the record of the lyrics signal, None if there is none.

    Raises:
      ValueError: there are two; a prior reads one text.
    """
    found = [(name, one) for name, one in signals if isinstance(one, (Lyrics, LyricsPrefix))]
    if len(found) > 1:
        raise ValueError(f"signals {', '.join(name for name, _ in found)}: a prior reads one text")
    return found[0] if found else None


def vocabulary_from_json(value: Mapping[str, Any]) -> Vocabulary | Alphabet:
    """The inverse of `to_json` of both kinds of vocabularies."""
    if value.get("kind") == alphabet.KIND:
        return Alphabet.from_json(value)
    return Vocabulary.from_json(value)


def drop(
    signals: tuple[tuple[str, Any], ...], labels: Mapping[str, Array], rate: float, key: Array
) -> dict[str, Array]:
    """Replaces all labels of a part of the batch by the reserved 0, so that it is learnt too.

    Beats are also hidden alone, as often: a song may come without them.
    """
    dropped = dict(labels)
    for name, signal in signals:
        if isinstance(signal, _HIDDEN):
            values = labels[name]
            lost = jax.random.bernoulli(key, rate, (values.shape[0], 1))  # one draw for all labels
            if isinstance(signal, Beats):
                alone = jax.random.fold_in(key, 1)
                lost |= jax.random.bernoulli(alone, rate, (values.shape[0], 1))
            lost = lost.reshape(-1, *(1 for _ in values.shape[1:]))
            dropped[name] = jnp.where(lost, signal.nothing(), values)
    return dropped


def hides(signals: tuple[tuple[str, Any], ...], lyrics: bool = False) -> bool:
    """Whether there is any signal of which `without` tells nothing."""
    return any(isinstance(one, _HIDDEN + _TEXT * lyrics) for _, one in signals)


def without(
    signals: tuple[tuple[str, Any], ...], labels: Mapping[str, Any], lyrics: bool = False
) -> dict[str, Any]:
    """Labels of which nothing is known, as `drop` leaves them, on the host.

    Args:
      signals: the fields of `Prior.signals`.
      labels: what `encode` gave, batched.
      lyrics: also takes the text away.

    Returns:
      The same shapes.
    """
    told = dict(labels)
    for name, signal in signals:
        if not isinstance(signal, _HIDDEN + _TEXT * lyrics):
            continue
        values = labels[name]
        if isinstance(values, Mixture):
            told[name] = values.nothing()
        elif isinstance(signal, _TEXT):
            told[name] = np.zeros_like(values)
        elif isinstance(signal, _HIDDEN):
            nothing = np.asarray(signal.nothing()).astype(values.dtype)
            told[name] = np.broadcast_to(nothing, values.shape)
    return told


def example(
    signals: tuple[tuple[str, Any], ...], context: int, batch: int = 1
) -> tuple[dict[str, Array], Array | None]:
    """Labels and codes above of the right shapes, to make parameters with."""
    labels: dict[str, Array] = {}
    above = None
    for name, signal in signals:
        if isinstance(signal, Codes):
            above = jnp.zeros((batch, context // signal.factor), jnp.int32)
        elif isinstance(signal, Label):
            labels[name] = jnp.zeros((batch, signal.most), jnp.int32)
        elif isinstance(signal, (Curve, Track, Beats, Sung)):
            labels[name] = jnp.zeros((batch, context), jnp.int32)
        elif isinstance(signal, Events):
            labels[name] = jnp.zeros((batch, context, signal.size), jnp.uint8)
        elif isinstance(signal, (Lyrics, LyricsPrefix)):
            labels[name] = jnp.zeros((batch, signal.tokens), jnp.int32)
        else:
            labels[name] = jnp.ones((batch, 3), jnp.int32)
    return labels, above


class _Embedded(nn.Module):
    """One signal's parameters, under its name."""

    signal: Any
    context: int
    width: int
    init_scale: float
    dtype: str

    @nn.compact
    def __call__(self, values: Array) -> Array:
        return self.signal.embed(values, self.context, self.width, self.init_scale, self.dtype)


class Conditioner(nn.Module):
    """All signals of a prior, embedded and summed door by door.

    Attributes:
      signals: (name, record) pairs.
      context: codes a prior sees at once.
      width: model width.
      init_scale: scale of the embeddings at the start.
      dtype: compute type.
    """

    signals: tuple[tuple[str, Any], ...]
    context: int
    width: int
    init_scale: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, labels: Mapping[str, Array], codes_above: Array | None
    ) -> dict[str, Array | None]:
        """The sum of each door's signals, None for a door without any.

        Raises:
          ValueError: the values of a signal are missing.
        """
        doors: dict[str, Array | None] = dict.fromkeys(("start", "track", "memory", "prefix"))
        for name, signal in self.signals:
            values = codes_above if isinstance(signal, Codes) else labels.get(name)
            if values is None:
                what = "codes_above" if isinstance(signal, Codes) else f"labels[{name!r}]"
                raise ValueError(f"the model is conditioned on {name!r}: {what} is missing")
            embedded = _Embedded(
                signal, self.context, self.width, self.init_scale, self.dtype, name=name
            )(values)
            before = doors[signal.door]
            doors[signal.door] = embedded if before is None else before + embedded
        return doors


def _frozen(value: Any) -> Any:
    """A list, however deep, as a tuple, so that the record stays hashable."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value
