"""Lines have as many syllables as there are notes, rhyme, and can be sung."""

import itertools

import numpy as np
import pytest

from jukebox_jax.audio.band import verses, voice


@pytest.mark.parametrize("kind", ["verse", "chorus", "bridge"])
def test_lines_have_their_syllables(kind: str) -> None:
    rng = np.random.default_rng(0)
    for count, rhyme in itertools.product(range(1, 18), range(20)):
        line = verses.line(kind, count, rhyme, rng)
        text = "".join(line)
        assert len(line) == count, text
        assert text == text.strip() and "  " not in text and "-" not in text and "_" not in text
        assert set(text) <= set(voice.SOUNDS) | set(voice.SILENT)
        for syllable in line:
            assert any(one in voice.VOWELS for one in syllable) or syllable.strip(" ,") == "mm"


def test_couplets_rhyme_without_repeating() -> None:
    rng = np.random.default_rng(1)
    for rhyme in range(len(verses.ENDINGS)):
        first = verses.line("verse", 8, rhyme, rng)
        second = verses.line("chorus", 7, rhyme, rng, first)
        assert first[-1] != second[-1]
        ends = {" ".join(one.replace("-", "") for one in e.split()) for e in verses.ENDINGS[rhyme]}
        for line in (first, second):
            assert any("".join(line).endswith(end) for end in ends)


def test_endings_have_three_syllables() -> None:
    for ending in itertools.chain(*verses.ENDINGS):
        assert len(ending.replace("-", " ").split()) == 3, ending


def test_words_vary_and_repeat_by_seed() -> None:
    lines = [verses.line("verse", 9, 0, np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(lines)) > 45
    assert lines[7] == verses.line("verse", 9, 0, np.random.default_rng(7))
