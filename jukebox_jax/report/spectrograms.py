"""A picture of mel spectrograms in rows and columns, as PNG, all on one scale of colours."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio import files, mel
from jukebox_jax.report import plots

_BANDS = 96
_RANGE = 70.0  # dB that are shown, down from the loudest


def draw(
    path: str | os.PathLike,
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    columns: Sequence[str],
    rate: int,
) -> None:
    """Draws sounds, all on one scale of colours; the file appears whole or not at all.

    Args:
      path: where to, as "a.png".
      rows: a title and a sound for each column, f32[samples] or f32[samples, 1].
      columns: their titles.
      rate: samples a second.

    Raises:
      ValueError: matplotlib is missing, or a row has not a sound for each column.
    """
    for title, sounds in rows:
        if len(sounds) != len(columns):
            raise ValueError(f"{title}: {len(sounds)} sounds for {len(columns)} columns")
    size = {"width": 3.6 * len(columns), "height": 1.5 * len(rows)}
    figure, axes = plots.axes_of(len(rows), len(columns), **size, sharex=True, sharey=True)
    pictures = [[_picture(sound, rate) for sound in sounds] for _, sounds in rows]
    loudest = max(float(one.max()) for row in pictures for one in row)
    for (title, sounds), pictured, places in zip(rows, pictures, axes, strict=True):
        for column, (sound, picture, place) in enumerate(
            zip(sounds, pictured, places, strict=True)
        ):
            place.imshow(
                picture.T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                vmin=loudest - _RANGE,
                vmax=loudest,
                extent=(0, len(sound) / rate, 0, _BANDS),
            )
            place.set_yticks([])
            if not column:
                place.set_ylabel(title, rotation=0, ha="right", va="center")
    for place, title in zip(axes[0], columns, strict=True):
        place.set_title(title)
    for place in axes[-1]:
        place.set_xlabel("seconds")
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(file) as unfinished:
        unfinished.write_bytes(plots.png(figure))


def _picture(sound: np.ndarray, rate: int) -> np.ndarray:
    """Mel bands in dB, f64[frames, bands], with windows of about 90 ms."""
    size = 1 << max(7, round(np.log2(0.09 * rate)))
    return mel.decibels(mel.spectrogram(np.ravel(sound), rate, size=size, count=_BANDS))
