"""A whole model of the release as stage directories of ours.

A model is a file for the VQ-VAE and one for each level's prior, and lists of names and ids. Every
name and shape of all files is checked before anything is converted; stages are then made one after
the other in a folder beside the wanted one, which takes its name at the end, so that an error
leaves nothing behind.
"""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from jukebox_jax import checkpoint
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.conditioning import Alphabet, Label, Lyrics, LyricsPrefix, Vocabulary
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import hyperparameters, prior, tensors, torchfile, vqvae
from jukebox_jax.release.published import LICENCE
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

Model = Mapping[str, Any]
"""Hyperparameters by the release's names: {"vqvae": {...}, "priors": [{...}, ...]}, finest first;
None in place of a prior that is not there."""


@dataclasses.dataclass(frozen=True)
class _File:
    """An opened checkpoint: its arrays lie in the file until they are used."""

    path: pathlib.Path
    hps: Mapping[str, Any]
    state: Mapping[str, Any]
    step: int
    level: int | None  # as the file itself has it


def read_hyperparameters(path: str | os.PathLike[str]) -> Model:
    """Reads a model's hyperparameters from a JSON file.

    Raises:
      ReleaseError: there is no such file, or it is not of the form of `Model`.
    """
    try:
        value = json.loads(pathlib.Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}") from error
    form = '{"vqvae": {...}, "priors": [{...}, ...]}, finest level first'
    if not isinstance(value, dict) or set(value) != {"vqvae", "priors"}:
        raise ReleaseError(f"{path}: it must be of the form {form}")
    listed = isinstance(value["priors"], list)
    parts = [part for part in value["priors"] if part is not None] if listed else []
    if not listed or not all(isinstance(part, dict) for part in (value["vqvae"], *parts)):
        raise ReleaseError(f"{path}: it must be of the form {form}")
    return value


def import_model(
    checkpoints: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    hps: Model | None = None,
    ids: str | os.PathLike[str] | None = None,
    dtype: str = "float32",
    say: Callable[[str], None] = print,
) -> None:
    """Makes stages/vqvae and stages/level_0, ... of a model's files.

    Args:
      checkpoints: the folder of vqvae.pth.tar, prior_level_0.pth.tar, ...
      out: the folder to make.
      hps: the model's hyperparameters; by default those that the files hold, and then a level
        without a file is left out.
      ids: the folder of v2_artist_ids.txt, v2_genre_ids.txt, or v3_..., needed with labels.
      dtype: what the priors compute in and keep kernels and embeddings in: "float32", "float16"
        or "bfloat16". The VQ-VAE stays float32.
      say: called with each line of the report.

    Raises:
      ReleaseError: something is missing or does not fit; nothing was written.
      TorchFileError: a file is damaged or no checkpoint; nothing was written.
    """
    tensors.check_dtype(dtype)
    folder, out = pathlib.Path(checkpoints), pathlib.Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReleaseError(f"{out} is there already: give another --out, or remove it")
    first = _open(folder / "vqvae.pth.tar", hps["vqvae"] if hps else None)
    model = VQVAE(**hyperparameters.vqvae_fields(first.hps))
    tensors.compare(vqvae.names(model), vqvae.abstract(model), first.state, str(first.path))
    files, vocabularies = [], []
    for level, given in enumerate(hps["priors"] if hps else [None] * model.levels):
        path = folder / f"prior_level_{level}.pth.tar"
        if given is None and (hps or not path.exists()):
            continue
        file = _open(path, given)
        if file.level not in (None, level):  # two upsamplers may have the same shapes
            say(f"beware: {path} says that it is of level {file.level}")
        file = dataclasses.replace(file, hps={**file.hps, "level": level})
        one = Prior(**hyperparameters.prior_fields(file.hps, model))
        tensors.compare(prior.names(one), prior.abstract(one), file.state, str(path))
        files.append(file)
        vocabularies.append(read_vocabularies(one, file.hps, ids))

    half = out.with_name(f".{out.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # of an import that was killed
    try:
        _save_vqvae(first, half / "vqvae", say)
        for file, words in zip(files, vocabularies, strict=True):
            level = file.hps["level"]
            _save_prior(file, model, half / f"level_{level}", out / "vqvae", words, dtype, say)
        if out.exists():
            out.rmdir()
        half.rename(out)
    except OSError as error:
        raise ReleaseError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    say(LICENCE)


def survey(hps: Model) -> Iterator[str]:
    """Sees that every tensor of a model has its place with us, by shapes alone.

    Args:
      hps: the model's hyperparameters.

    Yields:
      A line for each stage, with its tensors and its parameters.

    Raises:
      ReleaseError: something has no place.
    """
    model = VQVAE(**hyperparameters.vqvae_fields(hps["vqvae"]))
    abstract = vqvae.abstract(model)
    shapes = tensors.check(vqvae.names(model), abstract)
    yield _report("vqvae", len(shapes), abstract["params"], abstract["codebooks"])
    for level, given in enumerate(hps["priors"]):
        if given is None:
            continue
        one = Prior(**hyperparameters.prior_fields({**given, "level": level}, model))
        abstract = prior.abstract(one)
        yield _report(f"level_{level}", len(tensors.check(prior.names(one), abstract)), abstract)


def read_vocabularies(
    model: Prior, hps: Mapping[str, Any], ids: str | os.PathLike[str] | None
) -> dict[str, Vocabulary | Alphabet]:
    """The names and characters that a prior learnt with.

    Args:
      model: the prior.
      hps: its hyperparameters.
      ids: the folder of lists.

    Raises:
      ReleaseError: a list is missing, damaged, or of another model.
    """
    generation = "v3" if hps.get("labels_v3") else "v2"
    found: dict[str, Vocabulary | Alphabet] = {}
    for name, signal in model.signals:
        if isinstance(signal, Label):
            file = f"{generation}_{name}_ids.txt"
            if ids is None:
                raise ReleaseError(f"the model has labels: give the folder of {file} as --ids")
            try:
                words = Vocabulary.read(pathlib.Path(ids) / file, generation)
            except (OSError, ValueError) as error:
                raise ReleaseError(f"{pathlib.Path(ids) / file}: {error}") from error
            if words.size > signal.size:
                raise ReleaseError(
                    f"{pathlib.Path(ids) / file} has ids to {words.size - 1}, but the model has "
                    f"only {signal.size}: it belongs to another model"
                )
            found[name] = words
        elif isinstance(signal, (Lyrics, LyricsPrefix)):
            characters = Alphabet(generation)
            if characters.size != signal.size:
                raise ReleaseError(
                    f"hps: n_vocab = {signal.size}, but lyrics of {generation} have "
                    f"{characters.size} characters"
                )
            found[name] = characters
    return found


def _open(path: pathlib.Path, hps: Mapping[str, Any] | None) -> _File:
    """Opens a file, with the hyperparameters that are given or else its own."""
    content = torchfile.load(path)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ReleaseError(f"{path}: holds no model of the release")
    own = content.get("hps")
    if not isinstance(own, dict):
        own = {}
    if hps is None and not own:
        raise ReleaseError(f"{path}: holds no hyperparameters: give --model or --hps")
    step = content.get("step")
    if not isinstance(step, int) or step < 0:
        step = 0
    full = hyperparameters.complete(own if hps is None else hps)
    return _File(path, full, content["model"], step, own.get("level"))


def _save_vqvae(file: _File, directory: pathlib.Path, say: Callable[[str], None]) -> None:
    model, weights = vqvae.convert(file.state, file.hps, title=str(file.path))
    config = {
        "stage": {"kind": "vqvae", "rate": file.hps["sr"]},
        "model": _fields(model),
        "data": {},
        "release": _origin(file),
    }
    parts = _placed({"params": weights.params, "codebooks": weights.codebooks})
    checkpoint.save_stage(directory, config, parts, {}, step=file.step)
    say(_report(directory.name, len(file.state), weights.params, vqvae.tree(weights)["codebooks"]))


def _save_prior(
    file: _File,
    model: VQVAE,
    directory: pathlib.Path,
    first: pathlib.Path,
    vocabularies: Mapping[str, Vocabulary | Alphabet],
    dtype: str,
    say: Callable[[str], None],
) -> None:
    hps = file.hps
    one, params = prior.convert(file.state, hps, model, dtype=dtype, title=str(file.path))
    durations = {"minimum_seconds": hps["min_duration"], "maximum_seconds": hps["max_duration"]}
    config = {
        "stage": {"kind": "prior", "rate": hps["sr"], "level": hps["level"], "vqvae": str(first)},
        "model": _fields(one),
        "signals": {name: _spec(signal) for name, signal in one.signals},
        "data": {name: value for name, value in durations.items() if value is not None},
        "release": _origin(file),
    }
    words = {name: vocabulary.to_json() for name, vocabulary in vocabularies.items()}
    checkpoint.save_stage(directory, config, _placed({"params": params}), words, step=file.step)
    say(_report(directory.name, len(file.state), params))


def _placed(tree: Any) -> Any:
    """The same arrays, as the CPU's: what is NumPy's is copied twice before it is written."""
    cpu = jax.local_devices(backend="cpu")[0]
    return jax.tree.map(lambda leaf: jax.device_put(leaf, cpu, may_alias=True), tree)


def _fields(model: VQVAE | Prior) -> dict[str, Any]:
    """A module's fields, as the section "model" of a config."""
    names = [field.name for field in dataclasses.fields(model)]
    return {name: getattr(model, name) for name in names if name not in _NO_FIELDS}


_NO_FIELDS = ("parent", "name", "signals")


def _spec(signal: Any) -> dict[str, Any]:
    """A signal as its line of a config."""
    (kind,) = (kind for kind, record in conditioning.KINDS.items() if type(signal) is record)
    return {"kind": kind, **dataclasses.asdict(signal)}


def _origin(file: _File) -> dict[str, Any]:
    """What is worth keeping of where a stage comes from."""
    origin: dict[str, Any] = {"file": file.path.name, "licence": LICENCE}
    layer, head = file.hps["alignment_layer"], file.hps["alignment_head"]
    if layer is not None and head is not None:
        origin["alignment"] = {"layer": layer, "head": head}
    return origin


def _report(name: str, count: int, params: Any, codebooks: Any = None) -> str:
    line = f"{name}: {count} tensors, {tensors.count(params):,} parameters"
    return line if codebooks is None else f"{line}, codebooks of {tensors.count(codebooks):,}"
