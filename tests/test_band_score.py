"""A score keeps its promises: form, repeats, times of the words, and who plays when."""

import dataclasses

import numpy as np
import pytest

from jukebox_jax.audio.band import artists, genres, voice
from jukebox_jax.audio.band.score import Score, compose

PAIRS = [(artist, genre) for artist in artists.ARTISTS for genre in genres.GENRES]


def tune(score: Score, start: float, end: float) -> tuple[list[int], list[float]]:
    """Pitches and rhythm of what is sung in a stretch."""
    notes = [(at - start, pitch) for at, _, pitch in score.melody if start - 0.1 < at < end - 0.1]
    return [pitch for _, pitch in notes], [at for at, _ in notes]


@pytest.mark.parametrize(("artist", "genre"), PAIRS)
def test_a_song_of_each_kind(artist: str, genre: str) -> None:
    score = compose(3, seconds=60, artist=artist, genre=genre)
    assert (score.artist, score.genre) == (artist, genre)
    assert score == compose(3, seconds=60, artist=artist, genre=genre)
    names = [name for _, name in score.sections]
    assert names[-1] == "end" and {"intro", "verse", "chorus", "bridge", "outro"} <= set(names)
    assert names.count("chorus") >= 3 and names.count("verse") >= 2
    assert names.index("verse") < names.index("chorus") < names.index("bridge")
    low, high = artists.ARTISTS[artist].voice.low, artists.ARTISTS[artist].voice.high
    assert all(low <= pitch <= high for _, _, pitch in score.melody)
    assert all(0 <= one.start < 60 and 0 < one.level < 1.5 for one in (*score.notes, *score.hits))
    assert {note.role for note in score.notes} == {"comp", "bass", "pad", "lead"}
    assert genres.MOODS[score.mood][0] == score.key.split()[1]


@pytest.mark.parametrize("seconds", [0.5, 3, 11, 20, 75, 200])
@pytest.mark.parametrize("seed", range(6))
def test_the_words_have_their_times(seconds: float, seed: int) -> None:
    score = compose(seed, seconds=seconds)
    assert "".join(text for _, text in score.lyrics_times) == score.lyrics
    assert all(len(text) == 1 for _, text in score.lyrics_times)
    times = np.array([time for time, _ in score.lyrics_times])
    assert (np.diff(times) >= 0).all() and times[0] >= 0 and times[-1] < seconds
    for phone, following in zip(score.phones, score.phones[1:], strict=False):
        assert phone.end <= following.start + 1e-9
        assert (phone.end > phone.start) == (phone.character.lower() in voice.SOUNDS)
    assert score.phones[-1].end <= seconds
    assert score.lyrics == score.lyrics.strip()
    if seconds >= 11:
        letters = sum(text.isalpha() for text in score.lyrics)
        assert 2 < letters / seconds < 9, "neither mumbled nor rushed"


@pytest.mark.parametrize("genre", genres.GENRES)
def test_the_chorus_repeats_and_verses_do_not(genre: str) -> None:
    score = compose(9, seconds=70, genre=genre)
    words: dict[str, list[str]] = {}
    tunes: dict[str, list[tuple[list[int], list[float]]]] = {}
    chords: dict[str, list[list[str]]] = {}
    stanzas = iter(score.lyrics.split("\n\n"))
    for (start, name), (end, _) in zip(score.sections, score.sections[1:], strict=False):
        within = [chord for at, chord in score.chords if start - 1e-6 <= at < end - 1e-6]
        chords.setdefault(name, []).append(within)
        if name in ("verse", "chorus", "bridge"):
            words.setdefault(name, []).append(next(stanzas))
            tunes.setdefault(name, []).append(tune(score, start, end))
    assert next(stanzas, None) is None, "each sung section is one stanza"
    assert len(words["chorus"]) >= 2 and len(set(words["chorus"])) == 1
    assert len(set(words["verse"])) == len(words["verse"]) >= 2
    for name in ("verse", "chorus"):
        (pitches, times), *others = tunes[name]
        assert len(pitches) > 3 and others
        for again, later in others:
            assert again == pitches, "the same tune"
            np.testing.assert_allclose(later, times, atol=0.06)
        assert all(one == chords[name][0] for one in chords[name])
    assert tunes["verse"][0][0] != tunes["chorus"][0][0]


def test_chords_follow_the_key() -> None:
    """Tunes and basses sound on the chords' tones far more often than by chance."""
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    inside = []
    for seed in range(12):
        score = compose(seed, seconds=40)
        times = np.array([time for time, _ in score.chords])
        for note in score.notes:
            if note.role == "bass":
                chord = score.chords[int(np.searchsorted(times, note.start + 0.05)) - 1][1]
                root = chord[:2] if chord[:2] in names else chord[:1]
                fifth = 6 if chord.endswith("dim") else 7
                tones = {names.index(root), (names.index(root) + fifth) % 12}
                inside.append(note.pitch % 12 in tones)
    assert np.mean(inside) > 0.75


def test_labels_change_what_they_name() -> None:
    score = compose(2, seconds=20, artist="Velvet Harbor", genre="rock")
    other = compose(2, seconds=20, artist="Iron Lantern", genre="rock")
    assert score.key == other.key and score.tempo == other.tempo and score.mood == other.mood
    assert score.lyrics == other.lyrics
    assert set(score.activity) ^ set(other.activity) >= {"piano", "fuzz"}
    waltz = compose(2, seconds=20, artist="Velvet Harbor", genre="waltz")
    assert waltz.metre == 3 and waltz.tempo > score.tempo
    moods = {compose(seed, seconds=5).mood for seed in range(40)}
    assert moods == set(genres.MOODS)


def test_activity_covers_all_that_sounds() -> None:
    score = compose(4, seconds=30)
    activity, parts = score.activity, artists.ARTISTS[score.artist].parts
    for note in score.notes:
        spans = activity[parts[note.role].name]
        assert any(start <= note.start < end for start, end in spans)
    for spans in activity.values():
        assert all(start < end <= 30 for start, end in spans)
        gaps = [after[0] - before[1] for before, after in zip(spans, spans[1:], strict=False)]
        assert all(gap >= 0.5 for gap in gaps)
    assert "voice" not in dataclasses.replace(score, phones=()).activity
