"""Songs are encoded whole, once, by whoever is there, and the work may stop anywhere."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import coding
import jax
import numpy as np
import pytest

from jukebox_jax import models
from jukebox_jax.audio import codes, making, manifest, shards, song, wave
from jukebox_jax.audio.song import SongError
from jukebox_jax.training import encoding
from jukebox_jax.vqvae import vqvae

ROOT = pathlib.Path(__file__).parent.parent
LENGTHS = [6001, 3000, 9003, 24000, 5, 7000, 5555]  # the fifth is shorter than a code


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return coding.stage(tmp_path_factory.mktemp("stages") / "vqvae")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Seven songs, of which one is damaged in its middle and one is very short."""
    folder = coding.songs(tmp_path_factory.mktemp("songs"), LENGTHS)
    data = bytearray((folder / "3.flac").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    (folder / "3.flac").write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def short_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "STRETCH", 200)


def encode(stage: pathlib.Path, folder: pathlib.Path, out: pathlib.Path, **settings) -> bool:
    """In three files, with pieces of two sizes."""
    settings = {"files": 3, "piece": 2048, "devices": coding.ONE, **settings}
    return encoding.encode(stage, folder, out, **settings)


@pytest.fixture(scope="module")
def encoded(
    stage: pathlib.Path, folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    out = tmp_path_factory.mktemp("codes") / "codes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "STRETCH", 200)
        assert encode(stage, folder, out)
    return out


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_codes_are_those_of_the_whole_song(
    stage: pathlib.Path, folder: pathlib.Path, encoded: pathlib.Path
) -> None:
    found = codes.read(str(encoded))
    heard = [one for n, one in enumerate(song.find(folder, rate=coding.RATE)) if n not in (3, 4)]
    assert song.find(encoded, rate=coding.RATE) == found.songs == tuple(heard)
    assert heard[0].labels["lyrics"] == [(0.0, "la"), (0.25, "la 0")]
    assert (found.rate, found.hops, found.bins) == (coding.RATE, (4, 8), 16)
    below = models.Stage.load(stage)
    for one in found.songs:
        audio = wave.mono(wave.load(one.path, coding.RATE))
        whole = vqvae.encode_long(below.model, below.weights, audio[None, : len(audio) // 8 * 8])
        assert len(np.unique(whole[0])) > 4, "the test would not see a difference"
        for level, expected in enumerate(whole):
            length = expected.shape[1]
            np.testing.assert_array_equal(found.load(one, level, 0, length), expected[0])
            for start in (0, 150, 199, 200, length - 170):  # across and beside borders of records
                part = found.load(one, level, start, 170)
                np.testing.assert_array_equal(part, expected[0, start : start + 170])
            with pytest.raises(wave.AudioError, match=rf"has {length} codes of level {level}"):
                found.load(one, level, length - 1, 2)


def test_what_lies_beside_the_codes(encoded: pathlib.Path) -> None:
    import tensorflow_datasets as tfds

    left_out = [row for _, row in manifest.read(encoded / shards.LEFT_OUT)]
    assert [pathlib.Path(row["path"]).name for row in left_out] == ["3.flac", "4.flac"]
    assert "damaged" in left_out[0]["reason"] and "shorter than a code" in left_out[1]["reason"]
    builder = tfds.builder_from_directory(encoded)
    records = builder.as_data_source("train")
    assert (builder.info.splits["train"].num_shards, len(records)) == (3, 21)
    starts = [(record["path"].decode(), int(record["start"])) for record in records]
    assert [start for path, start in starts if path.endswith("0.flac")] == [0, 1600, 3200, 4800]
    assert json.loads(records[0]["labels"])["lyrics"] == [[0.0, "la"], [0.25, "la 0"]]
    assert (int(records[0]["samples"]), int(records[0]["rate"])) == (6001, coding.RATE)
    assert [len(records[3][f"codes_{level}"]) for level in range(2)] == [300, 150]
    assert not (encoded / making.MAKING).exists()


def test_interrupted_and_gone_on_with(
    stage: pathlib.Path,
    folder: pathlib.Path,
    encoded: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, calls, compute = tmp_path / "codes", [0], vqvae.encode

    def stops(*arguments):
        calls[0] += 1
        if calls[0] in (2, 6, 12):
            raise KeyboardInterrupt
        return compute(*arguments)

    monkeypatch.setattr(vqvae, "encode", stops)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            encode(stage, folder, out)
        assert not making.is_complete(out)
        with pytest.raises(SongError, match="its codes are not finished; run the same"):
            song.find(out, rate=coding.RATE)
    assert encode(stage, folder, out)
    assert contents(out) == contents(encoded)
    monkeypatch.setattr(vqvae, "encode", None)
    assert encode(stage, folder, out), "what is complete is not encoded again"


def test_two_processes(
    stage: pathlib.Path, folder: pathlib.Path, encoded: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "codes"
    assert not encode(stage, folder, out, process=(1, 2))
    assert len(list(out.glob("codes-train*"))) == 1
    assert encode(stage, folder, out, process=(0, 2))
    assert contents(out) == contents(encoded)


def test_batches_of_pieces(
    stage: pathlib.Path, folder: pathlib.Path, encoded: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    encode(stage, folder, tmp_path / "codes", batch=3)
    one, other = codes.read(str(encoded)), codes.read(str(tmp_path / "codes"))
    for heard in one.songs:
        length = heard.length(coding.RATE) // 8
        np.testing.assert_array_equal(
            one.load(heard, 1, 0, length), other.load(heard, 1, 0, length)
        )


def test_a_kill_of_the_command(stage: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """SIGKILL after the first of its files: the same command does the rest, and to the bit."""
    folder, out = coding.songs(tmp_path, [40000 + n for n in range(24)]), tmp_path / "codes"
    command = [sys.executable, str(ROOT / "launch" / "encode.py"), f"--vqvae={stage}"]
    command += [f"--songs={folder}", "--shards=12", "--piece=2048"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(out: pathlib.Path) -> subprocess.Popen:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, f"--out={out}"], env=environment, stdout=pipe, stderr=pipe, text=True
        )

    running, until = start(out), time.monotonic() + 120
    while not list(out.glob("codes-train*")) and time.monotonic() < until:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    before = list(out.glob("codes-train*"))
    assert 1 <= len(before) < 12
    times = {file: file.stat().st_mtime_ns for file in before}
    for where in (out, tmp_path / "again"):
        running = start(where)
        printed, said = running.communicate(timeout=120)
        assert running.returncode == 0, said
        assert printed == f"{where}\n" and "shard 12 of 12 is written" in said
    assert {file: file.stat().st_mtime_ns for file in before} == times
    assert contents(out) == contents(tmp_path / "again") and not list(out.glob(".*"))


def test_labels_that_are_measured(stage: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = coding.songs(tmp_path / "songs", [4000])
    encode(stage, folder, tmp_path / "codes", measure=["loudness"], files=1)
    (found,) = codes.read(str(tmp_path / "codes")).songs
    assert len(found.labels["loudness"]) == 5 and found.labels["artist"] == "A"


def test_refusals(
    stage: pathlib.Path, folder: pathlib.Path, encoded: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "prior").mkdir()
    (tmp_path / "prior" / "config.json").write_text('{"stage": {"kind": "prior"}}')
    other = coding.stage(tmp_path / "other", seed=1)
    for arguments, settings, message in (
        ((tmp_path / "prior", folder, tmp_path / "a"), {}, "is no VQ-VAE's stage"),
        ((tmp_path / "none", folder, tmp_path / "a"), {}, "is missing: give the directory"),
        ((stage, tmp_path / "empty", tmp_path / "a"), {}, "holds no sound"),
        ((stage, encoded, tmp_path / "a"), {}, "holds codes already"),
        ((stage, folder, folder), {}, "holds something else"),
        ((other, folder, encoded), {}, "was begun with vqvae = "),
        ((stage, folder, encoded), {"files": 5}, "was begun with shards = 3, not 5"),
        ((stage, folder, tmp_path / "b"), {"process": (2, 2)}, "process 2 of 2: count from 0"),
        ((stage, folder, tmp_path / "b"), {"measure": ["taste"]}, "measure='taste' is unknown"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            encode(*arguments, **settings)
        assert "\n" not in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written to"):
        encode(stage, folder, tmp_path / "file" / "codes")


def test_identity_is_of_what_makes_codes(stage: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first, again = models.Stage.load(stage), models.Stage.load(coding.stage(tmp_path / "moved"))
    assert models.identity(first) == models.identity(again)
    params = again.weights.params
    decoder = jax.tree.map(lambda leaf: leaf + 1, params["decoder_0"])
    encoder = jax.tree.map(lambda leaf: leaf + 1, params["encoder_0"])
    book = dataclasses.replace(again.weights.codebooks[1], codes=first.weights.codebooks[0].codes)
    for changed, same in (
        ({"params": {**params, "decoder_0": decoder}}, True),
        ({"params": {**params, "encoder_0": encoder}}, False),
        ({"codebooks": (again.weights.codebooks[0], book)}, False),
    ):
        weights = dataclasses.replace(again.weights, **changed)
        named = models.identity(dataclasses.replace(again, weights=weights))
        assert (named == models.identity(first)) == same, list(changed)
