"""A listening page is given what the folder says, and no more."""

import json
import math
import pathlib
from typing import Any

import pages
import pytest

from jukebox_jax.page import listening
from jukebox_jax.page.document import Blocks
from jukebox_jax.sampling import session, tree


def shown(folder: pathlib.Path) -> dict:
    return listening.page(folder, Blocks())


def test_songs_with_their_sounds_words_and_scores(tmp_path: pathlib.Path) -> None:
    data = shown(pages.recording(tmp_path / "it's", 2))
    one, two = data["songs"]
    assert [level["level"] for level in data["levels"]] == [0, 1, 2] and data["top"] == 2
    assert set(one["sounds"]) == {0, 1, 2} and one["seed"] == 5
    assert one["sounds"][0]["seconds"] == pages.SECONDS
    assert [word["text"].strip() for word in one["words"]] == pages.WORDS.split()
    assert one["words"][1]["start"] == pytest.approx(0.8) and two["words"] is None
    assert ("artist", "ada") in one["labels"] and ("title", pages.HOSTILE) in one["labels"]
    assert not {"lyrics", "seed"} & {name for name, _ in one["labels"]}
    assert one["scores"]["loudness"] == pytest.approx(-11, abs=0.1)
    assert one["scores"]["clipping"] == 0 and data["scored"] == {"level": 0, "fully": False}
    before, after = data["pick"]
    assert before.startswith("python launch/take.py pick '") and """it'"'"'s'""" in before
    assert after.endswith("_chosen'")


def test_scores_and_takes_are_told(tmp_path: pathlib.Path) -> None:
    folder = pages.recording(tmp_path / "out", 2)
    measures = {"repetition": 0.1, "clipping": 0, "silence": 0, "loudness": -9, "lyrics": None}
    rows = [
        {"song": song, "level": 2, "bits_per_code": bits, **measures}
        for song, bits in ((1, 2.5), (0, 3.5))
    ]
    session.write_text(folder / tree.SCORES, json.dumps(rows))
    record = {"operation": "pick", "parents": ["../all"], "arguments": {"songs": [4, 2]}}
    session.write_text(folder / tree.TAKE, json.dumps(record))
    data = shown(folder)
    assert data["scored"] == {"level": 2, "fully": True}
    assert [song["scores"]["bits_per_code"] for song in data["songs"]] == [3.5, 2.5]
    assert [song["place"] for song in data["songs"]] == [2, 1]
    assert data["take"] == "pick of ../all: songs [4, 2]"


@pytest.mark.parametrize(
    ("kind", "attends"), [("lyrics", True), ("lyrics_prefix", True), ("sung", False), ("", False)]
)
def test_an_alignment_is_advised_where_a_prior_attends_to_lyrics(
    tmp_path: pathlib.Path, kind: str, attends: bool
) -> None:
    folder = pages.recording(tmp_path / "out", 1)
    prior = tmp_path / "level_0"
    if kind:
        prior.mkdir()
        config = {"signals": {"artist": {"kind": "label"}, "lyrics": {"kind": kind}}}
        (prior / "config.json").write_text(json.dumps(config))
    said = json.loads((folder / "settings.json").read_text())
    for priors in ([str(prior), "-"], f"{prior},-"):
        said["config"]["priors"] = priors
        (folder / "settings.json").write_text(json.dumps(said))
        assert shown(folder)["attends"] is attends


def test_what_cannot_be_read_is_left_out(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pages.recording(tmp_path / "out", 2, lyrics="plain words")
    for name in (tree.SCORES, tree.TAKE, "timings.json", "level_2/item_0.json"):
        (folder / name).write_text('{"torn')
    data = shown(folder)
    assert data["scored"]["fully"] is False and data["take"] == "" and data["timings"] == []
    assert data["songs"][1]["words"] is None and data["songs"][1]["text"] == "plain words"
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 3


@pytest.mark.parametrize(
    "lyrics", [[[2.0, "early"], [10.5, "here"]], "[00:02.00]early\n[00:10.50]here"]
)
def test_words_of_the_labels_are_those_of_the_recording(
    tmp_path: pathlib.Path, lyrics: Any
) -> None:
    folder = pages.recording(tmp_path / "out", 2, lyrics=lyrics, start_seconds=10.0)
    (folder / "level_2" / "item_1.json").write_text("[]")  # as where no word was found
    words = shown(folder)["songs"][1]["words"]
    assert [word["text"] for word in words][-1] == "here"
    assert words[-1]["start"] == pytest.approx(0.5)


def test_half_a_session_is_shown_and_an_empty_one_is_not(tmp_path: pathlib.Path) -> None:
    folder = pages.recording(tmp_path / "out", 2)
    for file in folder.glob("level_[01]/*"):
        file.unlink()
    assert [level["level"] for level in shown(folder)["levels"]] == [2]
    (folder / "codes.npz").unlink()  # as while the first level is at work
    assert math.isnan(shown(folder)["songs"][0]["scores"]["repetition"])
    for file in folder.glob("level_2/*"):
        file.unlink()
    with pytest.raises(ValueError, match="no level has sounds yet; go on with --resume"):
        shown(folder)
    pages.recording(tmp_path / "out", 1)
    (folder / "settings.json").write_text('{"config": {}, "songs": []}')
    with pytest.raises(ValueError, match="does not say 'samples'"):
        shown(folder)
