"""What is asked of the studio is drawn within its limits, stopped, gone on with, derived from."""

import pathlib
import time

import counting
import numpy as np
import pytest

from jukebox_jax.sampling import request, session, stages
from jukebox_jax.studio import runs
from jukebox_jax.studio.studio import Limits, Studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("stages")
    counting.save(folder)
    return folder


def opened(folder: pathlib.Path, home: pathlib.Path) -> Studio:
    return Studio(stages.in_folder(folder), home, Limits(seconds=20.0, candidates=4))


@pytest.fixture(scope="module")
def studio(folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """With two candidates of four seconds."""
    one = opened(folder, tmp_path_factory.mktemp("home"))
    assert one.ask({"artist": "ada"}, count=2, seconds=4.0, seed=5) == "001 candidates"
    done(one)
    return one


def done(studio: Studio) -> None:
    end = time.monotonic() + 60
    while studio.desk.news.busy:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert studio.desk.news.trouble == ""


def test_candidates_are_those_of_a_session(studio: Studio, tmp_path: pathlib.Path) -> None:
    run = studio.run("001 candidates")
    assert run.finished and run.complete == (2,) and len(runs.scores(run)) == 2
    songs = [{"artist": "ada", "seed": seed} for seed in (5, 6)]
    config = {**studio.stages.config, "songs": songs, "seconds": 4.0, "levels": [2]}
    plain = session.run(config, tmp_path)
    np.testing.assert_array_equal(request.read_codes(run.folder)[2], plain.codes[2])


def test_from_a_candidate_down_part_by_part_and_other_ways(studio: Studio) -> None:
    first = "001 candidates"
    for operation, songs, given, seconds, levels in (
        ("pick", [1], {"down_to": 1}, 4.0, (2, 1)),
        ("excerpt", [1], {"start": 1.0, "end": 2.0}, 1.0, (2, 1, 0)),
        ("branch", [0], {"seconds": 2.0, "count": 3, "down_to": 2}, 4.0, (2,)),
        ("replace", [0, 1], {"start": 1.0, "end": 2.0, "down_to": 2}, 4.0, (2,)),
    ):
        name = studio.derive(first, operation, songs, **given)
        done(studio)
        run = studio.run(name)
        assert run.finished and run.complete == levels and run.seconds == seconds, operation
        assert len(run.songs) == len(songs) * given.get("count", 1)
        assert (run.operation, run.parent) == (operation, first)
    name = studio.derive("002 upsampled", "pick", [0])
    done(studio)
    assert studio.run(name).complete == (2, 1, 0)
    name = studio.derive(name, "replace", [0], start=1.0, end=2.0, down_to=2)
    done(studio)
    assert studio.run(name).complete == (2, 1, 0)  # at every level that is there


def test_a_run_that_was_stopped_goes_on_in_another_studio(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    one = opened(folder, tmp_path)
    name = one.ask({"artist": "ada"}, count=2, seconds=20.0)
    end = time.monotonic() + 60
    while one.desk.news.level < 0:
        assert time.monotonic() < end
        time.sleep(0.001)
    one.close()
    assert not one.desk.news.busy and not one.run(name).finished and one.run(name).begun
    two = opened(folder, tmp_path)
    two.go_on(name)
    done(two)
    assert two.run(name).finished
    with pytest.raises(ValueError, match="is finished"):
        two.go_on(name)


def test_what_cannot_be_is_refused_and_makes_nothing(studio: Studio) -> None:
    before = [run.name for run in runs.listed(studio.home)]
    ada = {"artist": "ada"}
    for labels, asked, message in (
        (ada, {"count": 5, "seconds": 4.0}, "5 songs side by side: give 1 to 4"),
        (ada, {"count": 0, "seconds": 4.0}, "0 songs"),
        (ada, {"count": 1, "seconds": 21.0}, "21 seconds: give up to 20"),
        (ada, {"count": 1, "seconds": float("nan")}, "nan seconds"),
        (ada, {"count": 1, "seconds": 4.0, "temperature": 0.0}, "temperature 0.0"),
        (ada, {"count": 1, "seconds": 4.0, "guidance": 0.5}, "guidance 0.5: give a number from 1"),
        ({}, {"count": 1, "seconds": 4.0}, "artist is empty"),
        ({**ada, "lyrics": "x" * 20_001}, {"count": 1, "seconds": 4.0}, "20001 characters"),
    ):
        with pytest.raises(ValueError, match=message):
            studio.ask(labels, **asked)
    first = "001 candidates"
    for name, operation, songs, given, message in (
        ("", "pick", [0], {}, "choose a run first"),
        ("../elsewhere", "pick", [0], {}, "no such run"),
        (first, "pick", [], {}, "no song is chosen"),
        (first, "branch", [0, 1], {"seconds": 2.0, "count": 3}, "6 songs side by side"),
        (first, "pick", [0], {"down_to": 2}, "nothing is left to draw"),
        (first, "excerpt", [0], {"start": 0.0, "end": None}, "To second is empty: give"),
        (first, "branch", [0], {"seconds": None, "count": 1}, "Keep up to second is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            studio.derive(name, operation, songs, **given)
    studio.ask({"artist": "eve"}, count=1, seconds=4.0)  # what the model knows is asked at the desk
    end = time.monotonic() + 60
    while studio.desk.news.busy:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "'eve' is none of" in studio.desk.news.trouble
    assert [run.name for run in runs.listed(studio.home)] == before
    with pytest.raises(ValueError, match="at most 0"):
        Limits(seconds=0)
