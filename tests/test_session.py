"""A session's folder says all of it, goes on where it stopped, and is not written over unasked."""

import json
import pathlib
import shutil
from typing import Any

import counting
import jax
import numpy as np
import pytest
import singing

from jukebox_jax import checkpoint
from jukebox_jax.audio import manifest, wave
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import alignment, compose, request, session
from jukebox_jax.sampling import plan as plans
from jukebox_jax.vqvae import vqvae

SONGS = [{"artist": "ada", "seed": 5}, {"artist": "the copper foxes"}]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    stages = counting.save(tmp_path_factory.mktemp("stages"))
    return {**stages, "songs": SONGS, "seconds": 4.0, "seed": 7, "batch": 2}


@pytest.fixture(scope="module")
def whole(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a session that was not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "deep" / "out"
    session.run(config, out)
    return out


def codes_of(folder: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(folder / "codes.npz") as arrays:
        return dict(arrays)


def test_the_folder_holds_codes_sound_and_settings(
    config: dict[str, Any], whole: pathlib.Path
) -> None:
    names = sorted(str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file())
    sounds = [f"level_{level}/item_{item}.wav" for level in range(3) for item in range(2)]
    assert names == ["codes.npz", *sounds, "settings.json", "timings.json"]
    codes = codes_of(whole)
    assert {name: array.shape for name, array in codes.items()} == {
        "codes_0": (2, 160),
        "codes_1": (2, 80),
        "codes_2": (2, 40),
    }
    assert all(array.dtype == np.int32 for array in codes.values())
    stage = counting.sound()
    for level in range(3):
        there = np.asarray(vqvae.decode(stage.model, stage.weights, codes[f"codes_{level}"], level))
        for item in range(2):
            sound = wave.load(whole / f"level_{level}" / f"item_{item}.wav", counting.RATE)
            np.testing.assert_allclose(sound, there[item].clip(-1, 1), atol=1e-4)
    said = json.loads((whole / "settings.json").read_text())
    assert said["config"] == json.loads(json.dumps(config))
    assert said["songs"] == [SONGS[0], {**SONGS[1], "seed": 8}]
    assert (said["samples"], said["rate"], said["hops"]) == (320, 80, [2, 4, 8])
    assert set(said["versions"]) == {"jukebox-jax", "jax", "flax", "numpy", "python"}


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3, 9])
def test_a_session_goes_on_where_it_stopped(
    after: int,
    config: dict[str, Any],
    whole: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped after so many windows, of which each was written."""
    drawn: list[int] = []
    sample = compose.sample

    def stopping(*arguments: Any, on_window: Any, **more: Any) -> Any:
        def look(level: int, codes: np.ndarray) -> None:
            on_window(level, codes)
            drawn.append(level)
            if len(drawn) == after:
                raise Stopped

        return sample(*arguments, on_window=look, **more)

    monkeypatch.setattr(compose, "sample", stopping)
    with pytest.raises(Stopped):
        session.run({**config, "save_seconds": -1.0}, tmp_path)
    assert (tmp_path / "settings.json").exists()
    session.run({**config, "chunk": 9}, tmp_path)
    again = codes_of(tmp_path)
    assert all(np.array_equal(again[name], array) for name, array in codes_of(whole).items())
    assert not (tmp_path / "unfinished.npz").exists()
    assert len(drawn) == 3 + 9 + 19  # no window was drawn twice


@pytest.mark.parametrize("after", [1, 4, 17])
def test_a_session_that_was_told_to_stop_keeps_what_it_has(
    after: int, config: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Stopped in the middle of windows, of which each takes several chunks."""
    seen: list[compose.Progress] = []

    def look(progress: compose.Progress) -> bool:
        seen.append(progress)
        return len(seen) < after

    with pytest.raises(session.Stopped, match="--resume"):
        session.run({**config, "chunk": 5}, tmp_path, on_progress=look)
    kept = request.read_codes(tmp_path / "unfinished.npz")[seen[-1].level]
    assert (kept >= 0).sum() == (seen[-1].codes >= 0).sum() > 0
    assert (tmp_path / f"level_{seen[-1].level}" / "item_0.wav").exists()
    assert seen[0].drawn == 2 * 5 and seen[0].missing == 2 * 40
    session.resume(tmp_path, on_progress=lambda progress: True)
    again = codes_of(tmp_path)
    assert all(np.array_equal(again[name], array) for name, array in codes_of(whole).items())


@pytest.mark.parametrize("after", [1, 3, 4])
def test_lyric_tokens_that_were_drawn_are_there_again(after: int, tmp_path: pathlib.Path) -> None:
    """A model of one vocabulary reads them in their window; its codes have 0 in their place."""
    codec, prior = singing.save(tmp_path, joint=True)
    asked = {"songs": [{"lyrics": singing.TEXTS[0], "seed": 3}], "seconds": singing.SECONDS}
    config = {"vqvae": str(codec), "priors": str(prior), "chunk": 9, "temperature": 3.0, **asked}
    session.run(config, tmp_path / "whole")
    seen: list[np.ndarray] = []

    def look(progress: compose.Progress) -> bool:
        seen.append(progress.codes)
        return len(seen) < after

    with pytest.raises(session.Stopped):
        session.run(config, tmp_path / "out", on_progress=look)
    assert (tmp_path / "out" / "level_0" / "item_0.wav").exists()
    session.resume(tmp_path / "out")
    again, whole = codes_of(tmp_path / "out")["codes_0"], codes_of(tmp_path / "whole")["codes_0"]
    np.testing.assert_array_equal(again, whole)
    assert np.count_nonzero(whole == 0) > 4 and whole.shape == (1, 62)


def test_a_finished_session_is_not_drawn_again(
    config: dict[str, Any], whole: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose.generate, "begin", None)
    (whole / "level_0" / "item_1.wav").unlink()
    session.run(config, whole)
    assert (whole / "level_0" / "item_1.wav").exists()


def test_what_is_there_stays_while_it_is_gone_on_with(
    config: dict[str, Any],
    whole: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed as soon as it has begun again: complete levels, and what there is of the next."""
    seen: list[compose.Progress] = []

    def look(progress: compose.Progress) -> bool:
        seen.append(progress)
        return progress.level == 2 or (progress.codes >= 0).sum() < 30

    with pytest.raises(session.Stopped):
        session.run({**config, "chunk": 5, "save_seconds": -1.0}, tmp_path, on_progress=look)
    shutil.copytree(whole, tmp_path / "finished")
    folders = {name: tmp_path / name for name in ("", "finished")}
    files = ("codes.npz", "unfinished.npz", "state.npz")
    before = {
        folder: [(folder / name).exists() and (folder / name).read_bytes() for name in files]
        for folder in folders.values()
    }
    assert all(before[tmp_path]) and not any(before[tmp_path / "finished"][1:])

    def killed(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(wave, "save", killed)
    for folder, contents in before.items():
        with pytest.raises(Stopped):
            session.resume(folder)
        assert [(folder / n).exists() and (folder / n).read_bytes() for n in files] == contents
    monkeypatch.undo()
    session.resume(tmp_path)
    again = codes_of(tmp_path)
    assert all(np.array_equal(again[name], array) for name, array in codes_of(whole).items())
    assert not (tmp_path / "unfinished.npz").exists() and not (tmp_path / "state.npz").exists()


def test_other_weights_are_another_session(
    config: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Though the config of the stage is the same, and it lies where it lay."""
    stages = counting.save(tmp_path / "stages")
    session.run({**config, **stages, "levels": (2,)}, tmp_path / "out")
    other = counting.noisy().priors[1]
    assert other is not None
    said = json.loads((tmp_path / "stages" / "level_1" / "config.json").read_text())
    words = json.loads((tmp_path / "stages" / "level_1" / "vocabularies.json").read_text())
    weights = {"params": jax.tree.map(lambda leaf: 1.05 * leaf, other.weights)}
    shutil.rmtree(tmp_path / "stages" / "level_1")
    checkpoint.save_stage(tmp_path / "stages" / "level_1", said, weights, words)
    with pytest.raises(ValueError, match="the weights of level 1 have changed"):
        session.resume(tmp_path / "out")


def test_a_folder_is_all_that_is_needed(
    config: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of songs and the prompt are gone, and so is the place where it was begun."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    manifest.write(here / "songs.jsonl", SONGS)
    rng = np.random.default_rng(0)
    wave.save(here / "a.wav", rng.uniform(-0.5, 0.5, (120, 1)), counting.RATE)
    asked = {**config, "songs": "songs.jsonl", "prompt": "a.wav", "prompt_seconds": 1.0}
    monkeypatch.chdir(here)
    session.run(asked, "whole")
    with pytest.raises(session.Stopped):
        session.run({**asked, "chunk": 5}, "out", on_progress=lambda progress: False)
    for name in ("songs.jsonl", "a.wav"):
        (here / name).unlink()
    monkeypatch.chdir(there)
    session.resume("../here/out")
    again, whole = codes_of(here / "out"), codes_of(here / "whole")
    assert all(np.array_equal(again[name], array) for name, array in whole.items())
    assert whole["codes_2"].shape == (2, 40)


@pytest.mark.parametrize("filled", [30, 42, 57, 84])
def test_pieces_that_were_interrupted_end_as_they_would_have(
    filled: int, config: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A piece begins anew at 40 and 80, with a past of its own that is not on disk."""
    asked = {**config, "songs": SONGS[:1], "seconds": 12.0, "levels": (2,)}
    asked["approximate_pieces"] = 3
    session.run(asked, tmp_path / "whole")
    whole = codes_of(tmp_path / "whole")["codes_2"]
    session.prepare(asked, tmp_path / "out")
    there = np.where(np.arange(120) < filled, whole, plans.UNKNOWN)
    session.write_codes(tmp_path / "out" / "unfinished.npz", {2: there})
    session.resume(tmp_path / "out")
    np.testing.assert_array_equal(codes_of(tmp_path / "out")["codes_2"], whole)


def test_top_first_and_the_rest_later(
    config: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    session.run({**config, "levels": (2,)}, tmp_path)
    assert list(codes_of(tmp_path)) == ["codes_2"]
    session.run(config, tmp_path)
    again = codes_of(tmp_path)
    assert all(np.array_equal(again[name], array) for name, array in codes_of(whole).items())


def test_a_run_from_the_codes_of_another(
    config: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    session.run({**config, "codes": str(whole), "seconds": 5.6}, tmp_path)
    for name, array in codes_of(tmp_path).items():
        before = codes_of(whole)[name]
        assert array.shape[1] == before.shape[1] * 56 // 40
        assert np.array_equal(array[:, : before.shape[1]], before)


def test_another_session_is_left_alone(config: dict[str, Any], whole: pathlib.Path) -> None:
    before = codes_of(whole)
    with pytest.raises(ValueError, match="holds another session .config.seed was 7, is 8.*another"):
        session.run({**config, "seed": 8}, whole)
    with pytest.raises(ValueError, match="the songs differ"):
        session.run({**config, "songs": SONGS[:1] * 2}, whole)
    assert all(np.array_equal(before[name], array) for name, array in codes_of(whole).items())


def test_overwriting_begins_anew(config: dict[str, Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "level_0").mkdir()
    for name in ("codes.npz", "unfinished.npz", "level_0/item_9.wav", "notes.txt"):
        (tmp_path / name).write_text("of another")
    with pytest.raises(ValueError, match="holds no session, but codes.npz, which one would write"):
        session.run({**config, "levels": (2,)}, tmp_path)
    (tmp_path / session.SCORES).write_text("[]")
    session.run({**config, "levels": (2,)}, tmp_path, overwrite=True)
    assert not (tmp_path / session.SCORES).exists()
    told = ["settings.json", "timings.json"]
    names = sorted(file.name for file in tmp_path.rglob("*") if file.is_file())
    assert names == ["codes.npz", "item_0.wav", "item_1.wav", "notes.txt", *told]


def test_what_is_asked_for_is_not_overwritten(
    config: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for codes in (out, out / "codes.npz"):
        with pytest.raises(ValueError, match="codes.npz is to be overwritten, but is asked for"):
            session.run({**config, "codes": str(codes)}, out, overwrite=True)
    prompt = out / "level_0" / "item_0.wav"
    with pytest.raises(ValueError, match="item_0.wav is to be overwritten, but is asked for"):
        session.run({**config, "prompt": str(prompt)}, out, overwrite=True)
    assert prompt.exists() and (out / "codes.npz").exists()


@pytest.mark.parametrize("name", ["index.html", "level_0/item_0.wav", "timings.json"])
def test_files_of_somebody_else_are_left_alone(
    name: str, config: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"holds no session, but {pathlib.Path(name).name}, which"):
        session.run({**config, "levels": (2,)}, tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / name]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "cannot be read"),
        ("{", "cannot be read"),
        ('{"config": null}', "cannot be read"),
        ('{"config": {}}', "does not say 'songs'"),
    ],
)
def test_settings_that_say_nothing(text: str, reason: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=f"settings.json: .*{reason}"):
        session.resume(tmp_path)


def test_nothing_is_written_for_a_request_that_cannot_be_met(
    config: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match="'eve' is none of"):
        session.run({**config, "songs": [{"artist": "eve"}]}, tmp_path / "out")
    with pytest.raises(ValueError, match="none of the priors reads lyrics"):
        session.run({**config, "align": True}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_words_are_written_beside_the_sound(
    config: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lyric = Lyric("la la", (0.0, 0.1, 0.2, 0.3, 0.4))
    monkeypatch.setattr(session.attended, "level_with_lyrics", lambda _: 2)
    monkeypatch.setattr(alignment, "align", lambda *_, **__: (lyric, lyric))
    session.run({**config, "levels": (2,), "align": True}, tmp_path)
    names = sorted(file.name for file in (tmp_path / "level_2").iterdir())
    assert names == [
        f"item_{item}.{end}" for item in (0, 1) for end in ("json", "lrc", "srt", "wav")
    ]


def test_a_plan_says_what_it_takes_and_draws_nothing(
    config: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = session.plan(config).splitlines()
    assert [row.split("|")[1].strip() for row in told[2:5]] == ["2", "1", "0"]
    monkeypatch.setattr(session.cost, "available", lambda: 1000)
    with pytest.raises(ValueError, match="level 2 needs .*, but the device has 1 kB"):
        session.run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
