"""Whether this machine can do what the project does, part by part, in well under a minute.

Each check does a tiny piece of the real work and says what it saw; what fails says what to do.
A check that raises is a finding, never the end of the others.
"""

import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jukebox_jax import checkpoint, sharding
from jukebox_jax.audio import band, wave
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.sampling import compose
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE

OK, MISSING, BROKEN = "ok", "missing", "broken"

_NEEDED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "soundfile", "librosa")
_EXTRAS = {
    "train": ("tensorflow", "tensorflow_datasets", "clu", "array_record"),
    "release": ("unidecode",),
    "notebook": ("matplotlib", "ipykernel", "nbclient"),
    "studio": ("gradio",),
}
_FORMATS = {".wav": 60.0, ".flac": 60.0, ".ogg": 10.0, ".mp3": 10.0, ".aiff": 60.0}  # least dB
_RATE, _SAMPLES = 8000, 4096


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
      part: what was checked.
      state: `OK`, `MISSING` (an extra that is not installed) or `BROKEN`.
      text: what was seen and, unless all is well, what to do.
      seconds: how long it took.
    """

    part: str
    state: str
    text: str
    seconds: float


def examine() -> Iterator[Finding]:
    """Runs all checks, one after the other."""
    for part, check in _CHECKS.items():
        began = time.perf_counter()
        try:
            state, text = check()
        except Exception as error:  # whatever it is, it is what the check found
            reason = " ".join(str(error).split()) or type(error).__name__
            state, text = BROKEN, f"{type(error).__name__}: {reason}"
        yield Finding(part, state, text, time.perf_counter() - began)


def line(finding: Finding) -> str:
    """A finding on one line."""
    return f"{finding.state:<8} {finding.part:<14} {finding.text} ({finding.seconds:.1f} s)"


def _versions() -> tuple[str, str]:
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {importlib.metadata.version(name)}" for name in _NEEDED]
    return OK, ", ".join(found)


def _devices() -> tuple[str, str]:
    devices = jax.devices()
    stats = devices[0].memory_stats() or {}
    memory = f", {stats['bytes_limit'] / 1e9:.1f} GB each" if "bytes_limit" in stats else ""
    text = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}){memory}"
    if devices[0].platform == "cpu" and shutil.which("nvidia-smi"):
        return BROKEN, f"{text}; a GPU is there but not used: pip install 'jukebox-jax[cuda]'"
    return OK, text


def _numerics() -> tuple[str, str]:
    sharding.check_numerics()
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 256, 256)).astype(np.float32)
    got = np.asarray(jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST))
    error = np.abs(got - a.astype(np.float64) @ b).max() / np.abs(got).max()
    if error > 1e-5:
        return BROKEN, f"a matrix product is off by {error:.1e}: update the driver and jaxlib"
    return OK, f"a matrix product of 256 x 256 is right to {error:.0e}"


def _memory() -> tuple[str, str]:
    pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = shutil.disk_usage(os.getcwd()).free
    text = (
        f"{os.cpu_count()} processors, {pages * size / 1e9:.1f} GB of memory and "
        f"{free / 1e9:.1f} GB of disk free"
    )
    if free < 2e9:
        return BROKEN, f"{text}: checkpoints need more disk; give a --workdir elsewhere"
    return OK, text


def _codecs() -> tuple[str, str]:
    time_axis = np.arange(_RATE) / _RATE
    sound = (0.5 * np.sin(2 * np.pi * 440 * time_axis)[:, None]).astype(np.float32)
    good: list[str] = []
    bad: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for extension, least in _FORMATS.items():
            file = pathlib.Path(folder, f"sound{extension}")
            try:
                wave.save(file, sound, _RATE)
                again = wave.load(file, _RATE)[: len(sound)]
                error = np.mean(np.square(again - sound[: len(again)]))
                ratio = 10 * np.log10(np.mean(np.square(sound)) / max(float(error), 1e-12))
                (good if ratio > least else bad).append(f"{extension} ({ratio:.0f} dB)")
            except (wave.AudioError, OSError, ValueError) as error:
                bad.append(f"{extension} ({error})")
    if bad:
        return BROKEN, f"cannot write and read back {', '.join(bad)}: pip install -U soundfile"
    return OK, f"writes and reads {', '.join(good)}"


def _extra(name: str) -> tuple[str, str]:
    absent = [module for module in _EXTRAS[name] if importlib.util.find_spec(module) is None]
    if absent:
        return MISSING, f"no {', '.join(absent)}: pip install 'jukebox-jax[{name}]'"
    return OK, f"{', '.join(_EXTRAS[name])} installed"


def _band() -> tuple[str, str]:
    score = band.song(0, seconds=1.0, seed=0)
    sound = band.render(score, _RATE)
    if not (np.isfinite(sound).all() and np.abs(sound).max() > 0.01):
        return BROKEN, "the procedural band is silent"
    return OK, f"a second of the procedural band by {band.labels(score)['artist']}"


def _vqvae() -> tuple[str, str]:
    stage = _stages().vqvae
    audio = np.random.default_rng(0).standard_normal((1, _SAMPLES, 1), np.float32)
    codes = vqvae.encode(stage.model, stage.weights, audio)
    sound = vqvae.decode(stage.model, stage.weights, codes[0], 0)
    if sound.shape != audio.shape or not bool(jnp.isfinite(sound).all()):
        return BROKEN, f"{_SAMPLES} samples became {sound.shape}"
    return OK, f"{_SAMPLES} samples to {', '.join(str(c.shape[1]) for c in codes)} codes and back"


def _training() -> tuple[str, str]:
    box = _stages()
    stage = box.priors[1]
    assert stage is not None
    codes = jnp.zeros((1, stage.model.context), jnp.int32)
    loss, _ = jax.value_and_grad(lambda params: prior.loss(stage.model, params, codes, {})[0])(
        stage.weights
    )
    if not bool(jnp.isfinite(loss)):
        return BROKEN, f"a tiny prior has the loss {loss}"
    return OK, f"loss and gradients of a tiny prior, {float(loss):.2f} bits a code"


def _sampling() -> tuple[str, str]:
    box = _stages()
    songs = (Song("", 0, {"seed": 1}, _RATE),)
    recording = compose.sample(box, songs, 0.25, levels=(1,), progress=False)
    return OK, f"{recording.codes[1].shape[1]} codes drawn, {recording.audio[1].shape[1]} samples"


def _checkpoints() -> tuple[str, str]:
    stage = _stages().priors[1]
    assert stage is not None
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save_stage(folder, stage.config, {"params": stage.weights})
        again = Stage.load(folder)
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), stage.weights, again.weights)
    if not all(jax.tree.leaves(same)):
        return BROKEN, "a stage came back with other weights"
    return OK, "a stage written and loaded, bit for bit"


@functools.cache
def _stages() -> Jukebox:
    """A tiny VQ-VAE of two levels and the prior of the upper one, with random weights."""
    fields: dict[str, Any] = dict(
        downs=(2, 1), strides=(2, 2), bins=16, code_width=8, width=8, depth=1, multipliers=(1, 1)
    )
    model = VQVAE(**fields)
    rng = np.random.default_rng(0)

    def random(shapes: Any) -> Any:
        return jax.tree.map(lambda one: 0.1 * rng.standard_normal(one.shape, np.float32), shapes)

    codes = rng.standard_normal((2, 16, 8)).astype(np.float32)
    books = vqvae.codebooks_from(model, list(codes), _SAMPLES)
    weights = vqvae.Weights(random(vqvae.abstract(model)), books)
    prior_fields: dict[str, Any] = dict(
        context=64, block=8, bins=16, width=16, layout=((("row", "column", "previous"), 1),)
    )
    top = Prior(**prior_fields)
    config = {
        "stage": {"kind": "prior", "level": 1, "rate": _RATE},
        "model": prior_fields,
        "signals": {},
    }
    upper = Stage(top, random(prior.abstract(top)), config)
    lower = Stage(model, weights, {"stage": {"kind": "vqvae", "rate": _RATE}, "model": fields})
    return Jukebox(lower, (None, upper))


_CHECKS: dict[str, Callable[[], tuple[str, str]]] = {
    "versions": _versions,
    "devices": _devices,
    "numerics": _numerics,
    "memory": _memory,
    "codecs": _codecs,
    **{f"extra {name}": functools.partial(_extra, name) for name in _EXTRAS},
    "band": _band,
    "vqvae": _vqvae,
    "prior": _training,
    "sampling": _sampling,
    "checkpoints": _checkpoints,
}
PARTS = tuple(_CHECKS)
"""What is checked, in order."""
