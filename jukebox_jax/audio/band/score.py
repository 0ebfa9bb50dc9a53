"""Composes songs: form, harmony, melody, words and what every instrument plays, all in seconds.

A score is a pure function of a seed, a length, an artist and a genre. It holds every note, every
drum hit and every sung character, and from those says what is true of the song at any time.
Nothing here knows of samples.
"""

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.band import form, verses, voice
from jukebox_jax.audio.band.artists import ARTISTS, Artist
from jukebox_jax.audio.band.form import Chord, Plan
from jukebox_jax.audio.band.genres import CHORD, GENRES, NEXT

_ROLES = {
    "intro": "comp lead drums",
    "verse": "comp bass drums voice",
    "chorus": "comp bass drums pad voice",
    "bridge": "bass pad comp voice",
    "solo": "comp bass drums pad lead",
    "outro": "comp bass drums pad lead",
}
_LEVELS = {"intro": 0.8, "verse": 0.75, "chorus": 0.95, "bridge": 0.7, "solo": 0.9, "outro": 0.75}
_HEIGHTS = {"verse": 0.15, "chorus": 0.45, "bridge": 0.3}
_FULL = ("chorus", "solo")


@dataclasses.dataclass(frozen=True)
class Note:
    """A note of an instrument: its role, start and length in seconds, MIDI number, loudness."""

    role: str
    start: float
    seconds: float
    pitch: int
    level: float


@dataclasses.dataclass(frozen=True)
class Hit:
    """A stroke on a drum: which, when in seconds, how loud."""

    kind: str
    start: float
    level: float


@dataclasses.dataclass(frozen=True)
class Score:
    """A composed song.

    Attributes:
      seed: what it came from; also that of its noises.
      seconds: how long it is.
      artist: who plays, of `ARTISTS`.
      genre: what, of `GENRES`.
      mood: "calm", "bright", "dark" or "wild".
      key: as "A minor".
      tempo: beats a minute.
      metre: beats of a bar.
      sections: (seconds, name) of where each begins; the last is "end".
      chords: (seconds, name) of where each begins.
      dynamics: (seconds, level from 0 to 1), to be joined by straight lines.
      melody: (start, end, MIDI number) of each sung note.
      phones: every character of the lyrics as it is sung.
      notes: of all other pitched instruments.
      hits: of the drums.
    """

    seed: int
    seconds: float
    artist: str
    genre: str
    mood: str
    key: str
    tempo: float
    metre: int
    sections: tuple[tuple[float, str], ...]
    chords: tuple[tuple[float, str], ...]
    dynamics: tuple[tuple[float, float], ...]
    melody: tuple[tuple[float, float, int], ...]
    phones: tuple[voice.Phone, ...]
    notes: tuple[Note, ...]
    hits: tuple[Hit, ...]

    @property
    def lyrics(self) -> str:
        """All that is sung; repeated sections are written out."""
        return "".join(phone.character for phone in self.phones)

    @property
    def lyrics_times(self) -> tuple[tuple[float, str], ...]:
        """(seconds, character) of each character of the lyrics; seconds never fall."""
        return tuple((phone.start, phone.character) for phone in self.phones)

    @property
    def beats(self) -> tuple[tuple[float, int], ...]:
        """(seconds, number in its bar from 1) of each beat, from the first bar's on."""
        first, step = self.sections[0][0], 60 / self.tempo
        count = int((self.seconds - first) / step) + 1
        return tuple((first + beat * step, beat % self.metre + 1) for beat in range(count))

    @property
    def activity(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """When each instrument is heard, as (start, end) pairs; pauses under 0.5 s are bridged."""
        parts = ARTISTS[self.artist].parts
        heard: dict[str, list[tuple[float, float]]] = {}
        for note in self.notes:
            end = note.start + note.seconds
            heard.setdefault(parts[note.role].name, []).append((note.start, end))
        for hit in self.hits:
            heard.setdefault("drums", []).append((hit.start, hit.start + 0.1))
        for phone in self.phones:
            if phone.end > phone.start:
                heard.setdefault("voice", []).append((phone.start, phone.end))
        return {name: _joined(heard[name], self.seconds) for name in sorted(heard)}


def compose(
    seed: int, *, seconds: float, artist: str | None = None, genre: str | None = None
) -> Score:
    """Composes a song.

    Args:
      seed: the song's.
      seconds: its length, at least 0.5.
      artist: who plays; drawn where none is named.
      genre: what is played; the same.

    Raises:
      ValueError: too short, or an unknown artist or genre.
    """
    if not seconds >= 0.5:
        raise ValueError(f"seconds={seconds}: the band's shortest song lasts 0.5 s")
    draw = np.random.default_rng([seed, 0])
    some = str(draw.choice(list(ARTISTS))), str(draw.choice(list(GENRES)))
    artist, genre = artist or some[0], genre or some[1]
    for name, value, known in (("artist", artist, ARTISTS), ("genre", genre, GENRES)):
        if value not in known:
            raise ValueError(f"{name}={value!r} is none of the band's: {', '.join(known)}")
    plan = form.plan(GENRES[genre], seconds, draw)
    playing = _Playing(plan, ARTISTS[artist], seed)
    for number, section in enumerate(plan.sections[:-1]):
        playing.section(number)
        if "voice" in _ROLES[section.kind]:
            playing.sing(number)
    playing.end()
    return Score(
        seed=seed,
        seconds=seconds,
        artist=artist,
        genre=genre,
        mood=plan.mood,
        key=plan.key,
        tempo=plan.tempo,
        metre=plan.genre.metre,
        sections=tuple((plan.seconds(section.start), section.kind) for section in plan.sections),
        chords=tuple((plan.seconds(chord.start), chord.name) for chord in plan.chords),
        dynamics=tuple(playing.levels()),
        melody=tuple(playing.melody),
        phones=tuple(playing.phones),
        notes=tuple(note for note in playing.notes if note.start < seconds),
        hits=tuple(hit for hit in playing.hits if hit.start < seconds),
    )


class _Playing:
    """Fills a plan with notes; made for one song and dropped."""

    def __init__(self, plan: Plan, artist: Artist, seed: int) -> None:
        self.plan, self.artist = plan, artist
        self.words, self.tunes, self.hands = (np.random.default_rng([seed, n]) for n in (1, 2, 3))
        self.notes: list[Note] = []
        self.hits: list[Hit] = []
        self.phones: list[voice.Phone] = []
        self.melody: list[tuple[float, float, int]] = []
        self.tune: dict[tuple[str, int], tuple[list[float], list[int]]] = {}
        self.text: dict[int, list[tuple[str, ...]]] = {}
        self.voicings: dict[str, tuple[int, ...]] = {}
        self.starts = [chord.start for chord in plan.chords]
        self.last: tuple[str, ...] = ()
        self.rhyme = int(self.words.integers(len(verses.ENDINGS)))
        self.singing = [s for s in plan.sections[:-1] if "voice" in _ROLES[s.kind]]

    def chord(self, beat: float) -> Chord:
        return self.plan.chords[bisect.bisect_right(self.starts, beat + 1e-6) - 1]

    def level(self, beat: float) -> float:
        """The dynamics at a beat: a section's own level, and a rise within it."""
        section = self.plan.section(beat)
        if section.kind == "end":
            return 0.8 * self.plan.loudness
        rise = (beat - section.start) / max(section.beats, 1e-9)
        return self.plan.loudness * _LEVELS[section.kind] * (0.92 + 0.12 * rise)

    def levels(self) -> list[tuple[float, float]]:
        plan, points = self.plan, [(0.0, self.level(0.0))]
        for section in plan.sections[:-1]:
            points.append((plan.seconds(section.start), self.level(section.start)))
            last = section.start + section.beats
            points.append((plan.seconds(last) - 1e-3, self.level(last - 1e-6)))
        end = plan.seconds(plan.sections[-1].start)
        return [*points, (end, self.level(plan.sections[-1].start)), (plan.total, 0.0)]

    def late(self) -> float:
        """How far a player strays from the beat, in seconds."""
        return float(np.clip(self.hands.standard_normal(), -2, 2)) * self.artist.loose

    def play(self, role: str, beat: float, beats: float, pitch: int, level: float) -> None:
        start = max(0.0, self.plan.seconds(beat) + self.late())
        touch = 1 + 0.1 * float(self.hands.uniform(-1, 1))
        long = beats * 60 / self.plan.tempo
        self.notes.append(Note(role, start, long, int(pitch), level * touch * self.level(beat)))

    def strike(self, kind: str, beat: float, level: float) -> None:
        start = max(0.0, self.plan.seconds(beat) + 0.5 * self.late())
        touch = 1 + 0.12 * float(self.hands.uniform(-1, 1))
        self.hits.append(Hit(kind, start, level * touch * self.level(beat)))

    def voicing(self, role: str, chord: Chord) -> tuple[int, ...]:
        part = self.artist.parts[role]
        chord = dataclasses.replace(chord, tones=chord.tones[: part.tones])
        near = form.voicing(chord, part.centre, self.voicings.get(role))
        self.voicings[role] = near
        return near

    def section(self, number: int) -> None:
        """What the instruments play in a section."""
        section, genre = self.plan.sections[number], self.plan.genre
        roles = _ROLES[section.kind].split()
        full = section.kind in _FULL or (self.plan.mood == "wild" and section.kind == "verse")
        bars = int(section.beats / genre.metre)
        for bar in range(bars):
            beat = section.start + bar * genre.metre
            if "bass" in roles:
                self.bass(beat, full)
            if "comp" in roles:
                self.comp(beat, full)
            if "drums" in roles:
                self.drums(beat, full, first=full and bar == 0, last=bar == bars - 1)
        if "pad" in roles:
            for chord, beats in self.plan.chords_of(section):
                for pitch in self.voicing("pad", chord):
                    self.play("pad", chord.start, 0.97 * beats, pitch, 1.0)
        if "lead" in roles:
            for index, beat in self.plan.lines_of(section):
                onsets, pitches = self.line("chorus", index, beat)
                self.lead(beat, onsets, pitches, section.start + section.beats)

    def bass(self, beat: float, full: bool) -> None:
        centre = self.artist.parts["bass"].centre
        for step, steps, tone in self.plan.genre.bass[full]:
            at = beat + step / self.plan.genre.steps
            chord = self.chord(at)
            pitch = form.bass(chord, tone, centre)
            if tone == NEXT:
                pitch = form.bass(self.chord(beat + self.plan.genre.metre), 0, centre)
                pitch -= 1 if (pitch - 1) % 12 in self.plan.scale else 2
            beats = 0.92 * steps / self.plan.genre.steps
            self.play("bass", at, beats, pitch, 1.0 if step == 0 else 0.85)

    def comp(self, beat: float, full: bool) -> None:
        for step, steps, tone in self.plan.genre.chords[full]:
            at = beat + step / self.plan.genre.steps
            pitches = self.voicing("comp", self.chord(at))
            chosen = pitches if tone == CHORD else (pitches[tone % len(pitches)],)
            strum = 1.5 * self.artist.loose * self.plan.tempo / 60
            for index, pitch in enumerate(chosen):
                loud = 0.75 if tone == CHORD else 1.1
                beats = 0.95 * steps / self.plan.genre.steps
                self.play("comp", at + strum * index, beats, pitch, loud)

    def drums(self, beat: float, full: bool, first: bool, last: bool) -> None:
        genre = self.plan.genre
        fill = (genre.metre - 1) * genre.steps if last else genre.metre * genre.steps
        for kind, marks in genre.drums[full].items():
            for step, mark in enumerate(marks):
                if mark != "." and (step < fill or kind == "kick"):
                    loud = {"x": 1.0, "o": 0.5}[mark] * (0.5 if kind in ("hat", "open") else 1.0)
                    self.strike(kind, beat + step / genre.steps, loud)
        if first:
            self.strike("crash", beat, 0.45)
        if last:
            for step in range(genre.steps):
                kind = "snare" if step % 2 else "tom"
                at = beat + genre.metre - 1 + step / genre.steps
                self.strike(kind, at, 0.5 + 0.4 * step / genre.steps)

    def lead(
        self, beat: float, onsets: Sequence[float], pitches: Sequence[int], limit: float
    ) -> None:
        """The tune of the chorus, where the lead plays it."""
        centre = self.artist.parts["lead"].centre
        shift = 12 * round((centre - float(np.mean(pitches))) / 12)
        for onset, after, pitch in zip(onsets, [*onsets[1:], onsets[-1] + 2], pitches, strict=True):
            if beat + onset < limit:
                long = min(0.9 * (after - onset), limit - beat - onset)
                self.play("lead", beat + onset, long, pitch + shift, 0.9)

    def end(self) -> None:
        """The last chord, which rings until the end."""
        start = self.plan.sections[-1].start
        chord, beats = self.chord(start), 0.88 * self.plan.ring * self.plan.tempo / 60
        for role in ("comp", "pad"):
            for pitch in self.voicing(role, chord):
                self.play(role, start, beats, pitch, 0.85)
        self.play("bass", start, beats, form.bass(chord, 0, self.artist.parts["bass"].centre), 1.0)
        self.strike("kick", start, 0.9)
        self.strike("crash", start, 0.4)

    def line(self, kind: str, index: int, beat: float) -> tuple[list[float], list[int]]:
        """Onsets in beats and pitches of a line of a kind of section; the same whenever asked."""
        if (kind, index) not in self.tune:
            singer, plan = self.artist.voice, self.plan
            twin = self.tune.get((kind, index - 2))
            onsets = twin[0] if twin else form.rhythm(plan, self.tunes)
            chords = [self.chord(beat + onset) for onset in onsets]
            height = singer.low + _HEIGHTS[kind] * (singer.high - singer.low)
            pitches = form.melody(
                plan, onsets, chords, (singer.low, singer.high), height, index % 2 == 1, self.tunes
            )
            self.tune[kind, index] = onsets, pitches
        return self.tune[kind, index]

    def sing(self, number: int) -> None:
        """The words and the tune of a section."""
        section, plan = self.plan.sections[number], self.plan
        lines = plan.lines_of(section)
        if section.kind == "chorus":
            number = -1
        if number not in self.text:
            self.text[number] = []
            for index, beat in lines:
                if index % 2 == 0 and len(lines) > 1:
                    self.rhyme += 1
                count = len(self.line(section.kind, index, beat)[0])
                self.last = verses.line(section.kind, count, self.rhyme, self.words, self.last)
                self.text[number].append(self.last)
        last = section is self.singing[-1]
        for index, beat in lines:
            onsets, pitches = self.line(section.kind, index, beat)
            final = index == len(lines) - 1
            after = ("" if last else "\n\n") if final else "\n"
            syllables = list(self.text[number][index])
            syllables[-1] += after
            starts = [plan.seconds(beat + onset) + self.late() for onset in onsets]
            until = plan.seconds(beat + plan.line)
            until -= min(0.12, 0.3 * (until - starts[-1]))
            ends = [min(a + 1.5, b) for a, b in zip(starts, [*starts[1:], until], strict=True)]
            levels = [
                self.level(beat + onset) * (1.0 if onset % 1 == 0 else 0.9) for onset in onsets
            ]
            earliest = self.phones[-1].start if self.phones else 0.0
            self.phones += voice.spell(syllables, starts, ends, pitches, levels, earliest)
            self.melody += zip(starts, ends, pitches, strict=True)


def _joined(spans: list[tuple[float, float]], limit: float) -> tuple[tuple[float, float], ...]:
    """Sorted spans, those less than half a second apart made one."""
    joined: list[list[float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < 0.5:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return tuple((start, min(end, limit)) for start, end in joined)
