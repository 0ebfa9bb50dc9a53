"""The plan of a song and the rules of its music: form, harmony, rhythm of lines, tunes, voicings.

Time is counted in beats here; a plan turns it into seconds. Nothing here knows who plays.
"""

import bisect
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.band.genres import MOODS, Genre

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_LINE = 3.6  # seconds that a sung line should last
_SYLLABLES = 2.1  # a second
_SHAPES = ("c", "vc", "ivc", "vcvc", "ivcvc", "ivcvco", "ivcvcbc", "ivcvcbco")
_KINDS = {"i": "intro", "v": "verse", "c": "chorus", "b": "bridge", "s": "solo", "o": "outro"}


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a song: what it is, its first beat and its beats."""

    kind: str
    start: float
    beats: float


@dataclasses.dataclass(frozen=True)
class Chord:
    """A chord: its first beat, its name, and its tones from the root up, as pitch classes."""

    start: float
    name: str
    tones: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is settled before a note is played.

    Attributes:
      genre: the genre's table.
      mood: the mood's name.
      loudness: the mood's.
      key: as "A minor".
      scale: the pitch classes of the key, the tonic first.
      tempo: beats a minute.
      lead: seconds before the first beat.
      line: beats of a sung line.
      ring: seconds that the last chord has.
      total: seconds of the song.
      sections: in order; the last is "end", without beats.
      chords: in order, the last at the end.
    """

    genre: Genre
    mood: str
    loudness: float
    key: str
    scale: tuple[int, ...]
    tempo: float
    lead: float
    line: float
    ring: float
    total: float
    sections: tuple[Section, ...]
    chords: tuple[Chord, ...]

    def seconds(self, beat: float) -> float:
        """When a beat is."""
        return self.lead + beat * 60 / self.tempo

    def section(self, beat: float) -> Section:
        """The section in which a beat lies."""
        starts = [section.start for section in self.sections]
        return self.sections[max(0, bisect.bisect_right(starts, beat + 1e-9) - 1)]

    def lines_of(self, section: Section) -> list[tuple[int, float]]:
        """(number, first beat) of the lines of a section; one cut short at its end counts."""
        count = math.ceil(section.beats / self.line - 1e-9)
        return [(index, section.start + index * self.line) for index in range(count)]

    def chords_of(self, section: Section) -> list[tuple[Chord, float]]:
        """(chord, beats) of a section."""
        ends = [chord.start for chord in self.chords[1:]] + [math.inf]
        return [
            (chord, end - chord.start)
            for chord, end in zip(self.chords, ends, strict=True)
            if section.start <= chord.start < section.start + section.beats
        ]


def plan(genre: Genre, seconds: float, rng: np.random.Generator) -> Plan:
    """Settles mood, key, tempo, form and harmony of a song of a given length."""
    mood = genre.moods[int(rng.integers(len(genre.moods)))]
    mode, place, loudness = MOODS[mood]
    tonic = int(rng.integers(12))
    scale = tuple((tonic + step) % 12 for step in _SCALES[mode])
    slow, fast = genre.tempo
    wish = slow + (fast - slow) * float(np.clip(place + rng.uniform(-0.1, 0.1), 0, 1))
    lead = min(0.15, 0.1 * seconds)
    bars, tempo = _tempo(genre, seconds - lead - min(2.4, 0.2 * seconds), wish)
    bar = genre.metre * 60 / tempo
    line_bars = min((1, 2, 4), key=lambda count: abs(math.log(count * bar / _LINE)))
    while line_bars > bars:
        line_bars //= 2
    sections, beat = [], 0.0
    for kind, count in _form(bars, line_bars, genre.lines):
        sections.append(Section(kind, beat, float(count * genre.metre)))
        beat += count * genre.metre
    sections.append(Section("end", beat, 0.0))
    line = float(line_bars * genre.metre)
    step = line / 2 if line_bars > 1 or genre.metre % 2 == 0 else line
    changes = genre.changes[mode]
    kind_of = genre.sevenths[mode == "minor"]
    chords = []
    for section in sections[:-1]:
        named = {"intro": "chorus", "solo": "chorus", "outro": "chorus"}
        degrees = changes[named.get(section.kind, section.kind)].split()
        for index in range(math.ceil(section.beats / step - 1e-9)):
            degree = degrees[index % len(degrees)]
            chords.append(_chord(section.start + index * step, degree, scale, kind_of))
    chords.append(_chord(beat, "1", scale, "plain" if kind_of != "dominant" else kind_of))
    ring = seconds - lead - beat * 60 / tempo
    return Plan(
        genre=genre,
        mood=mood,
        loudness=loudness,
        key=f"{_NAMES[tonic]} {mode}",
        scale=scale,
        tempo=tempo,
        lead=lead,
        line=line,
        ring=ring,
        total=seconds,
        sections=tuple(sections),
        chords=tuple(chords),
    )


def _tempo(genre: Genre, seconds: float, wish: float) -> tuple[int, float]:
    """Bars, and a tempo near a wish at which they fill the time, or all but a part of a bar."""
    slow, fast = genre.tempo
    bars = max(1, round(seconds * wish / 60 / genre.metre))
    if bars > 1 and bars * genre.metre * 60 / seconds > fast:
        bars -= 1
    tempo = bars * genre.metre * 60 / seconds
    return bars, max(tempo, slow)


def _form(bars: int, line_bars: int, sizes: tuple[int, ...]) -> list[tuple[str, int]]:
    """(kind, bars) of the sections that fill a number of bars."""
    lines = bars // line_bars
    shape = _SHAPES[min(lines, len(_SHAPES)) - 1]
    size = dict.fromkeys("ivcbso", sizes[0])
    rest = lines - len(shape)
    if lines >= len(_SHAPES):
        for large in sizes[1:]:
            for kind in "vcbio":  # what grows first
                grows = large if kind in "vc" else min(large, 2)
                cost = (grows - size[kind]) * shape.count(kind)
                if 0 < cost <= rest:
                    rest -= cost
                    size[kind] = grows
        while rest >= size["v"] + size["c"]:
            shape = shape.replace("vcb", "vcvcb", 1)
            rest -= size["v"] + size["c"]
        if rest >= size["c"]:
            shape = shape.replace("co", "cco", 1)
            rest -= size["c"]
        if rest:
            shape = shape.replace("bc", "bsc", 1)
            size["s"] = rest
    sections = [(_KINDS[kind], size[kind] * line_bars) for kind in shape]
    left = bars - lines * line_bars
    if left and sections[0][0] == "intro":
        sections[0] = ("intro", sections[0][1] + left)
    elif left:
        sections.insert(0, ("intro", left))
    return sections


def _chord(start: float, degree: str, scale: Sequence[int], sevenths: str) -> Chord:
    place = int(degree[0]) - 1
    third, fifth, seventh = ((scale[(place + up) % 7] - scale[place]) % 12 for up in (2, 4, 6))
    if degree.endswith("+"):
        third, fifth = 4, 7
    if sevenths == "dominant":
        third, fifth, seventh = 4, 7, 10
    name = _NAMES[scale[place]] + {(4, 7): "", (3, 7): "m", (3, 6): "dim"}[third, fifth]
    steps = [0, third, fifth]
    if sevenths != "plain":
        name += "maj7" if seventh == 11 else "7"
        steps.append(seventh)
    return Chord(start, name, tuple((scale[place] + step) % 12 for step in steps))


def voicing(chord: Chord, centre: int, before: tuple[int, ...] | None) -> tuple[int, ...]:
    """The closed position of a chord that moves least from the one before, near a centre."""
    options = []
    for lowest in range(centre - 9, centre + 4):
        if lowest % 12 in chord.tones:
            order = sorted((tone - lowest) % 12 for tone in chord.tones)
            options.append(tuple(lowest + step for step in order))

    def cost(option: tuple[int, ...]) -> float:
        drift = abs(sum(option) / len(option) - centre)
        if before is None:
            return drift
        return abs(option[0] - before[0]) + abs(option[-1] - before[-1]) + 0.3 * drift

    return min(options, key=cost)


def bass(chord: Chord, tone: int, centre: int) -> int:
    """The pitch of a bass that plays a tone of a chord, its root near a centre; 3 is the octave."""
    root = centre - 5 + (chord.tones[0] - (centre - 5)) % 12
    if tone == 3:
        return root + 12
    return root + (chord.tones[tone % 3] - chord.tones[0]) % 12


def rhythm(plan: Plan, rng: np.random.Generator) -> list[float]:
    """The beats at which the syllables of a line begin; the last is long."""
    beat = 60 / plan.tempo
    last = max(0, math.floor(plan.line - 1.2 / beat))
    half = 2 / 3 if plan.genre.steps == 3 else 0.5
    places = [whole + part for whole in range(last) for part in (0.0, half)]
    count = min(len(places), max(1, round(plan.line * beat * _SYLLABLES)) - 1)
    if not places or not count:
        return [0.0]
    weak = 1.0 if beat > 0.55 else 0.25
    weights = np.array([1000.0 if not at else 3.0 if at % 1 == 0 else weak for at in places])
    chosen = rng.choice(len(places), count, replace=False, p=weights / weights.sum())
    return [*sorted(places[index] for index in chosen), float(last)]


def melody(
    plan: Plan,
    onsets: Sequence[float],
    chords: Sequence[Chord],
    limits: tuple[int, int],
    height: float,
    closing: bool,
    rng: np.random.Generator,
) -> list[int]:
    """The pitches of a line: an arch by small steps, on tones of the chord where the beat is.

    Args:
      plan: the song's.
      onsets: beats at which notes begin, from the line's start.
      chords: the chord at each.
      limits: the lowest and the highest pitch.
      height: where the line starts and ends, about.
      closing: it ends on the tonic, if the chord allows.
      rng: where its turns come from.
    """
    low, high = limits
    lift = float(rng.uniform(0.25, 0.45)) * (high - low)
    peak = float(rng.uniform(0.35, 0.7)) * max(onsets[-1], 1.0)
    pitch, pitches = height, list[int]()
    for index, (onset, chord) in enumerate(zip(onsets, chords, strict=True)):
        final = index == len(onsets) - 1
        arch = onset / peak if onset < peak else 1 - (onset - peak) / max(onsets[-1] - peak, 0.5)
        goal = height + lift * arch
        wish = pitch + float(np.clip(goal - pitch, -3, 3)) + float(rng.normal(0, 1.5))
        tones: Sequence[int] = chord.tones if onset % 1 == 0 or final else plan.scale
        if final and closing and plan.scale[0] in chord.tones:
            tones = plan.scale[:1]
        able = [one for one in range(low, high + 1) if one % 12 in tones]
        pitch = min(able, key=lambda one: (abs(one - wish), one))
        if len(pitches) > 1 and pitches[-1] == pitches[-2] == pitch and not final:
            pitch = min((one for one in able if one != pitch), key=lambda one: abs(one - wish))
        pitches.append(int(pitch))
    return pitches
