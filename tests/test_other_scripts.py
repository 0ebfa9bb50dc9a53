"""Lyrics in other scripts go all the way: learnt, saved, loaded, sung, aligned and written."""

import json
import pathlib

import jax
import numpy as np
import pytest
import singing

from jukebox_jax import checkpoint, models
from jukebox_jax.audio import manifest, wave
from jukebox_jax.prior import lyrics
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import attended, session
from jukebox_jax.training import loop

TEXTS = {
    "cyrillic": "Ой, мороз\nне морозь",
    "japanese": "さくら さくら\nやよいの空は",
    "arabic": "يا ليل\nيا عين",
    "accents": "Noe\u0308l e\u0301te\u0301",  # as some systems write them, in two pieces each
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """A VQ-VAE, and a prior that was trained for two steps on songs in four scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    rng, rows = np.random.default_rng(0), []
    for name, text in TEXTS.items():
        wave.save(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 1200), singing.RATE)
        rows.append({"path": f"{name}.wav", "lyrics_file": f"{name}.txt"})
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    manifest.write(folder / "manifest.jsonl", rows)
    codec, _ = singing.save(folder / "stages")
    config = json.loads(json.dumps(singing.PRIOR))
    config["stage"]["vqvae"] = str(codec)
    config["signals"]["lyrics"] |= {"tokens": 16, "size": 64}
    config["data"] = {"source": str(folder), "batch": 2, "held_out": 0.0, "loader": "numpy"}
    config["optimizer"] = {"learning_rate": 1e-2, "warmup": 0}
    config["run"] = {"steps": 2, "evaluate_every": 0, "examples_every": 0, "checkpoint_every": 2}
    loop.train_and_evaluate(config, folder / "prior", devices=jax.devices()[:1])
    return codec, folder / "prior"


def test_the_alphabet_holds_all_of_it(stages: tuple[pathlib.Path, pathlib.Path]) -> None:
    raw = (stages[1] / checkpoint.VOCABULARIES).read_text()
    assert json.loads(raw)["lyrics"]["alphabet"] == "characters"
    alphabet = models.Stage.load(stages[1]).vocabularies["lyrics"]
    for text in TEXTS.values():
        found = lyrics.encoded(text, alphabet)
        assert (found.tokens > 0).all() and not found.report(), text
    assert len(lyrics.encoded(TEXTS["accents"], alphabet).tokens) == 8  # é is one character


def test_words_come_back_with_their_times(
    stages: tuple[pathlib.Path, pathlib.Path],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The times are those of a head that reads steadily, since two steps teach none."""
    gather = attended.matrices

    def steady(*arguments: object) -> list[np.ndarray]:
        found = gather(*arguments)  # type: ignore[arg-type]
        for weights in found:
            _, length, tokens = weights.shape
            weights[:] = np.arange(length)[:, None] * tokens // length == np.arange(tokens)
        return found

    monkeypatch.setattr(attended, "matrices", steady)
    config = {
        "vqvae": str(stages[0]),
        "priors": str(stages[1]),
        "songs": [{"lyrics": text, "total_seconds": 0.3} for text in TEXTS.values()],
        "seconds": 0.3,
        "align": True,
    }
    session.run(config, tmp_path)
    for index, text in enumerate(TEXTS.values()):
        for extension in (".lrc", ".srt", ".json"):
            file = tmp_path / "level_0" / f"item_{index}{extension}"
            written = file.read_text(encoding="utf-8")
            again = Lyric.read(json.loads(written) if extension == ".json" else written)
            assert again.text.split() == text.split(), (extension, written)
            assert again.times is not None and 0 < again.times[-1] <= 0.3
        assert "\\u" not in (tmp_path / "level_0" / f"item_{index}.json").read_text("utf-8")


def test_letters_that_were_never_met_are_told(
    stages: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    config = {"vqvae": str(stages[0]), "priors": str(stages[1]), "seconds": 0.3}
    with pytest.raises(ValueError, match="'ᚠᚢᚦ' have no character that the model knows"):
        session.run({**config, "songs": [{"lyrics": "ᚠᚢᚦ"}]}, tmp_path)
