"""What a studio knows of a run is read from its folder, wherever the run stopped."""

import json
import pathlib
from typing import Any

import counting
import pytest

from jukebox_jax.sampling import session, tree
from jukebox_jax.studio import runs


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two candidates, one of them begun to be upsampled, and a folder that is none."""
    home = tmp_path_factory.mktemp("studio")
    stages = counting.save(home / "stages")
    songs = [{"artist": "ada", "seed": seed} for seed in (5, 6)]
    session.run({**stages, "songs": songs, "seconds": 4.0, "levels": [2]}, home / "001 candidates")
    seen: list[Any] = []

    def twice(progress: Any) -> bool:
        seen.append(progress)
        return len(seen) < 2

    with pytest.raises(session.Stopped):
        tree.derive(
            home / "002 upsampled",
            "pick",
            [home / "001 candidates"],
            {"songs": [1]},
            changes={"levels": [1, 0], "chunk": 5},
            on_progress=twice,
        )
    (home / "notes").mkdir()
    return home


def test_finished_and_unfinished_runs_are_told_apart(home: pathlib.Path) -> None:
    second, first = runs.listed(home)
    assert (first.name, first.complete, first.wanted) == ("001 candidates", (2,), (2,))
    assert (
        first.finished and first.label == "001 candidates · 2 songs of 4.0 s · finished to level 2"
    )
    assert (second.complete, second.wanted, second.begun) == ((2,), (1, 0), True)
    assert not second.finished and second.label.endswith(
        "1 song of 4.0 s · unfinished, level 2 is there"
    )
    assert (second.parent, second.operation) == ("001 candidates", "pick")
    assert second.songs[0]["seed"] == 6
    assert runs.listed(home / "nowhere") == ()


def test_sounds_that_are_there_are_found(home: pathlib.Path) -> None:
    second, first = runs.listed(home)
    assert {level: list(items) for level, items in runs.sounds(first).items()} == {2: [0, 1]}
    assert list(runs.sounds(second)) == [2, 1]  # what there is of level 1 can be heard


def test_a_run_that_cannot_be_read_says_why(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "001 broken").mkdir()
    (tmp_path / "001 broken" / "settings.json").write_text('{"config": ')
    (one,) = runs.listed(tmp_path)
    assert "cannot be read" in one.trouble and one.state == "cannot be read" and not one.finished


def test_all_levels_down_to_the_first_without_a_prior_are_wanted(
    home: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    said = json.loads((home / "001 candidates" / "settings.json").read_text())
    for priors, wanted in (
        (["a", "b", "c"], (2, 1, 0)),
        (["a", "-", "c"], (2,)),
        (["", "b"], (1,)),
    ):
        said["config"].update(levels=[], priors=list(priors))
        (tmp_path / "settings.json").write_text(json.dumps(said))
        assert runs.read(tmp_path).wanted == wanted
        assert runs.read(tmp_path).state == "not begun"


def test_scores_of_songs_that_are_not_there_are_passed_over(home: pathlib.Path) -> None:
    _, first = runs.listed(home)
    assert runs.scores(first) == []
    tree.score(first.folder, 2)
    assert sorted(row["song"] for row in runs.scores(first)) == [0, 1]
    (first.folder / tree.SCORES).write_text('[{"song": 7}, {"song": 0}]')
    assert [row["song"] for row in runs.scores(first)] == [0]


def test_new_runs_have_the_next_number(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert runs.new(home).name == "003 candidates"
    assert runs.new(home, "branch").name == "003 branched"
    assert runs.new(tmp_path / "nowhere").name == "001 candidates"


def test_durations_are_written_as_people_do() -> None:
    assert [runs.clock(one) for one in (0.2, 65, 3700, float("nan"))] == [
        "0:00",
        "1:05",
        "1:01:40",
        "",
    ]
