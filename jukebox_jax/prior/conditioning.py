"""Every signal a prior can be conditioned on: its shape, its encoding and its embedding.

A signal enters by one of three doors: `start` (in place of the code before the first), `track`
(added at every position) or `memory` (attended to). Each kind of signal is one frozen record with
both halves: `encode` on the host, which training and sampling both call, so that arithmetic on
windows stands here alone, and `embed` on the device. Nothing here knows of codes to come.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior.vocabulary import UNKNOWN, LabelError, Vocabulary

__all__ = ["KINDS", "Codes", "Conditioner", "Conditioning", "Label", "LabelError", "Signal"]
__all__ += ["Timing", "UNUSED", "UNKNOWN", "Vocabulary", "drop", "encode", "example", "make"]

UNUSED = -1
"""Fills the slots of a bag of words that hold none."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Conditioning:
    """What a prior is conditioned on, embedded.

    Attributes:
      start: [batch, 1, width], in place of the code before the first; of batch 1 where nothing
        but a learned vector stands there.
      track: [batch, context, width], added at every position; None where no signal is.
      memory: [batch, tokens, width], attended to; None where no signal is.
    """

    start: Array
    track: Array | None = None
    memory: Array | None = None


class Signal(Protocol):
    """What every kind of signal offers."""

    @property
    def door(self) -> str:
        """Where it enters: "start", "track" or "memory"."""

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray | None:
        """The signal over a span of a song, on the host; None where codes carry it."""

    def embed(self, values: Array, context: int, width: int, init_scale: float, dtype: str) -> Any:
        """The embedded signal; called inside a compact module, which holds the parameters."""


@dataclasses.dataclass(frozen=True)
class Label:
    """A label of a whole song, or a bag of them: artist, genre, mood, instrument, ...

    Encoded as i32[most]: ids, with -1 for unused slots. Embedded as the sum of what is in use.

    Attributes:
      size: rows of the embedding; ids lie below it, and 0 is reserved for the unknown.
      most: slots of the bag.
    """

    size: int
    most: int = 1
    door: ClassVar[str] = "start"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """The label's ids, i32[most].

        Raises:
          LabelError: the label is missing or unknown, unless that is allowed; or it has more
            words than slots, or an id that the embedding has no row for.
        """
        value = song.labels.get(name)
        if vocabulary is None:
            raise LabelError(f"signal {name!r} has no vocabulary: give one under its name")
        if value is None or (isinstance(value, (list, tuple)) and not value):
            if not allow_unknown:
                raise LabelError(
                    f"{_of(song)} has no label {name!r}: give it one, or allow unknown labels"
                )
            value = ""
        words = vocabulary.words(value, self.most)
        if len(words) > self.most:
            raise LabelError(
                f"{name} {value!r} of {_of(song)} has {len(words)} words, but the signal has "
                f"{self.most} slots: shorten it, or train with most={len(words)}"
            )
        try:
            ids = [vocabulary.id(word, allow_unknown) for word in words]
        except LabelError as error:
            raise LabelError(f"{name} of {_of(song)}: {error}") from None
        if max(ids) >= self.size:
            raise LabelError(
                f"{name} {value!r} has id {max(ids)}, but the signal has size={self.size}: this "
                "vocabulary belongs to another model"
            )
        return np.array(ids + [UNUSED] * (self.most - len(ids)), np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, most] to [batch, 1, width]."""
        table = _table(self.size, width, init_scale, dtype)
        used = (values >= 0)[..., None]
        rows = jnp.where(used, table(jnp.maximum(values, 0)), 0)
        return jnp.sum(rows, axis=1, keepdims=True)

    def nothing(self) -> np.ndarray:
        """The values of a song about which nothing is known."""
        return np.array([UNKNOWN] + [UNUSED] * (self.most - 1), np.int32)


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long the song is, and where in it each code stands.

    Encoded as i32[3]: total, start and length in samples. Embedded as the sum of three tables,
    of the song's length, of the time since its start, and of that as a part of the whole, each
    cut into equal bins. Bins are found in float32.

    Attributes:
      bins: bins of each table.
      minimum_seconds: the shortest song; shorter ones fall into the first bin.
      maximum_seconds: the longest song; longer ones fall into the last bin.
      rate: audio samples a second.
    """

    bins: int
    minimum_seconds: float
    maximum_seconds: float
    rate: int = 44100
    door: ClassVar[str] = "track"

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> np.ndarray:
        """Total, start and length of the span, i32[3] in samples."""
        return np.array([span.total, span.start, span.length], np.int32)

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, 3] to [batch, context, width]."""
        total, start, length = (values[:, i : i + 1].astype(jnp.float32) for i in range(3))
        least, most = self.minimum_seconds * self.rate, self.maximum_seconds * self.rate
        part = jnp.arange(context, dtype=jnp.float32) / context
        end = start + length
        absolute = start + (end - start) * part
        first, last = start / total, jnp.minimum(end / total, 1.0)
        relative = first + (last - first) * part
        tables = [
            ("total", (total - least) / (most - least)),
            ("absolute", absolute / most),
            ("relative", relative),
        ]
        return sum(
            _table(self.bins, width, init_scale, dtype, name=name)(self._bin(normalised))
            for name, normalised in tables
        )

    def _bin(self, normalised: Array) -> Array:
        bins = jnp.floor(self.bins * normalised).astype(jnp.int32)
        return jnp.clip(bins, 0, self.bins - 1)


@dataclasses.dataclass(frozen=True)
class Codes:
    """The codes of the level above, brought to this level's pace.

    They reach a prior beside its labels, as codes_above i32[batch, context / factor], and are
    embedded by one decoder block of a VQ-VAE and a LayerNorm.

    Attributes:
      bins: size of the codebook above.
      width: width of the block's convolutions.
      depth: residual units of each of its stages.
      downs: its stages, each of which multiplies the length by `stride`.
      stride: see there.
      dilation_growth: dilations grow by this factor from unit to unit.
      dilation_cycle: and start again after so many units; None for never.
      scale_residual: scale what a unit adds by 1 / sqrt(depth).
      conv_multiplier: hidden width of a unit, as a multiple of `width`.
    """

    bins: int
    width: int
    depth: int
    downs: int
    stride: int = 2
    dilation_growth: int = 3
    dilation_cycle: int | None = 8
    scale_residual: bool = False
    conv_multiplier: float = 1.0
    door: ClassVar[str] = "track"

    @property
    def factor(self) -> int:
        """Codes of this level for each code above."""
        return int(self.stride**self.downs)

    def encode(
        self,
        name: str,
        song: Song,
        span: Span,
        length: int,
        vocabulary: Vocabulary | None,
        allow_unknown: bool,
    ) -> None:
        """Nothing: codes come from the level above."""

    def embed(
        self, values: Array, context: int, width: int, init_scale: float, dtype: str
    ) -> Array:
        """[batch, context / factor] to [batch, context, width]."""
        from jukebox_jax.vqvae import coder

        if values.shape[1] * self.factor != context:
            raise ValueError(
                f"codes_above has {values.shape[1]} codes, but a context of {context} needs "
                f"{context // self.factor} (one for {self.factor})"
            )
        x = nn.Embed(self.bins, width, dtype=dtype, embedding_init=_normal(1.0), name="codes")(
            values
        )
        x = coder.UpBlock(
            width=self.width,
            out_width=width,
            depth=self.depth,
            stages=self.downs,
            stride=self.stride,
            dilation_growth=self.dilation_growth,
            dilation_cycle=self.dilation_cycle,
            scale_residual=self.scale_residual,
            conv_multiplier=self.conv_multiplier,
            reverse=False,
            dtype=dtype,
            name="up",
        )(x)
        return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=dtype, name="norm")(x)


KINDS: dict[str, type] = {"label": Label, "timing": Timing, "codes": Codes}
"""The kinds of signals by the name that a config calls them."""


def make(name: str, spec: Mapping[str, Any]) -> Any:
    """A signal from its line of a config.

    Args:
      name: the signal's name, for messages.
      spec: `kind` and the fields of its record.

    Raises:
      ValueError: an unknown kind, an unknown field, or a field that is missing.
    """
    fields = dict(spec)
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(f"config.signals.{name}.kind = {kind!r} is unknown; known: {known}")
    declared = {field.name: field for field in dataclasses.fields(KINDS[kind])}
    for key in fields:
        if key not in declared:
            near = difflib.get_close_matches(key, list(declared), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(declared)}"
            raise ValueError(f"config.signals.{name}.{key}: {kind} has no such field; {hint}")
    for key, field in declared.items():
        if key not in fields and field.default is dataclasses.MISSING:
            raise ValueError(f"config.signals.{name}: a {kind} needs {key}=...")
    return KINDS[kind](**fields)


def encode(
    signals: tuple[tuple[str, Any], ...],
    vocabularies: Mapping[str, Vocabulary],
    song: Song,
    span: Span,
    length: int,
    *,
    allow_unknown: bool = False,
) -> dict[str, np.ndarray]:
    """All signals over a span of a song, on the host, without the batch axis.

    Args:
      signals: the fields of `Prior.signals`.
      vocabularies: for each label signal, its names.
      song: whose labels they are.
      span: where the window lies in it, in samples.
      length: codes in the span.
      allow_unknown: unknown and missing labels become the reserved 0.

    Raises:
      LabelError: a label that the model cannot take.
    """
    encoded = {
        name: signal.encode(name, song, span, length, vocabularies.get(name), allow_unknown)
        for name, signal in signals
    }
    return {name: values for name, values in encoded.items() if values is not None}


def drop(
    signals: tuple[tuple[str, Any], ...], labels: Mapping[str, Array], rate: float, key: Array
) -> dict[str, Array]:
    """Replaces all labels of a part of the batch by the reserved 0, so that it is learnt too."""
    dropped = dict(labels)
    for name, signal in signals:
        if isinstance(signal, Label):
            values = labels[name]
            lost = jax.random.bernoulli(key, rate, (values.shape[0], 1))  # one draw for all labels
            dropped[name] = jnp.where(lost, signal.nothing(), values)
    return dropped


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
        doors: dict[str, Array | None] = {"start": None, "track": None, "memory": None}
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


def _of(song: Song) -> str:
    return song.path or "the song"


def _normal(std: float) -> Any:
    return nn.initializers.normal(std)


def _table(
    size: int, width: int, init_scale: float, dtype: str, name: str | None = None
) -> nn.Module:
    """An embedding; the only one of its signal lies directly under the signal's name."""
    if name is not None:
        return nn.Embed(
            size, width, dtype=dtype, embedding_init=_normal(0.01 * init_scale), name=name
        )
    return _Rows(size, width, 0.01 * init_scale, dtype)


class _Rows(nn.Module):
    size: int
    width: int
    std: float
    dtype: str
