"""Pictures of what stages see and keep: patterns, codes, spectrograms, attention over lyrics.

The only importer of matplotlib, when first used. Each function takes plain arrays and returns a
figure that belongs to nobody: no window is opened and no setting of the whole process is touched.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax.audio import spectral
from jukebox_jax.prior import attention
from jukebox_jax.prior.attention import Grid

_FLOOR = -80.0  # dB below the loudest, drawn as silence
_MOST_FRAMES = 2000  # of a spectrogram; more than a picture has columns
_BLUE = "#2a5ea8"


def png(figure: Any, dpi: int = 110) -> bytes:
    """A figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()


def patterns(grid: Grid, names: Sequence[str] = attention.PATTERNS) -> Any:
    """What each position attends to under each pattern, from their definition.

    Args:
      grid: how the context is read; a small one shows more.
      names: which patterns; "memory" is left out, as it sees all of its memory.
    """
    shown = [name for name in names if name != "memory"]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = axes_of(rows, columns, width=2.6 * columns, height=2.9 * rows)
    for place, axis in enumerate(axes.flat):
        if place >= len(shown):
            axis.set_axis_off()
            continue
        axis.imshow(attention.sees(shown[place], grid), cmap="Blues", vmin=0, vmax=1)
        axis.set_title(shown[place], fontsize=10)
        ticks = np.arange(0, grid.context + 1, grid.block) - 0.5
        axis.set_xticks(ticks, [])
        axis.set_yticks(ticks, [])
        axis.grid(color="0.85", linewidth=0.5)
        axis.tick_params(length=0)
    for axis in axes[:, 0]:
        axis.set_ylabel("this code ...", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("... attends to", fontsize=9)
    return figure


def codes(levels: Sequence[np.ndarray], hops: Sequence[int], rate: int) -> Any:
    """The codes of one song over time, a row a level, coarsest on top.

    Args:
      levels: for each level, finest first, i32[length].
      hops: audio samples a code of each.
      rate: audio samples a second.
    """
    figure, axes = axes_of(len(levels), 1, width=9.0, height=1.9 * len(levels), sharex=True)
    for axis, level in zip(axes[:, 0], reversed(range(len(levels))), strict=True):
        seconds = np.arange(len(levels[level])) * hops[level] / rate
        axis.plot(seconds, levels[level], ",", color=_BLUE, alpha=0.8)
        if len(seconds) < 3000:
            axis.plot(seconds, levels[level], ".", color=_BLUE, markersize=2.5, linewidth=0)
        axis.set_ylabel(f"code, level {level}", fontsize=9)
        axis.set_title(f"level {level}: {rate / hops[level]:.0f} codes a second", fontsize=9)
    axes[-1, 0].set_xlabel("seconds")
    return figure


def use(levels: Sequence[np.ndarray], bins: int) -> Any:
    """How often each entry of the codebooks is used, most used first.

    Args:
      levels: for each level, finest first, its codes, i32[any].
      bins: entries of a codebook.
    """
    figure, axes = axes_of(1, len(levels), width=3.1 * len(levels), height=2.7, sharey=True)
    for level, axis in enumerate(axes[0]):
        counts = np.sort(np.bincount(levels[level].ravel(), minlength=bins))[::-1]
        share = counts / max(int(counts.sum()), 1)
        axis.fill_between(np.arange(bins), share, step="mid", color=_BLUE, linewidth=0)
        used, heard = (counts > 0).mean(), share[share > 0]
        effective = np.exp(-(heard * np.log(heard)).sum()) if len(heard) else 0.0
        axis.set_title(f"level {level}: {used:.0%} used, as {effective:.0f} even ones", fontsize=9)
        axis.set_xlabel("entries, most used first", fontsize=9)
    axes[0, 0].set_ylabel("part of all codes", fontsize=9)
    return figure


def spectrograms(sounds: Mapping[str, np.ndarray], rate: int) -> Any:
    """Sounds one above the other on one scale of loudness, as the paper shows what levels keep.

    Args:
      sounds: by title, from top to bottom, f32[samples] each.
      rate: samples a second of all.
    """
    size = 1 << max(5, round(np.log2(0.046 * rate)))
    shown = {}
    for title, sound in sounds.items():
        sound = np.asarray(sound, np.float32).reshape(-1)
        sound = np.pad(sound, (0, max(0, size - len(sound))))
        hop = max(size // 4, len(sound) // _MOST_FRAMES)
        magnitudes = jax.device_get(spectral.magnitudes(sound[None, :, None], (size, hop, size)))[0]
        shown[title] = 20 * np.log10(magnitudes.T + 1e-9), len(sound) / rate
    loudest = max(float(picture.max()) for picture, _ in shown.values())
    figure, axes = axes_of(len(shown), 1, width=9.0, height=2.0 * len(shown), sharex=True)
    for axis, (title, (picture, seconds)) in zip(axes[:, 0], shown.items(), strict=True):
        image = axis.imshow(
            picture - loudest,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=_FLOOR,
            vmax=0,
            extent=(0, seconds, 0, rate / 2000),
        )
        axis.set_title(title, fontsize=9)
        axis.set_ylabel("kHz", fontsize=9)
    axes[-1, 0].set_xlabel("seconds")
    bar = figure.colorbar(image, ax=list(axes[:, 0]), fraction=0.03, pad=0.01)
    bar.set_label("dB below the loudest", fontsize=9)
    return figure


def lyrics(weights: np.ndarray, text: str, seconds: float) -> Any:
    """How much each moment attends to each character of the lyrics.

    Args:
      weights: f32[length, tokens], of one head.
      text: the lyrics as the prior reads them.
      seconds: length of the recording.
    """
    tokens = weights.shape[1]
    figure, axes = axes_of(1, 1, width=9.0, height=4.2)
    axis = axes[0, 0]
    axis.imshow(
        weights.T,
        origin="upper",
        aspect="auto",
        cmap="Blues",
        extent=(0, seconds, tokens - 0.5, -0.5),
    )
    axis.set_xlabel("seconds")
    words = {match.start(): match.group() for match in re.finditer(r"\S+", text[:tokens])}
    every = max(1, -(-len(words) // 24))
    kept = list(words.items())[::every]
    axis.set_yticks([place for place, _ in kept], [word for _, word in kept], fontsize=8)
    return figure


def axes_of(
    rows: int, columns: int, *, width: float, height: float, **more: Any
) -> tuple[Any, Any]:
    """An empty figure and its axes, an array [rows, columns].

    Args:
      rows: pictures above each other.
      columns: side by side.
      width: of the whole, in inches.
      height: the same.
      **more: what matplotlib's `subplots` takes, as sharex.

    Raises:
      ValueError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("pictures need matplotlib: pip install 'jukebox-jax[notebook]'") from None

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **more)
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
    return figure, axes
