"""A jukebox that counts: at every level the code of position i is i, modulo the codebook's size.

Its priors are real ones whose parameters are set by hand, so that what they count by is one thing
alone: the code before, the code above, or the window's place in the song. Whatever a sampler gets
wrong (a seam, a span, a shift) breaks the count.
"""

import dataclasses
import functools
import pathlib
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Codes, Label, Vocabulary
from jukebox_jax.prior.prior import Prior
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.quantizer import Codebook
from jukebox_jax.vqvae.vqvae import VQVAE

BINS = 13
HOPS = (2, 4, 8)
RATE = 80
CONTEXTS = (16, 16, 32)  # of the three levels, finest first; two are alike, to compile once
VQVAE_FIELDS = "downs strides bins code_width width depth multipliers".split()
PRIOR_FIELDS = "context block bins width layout attention_width tied".split()
FACTOR = 2  # codes of a level for one above


@dataclasses.dataclass(frozen=True)
class Above(Codes):
    """The codes above, counted on: embedded as the code that belongs below them."""

    def embed(self, values: Any, context: int, width: int, init_scale: float, dtype: str) -> Any:
        """One-hot, [batch, context, width]."""
        below = jnp.repeat(values * self.factor, self.factor, axis=1)
        return jax.nn.one_hot((below + jnp.arange(context) % self.factor) % BINS, width)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a window lies in its song, embedded as the code that belongs there."""

    door: ClassVar[str] = "track"

    def encode(self, name: str, song: Any, span: Any, *_: Any) -> np.ndarray:
        """Total, start and length in samples, i32[3]."""
        return np.array([span.total, span.start, span.length], np.int32)

    def embed(self, values: Any, context: int, width: int, init_scale: float, dtype: str) -> Any:
        """One-hot, [batch, context, width]."""
        hop = values[:, 2:] // context
        return jax.nn.one_hot((values[:, 1:2] // hop + jnp.arange(context)) % BINS, width)


def model(level: int, by: str, signals: tuple = ()) -> Prior:
    """The prior of a level, without parameters."""
    if by == "above":
        signals = (*signals, ("above", Above(BINS, width=4, depth=1, downs=1, stride=FACTOR)))
    if by == "place":
        signals = (*signals, ("place", Place()))
    return Prior(
        context=CONTEXTS[level],
        block=4,
        bins=BINS,
        width=BINS,
        layout=((("row",), 1),),
        attention_width=1.0,
        tied=False,
        signals=signals,
    )


def stage(level: int, by: str) -> Stage:
    """A level's prior, which counts by "before", "above" or "place"."""
    counting = model(level, by)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), prior.abstract(counting))
    one = np.eye(BINS, dtype=np.float32)
    params["logits"]["kernel"] = 40 * (np.roll(one, 1, axis=1) if by == "before" else one)
    if by == "before":
        params["codes"]["embedding"] = one
        if "start" in params:
            params["start"]["embedding"] = one[-1:]
    config = {"stage": {"kind": "prior", "level": level, "rate": RATE}}
    return Stage(counting, params, config)


@functools.cache
def sound() -> Stage:
    """A VQ-VAE of three levels with random parameters."""
    model = VQVAE(
        downs=(1, 1, 1),
        strides=(FACTOR,) * 3,
        bins=BINS,
        code_width=4,
        width=4,
        depth=1,
        multipliers=(1, 1, 1),
    )
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return rng.normal(scale=0.5, size=shape).astype(np.float32)

    params = jax.tree.map(lambda leaf: random(*leaf.shape), vqvae.abstract(model))
    books = tuple(Codebook(random(BINS, 4), random(BINS, 4), random(BINS)) for _ in HOPS)
    config = {"stage": {"kind": "vqvae", "rate": RATE}}
    return Stage(model, vqvae.Weights(params, books), config)


@functools.cache
def jukebox(by: str = "above") -> Jukebox:
    """Three levels, the top one counting by the code before unless it is "place"."""
    top = "place" if by == "place" else "before"
    return Jukebox(sound(), (stage(0, by), stage(1, by), stage(2, top)))


@functools.cache
def noisy() -> Jukebox:
    """Three levels with random parameters and an artist, that do not count."""
    vocabulary = Vocabulary(ids={"the copper foxes": 1, "ada": 2})
    stages = []
    for level in range(3):
        signals: tuple = (("artist", Label(size=3)),)
        if level < 2:
            signals += (("above", Codes(BINS, width=4, depth=1, downs=1, stride=FACTOR)),)
        random = model(level, "before", signals).clone(layout=((("column",), 1),))
        rng = np.random.default_rng(level)
        params = jax.tree.map(
            lambda leaf, rng=rng: rng.normal(scale=0.45, size=leaf.shape).astype(np.float32),
            prior.abstract(random),
        )
        config = {"stage": {"kind": "prior", "level": level, "rate": RATE}}
        stages.append(Stage(random, params, config, {"artist": vocabulary}))
    return Jukebox(sound(), tuple(stages))


def save(folder: pathlib.Path) -> dict[str, str]:
    """Writes the stages of `noisy` as directories; what a config of a session says of them."""
    box = noisy()
    vqvae_fields = {name: getattr(box.vqvae.model, name) for name in VQVAE_FIELDS}
    config = {**box.vqvae.config, "model": vqvae_fields}
    weights = {"params": box.vqvae.weights.params, "codebooks": box.vqvae.weights.codebooks}
    checkpoint.save_stage(folder / "vqvae", config, weights)
    for level, one in enumerate(box.priors):
        assert one is not None
        fields = {name: getattr(one.model, name) for name in PRIOR_FIELDS}
        signals = {"artist": {"kind": "label", "size": 3}}
        if level < 2:
            above = dict(bins=BINS, width=4, depth=1, downs=1, stride=FACTOR)
            signals["above"] = {"kind": "codes", **above}
        words = {name: vocabulary.to_json() for name, vocabulary in one.vocabularies.items()}
        config = {**one.config, "model": fields, "signals": signals}
        checkpoint.save_stage(folder / f"level_{level}", config, {"params": one.weights}, words)
    priors = ",".join(str(folder / f"level_{level}") for level in range(3))
    return {"vqvae": str(folder / "vqvae"), "priors": priors}
