"""A voice that sings text as it is spelt: every character has a sound of its own.

Vowels are a buzz shaped by formants, nasals and liquids a duller one, fricatives are bands of
noise, stops a closure and a burst; all else is silence. `spell` knows when each character of a
line sounds, `sing` turns that into samples, by filtering a buzz and a noise in short overlapping
frames. Nothing here knows of songs or of other instruments.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jukebox_jax.audio.band import instruments

VOWELS = "aeiouy"
SILENT = " ,\n"

_GAP = 0.03  # seconds of silence between words
_FRAMES = 200  # frames a second, of which four overlap


@dataclasses.dataclass(frozen=True)
class Phone:
    """A character as it is sung.

    Attributes:
      character: the one that is written.
      start: when its sound begins, in seconds.
      end: when it ends; not after `start` where it has no sound.
      pitch: MIDI number.
      level: loudness, about 0 to 1.
    """

    character: str
    start: float
    end: float
    pitch: float
    level: float


@dataclasses.dataclass(frozen=True)
class Voice:
    """A singer.

    Attributes:
      low: MIDI number of the lowest note.
      high: of the highest.
      size: what formants are multiplied by; above 1 for a small head.
      tilt: how fast the buzz's harmonics fall: amplitude is harmonic ** -tilt.
      breath: noise under the vowels.
      vibrato: its depth in semitones.
      glide: seconds from one note to the next.
    """

    low: int
    high: int
    size: float
    tilt: float
    breath: float
    vibrato: float
    glide: float


@dataclasses.dataclass(frozen=True)
class Sound:
    """The sound of a character.

    Attributes:
      formants: three resonances of the buzz, in Hz.
      levels: how loud each is.
      voiced: loudness of the buzz.
      noise: loudness of the noise.
      band: the noise's centre in Hz, and its width in octaves.
      seconds: how long a consonant lasts; vowels fill what there is.
      closure: the part of it that is closed, with only a murmur if it is voiced.
    """

    formants: tuple[float, float, float]
    levels: tuple[float, float, float] = (1.0, 0.5, 0.25)
    voiced: float = 0.0
    noise: float = 0.0
    band: tuple[float, float] = (2000.0, 1.0)
    seconds: float = 0.08
    closure: float = 0.0


_NEUTRAL = (500.0, 1450.0, 2500.0)
_CLOSED = (1.0, 0.12, 0.03)
SOUNDS: dict[str, Sound] = {
    "a": Sound((800, 1250, 2600), (1.0, 0.8, 0.3), 1.0, seconds=0.07),
    "e": Sound((480, 1900, 2600), (1.0, 0.6, 0.4), 1.0, seconds=0.06),
    "i": Sound((290, 2350, 3100), (1.0, 0.6, 0.5), 1.0, seconds=0.07),
    "o": Sound((500, 850, 2500), (1.0, 0.8, 0.1), 1.0, seconds=0.07),
    "u": Sound((320, 650, 2300), (1.0, 0.45, 0.06), 0.95, seconds=0.07),
    "y": Sound((300, 1650, 2150), (1.0, 0.55, 0.4), 0.95, seconds=0.07),
    "m": Sound((240, 1000, 2100), _CLOSED, 0.55, seconds=0.075),
    "n": Sound((260, 1500, 2600), (1.0, 0.3, 0.1), 0.55, seconds=0.07),
    "l": Sound((370, 1050, 2900), (1.0, 0.3, 0.3), 0.7, seconds=0.065),
    "r": Sound((430, 1200, 1600), (1.0, 0.5, 0.5), 0.7, seconds=0.065),
    "w": Sound((290, 560, 2200), (1.0, 0.4, 0.02), 0.65, seconds=0.065),
    "j": Sound((270, 2100, 2800), (1.0, 0.3, 0.3), 0.4, 0.35, (2600, 0.7), 0.08, 0.3),
    "v": Sound((300, 1100, 2300), _CLOSED, 0.45, 0.12, (3200, 2.0), 0.07),
    "z": Sound((260, 1600, 2600), _CLOSED, 0.4, 0.4, (5600, 0.8), 0.08),
    "f": Sound(_NEUTRAL, noise=0.22, band=(3400, 2.4), seconds=0.09),
    "s": Sound(_NEUTRAL, noise=0.6, band=(5600, 0.8), seconds=0.095),
    "h": Sound(_NEUTRAL, noise=0.25, band=(1100, 1.3), seconds=0.07),
    "c": Sound(_NEUTRAL, noise=0.55, band=(2700, 0.6), seconds=0.09, closure=0.25),
    "x": Sound(_NEUTRAL, noise=0.5, band=(2900, 1.5), seconds=0.12, closure=0.3),
    "p": Sound(_NEUTRAL, noise=0.7, band=(800, 1.2), seconds=0.08, closure=0.6),
    "t": Sound(_NEUTRAL, noise=0.7, band=(4600, 0.9), seconds=0.08, closure=0.6),
    "k": Sound(_NEUTRAL, noise=0.7, band=(1800, 0.6), seconds=0.085, closure=0.55),
    "q": Sound((300, 650, 2300), _CLOSED, 0.3, 0.6, (1250, 0.5), 0.09, 0.5),
    "b": Sound((320, 800, 2200), _CLOSED, 0.5, 0.35, (700, 1.0), 0.075, 0.6),
    "d": Sound((320, 1650, 2600), _CLOSED, 0.5, 0.35, (3800, 0.9), 0.075, 0.6),
    "g": Sound((300, 1900, 2300), _CLOSED, 0.5, 0.35, (2000, 0.6), 0.08, 0.6),
}
"""How each letter sounds, capital or not."""


def spell(
    syllables: Sequence[str],
    starts: Sequence[float],
    ends: Sequence[float],
    pitches: Sequence[float],
    levels: Sequence[float],
    earliest: float = 0.0,
) -> list[Phone]:
    """Gives every character of a line its time.

    The first vowel of a syllable begins on its note; consonants before it take their time from
    what comes before, those after it from the vowel. A space begins where the word ends.

    Args:
      syllables: with the spaces or commas that stand after them.
      starts: when the note of each begins, in seconds, rising.
      ends: when each has to be over.
      pitches: MIDI numbers.
      levels: loudness.
      earliest: nothing sounds before.

    Returns:
      One phone for each character, in order, their starts never falling.
    """
    parts = [_split(text.lower()) for text in syllables]
    begins = []
    for index, (before, _, _) in enumerate(parts):
        room = 0.45 * (starts[index] - starts[index - 1]) if index else starts[0] - earliest
        begins.append(starts[index] - min(_seconds(before), max(room, 0.0)))
    phones = []
    for index, (text, part) in enumerate(zip(syllables, parts, strict=True)):
        before, vowels, after = part
        separators = text[len(before) + len(vowels) + len(after) :]
        follows = begins[index + 1] if index + 1 < len(begins) else ends[index]
        end = min(ends[index], follows - (_GAP if separators else 0.0))
        end = max(end, starts[index] + 0.5 * (follows - starts[index]))
        closing = end - min(_seconds(after), 0.45 * (end - starts[index]))
        pieces = (
            (before, begins[index], starts[index]),
            (vowels, starts[index], closing),
            (after, closing, end),
        )
        place = 0
        for letters, first, last in pieces:
            lengths = np.array([1.0 if letters is vowels else _seconds(one) for one in letters])
            edges = first + (last - first) * np.cumsum([0.0, *lengths]) / max(lengths.sum(), 1e-9)
            for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                phones.append(Phone(text[place], start, stop, pitches[index], levels[index]))
                place += 1
        phones += [Phone(one, end, end, pitches[index], 0.0) for one in separators]
    return phones


def sing(phones: Sequence[Phone], voice: Voice, rate: int, samples: int, seed: int) -> np.ndarray:
    """Sings.

    Args:
      phones: in order; those without a sound may be among them.
      voice: whose.
      rate: samples a second.
      samples: length of what is returned; what lies behind it is cut.
      seed: of the voice's small wavering.

    Returns:
      f32[samples].
    """
    out = np.zeros(samples, np.float32)
    breaths: list[list[Phone]] = [[]]
    for phone in phones:
        if phone.character == "\n" or (breaths[-1] and phone.start > breaths[-1][-1].end + 0.5):
            breaths.append([])
        if phone.end > phone.start and phone.character.lower() in SOUNDS:
            breaths[-1].append(phone)
    for number, breath in enumerate(breaths):
        if breath:
            rng = np.random.default_rng([seed, number])
            start, sung = _phrase(breath, voice, rate, rng)
            cut = max(0, -start)
            room = out[start + cut : start + len(sung)]
            room += sung[cut : cut + len(room)]
    return out


def _phrase(
    phones: Sequence[Phone], voice: Voice, rate: int, rng: np.random.Generator
) -> tuple[int, np.ndarray]:
    """What is sung in one breath, and the sample at which it starts."""
    hop = round(rate / _FRAMES)
    start = int(phones[0].start * rate) - 6 * hop
    frames = int((phones[-1].end - phones[0].start) * rate) // hop + 14
    times = (start + hop * (np.arange(frames) + 2.0)) / rate  # of the frames' centres
    table, pitch = _track(phones, voice, times, rng)

    length = hop * (frames + 3)
    seconds = (start + np.arange(length)) / rate
    frequency = np.interp(seconds, times, 440.0 * 2 ** ((pitch - 69) / 12))
    turns = np.cumsum(frequency) / rate
    harmonics = max(1, int(min(0.48 * rate, 9000.0) / frequency.max()))
    wave = _buzz(harmonics, voice.tilt)
    place = (turns % 1.0) * (len(wave) - 1)
    lower = place.astype(np.int32)
    part = (place - lower).astype(np.float32)
    buzz = wave[lower] * (1 - part) + wave[lower + 1] * part
    hiss = instruments.noise(rate)
    hiss = hiss[(start + np.arange(length)) % len(hiss)]

    window = np.sqrt(np.hanning(4 * hop + 1)[:-1]).astype(np.float32)
    slots = hop * np.arange(frames)[:, None] + np.arange(4 * hop)
    bins = np.fft.rfftfreq(4 * hop, 1 / rate).astype(np.float32)
    voiced, noisy = _filters(table, bins, float(np.median(frequency)), voice)
    spectrum = np.fft.rfft(buzz[slots] * window, axis=1) * voiced
    spectrum += np.fft.rfft(hiss[slots] * window, axis=1) * noisy
    pieces = np.fft.irfft(spectrum, 4 * hop, axis=1).astype(np.float32) * window
    out = np.zeros((frames + 3, hop), np.float32)
    for quarter in range(4):
        out[quarter : quarter + frames] += pieces[:, quarter * hop : (quarter + 1) * hop]
    return start, out.reshape(-1) / 2  # four squared windows, of mean a half each, add up to 2


def _track(
    phones: Sequence[Phone], voice: Voice, times: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A row of `_numbers` for each frame, [frames, 10], and its pitch, both without jumps."""
    first = SOUNDS[phones[0].character.lower()]
    edges, rows, pitches = [-np.inf], [_numbers(first, 0.0)], [phones[0].pitch]
    for phone, following in zip(phones, [*phones[1:], None], strict=True):
        sound = SOUNDS[phone.character.lower()]
        opening = phone.start + sound.closure * (phone.end - phone.start)
        if sound.closure:
            closed = dataclasses.replace(sound, noise=0.0, levels=(1.0, 0.02, 0.0))
            edges.append(phone.start)
            rows.append(_numbers(closed, 0.5 * phone.level))
            pitches.append(phone.pitch)
        edges.append(opening)
        rows.append(_numbers(sound, phone.level))
        pitches.append(phone.pitch)
        if following is None or following.start > phone.end + 1e-6:
            edges.append(phone.end)
            rows.append(_numbers(sound, 0.0))
            pitches.append(phone.pitch)
    which = np.searchsorted(edges, times, side="right") - 1
    table = np.array(rows)[which]
    table[:, :3] = _smooth(np.log2(table[:, :3] * voice.size), 9)
    table[:, 3:] = _smooth(table[:, 3:], 5)

    steps = np.array(pitches)[which]
    changes = np.flatnonzero(np.diff(steps, prepend=np.nan) != 0)
    since = times - times[changes[np.searchsorted(changes, np.arange(len(times)), "right") - 1]]
    depth = voice.vibrato * np.clip((since - 0.2) / 0.3, 0, 1)
    shake = depth * np.sin(2 * np.pi * 5.4 * times)
    waver = _smooth(rng.standard_normal(len(times)) * 0.25, 25)
    return table, _smooth(steps, max(1, int(voice.glide * _FRAMES))) + _smooth(shake, 9) + waver


def _filters(
    table: np.ndarray, bins: np.ndarray, pitch: float, voice: Voice
) -> tuple[np.ndarray, np.ndarray]:
    """What the buzz and the noise are multiplied by, both f32[frames, bins]."""
    table = table.astype(np.float32)
    voiced = np.zeros((len(table), len(bins)), np.float32)
    for index, width in enumerate((55.0, 75.0, 110.0)):
        centre = np.exp2(table[:, index : index + 1])
        voiced += table[:, 3 + index : 4 + index] / np.sqrt(1 + ((bins - centre) / width) ** 2)
    for high, level in ((3600.0, 0.06), (4600.0, 0.03)):
        top = level / np.sqrt(1 + ((bins - high * voice.size) / 200.0) ** 2)
        voiced += np.float32(top) * table[:, 4:5]
    voiced *= np.sqrt(np.maximum(bins, 400.0) / np.float32(400.0))  # so that words stand out
    weight = (np.maximum(bins, pitch) / pitch) ** (-2 * voice.tilt) * (bins > 0.7 * pitch)
    power = np.sum(voiced**2 * np.float32(weight / weight.sum()), axis=1, keepdims=True)
    voiced /= np.sqrt(power + 1e-6)
    voiced *= table[:, 6:7]
    octaves = np.log2(np.maximum(bins, 40.0))
    noisy = np.exp(-2 * ((octaves - table[:, 8:9]) / table[:, 9:10]) ** 2) * table[:, 7:8]
    noisy += voice.breath * voiced * (bins > 900)
    return voiced, noisy * np.float32(0.9)


def _numbers(sound: Sound, level: float) -> list[float]:
    """A sound in a row: formants, their levels, loudness of buzz and noise, band in octaves."""
    centre, width = sound.band
    loud = [sound.voiced * level, sound.noise * level]
    return [*sound.formants, *sound.levels, *loud, np.log2(centre), width]


def _buzz(harmonics: int, tilt: float) -> np.ndarray:
    """One turn of a band-limited buzz of RMS 1, its pulse spread; the last sample is the first."""
    spectrum = np.zeros(2049, complex)
    orders = np.arange(1, harmonics + 1)
    spectrum[1 : harmonics + 1] = orders**-tilt * np.exp(-1j * np.pi * orders**2 / 40)
    wave = np.fft.irfft(spectrum, 4096)
    wave /= np.sqrt(np.mean(wave**2))
    return np.append(wave, wave[0]).astype(np.float32)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Moving average over `width` frames, tapered; along the first axis, edges held."""
    if width < 2:
        return values
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    half = width // 2
    padded = np.pad(values, [(half, width - 1 - half)] + [(0, 0)] * (values.ndim - 1), "edge")
    if values.ndim == 1:
        return np.convolve(padded, kernel, "valid")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    return windows @ kernel


def _split(text: str) -> tuple[str, str, str]:
    """A syllable's consonants, its first vowels, and what follows them, without separators."""
    text = text.rstrip(SILENT)
    first = next((index for index, one in enumerate(text) if one in VOWELS), len(text))
    last = first
    while last < len(text) and text[last] in VOWELS:
        last += 1
    if first == len(text):  # hummed, as "mm": all of it is held
        return "", text, ""
    return text[:first], text[first:last], text[last:]


def _seconds(letters: str) -> float:
    return sum(SOUNDS[one].seconds if one in SOUNDS else 0.0 for one in letters)
