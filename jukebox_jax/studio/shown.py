"""How a run and the work at the desk look, as HTML; whatever people wrote is escaped.

The page that holds them is made elsewhere.
"""

import html
import math
import pathlib
import urllib.parse
from collections.abc import Mapping
from typing import Any

from jukebox_jax.sampling.stages import Stages
from jukebox_jax.studio import runs
from jukebox_jax.studio.desk import News
from jukebox_jax.studio.runs import Run
from jukebox_jax.studio.studio import Studio

CSS = """
#heading, #players, #status, #asked, #answered { padding: 0 }
#heading { overflow-wrap: anywhere }
#run input { text-overflow: ellipsis; padding-right: 1.75rem }
.jukebox-bar { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center }
.jukebox-bar progress { flex: 1 1 12rem; height: .8rem; accent-color: var(--color-accent) }
.jukebox-quiet { color: color-mix(in srgb, var(--body-text-color) 72%, transparent) }
.jukebox-wrong { color: var(--error-text-color); overflow-wrap: anywhere }
.jukebox-songs { display: grid; gap: .75rem; list-style: none; padding: 0; margin: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)) }
.jukebox-songs > li { border: 1px solid var(--border-color-primary); border-radius: .5rem;
  padding: .6rem .75rem; min-width: 0 }
.jukebox-songs h4 { margin: 0 0 .35rem; font-size: 1rem }
.jukebox-songs h4 small { font-weight: normal }
.jukebox-songs figure { margin: .35rem 0 0 }
.jukebox-songs figcaption { display: flex; justify-content: space-between; font-size: .85rem }
.jukebox-songs audio { display: block; width: 100%; height: 2.4rem; margin-top: .15rem }
.jukebox-songs p { margin: .4rem 0 0; font-size: .85rem }
"""

_MEASURES: Mapping[str, tuple[str, str]] = {
    "bits_per_code": ("{:.2f} bits a code", "how improbable the prior itself finds the codes"),
    "repetition": ("{:.0%} repeated", "codes that equal those some lag before"),
    "silence": ("{:.0%} silent", "time below -60 dB"),
    "clipping": ("{:.1%} clipped", "samples beyond full scale"),
    "lyrics": ("{:.0%} of the words found", "lyric tokens that the alignment gives a time"),
}


def heading(stages: Stages) -> str:
    """What stages are, in one line."""
    levels = ", ".join(
        f"level {level} ({stages.rate / stages.hops[level]:.0f} codes a second)"
        for level in reversed(range(len(stages.hops)))
        if stages.priors[level]
    )
    return f"{html.escape(stages.vqvae)} at {stages.rate} samples a second: {levels}"


def news(said: News, name: str) -> str:
    """How the work at the desk stands, for who looks at a run."""
    if said.busy:
        what = html.escape(f"{said.name}: {said.what}")
        if said.stopping:
            return f'<div class="jukebox-bar" role="status">{what}, stopping …</div>'
        if said.level < 0:
            return f'<div class="jukebox-bar" role="status">{what} …</div>'
        left = runs.clock(said.left)
        left = f", {left} left of it" if left else ""
        bar = f'<progress max="1" value="{said.part:.3f}" aria-label="level {said.level}">'
        where = f"level {said.level}: {said.part:.0%}{left}"
        return (
            f'<div class="jukebox-bar" role="status"><span>{what}</span>{bar}</progress>'
            f"<span>{where}</span></div>"
        )
    if said.trouble:
        return wrong(f"{said.name}: {said.trouble}")
    return f'<div class="jukebox-quiet" role="status">{"" if name else "No run yet."}</div>'


def wrong(message: str) -> str:
    """A message about what cannot be."""
    return f'<div class="jukebox-wrong" role="alert">{html.escape(message)}</div>' * bool(message)


def run(one: Run | None, at_work: bool = False) -> str:
    """A run's songs, with a player for each level, finest first.

    Args:
      one: the run; None for none.
      at_work: whether it is being drawn.
    """
    if one is None:
        return ""
    if one.trouble:
        return wrong(one.trouble)
    sounds = runs.sounds(one)
    rows = runs.scores(one)
    places = {int(row["song"]): place for place, row in enumerate(rows, start=1)}
    measured = {int(row["song"]): row for row in rows}
    cards = []
    for number, song in enumerate(one.songs):
        rank = f", {_ordinal(places[number])} by measures" if number in places else ""
        title = f"Song {number} <small>seed {int(song.get('seed') or 0)}{rank}</small>"
        players = "".join(
            _player(one, level, number, items[number], at_work)
            for level, items in reversed(sounds.items())
            if number in items
        )
        players = players or '<p class="jukebox-quiet">nothing to hear yet</p>'
        cards.append(f"<li><h4>{title}</h4>{players}{_measures(measured.get(number))}</li>")
    word = runs.WORDS.get(one.operation, one.operation)
    made = f", {word} from {one.parent}" if word else ""
    told = {name: value for name, value in one.songs[0].items() if name != "seed"}
    about = ", ".join(f"{name.replace('_', ' ')}: {_short(told[name])}" for name in told)
    line = html.escape(f"{one.seconds:.1f} s{made}. {about}")
    return f'<p class="jukebox-quiet">{line}</p><ul class="jukebox-songs">{"".join(cards)}</ul>'


def view(studio: Studio, name: str | None) -> dict[str, Any]:
    """All that is to be seen of a studio by who looks at a run.

    Args:
      studio: the studio.
      name: of the run; another one is taken where there is none of that name.

    Returns:
      Plain values: the name that is looked at; `choices`, of (label, name); `status` and `players`
      as HTML; `songs`, the name and the choices of (label, number), of which `first` is chosen;
      `times`, the name and seconds that the form begins with; and what can be done.
    """
    found, said = runs.listed(studio.home), studio.desk.news
    choices = [(one.label, one.name) for one in found]
    if said.busy and said.name not in [one.name for one in found]:
        choices.insert(0, (f"{said.name} · getting ready", said.name))
    if name not in [value for _, value in choices]:
        name = choices[0][1] if choices else None
    one = next((one for one in found if one.name == name), None)
    count, seconds = (len(one.songs), one.seconds) if one else (0, 0.0)
    best = [int(row["song"]) for row in runs.scores(one)] if one else []
    parts = (0.0, 1.0, 0.5, 0.25, 0.75)  # of a part, of a branch, of a span to be replaced
    return {
        "name": name,
        "choices": choices,
        "status": news(said, name or ""),
        "players": run(one, said.busy and said.name == name),
        "songs": (name, [(f"song {number}", number) for number in range(count)]),
        "first": (best or list(range(count)))[:1],
        "times": (name, *(math.floor(seconds * part * 100) / 100 for part in parts)),
        "usable": one is not None and bool(one.complete),
        "busy": said.busy,
        "stop": said.busy and not said.stopping,
        "go_on": one is not None and not one.trouble and not one.finished and not said.busy,
    }


def address(path: pathlib.Path) -> str:
    """Where the page finds a file of the runs, anew whenever it is written anew."""
    place = urllib.parse.quote(str(path.resolve()))
    return f"gradio_api/file={place}?v={path.stat().st_mtime_ns}"


def _player(one: Run, level: int, number: int, file: pathlib.Path, at_work: bool) -> str:
    growing = level not in one.complete
    state = ("growing" if at_work else "as far as it came") if growing else ""
    source = address(file)
    caption = f"<span>level {level}</span><span class='jukebox-quiet'>{state}</span>"
    name = html.escape(f"{one.name} level {level} song {number}.wav")
    link = f'<a href="{source}" download="{name}">save</a>'
    return (
        f"<figure><figcaption>{caption}{link}</figcaption>"
        f'<audio controls preload="metadata" src="{source}" '
        f'aria-label="song {number}, level {level}"></audio></figure>'
    )


def _measures(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    told = [
        f'<span title="{html.escape(meaning)}">{shape.format(row[name])}</span>'
        for name, (shape, meaning) in _MEASURES.items()
        if isinstance(row.get(name), (int, float)) and math.isfinite(row[name])
    ]
    return f'<p class="jukebox-quiet">{" · ".join(told)}</p>'


def _ordinal(place: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(place, f"{place}th")


def _short(value: Any, most: int = 60) -> str:
    value = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    text = " ".join((f"{value:g}" if isinstance(value, float) else str(value)).split())
    return text if len(text) <= most else text[: most - 1] + "…"
