"""Folders as sampling and training leave them, written by hand: what tests of pages share."""

import json
import pathlib
from typing import Any

import numpy as np

from jukebox_jax.audio import wave
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import alignment, session, timings

RATE, HOPS, SECONDS = 8000, (8, 32, 128), 4.0
HOSTILE = "</script><img src=x onerror=\"document.title='broken into'\"><script>alert(1)</script>"
WORDS = "one two\nthree four"
LYRIC = Lyric(WORDS, tuple(0.2 * place for place in range(len(WORDS))))


def recording(folder: pathlib.Path, songs: int = 2, **changes: Any) -> pathlib.Path:
    """A session's folder with the sounds of three levels, and words in time for song 0.

    Args:
      folder: made if missing.
      songs: how many.
      changes: labels of every song.
    """
    rng = np.random.default_rng(0)
    rows = [
        {"artist": "ada", "genre": "waltz", "total_seconds": 60.0, "seed": 5 + number, **changes}
        for number in range(songs)
    ]
    rows[0] |= {"lyrics": WORDS, "title": HOSTILE}
    said = {
        "config": {"vqvae": "v", "priors": ["a", "b", "c"], "songs": rows, "temperature": [0.99]},
        "songs": rows,
        "samples": int(SECONDS * RATE),
        "rate": RATE,
        "hops": HOPS,
        "versions": {"jax": "0.1"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    session.write_text(folder / session.SETTINGS, json.dumps(said))
    lengths = {level: int(SECONDS * RATE) // hop for level, hop in enumerate(HOPS)}
    codes = {level: rng.integers(0, 64, (songs, length)) for level, length in lengths.items()}
    session.write_codes(folder / session.CODES, codes)
    for level in lengths:
        for number in range(songs):
            file = folder / f"level_{level}" / f"item_{number}.wav"
            wave.save(file, tone(220 * (1 + number), 0.4 / (1 + level), level), RATE)
    took = [
        {"level": level, "codes": songs * lengths[level], "seconds": 1234.5, "drawing": 100.0,
         "partly": False}
        for level in reversed(lengths)
    ]  # fmt: skip
    session.write_text(folder / timings.TIMINGS, json.dumps(took))
    alignment.write(folder / "level_2" / "item_0.json", LYRIC)
    return folder


def training(folder: pathlib.Path, steps: int = 40) -> pathlib.Path:
    """A VQ-VAE's workdir after some steps, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "stage": {"kind": "vqvae", "rate": RATE},
        "model": {"bins": 16},
        "data": {"source": HOSTILE},
        "run": {"steps": 2 * steps},
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = []
    for step in range(1, steps + 1):
        train = {"loss": 3 / step, "codebook_use_l1": step / steps, "steps_per_second": 2.0}
        lines.append({"step": step, **{f"train/{name}": value for name, value in train.items()}})
        if step % 10 == 0:
            lines.append({"step": step, "evaluate/loss": 3.5 / step, "evaluate/nothing": None})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (20, 40):
        for number in range(2):
            for index, name in enumerate(("original", "level_0", "level_1")):
                file = folder / "examples" / f"{step:07d}" / f"{number}_{name}.wav"
                wave.save(file, tone(330 * (1 + number), 0.3, index)[:RATE], RATE)
    return folder


def tone(pitch: float, loudness: float, noise: int) -> np.ndarray:
    """f32[samples]: a tone, in noise that grows with a level."""
    samples = int(SECONDS * RATE)
    hiss = 0.02 * noise * np.random.default_rng(noise).standard_normal(samples)
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(samples) / RATE) + hiss).astype("f4")
