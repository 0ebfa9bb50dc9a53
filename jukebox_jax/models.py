"""From a config, or from a stage's directory, to modules and weights.

The only place where the nested dictionary of a config becomes modules: a config's keys are a
module's fields, so nothing is copied from one name to another and a mistyped key fails by name.
`Jukebox` is a loaded set of stages: one VQ-VAE and a prior for each of its levels.
"""

import dataclasses
import difflib
import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from jukebox_jax import checkpoint
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.prior import Prior
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE, Weights


@dataclasses.dataclass(frozen=True)
class Stage:
    """A trained stage: what it is, and what it has learnt.

    Attributes:
      model: the module, a `VQVAE` or a `Prior`.
      weights: its arrays on the host, `Weights` for a VQ-VAE, a parameter tree for a prior.
      config: the config it was trained with, as plain dictionaries.
      vocabularies: for each label signal, the names it knows.
    """

    model: VQVAE | Prior
    weights: Any
    config: Mapping[str, Any]
    vocabularies: Mapping[str, conditioning.Vocabulary] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Either "vqvae" or "prior"."""
        return self.config["stage"]["kind"]

    @classmethod
    def load(
        cls,
        directory: str | pathlib.Path,
        *,
        step: int | None = None,
        average: bool = True,
        sharding: Any = None,
    ) -> "Stage":
        """Loads a stage from its directory alone.

        Args:
          directory: where the stage was trained or imported.
          step: which checkpoint; the newest whole one by default.
          average: take the moving average of the parameters where there is one.
          sharding: a tree of shardings, or a function from the abstract parameters to one, to
            place the parameters on a mesh; by default they stay on the host.

        Raises:
          CheckpointError: there is no whole stage of a known kind there.
        """
        config = checkpoint.read_json(directory, checkpoint.CONFIG)
        model = build(config)
        part = checkpoint.weights_part(directory, step=step, average=average)
        parts = (part, "codebooks") if isinstance(model, VQVAE) else (part,)
        arrays = checkpoint.load(directory, parts=parts, step=step, sharding=sharding)
        if isinstance(model, VQVAE):
            weights: Any = Weights(params=arrays[part], codebooks=_codebooks(arrays["codebooks"]))
        else:
            weights = arrays[part]
        names = checkpoint.read_json(directory, checkpoint.VOCABULARIES, missing={})
        vocabularies = {
            name: conditioning.Vocabulary.from_json(value) for name, value in names.items()
        }
        return cls(model=model, weights=weights, config=config, vocabularies=vocabularies)


def _codebooks(tree: Any) -> tuple[Codebook, ...]:
    """Codebooks from what a checkpoint gives back: a sequence of mappings, or of codebooks."""
    items = tree.values() if isinstance(tree, Mapping) else tree
    return tuple(book if isinstance(book, Codebook) else Codebook(**book) for book in items)


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
        """Checks that the priors speak of this VQ-VAE's codes.

        Raises:
          ValueError: more priors than levels, or a prior of another codebook size.
        """
        model = self.vqvae.model
        if not isinstance(model, VQVAE):
            raise ValueError(f"vqvae: a stage of kind {self.vqvae.kind!r}; give a VQ-VAE's stage")
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
    ) -> "Jukebox":
        """Loads a set of stages from their directories.

        Args:
          vqvae: the VQ-VAE's directory.
          priors: the priors' directories, finest level first; None for a level without one.
          mesh: place the weights on this mesh; by default they stay on the host until used.

        Raises:
          CheckpointError: a directory holds no whole stage.
          ValueError: the stages do not belong together.
        """
        place = None
        if mesh is not None:
            from jukebox_jax import sharding

            def place(tree: Any) -> Any:
                return sharding.shardings(tree, mesh)

        return cls(
            vqvae=Stage.load(vqvae, sharding=place),
            priors=tuple(
                None if path is None else Stage.load(path, sharding=place) for path in priors
            ),
        )


def build(config: Mapping[str, Any]) -> VQVAE | Prior:
    """The module that a config describes.

    Args:
      config: a ConfigDict or plain mapping with the sections `stage`, `model` and, for a prior,
        `signals`.

    Raises:
      ValueError: an unknown kind of stage, or a key that is no field of the module.
    """
    kind = config["stage"]["kind"]
    fields = {key: _frozen(value) for key, value in config.get("model", {}).items()}
    if kind == "vqvae":
        return _make(VQVAE, fields)
    if kind == "prior":
        signals = tuple(
            (name, conditioning.make(name, dict(spec)))
            for name, spec in (config.get("signals") or {}).items()
        )
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
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ValueError(f"config.model.{key}: {module.__name__} has no such field{hint}")
    return module(**fields, **more)


def _frozen(value: Any) -> Any:
    """A list, however deep, as a tuple, so that the module stays hashable."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value
