"""The stage that a run starts from: read and checked before any work, its weights when wanted.

A run that starts from a stage is a run of its own: what it needs of the stage is in its own
directory from the first checkpoint on, which is saved before the first step. What becomes of the
weights is the business of `surgery`.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.conditioning import Alphabet, Vocabulary
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training import settings as configs
from jukebox_jax.training import surgery
from jukebox_jax.training.settings import Settings
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Origin:
    """A trained stage, but for its weights.

    Attributes:
      directory: where it lies.
      model: its module.
      vocabularies: for each label signal, the names it knows; for lyrics, its alphabet.
      release: of an imported stage, where it comes from and under which licence; what starts
        from it says so too.
    """

    directory: str
    model: VQVAE | Prior
    vocabularies: Mapping[str, Vocabulary | Alphabet]
    release: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def used(self) -> dict[str, int]:
        """For each vocabulary, the rows of an embedding that it needs."""
        return {name: vocabulary.size for name, vocabulary in self.vocabularies.items()}


def read(settings: Settings) -> Origin:
    """The stage of config.run.start_from.

    Raises:
      ValueError: the config describes a model that cannot begin as that stage.
      CheckpointError: there is no stage.
    """
    directory = settings.run.start_from
    config = checkpoint.read_json(directory, checkpoint.CONFIG)
    names = checkpoint.read_json(directory, checkpoint.VOCABULARIES, missing={})
    checkpoint.parts(directory)  # a stage without any step is refused here
    model, old = models.build(settings.plain), models.build(config)
    surgery.check(model, old, directory)
    vocabularies = {name: conditioning.vocabulary_from_json(one) for name, one in names.items()}
    _check_spelling(settings, old, vocabularies, directory)
    for line in configs.changed(config, settings.plain, "stage"):
        log.warning("starting from %s with another setting: %s", directory, line)
    if model.dtype != old.dtype:
        log.warning("computing in %s, but %s did in %s", model.dtype, directory, old.dtype)
    return Origin(directory, old, vocabularies, config.get(configs.RELEASE, {}))


def prior_init(origin: Origin, model: Prior) -> Callable[[Array, Any], Any]:
    """From a key and the parameters' places to the first parameters, as `Task.init`.

    The weights are read straight onto the mesh, and are let go of afterwards.
    """

    def init(key: Array, places: Any) -> Any:
        mesh = jax.tree.leaves(places)[0].mesh
        place = functools.partial(sharding.shardings, mesh=mesh)
        weights = models.Stage.load(origin.directory, sharding=place).weights

        def begin(key: Array, weights: Any) -> Any:
            fresh = prior.init(model, key)  # of which only what is new is computed
            return surgery.transplant(model, fresh, origin.model, weights, origin.used)

        return jax.jit(begin, out_shardings=places)(key, weights)

    return init


def vqvae_start(
    origin: Origin, model: VQVAE, samples: int
) -> tuple[Callable[[Array, Any], Any], tuple[Codebook, ...]]:
    """A VQ-VAE's first parameters, as `Task.init`, and its first codebooks.

    Codebooks that were published without their averages get some, see `vqvae.codebooks_from`.

    Args:
      origin: a VQ-VAE's stage.
      model: the module to be trained.
      samples: audio samples of one step, of the whole batch together.
    """
    weights = models.Stage.load(origin.directory).weights
    books: tuple[Codebook, ...] = weights.codebooks
    if all(_is_bare(book) for book in books):
        log.info("%s has no averages of its codebooks: they start even", origin.directory)
        books = vqvae.codebooks_from(model, [book.codes for book in books], samples)

    def init(key: Array, places: Any) -> Any:
        copy = functools.partial(jax.tree.map, lambda leaf: jnp.array(leaf, jnp.float32))
        return jax.jit(copy, out_shardings=places)(weights.params)

    return init, jax.device_get(books)


def _is_bare(book: Codebook) -> bool:
    """Whether a codebook counts each code once, as where nothing is known of its averages."""
    return bool(np.all(np.asarray(book.counts) == 1) and np.array_equal(book.sums, book.codes))


def _check_spelling(
    settings: Settings,
    old: VQVAE | Prior,
    vocabularies: Mapping[str, Vocabulary | Alphabet],
    title: str,
) -> None:
    """Checks that labels and characters are read as the stage read them.

    Names over time are always read as they stand.
    """
    signals = dict(old.signals) if isinstance(old, Prior) else {}
    for name, vocabulary in vocabularies.items():
        if isinstance(vocabulary, Alphabet):
            key, was = "alphabet", vocabulary.kind
        elif isinstance(signals.get(name), conditioning.Label):
            key, was = "normalise", vocabulary.normalise
        else:
            continue
        if getattr(settings.data, key) != was:
            raise ValueError(
                f"config.data.{key} = {getattr(settings.data, key)!r}, but {title} reads {name} as "
                f"{was!r}: set it to that"
            )
