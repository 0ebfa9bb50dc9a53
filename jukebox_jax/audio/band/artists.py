"""Who plays: each artist's singer, instruments, drum kit, room and desk. Plain numbers."""

import dataclasses
from collections.abc import Mapping

from jukebox_jax.audio.band.instruments import Kit, Timbre
from jukebox_jax.audio.band.voice import Voice


@dataclasses.dataclass(frozen=True)
class Part:
    """An instrument in an artist's hands.

    Attributes:
      name: what it is.
      timbre: how it sounds.
      centre: MIDI number around which it plays.
      gain: of its fader.
      pan: from -1, left, to 1, right.
      width: of its image, 0 for a point.
      room: how much of it goes to the room.
      echo: how much of it goes to the echo.
      tones: how many tones of a chord it plays at most.
    """

    name: str
    timbre: Timbre
    centre: int
    gain: float
    pan: float = 0.0
    width: float = 0.0
    room: float = 0.2
    echo: float = 0.0
    tones: int = 4


@dataclasses.dataclass(frozen=True)
class Fader:
    """How the voice or the drums are mixed: gain, and how much goes to the room and the echo."""

    gain: float
    room: float
    echo: float = 0.0


@dataclasses.dataclass(frozen=True)
class Artist:
    """A band.

    Attributes:
      voice: who sings.
      parts: by role: comp, pad, lead, bass.
      kit: the drums.
      room: seconds of its reverb, and Hz above which that is duller.
      echo: beats between repeats, and how much is left of each.
      singer: how the voice is mixed.
      drums: how the drums are mixed.
      loose: seconds by which players stray from the beat.
    """

    voice: Voice
    parts: Mapping[str, Part]
    kit: Kit
    room: tuple[float, float]
    echo: tuple[float, float]
    singer: Fader
    drums: Fader
    loose: float


ARTISTS: dict[str, Artist] = {
    # Plucked steel, an accordion and a tin whistle in a small wooden room; a warm tenor.
    "The Copper Foxes": Artist(
        voice=Voice(50, 66, size=1.0, tilt=1.15, breath=0.02, vibrato=0.25, glide=0.06),
        parts={
            "comp": Part(
                "guitar",
                Timbre(0.75, stretch=5e-5, decay=1.6, damping=1.8, pluck=0.17, click=0.25),
                centre=57,
                gain=0.22,
                pan=-0.35,
                width=0.15,
            ),
            "pad": Part(
                "accordion",
                Timbre(1.0, attack=0.07, release=0.12, detune=(-6.0, 5.0), shake=(5.6, 0.08)),
                centre=62,
                gain=0.07,
                pan=0.35,
                width=0.3,
            ),
            "lead": Part(
                "whistle",
                Timbre(2.2, 6, attack=0.03, release=0.07, shake=(5.2, 0.12), breath=0.05),
                centre=79,
                gain=0.22,
                pan=0.3,
                room=0.4,
            ),
            "bass": Part(
                "bass",
                Timbre(1.5, 14, decay=1.5, damping=5.0, pluck=0.3, attack=0.006, click=0.15),
                centre=38,
                gain=0.32,
                room=0.03,
            ),
        },
        kit=Kit((120, 58, 0.11), (190, 0.09, 0.6), (5200, 0.035), click=0.25),
        room=(0.7, 2600.0),
        echo=(0.5, 0.2),
        singer=Fader(0.345, 0.35, 0.05),
        drums=Fader(0.6, 0.16),
        loose=0.007,
    ),
    # An electric piano, strings and a vibraphone in a hall; a soft alto with a wide vibrato.
    "Velvet Harbor": Artist(
        voice=Voice(57, 74, size=1.14, tilt=1.45, breath=0.06, vibrato=0.5, glide=0.1),
        parts={
            "comp": Part(
                "piano",
                Timbre(1.7, 12, stretch=2e-4, decay=1.1, damping=2.2, click=0.1, attack=0.005),
                centre=60,
                gain=0.22,
                pan=0.15,
                width=0.35,
                room=0.3,
            ),
            "pad": Part(
                "strings",
                Timbre(1.15, attack=0.22, release=0.3, detune=(-8.0, -2.0, 7.0), shake=(4.8, 0.06)),
                centre=67,
                gain=0.10,
                width=0.5,
                room=0.6,
            ),
            "lead": Part(
                "vibraphone",
                Timbre(2.4, 5, even=0.2, decay=1.3, damping=1.0, shake=(4.2, 0.3), click=0.08),
                centre=77,
                gain=0.36,
                pan=-0.35,
                room=0.5,
                echo=0.2,
            ),
            "bass": Part(
                "bass",
                Timbre(1.9, 8, decay=0.8, damping=3.0, attack=0.012, release=0.1),
                centre=36,
                gain=0.32,
                room=0.05,
            ),
        },
        kit=Kit((95, 50, 0.14), (170, 0.15, 0.9), (6500, 0.045), click=0.06),
        room=(1.6, 2200.0),
        echo=(1.0, 0.3),
        singer=Fader(0.36, 0.4, 0.15),
        drums=Fader(0.5, 0.25),
        loose=0.010,
    ),
    # Saws, chips and hand claps from a box; a bright, straight voice with an echo.
    "Neon Orchard": Artist(
        voice=Voice(60, 76, size=1.22, tilt=0.95, breath=0.01, vibrato=0.0, glide=0.02),
        parts={
            "comp": Part(
                "synth",
                Timbre(1.0, decay=2.5, damping=1.5, detune=(-9.0, 0.0, 8.0), release=0.05),
                centre=62,
                gain=0.17,
                width=0.45,
                room=0.15,
                echo=0.2,
            ),
            "pad": Part(
                "sweep",
                Timbre(
                    0.95, detune=(-14.0, -5.0, 4.0, 13.0), attack=0.3, release=0.25, damping=0.25
                ),
                centre=64,
                gain=0.09,
                width=0.6,
                room=0.3,
            ),
            "lead": Part(
                "chip",
                Timbre(1.0, 30, even=0.0, attack=0.002, release=0.03, decay=0.6),
                centre=79,
                gain=0.17,
                pan=0.3,
                room=0.1,
                echo=0.45,
            ),
            "bass": Part(
                "sub",
                Timbre(1.25, 20, decay=1.0, damping=3.5, attack=0.003, release=0.03),
                centre=36,
                gain=0.32,
                room=0.0,
            ),
        },
        kit=Kit((190, 46, 0.2), (0, 0.07, 1.0), (7500, 0.02), click=0.45, clap=True),
        room=(0.9, 4500.0),
        echo=(0.75, 0.42),
        singer=Fader(0.315, 0.3, 0.35),
        drums=Fader(0.6, 0.1),
        loose=0.0,
    ),
    # Fuzz, an organ and a trumpet in a cellar; a dark baritone.
    "Iron Lantern": Artist(
        voice=Voice(43, 60, size=0.9, tilt=0.9, breath=0.05, vibrato=0.15, glide=0.04),
        parts={
            "comp": Part(
                "fuzz",
                Timbre(
                    0.7, decay=0.7, damping=0.5, detune=(-4.0, 5.0), body=(1900.0, 1.8), click=0.2
                ),
                centre=55,
                gain=0.14,
                pan=-0.4,
                width=0.5,
                room=0.12,
                tones=3,
            ),
            "pad": Part(
                "organ",
                Timbre(
                    0.55, 8, even=1.3, attack=0.012, release=0.05, shake=(6.4, 0.12), click=0.05
                ),
                centre=64,
                gain=0.10,
                pan=0.4,
                width=0.3,
            ),
            "lead": Part(
                "trumpet",
                Timbre(0.5, 18, attack=0.035, release=0.06, body=(1400.0, 1.5), shake=(5.6, 0.06)),
                centre=67,
                gain=0.20,
                pan=0.35,
                room=0.3,
            ),
            "bass": Part(
                "bass",
                Timbre(0.9, 24, decay=1.2, damping=1.2, pluck=0.1, click=0.4),
                centre=33,
                gain=0.33,
                room=0.03,
            ),
        },
        kit=Kit((150, 64, 0.09), (215, 0.13, 0.7), (4200, 0.05), click=0.6),
        room=(1.1, 3400.0),
        echo=(0.25, 0.15),
        singer=Fader(0.345, 0.3, 0.1),
        drums=Fader(0.62, 0.16),
        loose=0.005,
    ),
}
"""The artists by name."""
