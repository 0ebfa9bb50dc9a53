"""A whole model of the release, from its files to stages that open."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from jukebox_jax import checkpoint
from jukebox_jax.models import Jukebox
from jukebox_jax.prior.conditioning import Alphabet
from jukebox_jax.release import prior, stages, torchfile, vqvae
from jukebox_jax.release.published import LICENCE
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.release.torchfile import TorchFileError

FILES = {
    "vqvae": "vqvae",
    "prior_level_0": "upsampler_level_0",
    "prior_level_2": "prior_lyrics_enc_dec",
}


def gather(reference: pathlib.Path, folder: pathlib.Path, **files: str) -> pathlib.Path:
    """A folder of checkpoints named as the published ones are."""
    folder.mkdir(parents=True)
    for name, source in files.items():
        (folder / f"{name}.pth.tar").symlink_to(reference / f"{source}.pth.tar")
    return folder


@pytest.fixture(scope="module")
def imported(
    reference: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, list[str]]:
    """Stages of a whole model, and what was said."""
    folder = tmp_path_factory.mktemp("whole")
    said: list[str] = []
    stages.import_model(
        gather(reference, folder / "files", **FILES),
        folder / "stages",
        ids=reference / "ids",
        say=said.append,
    )
    return folder / "stages", said


def test_the_stages_open_as_they_are(
    imported: tuple[pathlib.Path, list[str]], reference: pathlib.Path
) -> None:
    folder, _ = imported
    levels = (folder / "level_0", None, folder / "level_2")
    jukebox = Jukebox.load(vqvae=folder / "vqvae", priors=levels)
    assert jukebox.hops == (8, 32, 128) and jukebox.rate == 44100
    first = torchfile.load(reference / "vqvae.pth.tar")
    model, weights = vqvae.convert(first["model"], first["hps"])
    assert jukebox.vqvae.model == model
    for one, other in zip(jukebox.vqvae.weights.codebooks, weights.codebooks, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.counts, other.counts)
    for level, stage in enumerate(jukebox.priors):
        if stage is None:
            continue
        whole = torchfile.load(reference / f"{FILES[f'prior_level_{level}']}.pth.tar")
        expected, params = prior.convert(whole["model"], whole["hps"], model)
        assert stage.model == expected
        assert stage.config["stage"]["level"] == level
        assert jax.tree.structure(stage.weights) == jax.tree.structure(params)
        for ours, theirs in zip(
            jax.tree.leaves(stage.weights), jax.tree.leaves(params), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_what_lies_beside_the_weights(imported: tuple[pathlib.Path, list[str]]) -> None:
    folder, _ = imported
    config = checkpoint.read_json(folder / "level_2", checkpoint.CONFIG)
    assert config["stage"]["vqvae"] == str(folder / "vqvae")
    assert config["data"] == {"minimum_seconds": 1.0, "maximum_seconds": 60.0}
    assert config["release"]["alignment"] == {"layer": 18, "head": 1}
    assert config["release"]["file"] == "prior_level_2.pth.tar"
    words = checkpoint.read_json(folder / "level_2", checkpoint.VOCABULARIES)
    assert words["genre"] == {
        "normalise": "v2",
        "ids": {"unknown": 0, "rock": 1, "blues": 2, "folk": 3},
    }
    assert Alphabet.from_json(words["lyrics"]) == Alphabet("v2")
    assert (folder / "level_0" / "11").is_dir() and (folder / "vqvae" / "7").is_dir()  # steps


def test_what_is_said(imported: tuple[pathlib.Path, list[str]]) -> None:
    folder, said = imported
    assert said[0] == "vqvae: 669 tensors, 95,731 parameters, codebooks of 3,072"
    assert said[2] == "level_2: 294 tensors, 174,198 parameters"
    assert said[3:] == [LICENCE]
    assert [path.name for path in folder.parent.iterdir() if "half" in path.name] == []


def test_given_hyperparameters_and_a_level_left_out(
    reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    index = json.loads((reference / "index.json").read_text())
    files = gather(reference, tmp_path / "files", vqvae="vqvae", prior_level_2="prior_unlabelled")
    hps = {"vqvae": index["vqvae"], "priors": [None, None, index["prior_unlabelled"]]}
    out = tmp_path / "deep" / "stages"
    stages.import_model(files, out, hps=hps, dtype="bfloat16", say=lambda line: None)
    assert sorted(path.name for path in out.iterdir()) == ["level_2", "vqvae"]
    jukebox = Jukebox.load(vqvae=out / "vqvae", priors=(None, None, out / "level_2"))
    top = jukebox.priors[2]
    assert top is not None and top.model.dtype == "bfloat16"
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(top.weights)} == {"float32", "bfloat16"}


def fails(files: pathlib.Path, out: pathlib.Path, **settings: Any) -> str:
    """The message of an import that must fail, after seeing that it left nothing."""
    before = sorted(out.parent.iterdir())
    with pytest.raises((ReleaseError, TorchFileError)) as caught:
        stages.import_model(files, out, say=lambda line: None, **settings)
    assert sorted(out.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_missing_is_told_and_nothing_is_written(
    reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    ids = reference / "ids"
    empty = gather(reference, tmp_path / "empty")
    assert "vqvae.pth.tar: cannot be read" in fails(empty, tmp_path / "out", ids=ids)
    files = gather(reference, tmp_path / "files", **FILES)
    assert "v2_artist_ids.txt as --ids" in fails(files, tmp_path / "out")
    assert "v2_artist_ids.txt" in fails(files, tmp_path / "out", ids=empty)
    assert "dtype 'int8'" in fails(files, tmp_path / "out", ids=ids, dtype="int8")
    one = {"vqvae": {}, "priors": []}
    assert "not of these hyperparameters" in fails(files, tmp_path / "out", hps=one)
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "note").write_text("mine")
    assert "is there already" in fails(files, occupied, ids=ids)


def test_files_that_are_mixed_up_are_told(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    mixed = {**FILES, "prior_level_2": "upsampler_level_1"}
    message = fails(
        gather(reference, tmp_path / "a", **mixed), tmp_path / "out", ids=reference / "ids"
    )
    assert "prior_level_2.pth.tar: is not of these hyperparameters" in message
    assert "left over: conditioner_blocks.0.x_emb.weight" in message
    same = {**FILES, "vqvae": "prior_unlabelled"}
    message = fails(gather(reference, tmp_path / "b", **same), tmp_path / "out")
    assert "vqvae.pth.tar: is not of these hyperparameters" in message


def test_upsamplers_that_are_swapped_are_told_though_they_fit(
    reference: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    files = gather(reference, tmp_path / "files", vqvae="vqvae", prior_level_0="upsampler_level_1")
    said: list[str] = []
    stages.import_model(files, tmp_path / "out", ids=reference / "ids", say=said.append)
    assert any("prior_level_0.pth.tar says that it is of level 1" in line for line in said)


def test_ids_of_another_model_are_told(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    ids = tmp_path / "ids"
    ids.mkdir()
    (ids / "v2_artist_ids.txt").write_text("someone;3\n")
    (ids / "v2_genre_ids.txt").write_text("rock;1\n")
    files = gather(reference, tmp_path / "files", vqvae="vqvae", prior_level_2="prior_labels")
    assert "has ids to 3, but the model has only 3" in fails(files, tmp_path / "out", ids=ids)
    (ids / "v2_artist_ids.txt").write_text("someone without a number\n")
    assert "v2_artist_ids.txt" in fails(files, tmp_path / "out", ids=ids)


def test_an_error_in_the_middle_leaves_nothing(
    reference: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = gather(reference, tmp_path / "files", vqvae="vqvae", prior_level_2="prior_unlabelled")
    written = []

    def save(directory: pathlib.Path, *_: Any, **__: Any) -> None:
        if written:
            raise OSError(28, "No space left on device")
        directory.mkdir(parents=True)
        written.append(directory)

    monkeypatch.setattr(checkpoint, "save_stage", save)
    assert "No space left" in fails(files, tmp_path / "out")
    assert written and not written[0].exists()


def test_hyperparameters_from_a_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hps.json"
    path.write_text(json.dumps({"vqvae": {"levels": 2}, "priors": [None, {"n_ctx": 8}]}))
    assert stages.read_hyperparameters(path)["priors"] == [None, {"n_ctx": 8}]
    for wrong in (
        "[]",
        '{"vqvae": {}}',
        '{"vqvae": {}, "priors": {}}',
        '{"vqvae": 1, "priors": []}',
    ):
        path.write_text(wrong)
        with pytest.raises(ReleaseError, match="of the form"):
            stages.read_hyperparameters(path)
    path.write_text("{")
    with pytest.raises(ReleaseError, match="cannot be read"):
        stages.read_hyperparameters(path)


def test_a_survey_needs_no_file(reference: pathlib.Path) -> None:
    index = json.loads((reference / "index.json").read_text())
    hps = {"vqvae": index["vqvae"], "priors": [None, None, index["prior_unlabelled"]]}
    assert list(stages.survey(hps)) == [
        "vqvae: 669 tensors, 95,731 parameters, codebooks of 3,072",
        "level_2: 40 tensors, 16,136 parameters",
    ]


def test_the_command_ends_with_one_line(reference: pathlib.Path, tmp_path: pathlib.Path) -> None:
    root = pathlib.Path(__file__).parent.parent
    command = [sys.executable, str(root / "launch" / "import_release.py"), "--model=5b"]
    command += [f"--checkpoints={tmp_path}", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("import_release: ") and "vqvae.pth.tar: cannot be read" in last
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
