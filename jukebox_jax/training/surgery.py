"""Surgery on trained models: the weights of one model in another that contains it.

The new model computes at first what the old one did, to the last bit: layers that are added
contribute nothing, signals that are added embed as zero, and tables of names only grow. Pure
functions of modules, trees and vocabularies; where a stage lies and how it goes on to be trained
is not known here.
"""

import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax.prior import transformer
from jukebox_jax.prior.conditioning import (
    Alphabet,
    Codes,
    Events,
    Label,
    Lyrics,
    LyricsPrefix,
    Sung,
    Track,
    Vocabulary,
)
from jukebox_jax.prior.prior import Prior
from jukebox_jax.prior.transformer import Layout
from jukebox_jax.vqvae.vqvae import VQVAE

Params = Mapping[str, Any]

_OF_TRAINING = {
    VQVAE: "decay restart_threshold commit l2 l1 linf linf_count spectral multispectral dtype",
    Prior: "init_scale label_dropout remat dtype layout signals",
    Label: "size most",
    Track: "size",
    Events: "size",
    Sung: "size",
    Lyrics: "size init_scale loss_fraction remat",
    LyricsPrefix: "loss_fraction",
}
"""The fields of a record that may change without changing what its weights compute; of these,
layout, signals, size and most have rules of their own."""
_NO_FIELDS = ("parent", "name")


def check(model: Any, old: Any, title: str) -> None:
    """Checks that a model can begin as an older one.

    Args:
      model: the new module.
      old: the trained one.
      title: what to call the trained one in messages.

    Raises:
      ValueError: they cannot compute the same; one line with the value and the remedy.
    """
    if type(model) is not type(old):
        raise ValueError(
            f"{title} holds a {type(old).__name__}, but a {type(model).__name__} is to be trained: "
            "start from a stage of the same kind"
        )
    _same_fields("model", model, old, title)
    if isinstance(model, Prior):
        _check_layout(model, old, title)
        _check_signals(model, old, title)


def transplant(
    model: Prior,
    fresh: Params,
    old: Prior,
    old_params: Params,
    used: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A new prior's parameters, with those of an old one in their places.

    Layers other than "memory" are matched in order, whatever groups they stand in. Rows of labels
    and lyric tokens that no old name has start as the mean of those that one has. The models must
    have passed `check`; all may be traced.

    Args:
      model: the new prior.
      fresh: its parameters as they would start without the old one.
      old: the trained prior.
      old_params: its parameters, stacked; they take the types of the fresh ones.
      used: for each signal of names or characters, how many rows of its table the old vocabulary
        needs; all of them by default.

    Returns:
      Parameters like `fresh`.
    """
    used = {**_sizes(old), **(used or {})}
    old_signals = dict(old.signals)
    new: dict[str, Any] = dict(fresh)
    for name in ("codes", "positions", "start", "logits"):
        if name in fresh:
            new[name] = old_params[name]
    new["transformer"] = _stack(
        _fill_layers(model, fresh["transformer"], old, old_params["transformer"]), model.layout
    )
    heir = _heir(model, old)
    signals = dict(fresh.get("conditioning", {}))
    for name, signal in model.signals:
        if name not in signals:  # a prefix has no parameters of its own
            continue
        if name in old_signals:
            signals[name] = dict(old_params["conditioning"][name])
            table = _TABLES.get(type(signal))
            if table:
                rows = signals[name][table]["embedding"]
                grown = _grow_rows(rows, used[name], signal.size)
                signals[name][table] = {"embedding": grown}
        elif name == heir:
            rows = old_params["start"]["embedding"]
            signals[name] = {"rows": {"embedding": jnp.tile(rows, (signal.size, 1))}}
        else:
            signals[name] = _silence(signal, signals[name])
    if signals:
        new["conditioning"] = signals
    if "lyric_logits" in old_params:
        assert isinstance(model.lyrics, Lyrics)
        name = _lyrics_name(model)
        columns = old_params["lyric_logits"]["kernel"]
        grown = _grow_rows(columns.T, used[name], model.lyrics.size).T
        new["lyric_logits"] = {"kernel": grown}
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), new, dict(fresh))


def table(model: Any, old: Any, shapes: Params, used: Mapping[str, int] | None = None) -> list[str]:
    """What is taken over, what grows and what is new, as lines to be shown.

    Args:
      model: the new module.
      old: the trained one.
      shapes: the new one's parameters, or their shapes.
      used: as in `transplant`.
    """
    counted = _counts(model, old, shapes, {**_sizes(old), **(used or {})})
    lines = [f"{'parameters':<28}{'taken over':>14}{'new':>14}"]
    for name, (taken, new) in counted.items():
        state = "" if not new else "added" if not taken else "grown"
        lines.append(f"{name:<28}{taken:>14,}{new:>14,}  {state}".rstrip())
    return lines


def grow(vocabulary: Vocabulary, names: Iterable[Any], most: int = 1) -> Vocabulary:
    """A vocabulary with more names: the old ones keep their ids, new ones follow in sorted order.

    Args:
      vocabulary: what a trained stage knows.
      names: values of labels, as for `Vocabulary.build`.
      most: slots of the bag of words.
    """
    words = {word for name in names for word in vocabulary.words(name, most)}
    new = sorted(words - {""} - set(vocabulary.ids))
    ids = {word: index for index, word in enumerate(new, start=vocabulary.size)}
    return dataclasses.replace(vocabulary, ids={**vocabulary.ids, **ids})


def grow_alphabet(alphabet: Alphabet, texts: Iterable[str], most: int) -> Alphabet:
    """An alphabet with more characters, the most frequent ones, after the old ones.

    Args:
      alphabet: what a trained stage reads; only one of kind "characters" grows.
      texts: lyrics.
      most: characters that there is room for, the old ones included.
    """
    known = set(alphabet.characters)
    composed = (unicodedata.normalize("NFC", text) for text in texts)
    new = [character for text in composed for character in text if character not in known]
    room = most - len(alphabet.characters)
    if alphabet.kind != "characters" or not new or room < 1:
        return alphabet
    added = Alphabet.build(new, most=room).characters
    return dataclasses.replace(alphabet, characters=alphabet.characters + added)


_TABLES: dict[type, str] = {
    Label: "rows",
    Track: "rows",
    Events: "rows",
    Sung: "rows",
    Lyrics: "tokens",
}
"""Which table of a signal has a row a name or character."""
_MEMORY = "transformer, memory layers"


def _check_layout(model: Prior, old: Prior, title: str) -> None:
    before, after = transformer.patterns(old.layout), transformer.patterns(model.layout)
    kept = [tuple(kind for kind in kinds if kind != "memory") for kinds in (before, after)]
    if kept[0] != kept[1]:
        place = next(
            (at for at, (was, now) in enumerate(zip(*kept, strict=False)) if was != now),
            min(map(len, kept)),
        )
        raise ValueError(
            f"config.model.layout has {len(kept[1])} layers besides 'memory', which differ from "
            f"the {len(kept[0])} of {title} from the {place + 1}th on: keep those and their order"
        )
    if "memory" in before and before != after:
        raise ValueError(
            f"config.model.layout: {title} has 'memory' layers already: keep all layers as they are"
        )
    if model.scale_residual and len(before) != len(after):
        raise ValueError(
            f"config.model.layout has {len(after)} layers, but with scale_residual each of the "
            f"{len(before)} of {title} would be scaled by another factor: add none"
        )


def _check_signals(model: Prior, old: Prior, title: str) -> None:
    signals = dict(model.signals)
    for name, was in old.signals:
        now = signals.pop(name, None)
        if now is None:
            raise ValueError(
                f"config.signals.{name} is missing, but {title} is conditioned on it: add it"
            )
        if type(now) is not type(was):
            raise ValueError(
                f"config.signals.{name} is a {type(now).__name__}, but a {type(was).__name__} in "
                f"{title}: keep that kind, or add the new signal under another name"
            )
        _same_fields(f"signals.{name}", now, was, title)
        if getattr(now, "size", 0) < getattr(was, "size", 0):
            raise ValueError(
                f"config.signals.{name}.size = {now.size}, but {title} has {was.size}: a table can "
                "only grow"
            )
        if isinstance(now, Label) and now.most != was.most and not 1 < was.most < now.most:
            raise ValueError(
                f"config.signals.{name}.most = {now.most}, but {title} has {was.most}: keep that"
                + (", or more" if was.most > 1 else "")
            )
    for name, now in signals.items():
        if isinstance(now, LyricsPrefix):
            raise ValueError(
                f"config.signals.{name}: lyrics in front of the codes cannot be added to a model "
                f"that was trained without ({title}): use kind='lyrics' and 'memory' layers"
            )
    new_start = [name for name, now in signals.items() if now.door == "start"]
    if new_start and not _starts(old) and _heir(model, old) is None:
        raise ValueError(
            f"config.signals.{new_start[0]}.most: {title} has a start vector of its own, which the "
            "rows of a label with most=1 can take over: add one of those as well"
        )


def _same_fields(section: str, now: Any, was: Any, title: str) -> None:
    free = (*_OF_TRAINING.get(type(now), "").split(), *_NO_FIELDS)
    for field in dataclasses.fields(now):
        new, old = getattr(now, field.name), getattr(was, field.name)
        if field.name not in free and new != old:
            raise ValueError(
                f"config.{section}.{field.name} = {new!r}, but {title} was trained with {old!r}, "
                "and its weights cannot be those of another: set it to that"
            )


def _starts(model: Prior) -> bool:
    """Whether a signal stands at the start, where otherwise a learned vector does."""
    return any(signal.door == "start" for _, signal in model.signals)


def _heir(model: Prior, old: Prior) -> str | None:
    """The new label whose every row is to be the start vector that labels take the place of."""
    if _starts(old):
        return None
    labels = [(name, one) for name, one in model.signals if isinstance(one, Label)]
    return next((name for name, one in labels if one.most == 1), None)


def _sizes(model: Any) -> dict[str, int]:
    """The rows of each table of names or characters."""
    signals = getattr(model, "signals", ())
    return {name: signal.size for name, signal in signals if hasattr(signal, "size")}


def _lyrics_name(model: Prior) -> str:
    return next(name for name, signal in model.signals if isinstance(signal, Lyrics))


def _grow_rows(rows: Array, used: int, size: int) -> Array:
    """The first rows as they are, and their mean in all others: [rows, width] to [size, width]."""
    kept = rows[:used]
    mean = jnp.mean(jnp.asarray(kept, jnp.float32), axis=0, keepdims=True).astype(kept.dtype)
    return jnp.concatenate([kept, jnp.broadcast_to(mean, (size - used, rows.shape[1]))])


def _silence(signal: Any, fresh: Params) -> Any:
    """The parameters of a new signal so that it changes nothing.

    Lyrics change nothing because the layers that read them are silent; the codes above, because
    the LayerNorm that they come through gives zero; others are tables of zeros.
    """
    if isinstance(signal, Lyrics):
        return fresh
    if isinstance(signal, Codes):
        return {**fresh, "norm": jax.tree.map(jnp.zeros_like, fresh["norm"])}
    return jax.tree.map(jnp.zeros_like, fresh)


def _fill_layers(model: Prior, fresh: Params, old: Prior, old_params: Params) -> list[Any]:
    """All layers in order, with the old ones in their places and the new ones silent."""
    old_layers = iter(_layers(old_params, old.layout))
    if "memory" in transformer.patterns(old.layout):
        return list(old_layers)
    return [
        _mute(layer) if pattern == "memory" else next(old_layers)
        for pattern, layer in zip(
            transformer.patterns(model.layout), _layers(fresh, model.layout), strict=True
        )
    ]


def _mute(layer: Params) -> dict[str, Any]:
    """A layer that adds nothing to what comes in."""
    silent = dict(layer)
    for part, last in (("attention", "out"), ("mlp", "down")):
        silent[part] = {**layer[part], last: jax.tree.map(jnp.zeros_like, layer[part][last])}
    return silent


def _layers(params: Params, layout: Layout) -> list[Any]:
    """Stacked parameters as a tree a layer, first layer first."""
    return [
        jax.tree.map(lambda leaf, at=repeat: leaf[at], params[f"group_{group}"][f"layer_{place}"])
        for group, (period, repeats) in enumerate(layout)
        for repeat in range(repeats)
        for place in range(len(period))
    ]


def _stack(layers: list[Any], layout: Layout) -> dict[str, Any]:
    """The inverse of `_layers`."""
    stacked: dict[str, Any] = {}
    begin = 0
    for group, (period, repeats) in enumerate(layout):
        end = begin + len(period) * repeats
        stacked[f"group_{group}"] = {
            f"layer_{place}": jax.tree.map(
                lambda *leaves: jnp.stack(leaves), *layers[begin + place : end : len(period)]
            )
            for place in range(len(period))
        }
        begin = end
    return stacked


def _counts(
    model: Any, old: Any, shapes: Params, used: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """For each part of the model, how many parameters are taken over and how many are new."""
    if not isinstance(model, Prior):
        return {name: (_size(part), 0) for name, part in sorted(shapes.items())}
    total: dict[str, int] = {}
    for name, tree in sorted(shapes.items()):
        if name == "conditioning":
            total |= {f"{name}/{signal}": _size(part) for signal, part in sorted(tree.items())}
        elif name == "transformer":
            total |= _size_by_kind(tree, model.layout)
        else:
            total[name] = _size(tree)
    new = dict.fromkeys(total, 0)
    before = dict(old.signals)
    for name, signal in model.signals:
        part, added = f"conditioning/{name}", signal.size - used[name] if name in used else 0
        if part in total and name not in before:
            new[part] = total[part]
        elif part in total and type(signal) in _TABLES:
            rows = shapes["conditioning"][name][_TABLES[type(signal)]]["embedding"]
            new[part] = added * rows.shape[1]
        if isinstance(signal, Lyrics):
            new["lyric_logits"] = model.width * (added if name in before else signal.size)
    if _MEMORY in total and "memory" not in transformer.patterns(old.layout):
        new[_MEMORY] = total[_MEMORY]
    return {name: (count - new[name], new[name]) for name, count in total.items()}


def _size_by_kind(shapes: Params, layout: Layout) -> dict[str, int]:
    """The parameters of all layers that read a memory, if any, and of all others."""
    counts = {"transformer": 0}
    for group, (period, _) in enumerate(layout):
        for place, pattern in enumerate(period):
            kind = _MEMORY if pattern == "memory" else "transformer"
            size = _size(shapes[f"group_{group}"][f"layer_{place}"])
            counts[kind] = counts.get(kind, 0) + size
    return counts


def _size(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
