"""How instruments and drums sound, and how a room and a mixing desk shape what they play.

A tone is a sum of damped partials, computed as one matrix product; a drum is a falling sine and
shaped noise. Noise is made from one fixed spectrum, so that a sound is the same at every rate but
for what lies above half of it. Nothing here knows of scores.
"""

import dataclasses
import functools

import numpy as np

TOP = 13000.0
"""No partial lies above, in Hz."""

_COLUMNS = 256
_NOISE_SECONDS = 2
_NOISE_TOP = 24000


@dataclasses.dataclass(frozen=True)
class Timbre:
    """The sound of a pitched instrument.

    Attributes:
      slope: amplitude of partial k is k ** -slope, before the rest.
      partials: how many there are at most.
      even: factor of even partials.
      stretch: inharmonicity of a string: partial k lies at k * sqrt(1 + stretch * k**2).
      decay: 1/s by which all of it dies away.
      damping: 1/s by which a partial dies away sooner for each kHz of it.
      attack: seconds until it is there.
      release: seconds until it is gone after its end.
      detune: cents of each of the voices in unison.
      pluck: where a string is plucked, as a part of it; 0 for no effect.
      body: centre in Hz and gain of a broad resonance.
      shake: Hz and depth of a tremolo.
      click: loudness of the noise at its start.
      breath: loudness of the noise under it.
    """

    slope: float
    partials: int = 40
    even: float = 1.0
    stretch: float = 0.0
    decay: float = 0.0
    damping: float = 0.0
    attack: float = 0.004
    release: float = 0.06
    detune: tuple[float, ...] = (0.0,)
    pluck: float = 0.0
    body: tuple[float, float] = (1000.0, 0.0)
    shake: tuple[float, float] = (5.0, 0.0)
    click: float = 0.0
    breath: float = 0.0


@dataclasses.dataclass(frozen=True)
class Kit:
    """The sound of a drum kit.

    Attributes:
      kick: its pitch at first and at last in Hz, and seconds to die away.
      snare: its pitch in Hz, seconds to die away, and the part of it that is noise.
      hat: where its noise begins in Hz, and seconds to die away.
      click: loudness of beaters and sticks.
      clap: the snare is clapped hands.
    """

    kick: tuple[float, float, float]
    snare: tuple[float, float, float]
    hat: tuple[float, float]
    click: float = 0.3
    clap: bool = False


@functools.lru_cache(maxsize=8)
def noise(rate: int) -> np.ndarray:
    """A loop of white noise: the same at every rate but for what lies above half of it.

    Returns:
      f32[2 * rate]; its RMS is 1 at 48 kHz.
    """
    wave = band_noise(rate, None)
    wave.setflags(write=False)
    return wave


def band_noise(rate: int, shape: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """A loop of noise with a spectrum of one's own.

    Args:
      rate: samples a second.
      shape: gain at 0, 1/2, 1, ... Hz up to 24 kHz; None for 1 everywhere.
      seed: which noise.

    Returns:
      f32[2 * rate].
    """
    size = _NOISE_TOP * _NOISE_SECONDS + 1
    rng = np.random.default_rng([77, seed])
    spectrum = rng.standard_normal((2, size), np.float32)
    used = min(size, rate * _NOISE_SECONDS // 2 + 1)
    gain = np.float32(1.0) if shape is None else shape[:used].astype(np.float32)
    half = (spectrum[0, :used] + 1j * spectrum[1, :used]) * gain
    half[0] = 0
    length = rate * _NOISE_SECONDS
    wave = np.fft.irfft(half, length) * (length / np.sqrt(4 * size))
    return np.ascontiguousarray(wave, np.float32)


@functools.lru_cache(maxsize=256)
def _whole_tone(timbre: Timbre, pitch: int, seconds: int, rate: int) -> np.ndarray:
    samples = seconds * rate
    base = 440.0 * 2.0 ** ((pitch - 69) / 12)
    order = np.arange(1, timbre.partials + 1)
    amplitude = order**-timbre.slope * np.where(order % 2, 1.0, timbre.even)
    if timbre.pluck:
        amplitude = amplitude * np.abs(np.sin(np.pi * order * timbre.pluck))
    ideal = base * order * np.sqrt(1 + timbre.stretch * order**2)
    centre, gain = timbre.body
    amplitude = amplitude * (1 + gain * np.exp(-2 * np.log2(ideal / centre) ** 2))
    amplitude /= np.sqrt(np.sum(amplitude**2) / 2)
    phase = np.random.default_rng(pitch).uniform(0, 2 * np.pi, (len(timbre.detune), len(order)))
    frequency = ideal * 2.0 ** (np.array(timbre.detune)[:, None] / 1200)
    decay = np.broadcast_to(timbre.decay + timbre.damping * ideal / 1000, frequency.shape)
    loud = np.broadcast_to(amplitude / np.sqrt(len(timbre.detune)), frequency.shape)
    heard = (frequency < min(TOP, 0.47 * rate)) & (loud > 1e-4)

    turn = (2j * np.pi * frequency[heard] - decay[heard]) / rate
    rows = np.exp(turn * np.arange(0, samples, _COLUMNS)[:, None])
    rows *= loud[heard] * np.exp(1j * phase[heard])
    columns = np.exp(turn[:, None] * np.arange(_COLUMNS))
    left = np.concatenate([rows.real, -rows.imag], axis=1)
    right = np.concatenate([columns.real, columns.imag])
    # In double precision, so that what is rounded depends on no matrix library's order of sums.
    wave = (left @ right).reshape(-1)[:samples].astype(np.float32)

    time = np.arange(samples) / np.float32(rate)
    if timbre.click or timbre.breath:
        hiss = np.resize(noise(rate), samples)
        wave += (timbre.breath + timbre.click * np.exp(-time / 0.006)) * hiss
    speed, depth = timbre.shake
    if depth:
        onset = np.clip((time - 0.15) * 3, 0, 1)
        wave *= 1 + depth * onset * np.sin(np.float32(2 * np.pi * speed) * time)
    rise = int(timbre.attack * rate)
    wave[:rise] *= np.sin(np.arange(rise) * (np.pi / 2 / max(rise, 1))) ** 2
    wave.setflags(write=False)
    return wave


def tone(timbre: Timbre, pitch: int, seconds: float, rate: int) -> np.ndarray:
    """A note, f32[samples], RMS about 1 at its start; it ends with its release."""
    fade = int(timbre.release * rate)
    samples = int(seconds * rate) + fade
    whole = _whole_tone(timbre, pitch, -(-samples // rate), rate)
    out = whole[:samples].copy()
    out[len(out) - fade :] *= np.cos(np.arange(fade) * (np.pi / 2 / max(fade, 1))) ** 2
    return out


@functools.lru_cache(maxsize=128)
def drum(kit: Kit, kind: str, rate: int) -> np.ndarray:
    """A hit, f32[samples]; `kind` is kick, snare, rim, hat, open, tom or crash."""
    if kind == "kick":
        wave = _both(_thump(rate, *kit.kick), kit.click * _hiss(rate, 3000, 0.004, 4))
    elif kind == "tom":
        wave = _both(_thump(rate, 170, 95, 0.16), kit.click * _hiss(rate, 2500, 0.006, 4))
    elif kind == "rim":
        wave = _both(_thump(rate, 900, 780, 0.018), _hiss(rate, 2200, 0.012, 0))
    elif kind == "snare":
        pitch, seconds, noisy = kit.snare
        if kit.clap:
            wave = _hiss(rate, 1300, 0.007, 1)
            for late, long in ((0.011, 0.007), (0.023, seconds)):
                again = _hiss(rate, 1300, long, 1)
                wave = _both(wave, np.pad(again, (int(late * rate), 0)))
        else:
            body = _thump(rate, 1.25 * pitch, pitch, seconds)
            wave = _both(noisy * _hiss(rate, 1900, seconds, 2), (1 - noisy) * body)
    else:
        start, seconds = kit.hat
        longer = {"hat": 1.0, "open": 5.0, "crash": 22.0}[kind]
        wave = _hiss(rate, start * (0.7 if kind == "crash" else 1.0), seconds * longer, 3)
    wave.setflags(write=False)
    return wave


def _both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The sum of two waves, as long as the longer."""
    long, short = (one, other) if len(one) > len(other) else (other, one)
    out = long.copy()
    out[: len(short)] += short
    return out


def _thump(rate: int, first: float, last: float, seconds: float) -> np.ndarray:
    """A sine that falls from a pitch to another and dies away."""
    time = np.arange(int(max(5 * seconds, 0.03) * rate)) / rate
    fall = seconds / 6
    turns = last * time + (first - last) * fall * (1 - np.exp(-time / fall))
    wave = np.sin(2 * np.pi * turns) * np.exp(-time / seconds)
    return _ended(wave.astype(np.float32), rate)


def _hiss(rate: int, low: float, seconds: float, seed: int) -> np.ndarray:
    """Noise from a frequency upwards that dies away; its RMS is about 1 at the start."""
    hertz = np.arange(_NOISE_TOP * _NOISE_SECONDS + 1) / _NOISE_SECONDS
    shape = (hertz / low) ** 2 / (1 + (hertz / low) ** 2) / np.sqrt(1 + (hertz / 11000) ** 4)
    shape *= np.sqrt(len(shape) / np.sum(shape**2))
    samples = int(min(max(6 * seconds, 0.02), 1.9) * rate)
    wave = band_noise(rate, shape, seed + 10)[:samples]
    wave *= np.exp(-np.arange(samples) / (seconds * rate)).astype(np.float32)
    return _ended(wave, rate)


def _ended(wave: np.ndarray, rate: int) -> np.ndarray:
    """A wave that starts and ends without a click, in place."""
    rise, fall = max(1, int(0.0007 * rate)), max(1, int(0.01 * rate))
    wave[:rise] *= np.arange(rise) / np.float32(rise)
    wave[-fall:] *= np.arange(fall)[::-1] / np.float32(fall)
    return wave


def reverb(mono: np.ndarray, rate: int, seconds: float, bright: float) -> np.ndarray:
    """The sound of a room.

    Args:
      mono: f32[samples].
      rate: samples a second.
      seconds: until it has died away by 60 dB.
      bright: Hz above which it dies away sooner.

    Returns:
      f32[2, samples], without the direct sound.
    """
    out = np.zeros((2, len(mono) + 2 * rate), np.float32)
    impulse = _room(rate, seconds, bright)
    block = 1 << int(np.ceil(np.log2(impulse.shape[1])))
    response = np.fft.rfft(impulse, 2 * block)
    for first in range(0, len(mono), block):
        piece = np.fft.rfft(mono[first : first + block], 2 * block)
        wet = np.fft.irfft(piece * response, 2 * block)
        room = out[:, first : first + 2 * block]
        room += wet[:, : room.shape[1]]
    return out[:, : len(mono)]


@functools.lru_cache(maxsize=16)
def _room(rate: int, seconds: float, bright: float) -> np.ndarray:
    samples = int(min(1.2 * seconds, 1.9) * rate)
    hertz = np.arange(_NOISE_TOP * _NOISE_SECONDS + 1) / _NOISE_SECONDS
    time = np.arange(samples) / rate
    impulse = np.zeros((2, samples), np.float32)
    for band, (low, high, part) in enumerate(((150, bright, 1.0), (bright, 7000, 0.45))):
        shape = (hertz > low) / (1 + (hertz / high) ** 4)
        fade = np.exp(-6.9 * time / (seconds * part)) * np.clip((time - 0.008) / 0.01, 0, 1)
        for side in range(2):
            impulse[side] += band_noise(rate, shape, 20 + 2 * band + side)[:samples] * fade
    # A room returns as much as it is given: noise of RMS 1 at 48 kHz that fades as above.
    return impulse * np.float32(np.sqrt(13.8 * 48000 / seconds) / rate)


def widen(mono: np.ndarray, rate: int, pan: float, width: float) -> np.ndarray:
    """A place from -1, left, to 1, right, and a width that vanishes in mono; f32[2, samples]."""
    angle = (pan + 1) * np.pi / 4
    out = np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * mono
    if width:
        late = int(0.011 * rate)
        out[0, late:] += np.float32(width) * mono[:-late]
        out[1, late:] -= np.float32(width) * mono[:-late]
    return out


def echo(mono: np.ndarray, rate: int, seconds: float, feedback: float) -> np.ndarray:
    """Repeats that alternate between left and right; f32[2, samples]."""
    out = np.zeros((2, len(mono)), np.float32)
    loud = feedback
    for count in range(1, 5):
        late = int(count * seconds * rate)
        if late < len(mono):
            out[count % 2, late:] += np.float32(loud) * mono[: len(mono) - late]
        loud *= feedback
    return out


def master(mix: np.ndarray, rate: int, loudness: float = 0.16, peak: float = 0.84) -> np.ndarray:
    """Brings a mix to one loudness and keeps it below a peak.

    What is louder is turned down smoothly from 5 ms before to 60 ms after.

    Args:
      mix: f32[2, samples].
      rate: samples a second.
      loudness: RMS wanted.
      peak: never passed, and just reached where the loudness asks for more.

    Returns:
      f32[2, samples].
    """
    mix = mix * np.float32(loudness / max(float(np.sqrt(np.mean(mix**2))), 1e-9))
    block = max(1, round(0.005 * rate))
    count = -(-mix.shape[1] // block)
    loudest = np.zeros(count * block, np.float32)
    loudest[: mix.shape[1]] = np.abs(mix).max(axis=0)
    need = np.minimum(1.0, peak / np.maximum(loudest.reshape(count, block).max(axis=1), 1e-9))
    need = np.pad(need, 12, "edge")
    held = np.lib.stride_tricks.sliding_window_view(need, 13).min(axis=1)  # of 6 blocks each side
    smooth = np.convolve(held, np.hanning(13)[1:-1] / np.hanning(13).sum(), "valid")
    gain = np.interp(np.arange(mix.shape[1]), (np.arange(len(smooth)) - 0.5) * block, smooth)
    mix = mix * gain.astype(np.float32)
    top = float(np.abs(mix).max())
    return mix * np.float32(peak / top) if top > 0 else mix
