"""What people wrote is text on the page, and every sound that is there has a player."""

import json
import math
import os
import pathlib
import threading

import pytest

from jukebox_jax.sampling.stages import Stages
from jukebox_jax.studio import shown
from jukebox_jax.studio.desk import News
from jukebox_jax.studio.runs import Run
from jukebox_jax.studio.studio import Studio

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    for level, song in ((2, 0), (2, 1), (1, 0)):
        file = tmp_path / f"level_{level}" / f"item_{song}.wav"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"RIFF")
    (tmp_path / "scores.json").write_text('[{"song": 1, "bits_per_code": 2.5, "lyrics": null}]')
    first = {"artist": EVIL, "genre": ["x", "y"], "total_seconds": 90.0, "seed": 3}
    songs = (first, {"artist": EVIL, "seed": 4})
    return Run("002 " + EVIL, tmp_path, songs, 4.0, 80, (2,), (1, 0), True, EVIL, "pick")


def test_every_sound_has_a_player_and_finest_comes_first(run: Run) -> None:
    page = shown.run(run, at_work=True)
    assert page.count("<audio") == 3 and "growing" in page and "nothing to hear" not in page
    assert page.index("level_1/item_0.wav") < page.index("level_2/item_0.wav")
    assert "as far as it came" in shown.run(run)
    assert "2.50 bits a code" in page and "first by measures" in page and "upsampled from" in page
    assert "genre: x, y, total seconds: 90" in page
    (run.folder / "level_2" / "item_1.wav").unlink()
    assert "nothing to hear yet" in shown.run(run)


def test_a_sound_that_was_written_anew_has_another_address(run: Run) -> None:
    file = run.folder / "level_1" / "item_0.wav"
    before = shown.address(file)
    os.utime(file, ns=(1, 1))
    assert shown.address(file) != before


def test_what_people_wrote_is_text(run: Run) -> None:
    stages = Stages(EVIL, (EVIL,), 80, (8,))
    news = News(EVIL, EVIL, busy=True)
    for page in (
        shown.run(run),
        shown.run(Run(EVIL, run.folder, trouble=EVIL)),
        shown.heading(stages),
        shown.news(news, EVIL),
        shown.news(News(EVIL, trouble=EVIL), EVIL),
        shown.wrong(EVIL),
    ):
        assert "<img" not in page and "&lt;img" in page


def test_the_work_is_told_of() -> None:
    assert "No run yet" in shown.news(News(), "")
    assert "1: drawing …" in shown.news(News("1", "drawing", busy=True), "1")
    busy = News("1", "drawing", busy=True, level=2, part=0.25, left=65.0)
    assert 'value="0.250"' in shown.news(busy, "1") and "25%, 1:05 left" in shown.news(busy, "1")
    assert "left" not in shown.news(News("1", "d", busy=True, level=2, left=math.nan), "1")
    assert "stopping" in shown.news(News("1", "d", busy=True, stopping=True), "1")
    assert shown.run(None) == "" and shown.wrong("") == ""


def test_who_looks_at_no_run_sees_the_newest(tmp_path: pathlib.Path) -> None:
    studio = Studio(Stages("vqvae", ("prior",), 80, (8,)), tmp_path / "runs")
    seen = shown.view(studio, None)
    assert (seen["name"], seen["choices"], seen["players"]) == (None, [], "")
    assert not (seen["usable"] or seen["busy"] or seen["stop"] or seen["go_on"])
    config = {"vqvae": "v", "priors": ["a"], "levels": [0]}
    for number, name in enumerate(("001 candidates", "002 candidates")):
        said = {"config": config, "songs": [{"seed": number}], "samples": 320, "rate": 80}
        (studio.home / name).mkdir(parents=True)
        (studio.home / name / "settings.json").write_text(json.dumps({**said, "hops": [8]}))
    for name in (None, "007 gone", "002 candidates"):
        seen = shown.view(studio, name)
        assert seen["name"] == "002 candidates" and seen["go_on"] and not seen["usable"]
        assert [name for _, name in seen["choices"]] == ["002 candidates", "001 candidates"]
        assert seen["songs"] == ("002 candidates", [("song 0", 0)]) and seen["first"] == [0]
        assert seen["times"] == ("002 candidates", 0.0, 4.0, 2.0, 1.0, 3.0)


def test_a_run_that_is_being_made_can_be_looked_at(tmp_path: pathlib.Path) -> None:
    studio, end = Studio(Stages("vqvae", ("prior",), 80, (8,)), tmp_path), threading.Event()
    studio.desk.start("001 candidates", "drawing", lambda _: end.wait(10) and None)
    seen = shown.view(studio, "001 candidates")
    end.set()
    assert seen["choices"] == [("001 candidates · getting ready", "001 candidates")]
    assert seen["stop"] and seen["busy"] and not seen["go_on"]
    studio.close()
