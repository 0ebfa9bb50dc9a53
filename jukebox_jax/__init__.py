"""Jukebox in JAX: sound becomes codes, codes are continued, codes become sound.

The public names, each loaded when it is first used, so that `import jukebox_jax` is quick and
asks for neither TensorFlow nor an audio library.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jukebox_jax.analysis.features import features as features
    from jukebox_jax.audio.song import Song as Song
    from jukebox_jax.models import Jukebox as Jukebox
    from jukebox_jax.prior.prior import Prior as Prior
    from jukebox_jax.sampling.compose import sample as sample
    from jukebox_jax.sampling.compose import stream as stream
    from jukebox_jax.sampling.generate import generate as generate
    from jukebox_jax.sampling.listening import listen as listen
    from jukebox_jax.training.loop import train_and_evaluate as train_and_evaluate
    from jukebox_jax.vqvae.vqvae import VQVAE as VQVAE
    from jukebox_jax.vqvae.vqvae import decode as decode
    from jukebox_jax.vqvae.vqvae import encode as encode

_HOMES = {
    "VQVAE": "jukebox_jax.vqvae.vqvae",
    "Prior": "jukebox_jax.prior.prior",
    "Jukebox": "jukebox_jax.models",
    "Song": "jukebox_jax.audio.song",
    "encode": "jukebox_jax.vqvae.vqvae",
    "decode": "jukebox_jax.vqvae.vqvae",
    "features": "jukebox_jax.analysis.features",
    "generate": "jukebox_jax.sampling.generate",
    "listen": "jukebox_jax.sampling.listening",
    "sample": "jukebox_jax.sampling.compose",
    "stream": "jukebox_jax.sampling.compose",
    "train_and_evaluate": "jukebox_jax.training.loop",
}

__all__ = [
    "VQVAE",
    "Jukebox",
    "Prior",
    "Song",
    "decode",
    "encode",
    "features",
    "generate",
    "listen",
    "sample",
    "stream",
    "train_and_evaluate",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Loads a public name's home when the name is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'jukebox_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
