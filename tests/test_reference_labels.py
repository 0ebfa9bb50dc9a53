"""Whole label vectors, as the 2020 release made them: timing, names and the window of lyrics."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from jukebox_jax.audio.song import Span
from jukebox_jax.prior import lyrics
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.vocabulary import Vocabulary

CASES = 7
PRIORS = {  # how each compares names, and its audio samples a code
    "prior_labels": ("v2", 128),
    "prior_lyrics_enc_dec": ("v2", 128),
    "prior_lyrics_single": ("v3", 128),
    "prior_lyrics_single_deep": ("v3", 128),
    "upsampler_level_0": ("v2", 8),
    "upsampler_level_1": ("v2", 32),
}


def vector(
    reference: pathlib.Path,
    version: str,
    meta: Mapping[str, Any],
    length: int,
    genres: int,
    tokens: int,
) -> list[int]:
    """[total, offset, length, artist, genres, lyric tokens] of a song from `offset` on."""
    span = Span(meta["offset"], length, meta["total_length"])
    found = [span.total, span.start, span.length]
    for name, most in (("artist", 1), ("genre", genres)):
        known = Vocabulary.read(reference / "ids" / f"{version}_{name}_ids.txt", version)
        words = known.words(meta[name], most)
        found += [known.id(word, allow_unknown=True) for word in words]
        found += [-1] * (most - len(words))
    if tokens:
        window = lyrics.encode(
            meta["lyrics"], Alphabet(version), tokens, span, 44100, allow_unknown=True
        )
        assert window.dtype == np.int32
        found += window.tolist()
    return found


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("number", range(CASES))
def test_awkward_labels(reference: pathlib.Path, version: str, number: int) -> None:
    known = json.loads((reference / "label_cases.json").read_text())
    assert len(known["cases"]) == CASES
    meta, genres = known["cases"][number], known["genre_slots"][version]
    found = vector(reference, version, meta, known["sample_length"], genres, known["n_tokens"])
    assert found == known["y"][version][number]


@pytest.mark.parametrize("name", PRIORS)
def test_labels_of_the_small_priors(reference: pathlib.Path, name: str) -> None:
    version, hop = PRIORS[name]
    index = json.loads((reference / "index.json").read_text())
    fields, arrays = index[name], np.load(reference / f"{name}.npz")
    genres, tokens = fields["max_bow_genre_size"], fields.get("n_tokens", 0)
    for row, meta in enumerate(index["metas"]):
        for key, start in (("labels_y_raw", 0), ("y", 0), ("y_start_16", 16)):
            moved = {**meta, "offset": meta["offset"] + start * hop}
            found = vector(reference, version, moved, 128 * hop, genres, tokens)
            assert found == arrays[key][row].tolist(), f"{key}, song {row}"
