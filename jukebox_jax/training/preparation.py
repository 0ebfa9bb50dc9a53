"""What is found out about the songs and the stages below before training begins.

Vocabularies and alphabets are learnt from the songs' labels, the sound's own size is measured, and
a prior's config is held against the VQ-VAE whose codes it is to model.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import measure, windows
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning, curves, lyrics, schedule
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.prior import Prior
from jukebox_jax.prior.vocabulary import Vocabulary
from jukebox_jax.training import parts, surgery
from jukebox_jax.training.settings import Settings
from jukebox_jax.vqvae.vqvae import VQVAE, Bandwidth

log = logging.getLogger(__name__)

_LEAST = 8  # windows that the bandwidth is measured of, where there are as many


def measure_bandwidth(settings: Settings, songs: Sequence[Song], samples: int) -> Bandwidth:
    """The sound's own size, over every 16th window of the training songs, up to 600 seconds.

    Of all channels, as published: songs in wide stereo are quieter once they are mixed. Of few
    songs 8 windows are heard, or all; if these are silent, the next one that is not.

    Raises:
      ValueError: all windows are silent.
      SongError: no song is as long as a window.
    """
    rate = settings.stage.rate

    def read(song: Song, span: Span, left: float) -> dict[str, np.ndarray]:
        return {"audio": windows.load(song, rate, span.start, span.length)}

    stream = windows.numpy_batches(
        songs,
        rate=rate,
        samples=samples,
        batch=1,
        describe=lambda song, span: {},
        seed=settings.data.seed,
        shift=False,
        reader=windows.Reader({"audio": ((samples, 2), np.dtype(np.float32))}, read),  # or 1, or 6
    )
    length = sum(song.length(rate) // samples for song in songs)
    wanted = max(min(_LEAST, length), min(600 * rate // samples, -(-length // 16)))
    log.info("measuring the bandwidth of %d windows", wanted)
    every = (batch["audio"] for batch in itertools.islice(stream, length))  # once
    try:
        return Bandwidth.measure(itertools.islice(every, wanted))
    except ValueError:  # they are silent
        if not (later := list(itertools.islice(filter(np.ptp, every), 1))):
            raise ValueError(
                f"the songs are silent, all {length} windows of them: give some with sound"
            ) from None
        return Bandwidth.measure(later)


def check_restarts(model: VQVAE, settings: Settings, samples: int) -> None:
    """Checks that a step has vectors enough for the codes of each level to follow.

    A code that is chosen less often than the threshold, on average, restarts at a vector of the
    batch: with fewer vectors than that for each, most of a codebook is thrown away at every step.

    Args:
      model: the VQ-VAE.
      settings: the run's config.
      samples: samples of a window.

    Raises:
      ValueError: the codebooks of a trained stage would be thrown away so.
    """
    if not settings.optimizer.selection.trains(parts.CODEBOOKS):
        return
    for level, hop in enumerate(model.hops):
        vectors = settings.data.batch * samples // hop
        share = vectors / model.bins
        if share >= 2 * model.restart_threshold:
            continue
        said = (
            f"level {level}: a step has {vectors} vectors for {model.bins} codes, {share:.2g} for "
            f"each, and config.model.restart_threshold = {model.restart_threshold:g}: "
        )
        remedy = (
            "raise config.data.batch or config.data.samples, or lower the threshold to "
            f"{share / 4:.2g}"
        )
        if settings.run.start_from and share <= model.restart_threshold:
            raise ValueError(f"{said}the codebook would be lost; {remedy}, or freeze codebooks")
        log.warning("%smany codes restart before they settle; %s", said, remedy)


def check_level(model: Prior, settings: Settings, codec: VQVAE, rate: int) -> bool:
    """Checks that a prior speaks of one level of a VQ-VAE; whether that is the top.

    Raises:
      ValueError: a number of the config and one of the VQ-VAE contradict each other.
    """
    level = settings.stage.level
    if not 0 <= level < codec.levels:
        raise ValueError(
            f"config.stage.level = {level}: the VQ-VAE has levels 0 to {codec.levels - 1}"
        )
    if settings.stage.rate != rate:
        raise ValueError(
            f"config.stage.rate = {settings.stage.rate}, but the VQ-VAE hears {rate} samples a "
            "second: set it to that"
        )
    if model.bins != codec.bins:
        raise ValueError(
            f"config.model.bins = {model.bins}, but the VQ-VAE has {codec.bins}: set it to that"
        )
    above = [signal for _, signal in model.signals if isinstance(signal, conditioning.Codes)]
    top = level == codec.levels - 1
    if top and above:
        raise ValueError(
            f"config.stage.level = {level} is the top, and no codes lie above it: remove the "
            "signal of kind 'codes', or choose a lower level"
        )
    if not top:
        if len(above) != 1:
            raise ValueError(
                f"config.stage.level = {level} lies below another: it needs one signal of kind "
                f"'codes', not {len(above)}"
            )
        pace = codec.hops[level + 1] // codec.hops[level]
        if above[0].factor != pace or above[0].bins != codec.bins:
            raise ValueError(
                f"the signal of kind 'codes' brings codes of {above[0].bins} bins to a pace "
                f"{above[0].factor} times their own, but the VQ-VAE's are of {codec.bins} bins and "
                f"{pace} times slower: set bins, downs and stride to that"
            )
    return top


def learn_vocabularies(
    model: Prior,
    settings: Settings,
    songs: Sequence[Song],
    earlier: Mapping[str, Vocabulary | Alphabet] | None = None,
) -> dict[str, Vocabulary | Alphabet]:
    """What the songs' labels and lyrics are written in, for each signal that needs to know.

    What an alphabet cannot say is reported.

    Args:
      model: the prior.
      settings: the run's config.
      songs: those to train on.
      earlier: what the stage that the run starts from knows; it is added to.

    Raises:
      ValueError: more names or characters than a signal has room for, or lyrics without a form.
    """
    known: Mapping[str, Any] = earlier or {}
    found: dict[str, Vocabulary | Alphabet] = {}
    for name, signal in model.signals:
        if isinstance(signal, conditioning.Label):
            found[name] = _names(name, signal, settings, songs, known.get(name))
        elif isinstance(signal, (conditioning.Track, conditioning.Events)):
            found[name] = _names_in_time(name, signal, songs, known.get(name))
        elif isinstance(
            signal, (conditioning.Lyrics, conditioning.LyricsPrefix, conditioning.Sung)
        ):
            found[name] = _alphabet(name, signal, settings, songs, known.get(name))
    return found


def tell_unknown(model: Prior, songs: Sequence[Song], known: Mapping[str, Any]) -> None:
    """Tells of the songs' names that no vocabulary of a run has: it cannot learn them any more.

    Args:
      model: the prior.
      songs: those to train on.
      known: for each signal, what it knows.
    """
    for name, signal in model.signals:
        vocabulary = known.get(name)
        if not isinstance(vocabulary, Vocabulary):
            continue
        if isinstance(signal, conditioning.Label):
            grown = surgery.grow(vocabulary, _values(name, songs), signal.most)
        else:
            grown = surgery.grow(vocabulary, curves.collect(name, signal, songs))
        new = sorted(grown.ids.keys() - vocabulary.ids.keys())
        if new:
            log.warning(
                "%d names of %s in the songs are none of the %d that the run began with and count "
                "as unknown, as %r; to learn them, start from this stage in another workdir "
                "(config.run.start_from)",
                len(new),
                name,
                len(vocabulary.ids),
                new[0],
            )


def measured(model: Prior) -> tuple[str, ...]:
    """The signals that are measured in songs which have no label for them."""
    kinds = (conditioning.Beats, conditioning.Curve, conditioning.Track)
    return tuple(
        name
        for name, signal in model.signals
        if isinstance(signal, kinds) and name in measure.MEASURES
    )


def check_rates(model: Prior, rate: int) -> None:
    """Checks that all signals count time as the stage does.

    Raises:
      ValueError: one has another rate.
    """
    for name, signal in model.signals:
        own = getattr(signal, "rate", rate)
        if own != rate:
            raise ValueError(
                f"config.signals.{name}.rate = {own}, but config.stage.rate = {rate}: set it to "
                "that"
            )


def _names_in_time(
    name: str,
    signal: conditioning.Track | conditioning.Events,
    songs: Sequence[Song],
    earlier: Vocabulary | None,
) -> Vocabulary:
    missing = sum(song.labels.get(name) is None for song in songs)
    if missing:
        log.info("%d of %d songs have no label %r", missing, len(songs), name)
    # Spelling tells them apart, whatever config.data.normalise says: "C#" is not "c".
    learnt = surgery.grow(earlier or Vocabulary(), curves.collect(name, signal, songs))
    if learnt.size > signal.size:
        raise ValueError(
            f"config.signals.{name}.size = {signal.size}, but the songs have {learnt.size - 1} "
            f"names of {name}: set it to {learnt.size} or more (0 is reserved)"
        )
    return learnt


def _names(
    name: str,
    signal: conditioning.Label,
    settings: Settings,
    songs: Sequence[Song],
    earlier: Vocabulary | None,
) -> Vocabulary:
    missing = sum(not song.labels.get(name) for song in songs)
    if missing:
        log.info("%d of %d songs have no label %r", missing, len(songs), name)
    start = Vocabulary(settings.data.normalise) if earlier is None else earlier
    learnt = surgery.grow(start, _values(name, songs), signal.most)
    if learnt.size > signal.size:
        of = "the songs" if earlier is None else "the stage to start from and the songs"
        raise ValueError(
            f"config.signals.{name}.size = {signal.size}, but {of} have {learnt.size - 1} "
            f"names of {name}: set it to {learnt.size} or more (0 is reserved)"
        )
    return learnt


def _values(name: str, songs: Sequence[Song]) -> list[Any]:
    """All that songs' labels say under a name, at any time."""
    labelled = [song.labels[name] for song in songs if song.labels.get(name)]
    return [value for label in labelled for value in schedule.values(label) if value]


def _alphabet(
    name: str,
    signal: conditioning.Lyrics | conditioning.LyricsPrefix | conditioning.Sung,
    settings: Settings,
    songs: Sequence[Song],
    earlier: Alphabet | None,
) -> Alphabet:
    texts = {}
    for song in songs:
        try:
            texts[song.path] = lyrics.Lyric.of(song.labels, name).text
        except conditioning.LabelError as error:
            raise ValueError(f"{name} of {song.path}: {error}") from None
    most = signal.size - 1
    if earlier is None:
        learnt = Alphabet.build(texts.values(), kind=settings.data.alphabet, most=most)
    else:
        learnt = surgery.grow_alphabet(earlier, texts.values(), most)
    if learnt.size > signal.size:
        raise ValueError(
            f"config.signals.{name}.size = {signal.size}, but the alphabet "
            f"{settings.data.alphabet!r} has {learnt.size}: set it to that or more"
        )
    for path, text in texts.items():
        report = lyrics.encoded(text, learnt).report() if text else f"no {name}"
        if report:
            log.info("%s: %s", path, report)
    return learnt
