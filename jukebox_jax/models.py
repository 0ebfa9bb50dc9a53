"""From a config, or from a stage's directory, to modules and weights.

The only place where the nested dictionary of a config becomes modules: a config's keys are a
module's fields, so nothing is copied from one name to another and a mistyped key fails by name.
`Jukebox` is a loaded set of stages: one VQ-VAE and a prior for each of its levels.
"""

import dataclasses
import functools
import hashlib
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jukebox_jax import checkpoint, sharding
from jukebox_jax.checkpoint import fingerprint
from jukebox_jax.prior import adapters, conditioning, depth, linear, prior, vocabulary
from jukebox_jax.prior.prior import Prior
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE, Weights

log = logging.getLogger(__name__)

SHIPPED = pathlib.Path(__file__).parent / "shipped"
"""Where the stages of the small model lie that comes with the package."""

BASE = "base"
"""In the directory of a stage that is adapters alone: the stage that they are added to."""

DATA = "data.json"
"""In a stage's directory: what its training found out, and of a prior whose codes it learnt."""

_SHAPING = (
    "downs strides bins code_width width depth multipliers dilation_growth dilation_cycle "
    "conv_multiplier scale_residual dtype"
).split()


@dataclasses.dataclass(frozen=True)
class Stage:
    """A trained stage: what it is, and what it has learnt.

    Attributes:
      model: the module, a `VQVAE` or a `Prior`.
      weights: its arrays on the host, `Weights` for a VQ-VAE, a parameter tree for a prior.
      config: the config it was trained with, as plain dictionaries.
      vocabularies: for each label signal, the names it knows; for a lyrics signal, its alphabet.
      alignment: of a prior that reads lyrics, the "layer" and the "head" whose attention follows
        the words best, once they are known.
      vqvae: of a prior, the `identity` of the VQ-VAE whose codes it learnt; "" if none is told.
    """

    model: VQVAE | Prior
    weights: Any
    config: Mapping[str, Any]
    vocabularies: Mapping[str, conditioning.Vocabulary | conditioning.Alphabet] = dataclasses.field(
        default_factory=dict
    )
    alignment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vqvae: str = ""

    @property
    def kind(self) -> str:
        """Either "vqvae" or "prior"."""
        return self.config["stage"]["kind"]

    def fingerprint(self) -> str:
        """A name of the weights, as they are held: the same for the same alone."""
        leaves = fingerprint.describe(fingerprint.named(self.weights))
        said = repr(sorted((name, dataclasses.astuple(leaf)) for name, leaf in leaves.items()))
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @classmethod
    def load(
        cls,
        directory: str | pathlib.Path,
        *,
        step: int | None = None,
        average: bool = True,
        sharding: Any = None,
        layers: Sequence[int] | None = None,
    ) -> "Stage":
        """Loads a stage from its directory alone; adapters are merged with what they adapt.

        Args:
          directory: where the stage was trained or imported.
          step: which checkpoint; the newest whole one by default.
          average: take the moving average of the parameters where there is one.
          sharding: where the arrays lie: one sharding for all, or a function from a tree of shapes
            to a tree of shardings; by default they stay on the host.
          layers: of a prior, only what it takes to compute these, see `prior.depth`; its model is
            cut above them, and has no logits. The arrays stay on the host.

        Raises:
          CheckpointError: there is no whole stage there, or its weights are another config's.
          ValueError: the prior has no such layers.
        """
        config = checkpoint.read_json(directory, checkpoint.CONFIG)
        names = checkpoint.read_json(directory, checkpoint.VOCABULARIES, missing={})
        try:
            published = config.get("release", {}).get("alignment", {})
            alignment = checkpoint.read_json(directory, checkpoint.ALIGNMENT, missing=published)
            codec = checkpoint.read_json(directory, DATA, missing={}).get("vqvae", "")
            model = build(config)
            shapes, lora = _shapes(model), adapters.read(config)
            vocabularies = {
                name: conditioning.vocabulary_from_json(value) for name, value in names.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise checkpoint.CheckpointError(f"{directory} holds no stage: {error}") from error
        part = checkpoint.weights_part(directory, step=step, average=average)
        if lora.rank:
            base = cls.load(f"{directory}/{BASE}", sharding=sharding).weights
            added = checkpoint.load(directory, (part,), step, sharding)[part]
            try:
                merged = adapters.merge(lora, base, added)
            except ValueError as error:
                raise checkpoint.CheckpointError(f"{directory}: {error}") from None
            if layers is not None and isinstance(model, Prior):
                merged, model = depth.restack(model, merged, layers), depth.cut(model, layers)
            return cls(model, merged, config, vocabularies, alignment, codec)
        shapes = {part: shapes.pop("params"), **shapes}
        if layers is not None:
            if not isinstance(model, Prior) or sharding is not None:
                raise ValueError(f"{directory}: layers are those of a prior, loaded on the host")
            pick = depth.needed(model, layers)
            held = checkpoint.load(directory, tuple(shapes), step, like=shapes, pick=pick)[part]
            kept = depth.restack(model, held, layers)
            return cls(depth.cut(model, layers), kept, config, vocabularies, vqvae=codec)
        arrays = checkpoint.load(directory, tuple(shapes), step, sharding, like=shapes)
        weights: Any = arrays[part]
        if isinstance(model, VQVAE):
            books = tuple(Codebook(**book) for book in arrays["codebooks"].values())
            weights = Weights(params=weights, codebooks=books)
        return cls(model, weights, config, vocabularies, alignment, codec)


def identity(stage: Stage) -> str:
    """A name of what makes a VQ-VAE's codes: its encoders, its codebooks and its rate.

    It depends on every bit of them, and neither on where the stage lies nor on its decoders.
    """
    encoders = {name: tree for name, tree in stage.weights.params.items() if "encoder" in name}
    books = {str(level): book.codes for level, book in enumerate(stage.weights.codebooks)}
    leaves = fingerprint.describe(fingerprint.named({"encoders": encoders, "codes": books}))
    shape = {name: getattr(stage.model, name) for name in _SHAPING}
    known = {
        "rate": int(stage.config["stage"]["rate"]),
        "shape": shape,
        "leaves": {name: dataclasses.asdict(leaf) for name, leaf in sorted(leaves.items())},
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _shapes(model: VQVAE | Prior) -> dict[str, Any]:
    """The shapes of what a stage has learnt, by part."""
    if isinstance(model, Prior):
        return {"params": prior.abstract(model)}
    codes = jax.ShapeDtypeStruct((model.bins, model.code_width), "float32")
    counts = jax.ShapeDtypeStruct((model.bins,), "float32")
    book = Codebook(codes=codes, sums=codes, counts=counts)
    return {"params": vqvae.abstract(model), "codebooks": (book,) * model.levels}


@dataclasses.dataclass(frozen=True)
class Jukebox:
    """A VQ-VAE and its priors: all that sampling needs.

    Attributes:
      vqvae: the first stage.
      priors: the second stage of each level, finest first; a missing level is None, and then
        sampling stops above it.
    """

    vqvae: Stage
    priors: tuple[Stage | None, ...] = ()

    def __post_init__(self) -> None:
        """Checks that the priors speak of this VQ-VAE's codes; a doubt is logged.

        Raises:
          ValueError: more priors than levels, or a prior of another codebook size.
        """
        model = self.vqvae.model
        if not isinstance(model, VQVAE):
            raise ValueError(f"vqvae: a stage of kind {self.vqvae.kind!r}; give a VQ-VAE's stage")
        own = functools.cache(functools.partial(identity, self.vqvae))
        if len(self.priors) > model.levels:
            raise ValueError(
                f"{len(self.priors)} priors for a VQ-VAE of {model.levels} levels: "
                "give one prior a level, finest first"
            )
        for level, stage in enumerate(self.priors):
            if stage is None:
                continue
            if not isinstance(stage.model, Prior):
                raise ValueError(f"priors[{level}]: a stage of kind {stage.kind!r}, not a prior")
            if stage.model.bins != model.bins:
                raise ValueError(
                    f"priors[{level}] models codes of {stage.model.bins} bins, but the VQ-VAE has "
                    f"{model.bins}: they were not trained together"
                )
            trained_as = stage.config["stage"].get("level", level)
            if trained_as != level:
                raise ValueError(
                    f"priors[{level}] was trained as level {trained_as}: list the priors finest "
                    "first"
                )
            if stage.vqvae and stage.vqvae != own():
                log.warning(
                    "priors[%d] learnt the codes of another VQ-VAE, or of this one before it was "
                    "trained on: give the one that it was trained with, or expect noise",
                    level,
                )

    @classmethod
    def shipped(cls) -> "Jukebox":
        """The small model of the procedural band that comes with the package, two levels.

        Raises:
          CheckpointError: it is not there.
        """
        return cls.load(vqvae=SHIPPED / "vqvae", priors=(SHIPPED / "level_0", SHIPPED / "level_1"))

    @property
    def rate(self) -> int:
        """Audio samples a second."""
        return int(self.vqvae.config["stage"]["rate"])

    @property
    def hops(self) -> tuple[int, ...]:
        """Audio samples a code, finest level first."""
        return self.vqvae.model.hops

    @classmethod
    def load(
        cls,
        *,
        vqvae: str | pathlib.Path,
        priors: tuple[str | pathlib.Path | None, ...] = (),
        mesh: jax.sharding.Mesh | None = None,
        weights: str | None = None,
    ) -> "Jukebox":
        """Loads a set of stages from their directories.

        Args:
          vqvae: the VQ-VAE's directory.
          priors: the priors' directories, finest level first; None for a level without one.
          mesh: place the weights on this mesh; by default they stay on the host until used.
          weights: how the priors' weights are held and read: "float32", "bfloat16" or "int8", see
            `held_as`; by default as they were saved.

        Raises:
          CheckpointError: a directory holds no whole stage.
          ValueError: the stages do not belong together.
        """
        place = None if mesh is None else functools.partial(sharding.shardings, mesh=mesh)

        def load(path: str | pathlib.Path | None) -> Stage | None:
            if path is None or weights is None:
                return None if path is None else Stage.load(path, sharding=place)
            stage = held_as(Stage.load(path), weights)
            if place is None:
                return stage
            on_mesh = sharding.place(stage.weights, place(stage.weights))
            return dataclasses.replace(stage, weights=on_mesh)

        return cls(vqvae=Stage.load(vqvae, sharding=place), priors=tuple(map(load, priors)))


def held_as(stage: Stage, weights: str) -> Stage:
    """A prior's stage with weights of another type, for sampling alone but for "float32".

    Args:
      stage: of a prior, with float weights on the host.
      weights: "float32" to compute in that; "bfloat16" to hold weights and compute in that; "int8"
        to hold the kernels of layers as whole numbers with a scale for each output, a quarter of
        the bytes, and to compute as the config says (see `prior.linear`). What that costs is told
        by `prior.bits`.

    Raises:
      ValueError: an unknown type, or the stage is no prior.
    """
    if weights not in ("float32", "bfloat16", "int8"):
        raise ValueError(f"weights={weights!r}: give float32, bfloat16 or int8")
    model = stage.model
    if not isinstance(model, Prior):
        raise ValueError(f"a stage of kind {stage.kind!r} keeps its weights; give a prior")
    if weights == "int8":
        held = linear.quantize(prior.unstack(model, stage.weights))
        return dataclasses.replace(stage, weights=held)
    model = model.clone(dtype=weights)
    held = stage.weights if weights == "float32" else prior.unstack(model, stage.weights)
    return dataclasses.replace(stage, model=model, weights=held)


def build(config: Mapping[str, Any]) -> VQVAE | Prior:
    """The module that a config describes.

    Args:
      config: a ConfigDict or plain mapping with the sections `stage`, `model` and, for a prior,
        `signals`.

    Raises:
      ValueError: an unknown kind of stage, or a key that is no field of the module.
    """
    kind = (config.get("stage") or {}).get("kind")
    fields = {key: _frozen(value) for key, value in (config.get("model") or {}).items()}
    if kind == "vqvae":
        return _make(VQVAE, fields)
    if kind == "prior":
        signals = tuple(
            (name, conditioning.make(name, dict(spec)))
            for name, spec in sorted((config.get("signals") or {}).items())
        )  # in one order, so that a module is the same whatever kind of mapping it came from
        return _make(Prior, fields, signals=signals)
    raise ValueError(f'config.stage.kind = {kind!r}: it must be "vqvae" or "prior"')


def _make(module: Any, fields: dict[str, Any], **more: Any) -> Any:
    known = [
        field.name
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name", "signals")
    ]
    for key in fields:
        if key not in known:
            hint = vocabulary.hint(key, known)
            raise ValueError(f"config.model.{key}: {module.__name__} has no such field; {hint}")
    return module(**fields, **more)


def _frozen(value: Any) -> Any:
    """A list, however deep, as a tuple, so that the module stays hashable."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value
