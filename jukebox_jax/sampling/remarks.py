"""What of a request its stages pass over: labels that no prior reads, times and characters unknown.

None of it stands against sampling, but whoever asked should know before the first code.
"""

import difflib
import logging
from collections.abc import Iterator, Sequence

from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior import lyrics, timeline
from jukebox_jax.prior.alphabet import Alphabet
from jukebox_jax.prior.conditioning import Timing
from jukebox_jax.sampling import steering
from jukebox_jax.sampling.plan import Plan

log = logging.getLogger(__name__)

_TOTAL = "total_seconds"


def tell(jukebox: Jukebox, songs: Sequence[Song], plan: Plan) -> None:
    """Logs each remark once."""
    for remark in dict.fromkeys(of(jukebox, songs, plan)):
        log.warning("%s", remark)


def of(jukebox: Jukebox, songs: Sequence[Song], plan: Plan) -> Iterator[str]:
    """The remarks on a request that has been checked, a line each.

    Args:
      jukebox: the stages.
      songs: all of a recording.
      plan: the same, laid out.
    """
    yield from _unread(jukebox, songs)
    for step in plan.levels:
        stage = jukebox.priors[step.level]
        assert stage is not None  # the plan has only levels with a prior
        for name, signal in stage.model.signals:
            for index, song in enumerate(songs):
                labels = steering.at_level(song, step.level).labels
                said = ""
                if isinstance(signal, Timing) and not timeline.is_missing(labels.get(_TOTAL)):
                    said = _out_of_range(signal, plan.totals[index] / signal.rate)
                elif isinstance(alphabet := stage.vocabularies.get(name), Alphabet):
                    text = lyrics.Lyric.of(labels, name).text
                    said = lyrics.encoded(text, alphabet).report()
                if said:
                    yield f"level {step.level}, song {index}, {name}: {said}"


def _out_of_range(signal: Timing, seconds: float) -> str:
    least, most = signal.minimum_seconds, signal.maximum_seconds
    if least <= seconds <= most:
        return ""
    taken = min(max(seconds, least), most)
    return f"{_TOTAL} = {seconds:g} is taken for {taken:g}; it knows {least:g} to {most:g}"


def _unread(jukebox: Jukebox, songs: Sequence[Song]) -> Iterator[str]:
    signals = [name for stage in jukebox.priors if stage for name, _ in stage.model.signals]
    known = [*dict.fromkeys(signals), *(f"{name}_times" for name in signals), *steering.OWN]
    told = [name for song in songs for name in song.labels]
    told += [name for song in songs for own in steering.per_level(song).values() for name in own]
    unread = [name for name in dict.fromkeys(told) if name not in known]
    if unread:
        near = {name: difflib.get_close_matches(name, known, n=1) for name in unread}
        shown = [
            f"{name} (did you mean {found[0]}?)" if found else name for name, found in near.items()
        ]
        yield f"labels that no prior reads: {', '.join(shown)}"
