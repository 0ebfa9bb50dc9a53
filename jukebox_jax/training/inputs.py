"""What a prior reads of a window: sound, which is encoded on the way, or codes that were made once.

Which of the two is what the source holds, a folder of codes or anything else. Songs, their
division, the order of windows and their labels are the same functions for both (`audio.order`,
`Task.describe`): with a seed and the same windows, the same codes and labels reach the loss. It
and the trained parameters are then equal to the last bit, as far as a compiler rounds the same step
the same way behind what made the codes (a test holds it on a CPU). What differs is:

- where windows lie: those of sound begin at any sample, those of codes on a code of the top level
  (`data.shift` moves both by up to half of a window);
- what is beyond their ends: training from sound encodes each window alone, as the 2020 release
  did, so that a code near an end sees nothing beyond; codes were made of whole songs, as prompts
  are encoded for sampling. A window that is a whole song is the same either way. The two part
  within an encoder's reach of the ends (`pieces.encoder_margin`) and nowhere else. Of the codes of
  256-code windows of the demo's VQ-VAE 2.4, 1.0 and 1.2 % differ at levels 0 to 2: of the first
  and the last code of a window most, of those beyond the reach (72, 10 and 11 codes) none.

`config.data.blend` mixes stereo anew for every window of sound; codes were made of an even mix.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax import models
from jukebox_jax.audio import codes, windows
from jukebox_jax.audio import measure as measures
from jukebox_jax.audio.codes import Codes
from jukebox_jax.audio.song import Song
from jukebox_jax.prior.prior import Prior
from jukebox_jax.training.settings import Settings
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Weights

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Input:
    """What a prior reads.

    Attributes:
      reader: of a window; None for sound.
      frozen: what is needed on the devices to make codes, or sound for people to hear.
      codes: from `frozen` and a batch to its codes, i32[batch, context], and those of the level
        above, None for the top.
      example: from a batch size to shapes and types of the arrays of a batch.
    """

    reader: windows.Reader | None
    frozen: Weights | None
    codes: Callable[[Any, Mapping[str, Any]], tuple[Array, Array | None]]
    example: Callable[[int], dict[str, jax.ShapeDtypeStruct]]


def find(model: Prior, settings: Settings, below: models.Stage, *, top: bool) -> Input:
    """What the config's source holds, for a prior.

    Args:
      model: the prior.
      settings: the run's config.
      below: the VQ-VAE's stage.
      top: whether there is no level above.

    Raises:
      ValueError: the source holds the codes of another VQ-VAE.
      SongError: it holds codes that are not finished.
    """
    if codes.are_in(settings.data.source):
        return _of_codes(model, settings, below, codes.read(settings.data.source), top)
    return _of_sound(model, settings, below, top)


def label(settings: Settings, songs: Sequence[Song], names: Sequence[str]) -> Sequence[Song]:
    """Songs with labels that are measured where they have none: of sound alone.

    Raises:
      ValueError: the source holds codes, whose songs were not measured when they were made.
    """
    if not names or not codes.are_in(settings.data.source):
        return measures.fill_all(songs, names) if names else songs
    for name in names:
        if all(song.labels.get(name) is None for song in songs):
            raise ValueError(
                f"config.signals.{name}: no song of {settings.data.source} has it, and codes are "
                f"not heard; encode the songs again with --measure={','.join(names)}"
            )
    return songs


def refuse_codes(settings: Settings) -> None:
    """Refuses a source of codes.

    Raises:
      ValueError: it is one.
    """
    if codes.are_in(settings.data.source):
        raise ValueError(
            f"config.data.source = {settings.data.source!r} holds codes, and a VQ-VAE is "
            "trained on sound: give the songs themselves"
        )


def _of_sound(model: Prior, settings: Settings, below: models.Stage, top: bool) -> Input:
    codec, level = below.model, settings.stage.level
    assert isinstance(codec, VQVAE)
    samples = model.context * codec.hops[level]

    def codes_of(frozen: Any, batch: Mapping[str, Any]) -> tuple[Array, Array | None]:
        found = vqvae.encode(codec, frozen, batch["audio"])
        return _given(found[level], None if top else found[level + 1])

    return Input(
        reader=None,
        frozen=below.weights,
        codes=codes_of,
        example=lambda batch: {"audio": jax.ShapeDtypeStruct((batch, samples, 1), jnp.float32)},
    )


def _of_codes(
    model: Prior, settings: Settings, below: models.Stage, source: Codes, top: bool
) -> Input:
    name = models.identity(below)
    if source.vqvae != name:
        raise ValueError(
            f"config.data.source = {settings.data.source!r} holds codes of another VQ-VAE "
            f"({source.vqvae}) than {settings.stage.vqvae} ({name}): encode the songs again with "
            "launch/encode.py, or set config.stage.vqvae to the one that made them"
        )
    if settings.data.blend:
        log.info("codes were made of an even mix: config.data.blend changes nothing")
    reader = source.reader(settings.stage.level, model.context, above=not top)

    def example(batch: int) -> dict[str, jax.ShapeDtypeStruct]:
        return {
            one: jax.ShapeDtypeStruct((batch, *shape), dtype)
            for one, (shape, dtype) in reader.arrays.items()
        }

    return Input(
        reader=reader,
        frozen=below.weights if settings.run.examples_every else None,
        codes=lambda frozen, batch: _given(batch["codes"], batch.get("above")),
        example=example,
    )


def _given(codes: Array, above: Array | None) -> tuple[Array, Array | None]:
    """Codes that the compiler takes as given, so that it rounds the same whatever made them."""
    return jax.lax.optimization_barrier((codes, above))
