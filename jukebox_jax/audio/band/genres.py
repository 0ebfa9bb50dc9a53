"""What is played: each genre's tempo, metre, harmony, rhythm and moods. Plain tables.

A bar is a row of steps. A pattern of drums has a mark for each step: x strong, o soft, a dot for
none. Basses and chords are (step, steps, tone): a bass's tone counts those of the chord from its
root (3 is the octave, -1 the fifth below, NEXT leads to the next chord); a chord's is CHORD for
all of it, or which of its voices.
"""

import dataclasses
from collections.abc import Mapping

NEXT, CHORD = 9, -1

Pattern = tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Genre:
    """A kind of music.

    Attributes:
      tempo: slowest and fastest, in beats a minute.
      metre: beats of a bar.
      steps: steps of a beat; 3 for a swing.
      moods: which it may be in.
      sevenths: what chords of major and of minor songs are: "plain", "seventh" or "dominant".
      changes: by mode and section, degrees of the scale, two a line; "5+" is a major chord.
      bass: patterns of quiet and of full sections.
      chords: the same.
      drums: the same, by the drum.
      lines: how many lines a section may have, rising.
    """

    tempo: tuple[float, float]
    metre: int
    steps: int
    moods: tuple[str, ...]
    sevenths: tuple[str, str]
    changes: Mapping[str, Mapping[str, str]]
    bass: tuple[Pattern, Pattern]
    chords: tuple[Pattern, Pattern]
    drums: tuple[Mapping[str, str], Mapping[str, str]]
    lines: tuple[int, ...] = (1, 2, 4)


MOODS: dict[str, tuple[str, float, float]] = {
    "calm": ("major", 0.1, 0.7),
    "bright": ("major", 0.7, 0.9),
    "dark": ("minor", 0.3, 0.8),
    "wild": ("minor", 0.9, 1.0),
}
"""Mode, place in the range of tempos, loudness."""

_POP = {
    "major": {"verse": "1 5 6 4", "chorus": "4 1 5 6 4 1 5 1", "bridge": "2 6 4 5"},
    "minor": {"verse": "1 6 3 7", "chorus": "6 7 1 1 6 7 5+ 1", "bridge": "4 1 6 5+"},
}
_CIRCLE = {
    "major": {"verse": "1 6 2 5", "chorus": "1 4 5 1", "bridge": "4 3 2 5"},
    "minor": {"verse": "1 4 7 3 6 4 5+ 1", "chorus": "1 7 6 5+", "bridge": "4 7 3 5+"},
}
_BLUES = {
    mode: {"verse": "1 1 1 1 4 4 1 1 5 4 1 5", "chorus": "4 1 5 1", "bridge": "4 4 1 5"}
    for mode in ("major", "minor")
}

GENRES: dict[str, Genre] = {
    "ballad": Genre(
        (64, 76),
        4,
        4,
        ("calm", "dark"),
        ("plain", "seventh"),
        _POP,
        bass=(((0, 8, 0), (8, 8, 0)), ((0, 6, 0), (6, 2, 2), (8, 6, 0), (14, 2, NEXT))),
        chords=(
            tuple(
                (step, min(6, 16 - step), (0, 1, 2, 1)[step // 2 % 4]) for step in range(0, 16, 2)
            ),
            ((0, 6, CHORD), (4, 4, 2), (6, 4, 1), (8, 6, CHORD), (12, 4, 2), (14, 2, 1)),
        ),
        drums=(
            {"kick": "x.........o.....", "rim": "........x.......", "hat": "o...o...o...o..."},
            {"kick": "x.....o.x.......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
        ),
    ),
    "reggae": Genre(
        (80, 90),
        4,
        4,
        ("calm", "bright"),
        ("plain", "plain"),
        _CIRCLE,
        bass=(
            ((0, 3, 0), (3, 3, 0), (6, 2, 2), (10, 2, 1), (12, 4, 0)),
            ((0, 3, 0), (3, 1, 0), (4, 4, 2), (8, 3, 3), (11, 3, 2), (14, 2, NEXT)),
        ),
        chords=(
            ((2, 1, CHORD), (6, 1, CHORD), (10, 1, CHORD), (14, 1, CHORD)),
            tuple((step, 1, CHORD) for step in (2, 3, 6, 10, 11, 14)),
        ),
        drums=(
            {"kick": "........x.......", "rim": "........x.......", "hat": "x.o.x.o.x.o.x.o."},
            {"kick": "o.......x.......", "rim": "........x..o..o.", "hat": "x.ooxoo.x.oox.o."},
        ),
    ),
    "blues": Genre(
        (94, 108),
        4,
        3,
        ("dark", "wild", "bright"),
        ("dominant", "seventh"),
        _BLUES,
        bass=(
            ((0, 5, 0), (6, 5, 2)),
            ((0, 3, 0), (3, 3, 1), (6, 3, 2), (9, 2, NEXT)),
        ),
        chords=(
            ((0, 2, CHORD), (5, 1, CHORD), (8, 3, CHORD)),
            tuple((step, 1 if step % 3 else 2, CHORD) for step in (0, 2, 3, 5, 6, 8, 9, 11)),
        ),
        drums=(
            {"kick": "x.....o.....", "rim": "...x.....x..", "hat": "x.ox.ox.ox.o"},
            {"kick": "x.o...x....o", "snare": "...x.....x..", "hat": "x.ox.ox.ox.o"},
        ),
        lines=(1, 2, 6),
    ),
    "electro": Genre(
        (116, 128),
        4,
        4,
        ("bright", "wild", "dark"),
        ("plain", "seventh"),
        _POP,
        bass=(
            tuple((step, 1, 0) for step in (2, 6, 10, 14)),
            tuple((step, 1, 3 if step % 4 == 3 else 0) for step in range(16) if step % 4),
        ),
        chords=(
            tuple((step, 1, step // 2 % 3) for step in range(0, 16, 2)),
            tuple((step, 2, step % 4) for step in (0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 13, 14)),
        ),
        drums=(
            {"kick": "x...x...x...x...", "hat": "..x...x...x...x."},
            {
                "kick": "x...x...x...x...",
                "snare": "....x.......x...",
                "open": "..o...o...o...o.",
                "hat": "x.oox.oox.oox.oo",
            },
        ),
    ),
    "rock": Genre(
        (132, 146),
        4,
        4,
        ("bright", "wild"),
        ("plain", "plain"),
        _POP,
        bass=(
            tuple((step, 2, 0) for step in range(0, 16, 2)),
            tuple(
                (step, 2, 3 if step == 10 else NEXT if step == 14 else 0)
                for step in range(0, 16, 2)
            ),
        ),
        chords=(
            ((0, 3, CHORD), (4, 1, CHORD), (6, 3, CHORD), (10, 2, CHORD), (12, 3, CHORD)),
            tuple((step, 2, CHORD) for step in range(0, 16, 2)),
        ),
        drums=(
            {"kick": "x.....x.x.......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
            {"kick": "x.x...x.x.x.....", "snare": "....x.......x..o", "open": "x...o...x...o..."},
        ),
    ),
    "waltz": Genre(
        (150, 174),
        3,
        4,
        ("calm", "bright", "dark"),
        ("plain", "seventh"),
        _CIRCLE,
        bass=(((0, 10, 0),), ((0, 8, 0), (8, 4, 2))),
        chords=(((4, 3, CHORD), (8, 3, CHORD)), ((4, 3, CHORD), (8, 2, CHORD), (10, 2, 2))),
        drums=(
            {"kick": "x...........", "rim": "....o...o..."},
            {"kick": "x...........", "snare": "....o...o...", "hat": "x...x.o.x..."},
        ),
    ),
}
"""The genres by name; their tempos do not overlap."""
