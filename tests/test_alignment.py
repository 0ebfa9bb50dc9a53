"""Words are found where they are sung, and written in the formats that players read."""

import json
import pathlib

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.prior.lyrics import Lyric
from jukebox_jax.sampling import alignment, attended

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


def test_words_get_the_times_of_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the stage, unless another is named; what is not read has no time."""
    box = singing.jukebox()
    text, asked = "la le lo", []

    def matrices(box: object, songs: object, codes: object, layer: int, heads: list, *_: object):
        asked.append((layer, *heads))
        weights = np.zeros((1, 40, len(text)), np.float32)
        for token, begin in enumerate(range(5, 35, 5)):  # the last two characters are not reached
            weights[0, begin : begin + 5, token] = 1
        return [weights]

    monkeypatch.setattr(attended, "matrices", matrices)
    songs = [Song("", 640, {"lyrics": text}, singing.RATE)]
    codes = [np.zeros((1, 40), np.int32)]
    (found,) = alignment.align(box, songs, codes, head=(0, 1))
    assert found.text == "la le " and found.times is not None
    step = 5 * singing.HOP / singing.RATE
    np.testing.assert_allclose(found.times, step * np.arange(1, 7))
    monkeypatch.setattr(alignment.heads, "known", lambda _: (0, 0))
    alignment.align(box, songs, codes)
    assert asked == [(0, 1), (0, 0)]


def test_a_song_without_words_has_none() -> None:
    songs = [Song("", 640, {}, singing.RATE)]
    (found,) = alignment.align(singing.jukebox(), songs, [np.zeros((1, 40), np.int32)])
    assert found == Lyric("", ())
