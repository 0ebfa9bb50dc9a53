"""What the notebooks do, so that they only have to say it: parameters, takes, sounds, pictures.

The only importer of IPython, when first used. Everything that lasts lies in folders that the
commands read too: a take that a notebook made goes on with `launch/sample.py --resume`.
"""

import hashlib
import importlib.util
import json
import logging
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from jukebox_jax import sharding
from jukebox_jax.audio import song as songs_
from jukebox_jax.audio import wave
from jukebox_jax.audio.song import Song
from jukebox_jax.models import Jukebox
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended, compose, heads, heard, scores, session, stages, tree
from jukebox_jax.sampling.settings import Settings
from jukebox_jax.sampling.stages import Stages

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
"""Where configs, commands and notebooks lie, in a checkout."""

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow, where it writes metrics

T = TypeVar("T", str, int, float, dict)


def parameter(name: str, value: T) -> T:
    """A notebook's parameter: the value of JUKEBOX_{NAME} if that is set, else the one given.

    Args:
      name: in capitals or not.
      value: what it is by default; a variable is read as the same type, a dict as JSON.

    Raises:
      ValueError: the variable holds another type.
    """
    variable = f"JUKEBOX_{name.upper()}"
    text = os.environ.get(variable)
    if text is None:
        return value
    try:
        read = json.loads(text) if isinstance(value, dict) else type(value)(text)
    except ValueError:
        read = None
    if not isinstance(read, type(value)):
        raise ValueError(f"{variable}={text!r}: give a value as {value!r}")
    return read


def start() -> None:
    """Lets the package speak in the notebook, and refuses a machine that computes wrongly."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout
    )
    for chatty in ("absl", "jax", "orbax", "asyncio", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    sharding.check_numerics()


def load(found: Stages) -> Jukebox:
    """The stages with their weights."""
    priors = tuple(name or None for name in found.priors)
    return Jukebox.load(vqvae=found.vqvae, priors=priors)


def describe(found: Stages, most: int = 12) -> None:
    """Prints what stages are, and what they can be told."""
    print(f"{found.vqvae}: {len(found.hops)} levels at {found.rate} samples a second")
    for level, (hop, path) in enumerate(zip(found.hops, found.priors, strict=True)):
        print(f"  level {level}: {found.rate / hop:.1f} codes a second, {path or 'no prior'}")
    for field in found.fields:
        shown = ", ".join(field.choices[:most]) + ", ..." * (len(field.choices) > most)
        shown = shown if field.low is None else f"{field.low:g} to {field.high:g}"
        free = "a tempo, or seconds of beats" if field.kind == "beats" else "any text"
        print(f"  {field.name}: {shown or free}")


def choose(found: Stages, **given: Any) -> dict[str, Any]:
    """A song's labels; what is needed and left empty becomes the first name that is known.

    Raises:
      ValueError: nothing can be chosen for a label that is needed.
    """
    names = {
        field.name: field.choices[0]
        for field in found.fields
        if field.needed and field.choices and not given.get(field.name)
    }
    told = stages.labels(found.fields, {**given, **names})
    print(", ".join(f"{name}: {value}" for name, value in told.items()) or "no labels")
    return told


def candidates(
    found: Stages,
    labels: Mapping[str, Any],
    out: str | os.PathLike,
    *,
    count: int,
    seconds: float,
    seed: int = 0,
    temperature: float = 0.99,
    guidance: float = 1.0,
) -> str:
    """Draws the top level of some songs of the same labels, or goes on where that stopped.

    Labels are followed as much more than trained as `guidance` says, at levels that can be guided.

    Returns:
      The session's folder, a name of its own for each request.
    """
    config = {
        **found.config,
        "songs": [{**labels, "seed": seed + index} for index in range(count)],
        "seconds": seconds,
        "temperature": temperature,
        "guidance": found.guidance(guidance),
        "levels": [found.top],
    }
    folder = pathlib.Path(out) / f"candidates_{_short(config)}"
    session.run(config, folder)
    return str(folder)


def take(folder: str, operation: str, **arguments: Any) -> str:
    """Makes a take of another one, or goes on where that stopped; see `sampling.takes`.

    Returns:
      Its folder, beside the one it is made from.
    """
    out = pathlib.Path(f"{folder}_{operation}_{_short(arguments)}")
    if (out / session.SETTINGS).exists():
        session.resume(out)
    else:
        tree.derive(out, operation, [folder], arguments)
    return str(out)


def compare(folder: str, level: int | None = None) -> None:
    """Shows what the songs of a session measure, best first; see `sampling.scores`."""
    from IPython.display import Markdown, display

    display(Markdown(scores.table(tree.score(folder, level))))


def listen(folder: str, level: int | None = None) -> None:
    """Shows players of a session's songs, of one level or of all that are there, finest first."""
    from IPython.display import Audio, Markdown, display

    wanted = "*" if level is None else str(level)
    for file in sorted(pathlib.Path(folder).glob(f"level_{wanted}/item_*.wav")):
        display(Markdown(f"{file.parent.name.replace('_', ' ')}, song {file.stem[5:]}: `{file}`"))
        display(Audio(filename=str(file)))


def download(folder: str, level: int = 0) -> None:
    """Hands a level's sound files over: a download on Colab, links elsewhere."""
    from IPython.display import FileLink, display

    for file in sorted(pathlib.Path(folder).glob(f"level_{level}/item_*.wav")):
        if "google.colab" in sys.modules:
            sys.modules["google.colab"].files.download(str(file))
        else:
            display(FileLink(os.path.relpath(file)))


def show(figure: Any) -> None:
    """Shows a figure of `report.plots`."""
    from IPython.display import Image, display

    from jukebox_jax.report import plots

    display(Image(plots.png(figure)))


def config(name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """A config of the checkout's configs folder, with changes.

    Args:
      name: as on the command line without its folder: "vqvae.py:tiny".
      changes: values by dotted key, as {"run.steps": 100}.

    Raises:
      ValueError: there is no such file or size, or no such key.
    """
    file, _, size = name.partition(":")
    path = CHECKOUT / "configs" / file
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"{path}: no such config; notebooks run in a checkout of the project")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.get_config(size) if size else module.get_config()
    return changed(made, changes or {})


def changed(made: Any, changes: Mapping[str, Any]) -> Any:
    """A config with other values by dotted key, in place.

    Raises:
      ValueError: it has no such key, or the value is of another type.
    """
    made.lock()
    for key, value in changes.items():
        *path, last = key.split(".")
        try:
            part = made
            for name in path:
                part = part[name]
            part[last] = tuple(value) if isinstance(part[last], tuple) else value
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{key}={value!r}: {' '.join(str(error).split())}") from None
    return made


def steps(count: int) -> dict[str, Any]:
    """The changes of a config that make a run of so many steps; none for 0."""
    often = ("log_every", "evaluate_every", "checkpoint_every")
    return {f"run.{name}": count for name in ("steps", *often)} if count else {}


def train(made: Any, workdir: str | os.PathLike) -> None:
    """Trains a stage, or goes on where that stopped; its songs are read without TensorFlow."""
    from jukebox_jax.training import loop

    made.data.loader = "numpy"
    loop.train_and_evaluate(made, str(workdir))


def hear(source: str, box: Jukebox, seconds: float) -> tuple[Song, np.ndarray, list[np.ndarray]]:
    """The first song of a source, its sound and its codes.

    Args:
      source: a sound file, a folder or list of songs, or band:...
      box: the stages.
      seconds: how much of it.

    Returns:
      The song, f32[samples, 1], and i32[1, length] of each level, finest first.
    """
    file = pathlib.Path(source)
    if file.is_file() and file.suffix.lower() not in (".jsonl", ".csv"):
        measured = wave.probe(source)
        song = Song(source, measured.samples, {}, measured.rate)
    else:
        song = songs_.find(source, rate=box.rate)[0]
    sound = heard.load(song, box.rate, seconds)
    return song, sound, list(compose.prime(box, sound[None]))


def reconstructions(
    box: Jukebox, sound: np.ndarray, codes: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """What each level keeps of a sound, coarsest last, under the sound itself; for `plots`."""
    kept = {"ground truth": sound[:, 0]}
    for level, array in enumerate(codes):
        kept[f"level {level}"] = compose.decode(box, array, level)[0, :, 0]
    return kept


def play(sounds: Mapping[str, np.ndarray], rate: int) -> None:
    """Shows players of some sounds, f32[samples] by title."""
    from IPython.display import Audio, Markdown, display

    for title, sound in sounds.items():
        display(Markdown(title))
        display(Audio(np.clip(sound, -1, 1), rate=rate, normalize=False))


def attention_over_lyrics(
    box: Jukebox, song: Song, codes: Sequence[np.ndarray]
) -> tuple[np.ndarray, str] | None:
    """The weights of the head that follows the words best, f32[length, tokens], and the words.

    None where no prior reads lyrics or the song has none.
    """
    try:
        stage = attended.stage_with_lyrics(box)
    except ValueError:
        return None
    name, _, alphabet = attended.parts(stage)
    lyric = Lyric.of(song.labels, name, seconds=len(codes[0][0]) * box.hops[0] / box.rate)
    encoded = alphabet.encode(lyric.text)
    if not len(encoded.tokens):
        return None
    settings = Settings(allow_unknown=True)
    layer, head = heads.known(stage) or heads.find(box, [song], codes, settings)
    (weights,) = attended.matrices(box, [song], codes, layer, [head], settings)[0]
    return weights, "".join(lyric.text[place] for place in encoded.sources)


def _short(value: Any) -> str:
    """A short name for plain values, the same for equal ones."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
