"""What is derived from a session is a session, drawn as it would have been, and can be remade."""

import json
import pathlib
import shutil
from typing import Any

import counting
import numpy as np
import pytest

from jukebox_jax.sampling import request, session, takes, tree

SONGS = [{"artist": "ada", "seed": 5}, {"artist": "the copper foxes", "seed": 9}]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A session of two songs, of all levels."""
    stages = counting.save(tmp_path_factory.mktemp("stages"))
    out = tmp_path_factory.mktemp("whole") / "out"
    session.run({**stages, "songs": SONGS, "seconds": 4.0, "batch": 2}, out)
    return out


def same(one: pathlib.Path, codes: dict[int, np.ndarray]) -> bool:
    found = request.read_codes(one)
    return found.keys() == codes.keys() and all(
        np.array_equal(found[level], array) for level, array in codes.items()
    )


def test_upsampling_again_gives_what_was_there(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    chosen = tmp_path / "chosen"
    tree.derive(chosen, "pick", [whole], {"songs": [1]})
    kept = {level: array[1:] for level, array in request.read_codes(whole).items()}
    assert same(chosen, kept)
    again = tmp_path / "again"
    assert tree.derive(again, "upsample", [chosen], {"level": 1}, sample=False) is None
    assert not (again / "codes.npz").exists()
    session.resume(again)
    assert same(again, kept)
    assert (again / "level_0" / "item_0.wav").exists()
    said = json.loads((again / tree.TAKE).read_text())
    assert said["operation"] == "upsample" and said["parents"] == ["../chosen"]


def test_a_branch_with_the_old_seed_is_the_old_song(
    whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    tree.derive(tmp_path / "a", "pick", [whole], {"songs": [0]})
    tree.derive(tmp_path / "b", "branch", [tmp_path / "a"], {"seconds": 2.0, "count": 2, "seed": 5})
    old, new = request.read_codes(tmp_path / "a"), request.read_codes(tmp_path / "b")
    for level, array in new.items():
        np.testing.assert_array_equal(array[0], old[level][0])
        half = array.shape[1] // 2
        np.testing.assert_array_equal(array[1, :half], old[level][0, :half])
    assert (new[2][1] != old[2][0]).any()


def test_any_operation_takes_some_songs_first(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments = {"songs": [1], "start": 1.0, "end": 2.0}
    tree.derive(tmp_path / "part", "excerpt", [whole], arguments)
    said = session.settings(tmp_path / "part")["songs"]
    assert [song["artist"] for song in said] == ["the copper foxes"]
    old, new = request.read_codes(whole), request.read_codes(tmp_path / "part")
    np.testing.assert_array_equal(new[2][0], old[2][1, 10:20])
    assert tree.rebuild(tmp_path / "part", tmp_path / "again") == takes.fingerprint(new)


def test_a_node_is_made_again_from_its_record(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    one = tmp_path / "tree" / "one"
    tree.derive(one, "branch", [whole], {"seconds": 1.0}, changes={"temperature": 0.8})
    two = tmp_path / "elsewhere" / "two"
    assert tree.rebuild(one, two) == takes.fingerprint(request.read_codes(one))
    assert same(two, request.read_codes(one))
    root = tmp_path / "root"
    assert tree.rebuild(whole, root) == takes.fingerprint(request.read_codes(whole))


def test_a_take_of_before_fingerprints_goes_on(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tree.derive(tmp_path / "out", "pick", [whole], {"songs": [1]}, sample=False)
    file = tmp_path / "out" / "settings.json"
    said = json.loads(file.read_text())
    assert said["config"]["codes"] == "./given.npz"
    file.write_text(json.dumps({k: v for k, v in said.items() if k not in ("given", "stages")}))
    session.resume(tmp_path / "out")
    assert "given" in json.loads(file.read_text())


def test_a_moved_folder_goes_on(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tree.derive(tmp_path / "a", "truncate", [whole], {"seconds": 2.0}, sample=False)
    shutil.move(tmp_path / "a", tmp_path / "b")
    session.resume(tmp_path / "b")
    assert tree.read(tmp_path / "b").samples == 160


def test_what_cannot_be_derived_changes_nothing(
    whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def refused(match: str, *arguments: Any, **more: Any) -> None:
        with pytest.raises(ValueError, match=match):
            tree.derive(tmp_path / "out", *arguments, **more)
        assert not (tmp_path / "out").exists()

    refused("'pik': no such operation", "pik", [whole], {})
    refused("splice takes 2 folder", "splice", [whole], {"seconds": 1.0})
    refused("pick: .*'songs'", "pick", [whole], {})
    refused("holds no session", "pick", [tmp_path], {"songs": [0]})
    change = {"temprature": 0.9}
    refused("config.temprature: no such key", "pick", [whole], {"songs": [0]}, changes=change)
    with pytest.raises(ValueError, match="holds a session"):
        tree.derive(whole, "pick", [whole], {"songs": [0]})
    with pytest.raises(ValueError, match="holds no session"):
        session.resume(tmp_path)


@pytest.mark.parametrize("changes", [{"temperature": -1.0}, {"vqvae": "nowhere"}])
def test_what_failed_can_be_made_anew(
    changes: dict[str, Any], whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Wrong values are found once the stages are loaded; nothing of it is left then."""
    out = tmp_path / "out"
    for sample in (True, False):
        with pytest.raises(ValueError):
            tree.derive(out, "branch", [whole], {"seconds": 2.0}, changes=changes, sample=sample)
        assert not out.exists()
    out.mkdir()
    (out / tree.TAKE).write_text("killed before it had settings")
    tree.derive(out, "branch", [whole], {"seconds": 2.0}, sample=False)
    session.settings(out)


@pytest.mark.parametrize("key", ["codes", "songs", "prompt", "samples", "seed"])
def test_what_a_take_has_of_its_own_is_not_set(
    key: str, whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=f"{key} cannot be set of a take"):
        tree.derive(tmp_path / "out", "pick", [whole], {"songs": [0]}, changes={key: 1})


def test_a_take_may_be_longer(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    changes = {"seconds": 5.0, "levels": [2]}
    tree.derive(tmp_path / "out", "pick", [whole], {"songs": [0]}, changes=changes)
    old, new = (request.read_codes(folder)[2] for folder in (whole, tmp_path / "out"))
    assert new.shape == (1, 50)
    np.testing.assert_array_equal(new[:, :40], old[:1])


def test_a_session_is_not_rebuilt_onto_itself(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    for out in (whole, copy):
        with pytest.raises(ValueError, match="holds a session: give another --out"):
            tree.rebuild(whole, out)


def test_a_parent_that_changed_is_noticed(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    parent = tmp_path / "parent"
    shutil.copytree(whole, parent)
    tree.derive(tmp_path / "one", "truncate", [parent], {"seconds": 2.0})
    codes = request.read_codes(parent)
    codes[2][0, 0] = (codes[2][0, 0] + 1) % counting.BINS
    session.write_codes(parent / "codes.npz", codes)
    with pytest.raises(ValueError, match="has changed since"):
        tree.rebuild(tmp_path / "one", tmp_path / "two")


def test_scores_lie_beside_the_songs(whole: pathlib.Path) -> None:
    found = tree.score(whole, 2)
    rows = json.loads((whole / "scores.json").read_text())
    assert sorted(row["song"] for row in rows) == [0, 1] and rows[0]["level"] == 2
    assert rows[0]["lyrics"] is None
    assert rows[0]["bits_per_code"] == found[rows[0]["song"]].bits_per_code > 0
    with pytest.raises(ValueError, match="level=3: there are levels 0 to 2"):
        tree.score(whole, 3)


def test_a_replaced_span_is_drawn_between_its_sides(
    whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    tree.derive(tmp_path / "one", "replace", [whole], {"start": 1.0, "end": 2.0, "seed": 3})
    before, after = request.read_codes(whole), request.read_codes(tmp_path / "one")
    assert after.keys() == before.keys()
    changed = 0
    for level, array in after.items():
        low, high = 80 // counting.HOPS[level], 160 // counting.HOPS[level]
        same = array == before[level]
        assert same[:, :low].all() and same[:, high:].all() and (array >= 0).all()
        changed += int((~same).sum())
    assert changed > 20
