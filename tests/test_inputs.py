"""A prior learns the same from sound and from codes where the windows are the same."""

import pathlib

import coding
import jax
import numpy as np
import pytest

from jukebox_jax import models
from jukebox_jax.audio import codes, song, wave, windows
from jukebox_jax.audio.song import Song
from jukebox_jax.training import encoding, inputs, loop, settings
from jukebox_jax.vqvae import pieces, vqvae

CONTEXT = 64


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return coding.stage(tmp_path_factory.mktemp("stages") / "vqvae")


def made(
    stage: pathlib.Path, folder: pathlib.Path, lengths: list[int]
) -> tuple[pathlib.Path, pathlib.Path]:
    """Songs of some lengths, and their codes."""
    folder.mkdir()
    heard = coding.songs(folder, lengths, genre="x")
    out = folder.with_name(f"{folder.name}_codes")
    assert encoding.encode(stage, heard, out, files=2, devices=coding.ONE)
    return heard, out


@pytest.fixture(scope="module")
def long(stage: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Songs of many windows."""
    return made(stage, tmp_path_factory.mktemp("long") / "songs", [9001, 8000, 12345])


def config(source: pathlib.Path, stage: pathlib.Path, level: int, **data) -> dict:
    signals = {"artist": {"kind": "label", "size": 4}}
    signals["timing"] = {
        "kind": "timing",
        "bins": 8,
        "minimum_seconds": 0.01,
        "maximum_seconds": 5.0,
        "rate": coding.RATE,
    }
    if level == 0:
        signals["above"] = {"kind": "codes", "bins": 16, "width": 4, "depth": 1, "downs": 1}
    return {
        "stage": {"kind": "prior", "rate": coding.RATE, "level": level, "vqvae": str(stage)},
        "model": {
            "context": CONTEXT,
            "block": 8,
            "bins": 16,
            "width": 16,
            "layout": [[["row", "column"], 1]],
        },
        "signals": signals,
        "data": {"source": str(source), "batch": 4, "held_out": 2, "loader": "numpy", **data},
        "optimizer": {"learning_rate": 1e-2, "warmup": 2},
        "mesh": {},
        "run": {
            "steps": 5,
            "log_every": 1,
            "evaluate_every": 0,
            "examples_every": 0,
            "checkpoint_every": 5,
        },
    }


def test_training_is_equal_to_the_last_bit(
    stage: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Songs of one window each: a window alone is then the whole song."""
    heard, coded = made(stage, tmp_path / "songs", [CONTEXT * 4] * 9)
    one = loop.train_and_evaluate(config(heard, stage, 0), tmp_path / "sound", devices=coding.ONE)

    def deaf(*_, **__):
        raise AssertionError("sound is read")

    monkeypatch.setattr(wave, "_open", deaf)
    monkeypatch.setattr(vqvae, "encode", deaf)
    other = loop.train_and_evaluate(config(coded, stage, 0), tmp_path / "codes", devices=coding.ONE)
    for part in ("params", "average", "optimizer"):
        jax.tree.map(np.testing.assert_array_equal, getattr(one, part), getattr(other, part))
    noted = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("sound", "codes")]
    losses = [
        [part for part in text.replace("}", ",").split(",") if "loss" in part] for text in noted
    ]
    assert losses[0] == losses[1] and len(losses[0]) >= 5
    assert len(set(losses[0])) > 3, "nothing was learnt"


def test_order_split_and_labels_are_one_function(long: tuple) -> None:
    """Without shifts all windows are the same; shifts differ by less than a code of the top."""
    heard, coded = (song.split(song.find(source, rate=coding.RATE), 1) for source in long)
    assert heard == coded
    reader = codes.read(str(long[1])).reader(0, CONTEXT, above=True)

    def describe(one: Song, span) -> dict[str, np.ndarray]:
        start = [span.start, span.length, span.total]
        return {"span": np.array(start), "song": np.int32(one.samples)}

    for shift, host in ((False, (0, 1)), (True, (1, 2))):
        shared = {
            "rate": coding.RATE,
            "samples": CONTEXT * 4,
            "batch": 4,
            "describe": describe,
            "seed": 3,
            "shift": shift,
            "host": host,
            "start_step": 2,
        }
        sounds = windows.numpy_batches(heard[0], **shared)
        streams = [
            windows.numpy_batches(heard[0], **shared, reader=reader),
            windows.batches(heard[0], **shared, reader=reader).as_numpy_iterator(),
        ]
        for _, sound, one, other in zip(range(12), sounds, *streams, strict=False):
            jax.tree.map(np.testing.assert_array_equal, one, other)
            assert one["codes"].shape == (4 // host[1], CONTEXT)
            assert one["above"].shape == (4 // host[1], CONTEXT // 2)
            np.testing.assert_array_equal(sound["labels"]["song"], one["labels"]["song"])
            moved = sound["labels"]["span"] - one["labels"]["span"]
            assert np.all(moved[:, 1:] == 0) and np.all(one["labels"]["span"][:, 0] % 8 == 0)
            assert np.all(moved == 0) if not shift else np.all(np.abs(moved) < 16)


def test_windows_part_from_whole_songs_at_their_ends_only(stage: pathlib.Path, long: tuple) -> None:
    """Within an encoder's reach of a window's ends, and nowhere else."""
    below, found = models.Stage.load(stage), codes.read(str(long[1]))
    differ = np.zeros((2, CONTEXT), int)
    for one in found.songs:
        audio = wave.mono(wave.load(one.path, coding.RATE))
        for level, hop in enumerate(found.hops):
            for start in range(0, len(audio) - CONTEXT * hop, CONTEXT * hop):
                window = audio[None, start : start + CONTEXT * hop]
                alone = np.asarray(vqvae.encode(below.model, below.weights, window)[level][0])
                differ[level] += alone != found.load(one, level, start // hop, CONTEXT)
    for level in range(2):
        margin = pieces.encoder_margin(*below.model.sizes(level))
        assert not differ[level, margin.before : CONTEXT - margin.after].any()
        assert differ[level, : margin.before].any() or differ[level, -margin.after :].any()


def test_examples_need_the_decoder_alone(stage: pathlib.Path, long: tuple) -> None:
    model = models.build(config(long[1], stage, 1))
    below = models.Stage.load(stage)
    for every, there in ((0, False), (10, True)):
        wanted = config(long[1], stage, 1)
        wanted["run"]["examples_every"] = every
        heard = inputs.find(model, settings.read(wanted), below, top=True)
        assert (heard.frozen is not None) == there
        assert set(heard.example(4)) == {"codes"}
    of_sound = inputs.find(model, settings.read(config(long[0], stage, 1)), below, top=True)
    assert of_sound.reader is None and of_sound.frozen is below.weights


def test_refusals(stage: pathlib.Path, long: tuple, tmp_path: pathlib.Path) -> None:
    other = coding.stage(tmp_path / "other", seed=1)
    run = tmp_path / "run"
    with pytest.raises(ValueError, match="holds codes of another VQ-VAE") as caught:
        loop.train_and_evaluate(config(long[1], other, 1), run, devices=coding.ONE)
    assert "\n" not in str(caught.value)
    wanted = config(long[1], stage, 1)
    wanted["signals"]["loudness"] = {
        "kind": "curve",
        "rate": coding.RATE,
        "minimum": -80.0,
        "maximum": 0.0,
    }
    wanted["signals"]["loudness"].update(bins=8)
    with pytest.raises(ValueError, match="codes are not heard; .* --measure=loudness"):
        loop.train_and_evaluate(wanted, tmp_path / "measured", devices=coding.ONE)
    wanted = {**config(long[1], stage, 1), "signals": {}}
    wanted["stage"] = {"kind": "vqvae", "rate": coding.RATE}
    wanted["model"] = {"downs": [2, 1], "strides": [2, 2], "multipliers": [1, 1], "bins": 16}
    wanted["data"]["samples"] = 4096
    with pytest.raises(ValueError, match="holds codes, and a VQ-VAE is trained on sound"):
        loop.train_and_evaluate(wanted, tmp_path / "vqvae", devices=coding.ONE)
