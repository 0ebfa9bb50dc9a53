"""What sampled songs sound like as a set, beside songs that exist: no listener, but many ears.

Each figure of sampled songs stands beside the same figure of songs that no stage was trained on,
cut to the same length: only the two together say anything.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jukebox_jax.audio import measure
from jukebox_jax.evaluation import embedding, figures, frechet, fresh, progress
from jukebox_jax.evaluation.drawn import apart
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.prior.conditioning import lyrics_of
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended, compose, heads, heard

_CLIPPED = 1.0  # of full scale
_DECODED = "the same, through the VQ-VAE"
_SEAM = 32  # samples on either side of a border that belong to it


def samples(subject: Subject) -> list[Figure]:
    """How sampled songs compare with songs that exist.

    Raises:
      ValueError: there is nothing to sample with, or nothing to compare with.
    """
    drawn, box = subject.drawn, subject.jukebox
    real = list(reference(subject, drawn.audio.shape[1]))
    if len(real) < 2:
        raise ValueError(
            f"fewer than two songs last {drawn.audio.shape[1] / box.rate:.2f} s, as the sampled "
            "ones do: give more songs, or less --sampled_seconds"
        )
    new = list(drawn.audio)
    return [
        *_distances(subject, new, real),
        *_alike(new, real, box.rate),
        *_levels(new, real, box.rate),
        *_seams(subject),
        *_lyrics(subject),
    ]


def reference(subject: Subject, length: int) -> Iterator[np.ndarray]:
    """Songs that no stage was trained on, f32[length, 1] each, from their beginning.

    Those that were held out; of the procedural band twice as many as are sampled, composed anew.

    Args:
      subject: what is measured.
      length: samples of each; shorter songs are passed over.
    """
    box = subject.jukebox
    if fresh.plays(subject.songs):
        loud = fresh.singer(box.vqvae.config)
        seconds = fresh.seconds(subject.songs)
        sounds = fresh.sounds(2 * len(subject.drawn.songs), seconds, fresh.TEST, box.rate, loud)
        for sound, _ in sounds:
            if len(sound) >= length:
                yield sound[:length]
        return
    for _, sound in heard.readable(subject.songs, box.rate, length / box.rate):
        if len(sound) >= length:
            yield sound[:length]


def _decoded(subject: Subject, sound: np.ndarray, level: int) -> np.ndarray:
    """A sound as the VQ-VAE gives it back, f32[samples, 1]: the best that sampling could do."""
    codes = compose.prime(subject.jukebox, sound[None])
    return compose.decode(subject.jukebox, codes[level], level)[0]


def _distances(
    subject: Subject, new: Sequence[np.ndarray], real: Sequence[np.ndarray]
) -> list[Figure]:
    """Fréchet distances by each kind of vectors that there is."""
    box = subject.jukebox
    found = []
    if subject.embeddings:
        if len(subject.embeddings) != 2:
            raise ValueError("embeddings: give two files, of songs that exist and of sampled ones")
        ones, others = (embedding.load(path) for path in subject.embeddings)
        if ones[0].shape[1] != others[0].shape[1]:
            raise ValueError(
                f"embeddings of width {ones[0].shape[1]} and {others[0].shape[1]}: compare alike"
            )
        found += frechet_of("your features", ones, others)
    if len(real[0]) < embedding.SECONDS * box.rate:
        return found
    kinds = {"code vectors": embedding.of_codes}
    if any(one is not None for one in box.priors):
        kinds["prior's features"] = embedding.of_prior
    decoded = [_decoded(subject, sound, subject.drawn.level) for sound in real[::2]]
    for name, embed in kinds.items():
        found += frechet_of(name, embed(box, real), embed(box, new), embed(box, decoded))
    return found


def frechet_of(
    kind: str,
    real: Sequence[np.ndarray],
    new: Sequence[np.ndarray],
    decoded: Sequence[np.ndarray] = (),
) -> list[Figure]:
    """Distances to every other song of a reference, of as many songs each.

    Few songs are far from any others, so what sampled songs have to be held against is the
    distance of the reference's other songs, which differ from it by chance alone.

    Args:
      kind: of the vectors, in a few words.
      real: of each song of the reference, f64[count, width].
      new: of each sampled song.
      decoded: of every other song of the reference, as the VQ-VAE gives it back.
    """
    half, rest = real[::2], real[1::2]
    sets = {"sampled": new[: len(half)], "real, other songs": rest, _DECODED: decoded}
    sets = {name: songs for name, songs in sets.items() if songs}
    fewest = min(embedding.count(songs) for songs in (half, *sets.values()))
    if fewest < 2:
        return []
    space = frechet.Space(np.concatenate(list(real)), fewest)
    ones = [space(one) for one in half]
    found = []
    for name, songs in sets.items():
        others = [space(one) for one in songs]
        value = frechet.between(np.concatenate(ones), np.concatenate(others))
        low, high = frechet.interval(ones, others, paired=name == _DECODED)
        note = f"to {len(ones)} real songs; {space.width} directions; lower is nearer"
        title = f"Fréchet distance by {kind}: {name}"
        found.append(Figure("samples", title, value, "", low, high, len(others), note))
    return found


def _both(
    title: str,
    new: Sequence[np.ndarray],
    real: Sequence[np.ndarray],
    of: Callable[[np.ndarray], float],
    unit: str,
    note: str = "",
) -> list[Figure]:
    """A number of each sampled song and of each that exists: the mean over songs."""
    return [
        figures.of_songs(
            "samples",
            f"{title}: {name}",
            [np.array([of(sound)]) for sound in progress.follow(sounds, title)],
            unit=unit,
            note=note,
        )
        for name, sounds in (("sampled", new), ("real", real))
    ]


def _alike(new: Sequence[np.ndarray], real: Sequence[np.ndarray], rate: int) -> list[Figure]:
    """Whether a song's second half goes on as its first began."""

    def halves(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sound[: len(sound) // 2], sound[len(sound) // 2 :]

    def chroma(sound: np.ndarray) -> float:
        one, other = (measure.chroma(half, rate) for half in halves(sound))
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    def tempo(sound: np.ndarray) -> float:
        tempos = [measure.tempo(half, rate) for half in halves(sound)]
        if None in tempos:
            return float("nan")
        octaves = np.log2(np.array(tempos, np.float64))
        apart = abs(octaves[0] - octaves[1])
        return float(abs(apart - round(apart)))

    return [
        *_both("pitch classes of both halves", new, real, chroma, "", "cosine; 1 for the same"),
        *_both(
            "tempo of both halves apart", new, real, tempo, "octaves",
            "whole octaves do not count; 0.25 by chance",
        ),
    ]  # fmt: skip


def _levels(new: Sequence[np.ndarray], real: Sequence[np.ndarray], rate: int) -> list[Figure]:
    """Loudness, how much it changes, and samples that a file would clip."""

    def levels(sound: np.ndarray) -> np.ndarray:
        return np.array(measure.loudness(sound, rate))[:, 1]

    return [
        *_both("loudness", new, real, lambda sound: float(levels(sound).mean()), "dB"),
        *_both(
            "loudness, deviation in a song", new, real,
            lambda sound: float(levels(sound).std()), "dB",
        ),
        *_both(
            "samples beyond full scale", new, real,
            lambda sound: 100 * float((np.abs(sound) > _CLIPPED).mean()), "%",
        ),
    ]  # fmt: skip


def _seams(subject: Subject) -> list[Figure]:
    """How much sound jumps where a window of some level begins to be new."""
    drawn, box = subject.drawn, subject.jukebox
    found = []
    for level, stage in enumerate(box.priors):
        if stage is None or level < drawn.level:
            continue
        borders = drawn.borders(box, level)
        note, values = f"{len(borders)} borders a song; 0 dB: as elsewhere", []
        if len(borders):
            values = [np.array([jump(sound[:, 0], borders)]) for sound in drawn.audio]
        else:
            note = "no song is longer than a window: give more --sampled_seconds"
        title = f"jumps at windows of level {level}"
        found.append(figures.of_songs("samples", title, values, unit="dB", note=note))
    return found


def jump(sound: np.ndarray, borders: np.ndarray) -> float:
    """Energy of the second difference around borders against that elsewhere, in dB.

    Args:
      sound: f32[samples].
      borders: samples at which something new begins.

    Returns:
      Not a number where there is no border, or nothing else.
    """
    steps = np.square(np.diff(sound.astype(np.float64), n=2, prepend=[sound[0]] * 2))
    near = np.zeros(len(sound), bool)
    for border in borders:
        near[max(0, border - _SEAM) : border + _SEAM] = True
    if not near.any() or near.all():
        return float("nan")
    return float(10 * np.log10((steps[near].mean() + 1e-12) / (steps[~near].mean() + 1e-12)))


def _lyrics(subject: Subject) -> list[Figure]:
    """How much of the lyrics the attention visits, in sampled songs and in real ones."""
    box, drawn = subject.jukebox, subject.drawn
    if not any(one is not None and lyrics_of(one.model.signals) for one in box.priors):
        return []
    level, stage = attended.level_with_lyrics(box), attended.stage_with_lyrics(box)
    name, head = attended.parts(stage)[0], heads.known(stage)
    if head is None:
        note = "no head is known that follows the lyrics: launch/align.py finds it"
        return [Figure("samples", "lyrics that the attention visits", float("nan"), "%", note=note)]
    pairs: dict[str, list[heads.Known]] = {
        "sampled": apart(drawn.songs, drawn.codes),
        "real": list(subject.known),
    }
    found = []
    for title, songs in pairs.items():
        shares = []
        for song, codes in songs:
            plain = heads.without_times(song, name)
            if codes[level].size and Lyric.of(plain.labels, name).text.strip():
                (weights,) = attended.matrices(
                    box, [plain], codes, head[0], [head[1]], subject.settings
                )
                shares.append(np.array([covered(weights[0])]))
        note = "of the tokens that its windows read"
        title = f"lyrics that the attention visits: {title}"
        found.append(figures.of_songs("samples", title, shares, unit="%", note=note))
    return found


def covered(weights: np.ndarray) -> float:
    """Part of the tokens that are read on which the best path rests, in %.

    Args:
      weights: f32[length, tokens], of a head's attention.
    """
    read = weights.any(axis=0)
    if not read.any():
        return float("nan")
    return 100 * float(np.isfinite(attended.path(weights))[read].mean())
