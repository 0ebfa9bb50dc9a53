"""A config of a session fails by name, and its files are read as they are meant."""

import json
import pathlib
from typing import Any

import counting
import ml_collections
import numpy as np
import pytest

from jukebox_jax.audio import wave
from jukebox_jax.audio.song import SongError
from jukebox_jax.audio.wave import AudioError
from jukebox_jax.checkpoint import CheckpointError
from jukebox_jax.sampling import request
from jukebox_jax.sampling.settings import Settings

RATE, TOP = counting.RATE, counting.HOPS[-1]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return counting.save(tmp_path_factory.mktemp("stages"))


def default() -> ml_collections.ConfigDict:
    import importlib.util

    path = pathlib.Path(__file__).parent.parent / "configs" / "sample.py"
    spec = importlib.util.spec_from_file_location("sample_config", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def test_the_config_says_what_is_published() -> None:
    found = request.read(default())
    assert found.priors == ("runs/level_0", "runs/level_1", "runs/level_2")
    assert found.songs == () and found.seconds is None and found.levels is None
    once: dict[str, Any] = dict(temperature=(0.99,), top_k=(0,), top_p=(0.0,), guidance=(1.0,))
    assert found.settings == Settings(**once, approximate_pieces=(1,))


def test_values_are_taken_in_every_form() -> None:
    config = default()
    config.priors = "-, runs/a,runs/b"
    config.songs = '[{"artist": "ada"}, {"artist": "eve"}]'
    config.seconds, config.levels, config.prompt = 6.0, (2, 1), "a.wav,b.wav"
    config.hop_fraction = (0.5, 0.25, 0.125)
    found = request.read(config)
    assert found.priors == ("-", "runs/a", "runs/b") and found.prompt == ("a.wav", "b.wav")
    assert found.songs == ({"artist": "ada"}, {"artist": "eve"})
    assert (found.seconds, found.levels) == (6.0, (2, 1))
    assert found.settings.hop_fraction == (0.5, 0.25, 0.125)
    plain = request.read(
        {"vqvae": "v", "priors": ("a", None), "songs": [{"seed": 1}], "levels": 0, "top_k": 4}
    )
    assert (plain.priors, plain.songs, plain.levels) == (("a", ""), ({"seed": 1},), (0,))
    assert plain.settings.top_k == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vqvae": "v", "secnds": 1}, "config.secnds: no such key; did you mean 'seconds'"),
        ({"vqvae": "v", "zzz": 1}, "config.zzz: no such key; known: vqvae, priors"),
        ({"priors": "a"}, "config.vqvae is empty"),
        ({"vqvae": "v", "prompt": "a", "codes": "b"}, "prompt and config.codes are both given"),
        ({"vqvae": "v", "seconds": "six"}, "config.seconds = 'six': give a number"),
        ({"vqvae": "v", "songs": "[{"}, "config.songs: not JSON"),
        ({"vqvae": "v", "songs": "[1]"}, "config.songs: give a .jsonl or .csv file, or"),
        ({"vqvae": "v", "batch": 0}, "batch=0"),
        ({"vqvae": "v", "batch": "many"}, "batch='many': give a whole number"),
        ({"vqvae": "v", "seconds": float("inf")}, "config.seconds = inf: give a number"),
        ({"vqvae": "v", "levels": "top"}, "levels"),
    ],
)
def test_mistakes_are_named(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        request.read(config)


def test_songs_are_read(stages: dict[str, str], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "songs.jsonl"
    file.write_text(json.dumps({"artist": "ada", "total_seconds": 9, "seed": 4}) + "\n")
    (tmp_path / "a.txt").write_text("la la")
    asked = request.load(request.read({**stages, "songs": str(file), "samples": 100}))
    assert asked.songs[0].labels == {"artist": "ada", "total_seconds": 9.0, "seed": 4}
    assert asked.seconds == 100 / RATE and asked.codes == (None, None, None)
    rows = [{"artist": "ada"}, {"lyrics_file": str(tmp_path / "a.txt")}]
    asked = request.load(request.read({**stages, "songs": rows}))
    assert [dict(song.labels) for song in asked.songs] == [{"artist": "ada"}, {"lyrics": "la la"}]
    assert asked.seconds == 20.0
    with pytest.raises(SongError, match="nothing.jsonl: cannot be read"):
        request.load(request.read({**stages, "songs": "nothing.jsonl"}))
    with pytest.raises(SongError, match="config.songs, song 0: lyrics_file none.txt"):
        request.load(request.read({**stages, "songs": [{"lyrics_file": "none.txt"}]}))


def test_a_missing_stage_is_named(stages: dict[str, str], tmp_path: pathlib.Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        request.load(request.read({**stages, "vqvae": str(tmp_path / "nowhere")}))
    some = request.load(request.read({**stages, "priors": "-,,-"}))
    assert some.jukebox.priors == (None, None, None)


def test_codes_of_a_former_run(stages: dict[str, str], tmp_path: pathlib.Path) -> None:
    codes = np.arange(12).reshape(2, 6)
    np.savez(tmp_path / "codes.npz", codes_2=codes)
    for path in (tmp_path, tmp_path / "codes.npz"):
        asked = request.load(request.read({**stages, "codes": str(path)}))
        assert asked.codes[:2] == (None, None) and np.array_equal(asked.codes[2], codes)
        assert asked.seconds is None and len(asked.songs) == 2
    np.savez(tmp_path / "other.npz", codes_7=codes)
    with pytest.raises(ValueError, match="holds codes of level 7, but the VQ-VAE has 3 levels"):
        request.load(request.read({**stages, "codes": str(tmp_path / "other.npz")}))


def test_files_that_hold_no_codes(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="none.npz: no such file of codes"):
        request.read_codes(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no codes")
    np.savez(tmp_path / "else.npz", weights=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("text.npz", "else.npz", "array.npy"):
        with pytest.raises(ValueError, match=f"{name}: holds no codes_0") as caught:
            request.read_codes(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_prompts_are_encoded(stages: dict[str, str], tmp_path: pathlib.Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * RATE, 2)).astype(np.float32)
    wave.save(tmp_path / "a.wav", noise, RATE)
    wave.save(tmp_path / "b.wav", noise[: RATE + 3, :1], RATE)
    one = {**stages, "prompt": str(tmp_path / "a.wav")}
    asked = request.load(request.read(one))
    assert [array.shape for array in asked.codes if array is not None] == [
        (1, 80),
        (1, 40),
        (1, 20),
    ]
    assert asked.seconds == 22.0 and len(asked.songs) == 1
    both: dict[str, Any] = {**stages, "prompt": f"{tmp_path / 'a.wav'},{tmp_path / 'b.wav'}"}
    with pytest.raises(ValueError, match="prompts are 1.04 to 2.00 s long: say with config.prompt"):
        request.load(request.read(both))
    asked = request.load(request.read({**both, "prompt_seconds": 0.5, "seconds": 3.0}))
    alone = request.load(request.read({**one, "prompt_seconds": 0.5, "seconds": 3.0}))
    for beside, by_itself in zip(asked.codes, alone.codes, strict=True):
        np.testing.assert_array_equal(beside[:1], by_itself)
    assert asked.codes[2] is not None and asked.codes[2].shape == (2, 40 // TOP)
    assert asked.seconds == 3.0 and len(asked.songs) == 2
    with pytest.raises(AudioError, match="c.wav: no such file"):
        request.load(request.read({**stages, "prompt": str(tmp_path / "c.wav")}))
