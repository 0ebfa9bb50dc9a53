"""Words are found where they are sung, and written in the formats that players read."""

import json
import pathlib
import types

import numpy as np
import pytest

from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import alignment


def following(begins: list[int], length: int, noise: float = 0.0) -> np.ndarray:
    """A head that looks at each token from its beginning to the next."""
    weights = np.zeros((length, len(begins)), np.float32)
    ends = [*begins[1:], length]
    for token, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        weights[begin:end, token] = 1
    weights += noise * np.random.default_rng(0).random(weights.shape, np.float32)
    return weights


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_path_finds_where_tokens_begin(noise: float) -> None:
    begins = [0, 3, 4, 9, 20, 21, 30]
    assert alignment.path(following(begins, 40, noise)).tolist() == begins


def test_the_path_never_goes_back() -> None:
    weights = following([0, 5, 10], 20)
    weights[12, 0] = 1.5  # a look back, which is no singing
    assert alignment.path(weights).tolist() == [0, 5, 10]
    random = np.random.default_rng(1).random((60, 25), np.float32)
    begins = alignment.path(random)
    known = begins[np.isfinite(begins)]
    assert (np.diff(known) > 0).all() and len(known) > 10


def test_tokens_that_nobody_attends_to_have_no_time() -> None:
    weights = np.zeros((10, 5), np.float32)
    assert np.isnan(alignment.path(weights)).all()
    weights[2:5, 1] = weights[5:9, 3] = 0.5
    begins = alignment.path(weights)
    assert begins[[1, 3]].tolist() == [2, 5] and np.isnan(begins[[0, 2, 4]]).all()


def test_the_path_is_the_heaviest() -> None:
    """All paths that never go back, tried one by one."""
    weights = np.random.default_rng(2).random((6, 4)).astype(np.float32)
    best = max(
        float(sum(weights[row, token] for row, token in enumerate(path)))
        for path in np.ndindex(*(4,) * 6)
        if all(a <= b for a, b in zip(path, path[1:], strict=False))
    )
    begins = alignment.path(weights)
    tokens = np.flatnonzero(np.isfinite(begins))
    taken = tokens[np.searchsorted(begins[tokens], np.arange(6), side="right") - 1]
    assert weights[np.arange(6), taken].sum() == pytest.approx(best)


LYRIC = Lyric("one two\nthree", tuple(0.5 * place for place in range(13)))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.lrc", "[00:00.00]"),
        ("a.srt", "00:00:00,000 --> 00:00:03,500"),
        ("below/a.json", '"text": "two\\n"'),
    ],
)
def test_lyrics_are_written_and_read_again(tmp_path: pathlib.Path, name: str, wanted: str) -> None:
    alignment.write(tmp_path / name, LYRIC)
    text = (tmp_path / name).read_text()
    assert wanted in text
    again = Lyric.read(json.loads(text) if name.endswith("json") else text)
    assert again.text == LYRIC.text and again.times is not None
    starts = [again.times[place] for place in (0, 4, 8)]
    assert starts == pytest.approx([0, 2 if "srt" not in name else starts[1], 4])


def test_another_format_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"a.txt: lyrics are written as .lrc, .srt, .json"):
        alignment.write(tmp_path / "a.txt", LYRIC)


def test_the_head_that_follows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among one that stares at a token, one that looks everywhere and one that reads."""
    begins, length = list(range(0, 40, 4)), 40
    stares = np.zeros((length, len(begins)), np.float32)
    stares[:, 3] = 1
    everywhere = np.full_like(stares, 1 / len(begins))
    reads = following(begins, length) * 0.6
    heads = {1: [stares, everywhere], 4: [everywhere, reads]}

    def matrices(box: object, songs: object, codes: object, layer: int, which: range, *_: object):
        return [np.stack([heads[layer][head] for head in which])]

    model = types.SimpleNamespace(layout=((("row", "memory", "row"), 2),), heads=2)
    stage = types.SimpleNamespace(model=model)
    monkeypatch.setattr(alignment, "_matrices", matrices)
    monkeypatch.setattr(alignment, "_stage", lambda *_: stage)
    monkeypatch.setattr(alignment, "level_with_lyrics", lambda _: 2)
    assert alignment.find_head(None, [None], [np.zeros((1, 4))]) == (4, 1)
