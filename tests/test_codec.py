"""Files become codes and sound again in pieces, and the report says how good that is."""

import os
import pathlib
import subprocess
import sys

import counting
import numpy as np
import pytest

from jukebox_jax.analysis import codec
from jukebox_jax.audio import wave
from jukebox_jax.vqvae import vqvae

ROOT = pathlib.Path(__file__).parent.parent
STAGE = counting.sound()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A stereo sound of 1003 samples, whole codes of no level."""
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    noise = np.random.default_rng(0).normal(scale=0.2, size=(1003, 2))
    wave.save(path, np.clip(noise, -1, 1), counting.RATE)
    return path


def test_pieces_give_the_codes_of_the_whole(file: pathlib.Path) -> None:
    whole = wave.mono(wave.load(file, counting.RATE))
    padded = np.pad(whole, ((0, 5), (0, 0)))[None]
    wanted = vqvae.encode(STAGE.model, STAGE.weights, padded)
    found = codec.encode(STAGE, file, piece=96)
    assert (int(found["samples"]), int(found["rate"])) == (1003, counting.RATE)
    for level, codes in enumerate(wanted):
        np.testing.assert_array_equal(found[f"codes_{level}"], codes)


@pytest.mark.parametrize("level", [0, 2])
def test_sound_comes_back_at_its_length(file: pathlib.Path, level: int) -> None:
    codes = codec.encode(STAGE, file)
    parts = list(codec.decode(STAGE, codes, level, piece=128))
    sound = np.concatenate(parts)
    assert sound.shape == (1003, 1) and len(parts) > 1
    wanted = vqvae.decode(STAGE.model, STAGE.weights, codes[f"codes_{level}"], level)
    np.testing.assert_allclose(sound, wanted[0, :1003], atol=1e-5)
    with pytest.raises(ValueError, match="no codes of level 3; there are codes_0"):
        list(codec.decode(STAGE, codes, 3))


def test_the_report_counts_what_it_says(file: pathlib.Path) -> None:
    found = codec.report(STAGE, file, levels=(1,), piece=256)[0]
    codes = codec.encode(STAGE, file)["codes_1"]
    shares = np.unique(codes, return_counts=True)[1] / codes.size
    assert found.bits == pytest.approx(20 * np.log2(counting.BINS))  # 80 samples a second, by 4
    assert found.entropy == pytest.approx(-20 * (shares * np.log2(shares)).sum())
    assert found.use == pytest.approx(len(shares) / counting.BINS)
    target = wave.mono(wave.load(file, counting.RATE))[:, 0]
    output = np.concatenate(list(codec.decode(STAGE, codec.encode(STAGE, file), 1)))[:, 0]
    along = (target @ output) / (target @ target) * target
    ratio = 10 * np.log10((along @ along) / ((output - along) @ (output - along)))
    assert found.si_sdr == pytest.approx(ratio, abs=1e-2)


def test_what_is_no_file_of_codes(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    codes = tmp_path / "codes.npz"
    codec.save(codes, codec.encode(STAGE, file))
    whole = codes.read_bytes()
    for data in (b"", whole[: len(whole) // 2], file.read_bytes()):
        codes.write_bytes(data)
        with pytest.raises(ValueError, match=r"codes\.npz: is no file of codes; give a whole one"):
            codec.load(codes)
    np.save(tmp_path / "codes.npy", np.zeros(3))
    with pytest.raises(ValueError, match="is no file of codes"):
        codec.load(tmp_path / "codes.npy")
    with pytest.raises(ValueError, match=r"none\.npz: no such file"):
        codec.load(tmp_path / "none.npz")


def test_the_command_goes_round(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    stage = counting.save(tmp_path / "stages")["vqvae"]
    codes, again = tmp_path / "codes.npz", tmp_path / "again.wav"

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "launch/codec.py", *words, f"--vqvae={stage}"]
        cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache")}
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", **cache}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    for words in [("encode", str(file), str(codes)), ("decode", str(codes), str(again))]:
        done = run(*words)
        assert done.returncode == 0, done.stderr
    assert wave.probe(again) == wave.Probe(1003, counting.RATE, 1)
    done = run("encode", str(file))
    assert done.returncode and done.stderr.strip().endswith("report SOUND ...")
