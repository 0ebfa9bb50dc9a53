"""What differs between training a VQ-VAE and training a prior, as one value.

The loop knows nothing of either: it asks a `Task` for parameters, losses, measures and sounds. All
functions of a task are pure and take what is not trained (`frozen`) as an argument, so that no
array hides in a compiled function.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax import models, sharding
from jukebox_jax.audio import measure as measures
from jukebox_jax.audio import spectral, windows
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import generate
from jukebox_jax.training import inputs, origin, preparation, surgery
from jukebox_jax.training.origin import Origin
from jukebox_jax.training.settings import Settings
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Bandwidth, Weights

log = logging.getLogger(__name__)

Batch = Mapping[str, Any]
"""audio f32[batch, samples, 1], or codes in its place (see `inputs`), and labels by signal name."""

Metrics = dict[str, Array]

Piece = tuple[Array | int, int]
"""Which piece of a batch, i32[], and how many there are."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A stage to train.

    Attributes:
      model: its module.
      samples: audio samples of a window.
      vocabularies: for each label signal, its names; saved with the stage.
      describe: a window's labels, by signal name.
      frozen: arrays that the loss needs and that are not trained.
      abstract: the parameters' shapes and types.
      init: from a key and the parameters' places to the first parameters, placed.
      start: from parameters, frozen, a batch and a key to the first codebooks.
      loss: from parameters, codebooks, frozen, a batch or a piece of one, a key and which of how
        many pieces it is, to the loss, f32[], and what the codebooks must know, with metrics.
      measure: from parameters, codebooks, frozen and a held-out batch to metrics of any shape,
        of which the mean over batches is taken.
      summarise: from those means to the figures that are reported.
      examples: from parameters, codebooks, frozen, a held-out batch and a key to sounds by name,
        f32[items, samples, 1].
      example: from a batch size to a batch's shapes and types.
      reader: what is read of a window; None for sound.
      prepare: from a whole batch and the step's key to the batch that the loss sees.
      follow: from codebooks and what they must know of a batch, the sum over its pieces, to the
        next codebooks with metrics.
      base: shapes of parameters that those trained are added to, and that are not trained.
    """

    model: Any
    samples: int
    vocabularies: Mapping[str, Any]
    describe: Callable[[Song, Span], Mapping[str, np.ndarray]]
    frozen: Any
    abstract: Any
    init: Callable[[Array, Any], Any]
    start: Callable[[Any, Any, Batch, Array], tuple]
    loss: Callable[[Any, tuple, Any, Batch, Array, Piece], tuple[Array, tuple[tuple, Metrics]]]
    measure: Callable[[Any, tuple, Any, Batch], Metrics]
    summarise: Callable[[Mapping[str, np.ndarray]], dict[str, float]]
    examples: Callable[[Any, tuple, Any, Batch, Array], dict[str, Array]]
    example: Callable[[int], Batch]
    reader: windows.Reader | None = None
    prepare: Callable[[Batch, Array], Batch] = lambda batch, key: batch
    follow: Callable[[tuple, tuple], tuple[tuple, Metrics]] = lambda codebooks, tallies: ((), {})
    base: Any = None


def make(
    settings: Settings,
    songs: Sequence[Song],
    *,
    vocabularies: Mapping[str, Any] | None = None,
    bandwidth: Mapping[str, float] | None = None,
    start_from: Origin | None = None,
    below: models.Stage | None = None,
) -> Task:
    """The task that a config describes.

    Args:
      settings: the run's config.
      songs: those to train on, which vocabularies and bandwidth are taken from.
      vocabularies: those of an earlier start of the same run.
      bandwidth: the fields of its `Bandwidth`.
      start_from: the stage whose weights are the first parameters; only at the first start.
      below: of a prior, its VQ-VAE's stage, whose weights may be shapes alone; by default it is
        loaded from where the config says.

    Raises:
      ValueError: parts of the config do not fit one another.
    """
    model = models.build(settings.plain)
    if isinstance(model, VQVAE):
        task = _vqvae(model, settings, songs, bandwidth)
    else:
        earlier = start_from.vocabularies if start_from else None
        task = _prior(model, settings, songs, vocabularies, earlier, below)
    return task if start_from is None else _begun(task, settings, start_from)


def _begun(task: Task, settings: Settings, start_from: Origin) -> Task:
    """The task with a trained stage's weights at its start."""
    old, used = start_from.model, start_from.used
    log.info("starting from %s:", start_from.directory)
    for line in surgery.table(task.model, old, task.abstract, used):
        log.info("  %s", line)
    if isinstance(task.model, Prior):
        return dataclasses.replace(task, init=origin.prior_init(start_from, task.model))
    samples = settings.data.batch * task.samples
    init, books = origin.vqvae_start(start_from, task.model, samples)
    return dataclasses.replace(
        task, init=init, start=lambda params, frozen, batch, key: jax.tree.map(jnp.array, books)
    )


def _vqvae(
    model: VQVAE,
    settings: Settings,
    songs: Sequence[Song],
    bandwidth: Mapping[str, float] | None,
) -> Task:
    inputs.refuse_codes(settings)
    samples = settings.data.samples or 0
    if samples % max(model.hops):
        raise ValueError(
            f"config.data.samples = {samples} is no multiple of the largest hop {max(model.hops)}"
        )
    scales = (spectral.SINGLE_SCALE, *spectral.MULTI_SCALES)
    longest = max(fft for fft, _, _ in scales)
    if samples <= longest:
        raise ValueError(
            f"config.data.samples = {samples}: the spectral losses need more than {longest}"
        )
    preparation.check_restarts(model, settings, samples)
    if bandwidth is None:  # at the first start
        measured = preparation.measure_bandwidth(settings, songs, samples)
    else:
        measured = Bandwidth(**bandwidth)

    def start(params: Any, frozen: Any, batch: Batch, key: Array) -> tuple:
        return vqvae.start(model, params, batch["audio"], key)

    def loss(
        params: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array, piece: Piece = (0, 1)
    ) -> tuple[Array, tuple[tuple, Metrics]]:
        audio = batch["audio"]
        return vqvae.piece_loss(model, params, codebooks, audio, key, *piece, bandwidth=frozen)

    def measure(params: Any, codebooks: tuple, frozen: Any, batch: Batch) -> Metrics:
        audio = batch["audio"]
        key = jax.random.key(0)  # restarts alone would use it, and nothing restarts here
        total, (_, metrics) = vqvae.loss(
            model, params, codebooks, audio, key, bandwidth=frozen, train=False
        )
        metrics = {name: value for name, value in metrics.items() if jnp.ndim(value) == 0}
        codes = vqvae.encode(model, Weights(params, codebooks), audio)
        counts = {
            f"counts_l{level + 1}": jnp.bincount(found.ravel(), length=model.bins)
            for level, found in enumerate(codes)
        }
        return {"loss": total, **metrics, **counts}

    def summarise(means: Mapping[str, np.ndarray]) -> dict[str, float]:
        figures = {}
        for name, mean in means.items():
            if not name.startswith("counts_"):
                figures[name] = float(mean)
                continue
            level = name.removeprefix("counts_")
            share = np.asarray(mean, np.float64) / max(float(np.sum(mean)), 1e-9)
            used = share[share > 0]
            figures[f"codebook_use_{level}"] = float(np.mean(share > 0))
            figures[f"codebook_entropy_{level}"] = float(-np.sum(used * np.log2(used)))
        return figures

    def examples(
        params: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array
    ) -> dict[str, Array]:
        audio, weights = batch["audio"], Weights(params, codebooks)
        sounds = {"original": audio}
        for level, codes in enumerate(vqvae.encode(model, weights, audio)):
            sounds[f"level_{level}"] = vqvae.decode(model, weights, codes, level)
        return sounds

    return Task(
        model=model,
        samples=samples,
        vocabularies={},
        describe=lambda song, span: {},
        frozen=measured,
        abstract=vqvae.abstract(model),
        init=lambda key, places: sharding.place(vqvae.init(model, key), places),
        start=start,
        loss=loss,
        measure=measure,
        summarise=summarise,
        examples=examples,
        example=lambda batch: {"audio": _audio(batch, samples), "labels": {}},
        follow=functools.partial(vqvae.follow, model),
    )


def _prior(
    model: Prior,
    settings: Settings,
    songs: Sequence[Song],
    vocabularies: Mapping[str, Any] | None,
    earlier: Mapping[str, Any] | None,
    below: models.Stage | None,
) -> Task:
    below = below or models.Stage.load(settings.stage.vqvae)
    codec, level = below.model, settings.stage.level
    if not isinstance(codec, VQVAE):
        raise ValueError(f"config.stage.vqvae = {settings.stage.vqvae!r} is no VQ-VAE's stage")
    top = preparation.check_level(model, settings, codec, int(below.config["stage"]["rate"]))
    preparation.check_rates(model, settings.stage.rate)
    measured = preparation.measured(model)
    heard = inputs.find(model, settings, below, top=top)
    songs = inputs.label(settings, songs, measured)
    known = dict(vocabularies or preparation.learn_vocabularies(model, settings, songs, earlier))
    if vocabularies:
        preparation.tell_unknown(model, songs, known)

    def describe(song: Song, span: Span) -> Mapping[str, np.ndarray]:
        return conditioning.encode(
            model.signals,
            known,
            # remembered, where it is one of those above
            measures.fill(song, measured) if heard.reader is None else song,
            span,
            model.context,
            allow_unknown=settings.data.allow_unknown,
            rate=settings.stage.rate,
        )

    samples = model.context * codec.hops[level]

    def example(batch: int) -> Batch:
        labels, _ = conditioning.example(model.signals, model.context, batch)
        return {**heard.example(batch), "labels": labels}

    def prepare(batch: Batch, key: Array) -> Batch:
        if not model.label_dropout:
            return batch
        labels = conditioning.drop(model.signals, batch["labels"], model.label_dropout, key)
        return {**batch, "labels": labels}

    def loss(
        params: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array, piece: Piece = (0, 1)
    ) -> tuple[Array, tuple[tuple, Metrics]]:
        codes, above = heard.codes(frozen, batch)
        total, metrics = prior.loss(model, params, codes, batch["labels"], above)
        return total, ((), metrics)

    def measure(params: Any, codebooks: tuple, frozen: Any, batch: Batch) -> Metrics:
        codes, above = heard.codes(frozen, batch)
        total, metrics = prior.loss(model, params, codes, batch["labels"], above)
        return {"loss": total, **metrics}

    def examples(
        params: Any, codebooks: tuple, frozen: Any, batch: Batch, key: Array
    ) -> dict[str, Array]:
        codes, above = heard.codes(frozen, batch)
        given = prior.condition(model, params, batch["labels"], above)
        keys = jax.random.split(key, codes.shape[0])
        fresh = generate.generate(
            model, params, jnp.zeros_like(codes), 0, model.context, given, keys, temperature=0.98
        )
        original = {"original": batch["audio"]} if "audio" in batch else {}
        return original | {
            "reconstructed": vqvae.decode(codec, frozen, codes, level),
            "sampled": vqvae.decode(codec, frozen, jnp.maximum(fresh, 0), level),
        }

    return Task(
        model=model,
        samples=samples,
        vocabularies=known,
        describe=describe,
        frozen=heard.frozen,
        abstract=prior.abstract(model),
        init=lambda key, places: jax.jit(
            functools.partial(prior.init, model), out_shardings=places
        )(key),
        start=lambda params, frozen, batch, key: (),
        loss=loss,
        measure=measure,
        summarise=lambda means: {name: float(mean) for name, mean in means.items()},
        examples=examples,
        example=example,
        reader=heard.reader,
        prepare=prepare,
    )


def _audio(batch: int, samples: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((batch, samples, 1), jnp.float32)
