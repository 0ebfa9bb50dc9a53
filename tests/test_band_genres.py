"""The genres' tables are whole: every pattern fits its bar, and tempos tell genres apart."""

import pytest

from jukebox_jax.audio.band.genres import CHORD, GENRES, MOODS, NEXT


@pytest.mark.parametrize("name", GENRES)
def test_a_genre(name: str) -> None:
    genre = GENRES[name]
    steps = genre.metre * genre.steps
    assert name.isalpha() and name.isascii() and name == name.lower()
    for drums in genre.drums:
        for kind, marks in drums.items():
            assert len(marks) == steps and set(marks) <= set("xo."), (kind, marks)
        assert "x" in drums["kick"]
    for patterns, most in ((genre.bass, {0, 1, 2, 3, NEXT}), (genre.chords, {CHORD, 0, 1, 2, 3})):
        assert len(patterns) == 2 and patterns[0] != patterns[1]
        for pattern in patterns:
            starts = [step for step, _, _ in pattern]
            assert starts == sorted(set(starts)) and 0 <= starts[0]
            assert all(step + length <= steps and tone in most for step, length, tone in pattern)
    assert set(genre.moods) <= set(MOODS) and len(genre.moods) >= 2
    for mode in ("major", "minor"):
        assert set(genre.changes[mode]) == {"verse", "chorus", "bridge"}
        for degrees in genre.changes[mode].values():
            assert all(degree.rstrip("+") in "1234567" for degree in degrees.split())
    assert genre.lines == tuple(sorted(genre.lines)) and genre.lines[0] == 1


def test_genres_differ() -> None:
    assert len(GENRES) >= 4 and any(genre.metre == 3 for genre in GENRES.values())
    spans = sorted(genre.tempo for genre in GENRES.values())
    for (_, fast), (slow, _) in zip(spans, spans[1:], strict=False):
        assert fast < slow
    assert len({str(genre.drums) for genre in GENRES.values()}) == len(GENRES)
