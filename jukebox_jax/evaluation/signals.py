"""Whether sampled songs obey their signals: loud or soft, fast or slow, with or without.

For each signal two requests are made from the songs' own labels, such as differ most in how those
songs sound; pairs of songs are sampled that differ in that label alone, noise included; and the
same number is measured in both.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import figures, sound
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject
from jukebox_jax.prior import schedule, timeline
from jukebox_jax.prior.conditioning import Curve, Events, Label, Track
from jukebox_jax.sampling import compose, heard

_OWN: Mapping[str, str] = {"dynamics": "loudness", "loudness": "loudness", "tempo": "tempo"}
"""The number that a curve of this name asks for."""
_FEWEST = 4  # songs on either side of a comparison


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Two requests that differ in one signal, and what should differ in the sound.

    Attributes:
      signal: its name.
      low: a label.
      high: the label for which songs have more of `feature`.
      feature: one of `sound.UNITS`.
      real: how much more, in the mean of the songs that have these labels.
      title: what the labels are, in a few words.
    """

    signal: str
    low: Any
    high: Any
    feature: str
    real: float
    title: str


def signals(subject: Subject) -> list[Figure]:
    """How far sampled songs go the way that each signal asks.

    Raises:
      ValueError: the top prior has no signals of these kinds whose labels the songs differ in.
    """
    box = subject.jukebox
    level = len(box.hops) - 1
    stage = box.priors[level] if level < len(box.priors) else None
    if stage is None:
        raise ValueError(f"level {level} has no prior: load it")
    sounds = heard.readable(subject.songs, box.rate, subject.seconds)
    read = [(song, sound.features(one, box.rate)) for song, one in sounds]
    songs, heard_as = [song for song, _ in read], [features for _, features in read]
    kinds = (Curve, Events, Label, Track)
    contrasts = [
        found
        for name, signal in stage.model.signals
        if isinstance(signal, kinds)
        and (found := contrast(name, signal, songs, heard_as)) is not None
    ]
    if not contrasts:
        told = ", ".join(f"{name} ({type(one).__name__})" for name, one in stage.model.signals)
        raise ValueError(
            f"no signal can be contrasted: a Label, Track, Curve or Events in which {_FEWEST} "
            f"songs differ from as many others; the top prior has {told or 'no signals'}"
        )
    return [_obeyed(subject, level, one) for one in contrasts]


def contrast(
    name: str, signal: Any, songs: Sequence[Song], heard_as: Sequence[Mapping[str, float]]
) -> Contrast | None:
    """The two requests of a signal that differ most in how songs sound.

    A curve is asked for the 10th and the 90th percentile of its values over time; a label, a track
    of one name, or an event, for those names, or that name and its absence, whose songs lie
    farthest apart in one number, counted in standard deviations of it.

    Args:
      name: the signal's.
      signal: its record.
      songs: with labels.
      heard_as: `sound.features` of each.

    Returns:
      None where too few songs are labelled, or all alike.
    """
    if isinstance(signal, Curve):
        return _of_curve(name, songs, heard_as)
    if isinstance(signal, Track) or (isinstance(signal, Label) and signal.most == 1):
        return _of_names(name, songs, heard_as)
    return _of_presence(name, signal, songs, heard_as)


def _of_curve(
    name: str, songs: Sequence[Song], heard_as: Sequence[Mapping[str, float]]
) -> Contrast | None:
    labelled = [(index, song.labels[name]) for index, song in enumerate(songs) if _has(song, name)]
    values = [_over_time(value, songs[index]) for index, value in labelled]
    if len(values) < 2 * _FEWEST:
        return None
    low, high = np.percentile(np.concatenate(values), [10, 90])
    means = np.array([np.mean(one) for one in values])
    few = max(_FEWEST, len(values) // 3)
    order = np.argsort(means, kind="stable")
    if not low < high:
        return None
    sides = [[labelled[at][0] for at in part] for part in (order[:few], order[-few:])]
    feature = _OWN.get(name) or _farthest(heard_as, *sides)[0]
    real = _mean(heard_as, sides[1], feature) - _mean(heard_as, sides[0], feature)
    title = f"{name} {high:.3g} against {low:.3g}"
    return Contrast(name, float(low), float(high), feature, real, title)


def _of_names(
    name: str, songs: Sequence[Song], heard_as: Sequence[Mapping[str, float]]
) -> Contrast | None:
    by_name: dict[str, list[int]] = {}
    for index, song in enumerate(songs):
        if _has(song, name) and isinstance(song.labels[name], str):
            by_name.setdefault(song.labels[name], []).append(index)
    common = {word: at for word, at in by_name.items() if len(at) >= _FEWEST}
    best: tuple[float, Contrast] | None = None
    for one, other in itertools.combinations(sorted(common), 2):
        feature, apart = _farthest(heard_as, common[one], common[other])
        low, high = (one, other) if apart > 0 else (other, one)
        real = _mean(heard_as, common[high], feature) - _mean(heard_as, common[low], feature)
        found = Contrast(name, low, high, feature, real, f"{name} {high!r} against {low!r}")
        if best is None or abs(apart) > best[0]:
            best = abs(apart), found
    return best[1] if best else None


def _of_presence(
    name: str, signal: Any, songs: Sequence[Song], heard_as: Sequence[Mapping[str, float]]
) -> Contrast | None:
    labelled = [(index, _names(signal, song.labels[name])) for index, song in enumerate(songs)
                if _has(song, name)]  # fmt: skip
    best: tuple[float, Contrast] | None = None
    for word in sorted(set().union(*(words for _, words in labelled))):
        sides = [
            [index for index, words in labelled if (word in words) is wanted]
            for wanted in (False, True)
        ]
        if min(map(len, sides)) < _FEWEST:
            continue
        feature, apart = _farthest(heard_as, *sides)
        real = _mean(heard_as, sides[1], feature) - _mean(heard_as, sides[0], feature)
        low, high = (Without(word), With(word))[:: 1 if apart > 0 else -1]
        more, less = ("with", "without")[:: 1 if apart > 0 else -1]
        title = f"{name} {more} {word!r} against {less}"
        found = Contrast(name, low, high, feature, abs(real), title)
        if best is None or abs(apart) > best[0]:
            best = abs(apart), found
    return best[1] if best else None


@dataclasses.dataclass(frozen=True)
class With:
    """A song's own label, with a name added throughout."""

    word: str


@dataclasses.dataclass(frozen=True)
class Without:
    """A song's own label, with a name taken out."""

    word: str


def request(value: Any, own: Any, seconds: float) -> Any:
    """The label that a request makes of a song's own.

    Args:
      value: a label; or `With` or `Without` a name.
      own: the song's label: a name, a list of names, {name: spans} or nothing.
      seconds: the song's length.
    """
    if not isinstance(value, (With, Without)):
        return value
    if isinstance(own, Mapping) and not schedule.is_schedule(own):
        spans = {name: one for name, one in own.items() if name != value.word}
        return {**spans, value.word: [[0.0, seconds]]} if isinstance(value, With) else spans
    names = [own] if isinstance(own, str) else list(own or ())
    rest = [name for name in names if name != value.word]
    return [*rest, value.word] if isinstance(value, With) else rest


def _obeyed(subject: Subject, level: int, contrast: Contrast) -> Figure:
    """The figure of one contrast: pairs of songs, and by how much they differ as asked."""
    box, name = subject.jukebox, contrast.signal
    bases = [song for song in subject.songs if _has(song, name)]
    pairs = [(bases[index % len(bases)], index) for index in range(subject.samples)]
    asked = []
    for value in (contrast.low, contrast.high):
        for song, index in pairs:
            new = subject.asked(song, index)
            told = request(value, song.labels[name], float(new.labels["total_seconds"]))
            asked.append(dataclasses.replace(new, labels={**new.labels, name: told}))
    recording = compose.sample(
        box, asked, subject.sampled_seconds, levels=(level,), settings=subject.settings
    )
    found = [sound.features(audio, box.rate)[contrast.feature] for audio in recording.audio[level]]
    low, high = np.array(found).reshape(2, -1)
    apart = [np.array([one]) for one in high - low if np.isfinite(one)]
    unit = sound.UNITS[contrast.feature]
    title = f"{contrast.title}: {contrast.feature}"
    figure = figures.of_songs("signals", title, apart, unit=unit)
    own = _OWN.get(name) == contrast.feature  # a curve of what is measured asks for more of it
    way = 1.0 if own or contrast.real >= 0 else -1.0
    share = np.mean([way * one[0] > 0 for one in apart]) if apart else 0.0
    near, far = sorted((way * (figure.low or 0.0), way * (figure.high or 0.0)))
    verdict = "as asked" if near > 0 else "against what was asked" if far < 0 else "not shown"
    if own and contrast.real <= 0:
        verdict += " (nor do real songs differ so)"
    note = f"{verdict}; {share:.0%} of pairs as asked; {contrast.real:+.3g} {unit} in real songs"
    return dataclasses.replace(figure, note=note)


def _farthest(
    heard_as: Sequence[Mapping[str, float]], low: Sequence[int], high: Sequence[int]
) -> tuple[str, float]:
    """The number in which two groups of songs lie farthest apart, and how far, in deviations."""
    found = {}
    for feature in sound.UNITS:
        values = np.array([one[feature] for one in heard_as])
        deviation = float(np.nanstd(values))
        apart = _mean(heard_as, high, feature) - _mean(heard_as, low, feature)
        found[feature] = apart / deviation if deviation > 0 and np.isfinite(apart) else 0.0
    best = max(found, key=lambda feature: abs(found[feature]))
    return best, found[best]


def _mean(
    heard_as: Sequence[Mapping[str, float]], which: Sequence[int], feature: str
) -> float:  # fmt: skip
    values = np.array([heard_as[index][feature] for index in which])
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _over_time(value: Any, song: Song) -> np.ndarray:
    """A curve at every tenth of a second of a song, f64[count]."""
    times, numbers, _ = timeline.points(value)
    return np.interp(np.arange(0, max(song.samples / song.rate, 0.1), 0.1), times, numbers)


def _names(signal: Any, value: Any) -> set[str]:
    if isinstance(signal, Events):
        return signal.names(value)
    return {value} if isinstance(value, str) else {str(word) for word in value}


def _has(song: Song, name: str) -> bool:
    value = song.labels.get(name)
    return value is not None and value not in ("", [], ()) and not schedule.is_schedule(value)
