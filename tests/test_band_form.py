"""Plans fill their time, and the rules of music hold."""

import numpy as np
import pytest

from jukebox_jax.audio.band import form
from jukebox_jax.audio.band.genres import GENRES, NEXT


@pytest.mark.parametrize("name", GENRES)
@pytest.mark.parametrize("seconds", [8, 20, 33, 61, 100, 245, 600])
def test_a_plan_fills_its_time(name: str, seconds: float) -> None:
    genre = GENRES[name]
    for seed in range(5):
        plan = form.plan(genre, seconds, np.random.default_rng(seed))
        assert genre.tempo[0] - 1e-9 <= plan.tempo <= genre.tempo[1] + 1e-9
        beat = 0.0
        for section in plan.sections[:-1]:
            assert section.start == beat and section.beats > 0
            assert section.beats % genre.metre == 0, "whole bars"
            beat += section.beats
        assert plan.sections[-1] == form.Section("end", beat, 0.0)
        assert plan.seconds(beat) + plan.ring == pytest.approx(seconds)
        assert 1.2 < plan.ring < 2.5 + genre.metre * 60 / genre.tempo[0]
        chords = [chord.start for chord in plan.chords]
        assert chords == sorted(chords) and chords[0] == 0 and chords[-1] == beat
        assert plan.chords[-1].tones[0] == plan.scale[0], "it ends on the tonic"
        if seconds >= 61:
            kinds = [section.kind for section in plan.sections]
            assert kinds.count("chorus") >= 3 and "bridge" in kinds
            longest = max(section.beats for section in plan.sections) * 60 / plan.tempo
            assert longest < 45


@pytest.mark.parametrize(
    ("degree", "sevenths", "name", "tones"),
    [
        ("1", "plain", "C", (0, 4, 7)),
        ("6", "plain", "Am", (9, 0, 4)),
        ("7", "plain", "Bdim", (11, 2, 5)),
        ("1", "seventh", "Cmaj7", (0, 4, 7, 11)),
        ("2", "seventh", "Dm7", (2, 5, 9, 0)),
        ("5", "seventh", "G7", (7, 11, 2, 5)),
        ("4", "dominant", "F7", (5, 9, 0, 3)),
        ("3+", "plain", "E", (4, 8, 11)),
    ],
)
def test_chords(degree: str, sevenths: str, name: str, tones: tuple[int, ...]) -> None:
    chord = form._chord(3.0, degree, (0, 2, 4, 5, 7, 9, 11), sevenths)
    assert chord == form.Chord(3.0, name, tones)


def test_voices_lead() -> None:
    plan = form.plan(GENRES["ballad"], 120, np.random.default_rng(1))
    before, moves = None, []
    for chord in plan.chords:
        now = form.voicing(chord, 60, before)
        assert {pitch % 12 for pitch in now} == set(chord.tones)
        assert list(now) == sorted(now) and 48 <= now[0] and now[-1] <= 76
        if before and len(before) == len(now):
            moves.append(np.abs(np.subtract(now, before)).mean())
        before = now
    assert np.mean(moves) < 3


def test_basses() -> None:
    chord = form.Chord(0.0, "Dm", (2, 5, 9))
    assert [form.bass(chord, tone, 36) for tone in (0, 1, 2, 3)] == [38, 41, 45, 50]
    assert 31 <= form.bass(form.Chord(0.0, "B", (11, 3, 6)), 0, 36) <= 42
    assert form.bass(chord, NEXT, 36) == 38


@pytest.mark.parametrize("name", GENRES)
def test_lines_are_singable(name: str) -> None:
    genre, rng = GENRES[name], np.random.default_rng(0)
    plan = form.plan(genre, 60, rng)
    for _ in range(30):
        onsets = form.rhythm(plan, rng)
        assert onsets[0] == 0 and onsets == sorted(set(onsets))
        rest = (plan.line - onsets[-1]) * 60 / plan.tempo
        assert 1.1 < rest < 2.5, "the last syllable is long, and there is time to breathe"
        assert min(np.diff(onsets)) * 60 / plan.tempo > 0.15
        chords = [plan.chords[0]] * len(onsets)
        tune = form.melody(plan, onsets, chords, (50, 66), 54, True, rng)
        assert len(tune) == len(onsets) and all(50 <= pitch <= 66 for pitch in tune)
        assert np.abs(np.diff(tune)).max() <= 12 and np.abs(np.diff(tune)).mean() < 5
        strong = [pitch for pitch, onset in zip(tune, onsets, strict=True) if onset % 1 == 0]
        assert all(pitch % 12 in chords[0].tones for pitch in strong)
        if plan.scale[0] in chords[0].tones:
            assert tune[-1] % 12 == plan.scale[0]
