"""A run's config, checked and typed: what to read, how to optimise, when to report and to save.

A config has the sections stage, model, signals, data, optimizer, lora, mesh and run. Each of
`data`, `optimizer`, `lora`, `mesh` and `run` names the fields of one record here or next door, so
that a mistyped key fails by its name before any work starts. `model` and `signals` are read by
`models.build`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jukebox_jax.prior import vocabulary
from jukebox_jax.prior.adapters import Lora
from jukebox_jax.training.optimizer import Optimizer

ALPHABETS = ("characters", "bytes", "v2", "v3")
SECTIONS = ("stage", "model", "signals", "data", "optimizer", "lora", "mesh", "run")
RELEASE = "release"
"""What an imported stage's config says of where it comes from; kept, and read by nobody here."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What is trained.

    Attributes:
      kind: "vqvae" or "prior".
      rate: audio samples a second.
      level: of a prior, whose codes it models; 0 is the finest.
      vqvae: of a prior, the directory of the VQ-VAE whose codes they are.
    """

    kind: str
    rate: int = 44100
    level: int = 0
    vqvae: str = ""

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: a prior without a VQ-VAE, or a rate of nothing.
        """
        if self.rate < 1:
            raise ValueError(f"config.stage.rate = {self.rate}: samples a second, 1 or more")
        if self.kind == "prior" and not self.vqvae:
            raise ValueError(
                "config.stage.vqvae is empty: give the workdir of a trained VQ-VAE, as "
                "--config.stage.vqvae=runs/vqvae"
            )


@dataclasses.dataclass(frozen=True)
class Data:
    """What is heard.

    Attributes:
      source: a folder, a .jsonl or .csv list, tfds:... or band:..., as for `song.survey`; of a
        prior, also a folder of codes that launch/encode.py made, see `inputs`.
      batch: windows of a step, over all devices.
      samples: audio samples of a VQ-VAE's window; a prior's follows from its context.
      held_out: songs that are evaluated on and not trained on, as a fraction or a number.
      minimum_seconds: shorter songs are left out.
      maximum_seconds: songs of this length or longer are left out; None for no limit.
      shift: move each window by up to half of itself.
      blend: mix stereo to mono by a random share instead of evenly.
      seed: of order, shifts and blends.
      check: decode every file to its end before training.
      allow_unknown: take songs without a label, or with a name that is not in the vocabulary, as
        unknown instead of stopping.
      normalise: how names of labels are compared, see `vocabulary.NORMALISATIONS`.
      alphabet: what lyrics are written in: "characters" of the songs' own, "bytes" of UTF-8, or
        "v2" or "v3" of the 2020 release.
      loader: "tf" for tf.data, "numpy" for the same batches without TensorFlow.
      threads: windows read at a time; None for one a processor.
    """

    source: str
    batch: int
    samples: int | None = None
    held_out: float = 0.05
    minimum_seconds: float = 0.0
    maximum_seconds: float | None = None
    shift: bool = True
    blend: bool = False
    seed: int = 0
    check: bool = False
    allow_unknown: bool = True
    normalise: str = "plain"
    alphabet: str = "characters"
    loader: str = "tf"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: no source, an empty batch, or an unknown alphabet or loader.
        """
        if not self.source:
            raise ValueError(
                "config.data.source is empty: give a folder of songs, a .jsonl or .csv list, "
                "tfds:NAME or band:songs=24, as --config.data.source=songs"
            )
        if self.batch < 1:
            raise ValueError(f"config.data.batch = {self.batch}: 1 or more")
        if self.alphabet not in ALPHABETS:
            known = ", ".join(ALPHABETS)
            raise ValueError(f"config.data.alphabet = {self.alphabet!r} is unknown; known: {known}")
        if self.loader not in ("tf", "numpy"):
            raise ValueError(f'config.data.loader = {self.loader!r}: "tf" or "numpy"')


@dataclasses.dataclass(frozen=True)
class Mesh:
    """How devices are divided; -1 takes all that are left."""

    data: int = -1
    fsdp: int = 1
    tensor: int = 1


@dataclasses.dataclass(frozen=True)
class Run:
    """How long, and what is reported and kept when; all in steps, 0 for never.

    Attributes:
      steps: of the whole run.
      seed: of parameters, restarts and dropout.
      log_every: metrics.
      evaluate_every: held-out songs.
      evaluate_batches: at most so many at a time.
      examples_every: sounds to listen to.
      examples: of so many windows.
      checkpoint_every: the whole state.
      keep: so many of the newest checkpoints, and the best one.
      give_up_after: stop when the gradients of so many steps in a row are not finite.
      stall_minutes: end a process that waits longer than this for a step, an evaluation or songs.
      start_from: the directory of a trained stage whose weights the run starts from, see
        `surgery`; "" for a start from nothing.
    """

    steps: int
    seed: int = 0
    log_every: int = 100
    evaluate_every: int = 1000
    evaluate_batches: int = 16
    examples_every: int = 5000
    examples: int = 2
    checkpoint_every: int = 1000
    keep: int = 3
    give_up_after: int = 20
    stall_minutes: float = 30.0
    start_from: str = ""

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: one is negative, or nothing would be trained.
        """
        if self.steps < 1:
            raise ValueError(f"config.run.steps = {self.steps}: 1 or more")
        for name, value in dataclasses.asdict(self).items():
            if name != "start_from" and value < 0:
                raise ValueError(f"config.run.{name} = {value}: not < 0")

    def due(self, every: int, step: int) -> bool:
        """Whether something that happens every so many steps, and at the end, happens now."""
        return bool(every) and (step % every == 0 or step == self.steps)


@dataclasses.dataclass(frozen=True)
class Settings:
    """A whole config. `plain` is all of it as JSON's types, to be saved with the stage."""

    stage: Stage
    data: Data
    optimizer: Optimizer
    lora: Lora
    mesh: Mesh
    run: Run
    plain: Mapping[str, Any]


def read(config: Any) -> Settings:
    """Reads and checks a config.

    Args:
      config: a ConfigDict or a mapping with the sections of `SECTIONS`.

    Raises:
      ValueError: a section or a key that is missing or unknown, or a value out of range.
    """
    plain = _plain(config.to_dict() if hasattr(config, "to_dict") else dict(config))
    for name in plain:
        if name not in (*SECTIONS, RELEASE):
            raise ValueError(f"config.{name}: no such section; {vocabulary.hint(name, SECTIONS)}")
    for name in ("stage", "model", "data", "run"):
        if name not in plain:
            raise ValueError(f"config.{name} is missing; a config has {', '.join(SECTIONS)}")
    settings = Settings(
        stage=_section(Stage, "stage", plain),
        data=_section(Data, "data", plain),
        optimizer=_section(Optimizer, "optimizer", plain),
        lora=_section(Lora, "lora", plain),
        mesh=_section(Mesh, "mesh", plain),
        run=_section(Run, "run", plain),
        plain=plain,
    )
    if (plain["model"] or {}).get("dtype") == "float16":
        raise ValueError(
            "config.model.dtype = 'float16': small gradients would be lost in it; give bfloat16 "
            "or float32"
        )
    if settings.lora.rank and settings.stage.kind != "prior":
        raise ValueError(
            f"config.lora.rank = {settings.lora.rank}: adapters are for a prior's layers; train "
            "parts of a VQ-VAE with config.optimizer.freeze instead"
        )
    if settings.lora.rank and not settings.run.start_from:
        raise ValueError(
            f"config.lora.rank = {settings.lora.rank}, but config.run.start_from is empty: give "
            "the trained stage that the adapters are to be added to"
        )
    return settings


def reshaped(before: Mapping[str, Any], settings: Settings) -> list[str]:
    """The settings that cannot change within a run, for what it remembers has their form.

    Args:
      before: the config that the run began with, as plain dictionaries.
      settings: the one that it is to go on with.
    """
    lora = _section(Lora, "lora", before)
    optimizer = _section(Optimizer, "optimizer", before)
    pairs = {
        "config.lora.rank": (lora.rank, settings.lora.rank),
        "config.optimizer.freeze": (
            optimizer.selection.freeze,
            settings.optimizer.selection.freeze,
        ),
        "config.optimizer.moments": (optimizer.moments, settings.optimizer.moments),
    }
    if lora.rank:
        pairs["config.lora.alpha"] = (lora.alpha, settings.lora.alpha)
        pairs["config.lora.targets"] = (lora.names, settings.lora.names)
    return [f"{key}: was {was!r}, is {now!r}" for key, (was, now) in pairs.items() if was != now]


def changed(before: Mapping[str, Any], after: Mapping[str, Any], section: str) -> list[str]:
    """The keys of a section that two configs disagree on, as "config.section.key: was, is"."""
    old, new = before.get(section) or {}, after.get(section) or {}
    return [
        f"config.{section}.{key}: was {old.get(key)!r}, is {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _section(record: type, name: str, plain: Mapping[str, Any]) -> Any:
    values = plain.get(name) or {}
    declared = {field.name: field for field in dataclasses.fields(record)}
    for key in values:
        if key not in declared:
            raise ValueError(f"config.{name}.{key}: no such key; {vocabulary.hint(key, declared)}")
    for key, field in declared.items():
        if field.default is dataclasses.MISSING and key not in values:
            raise ValueError(f"config.{name}.{key} is missing")
    return record(**values)


def _plain(value: Any) -> Any:
    """As JSON would give it back: lists for tuples, dictionaries throughout."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
