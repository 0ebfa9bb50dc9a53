"""Lists of songs are read as they are written, and a wrong line is named."""

import json
import os
import pathlib

import pytest

from jukebox_jax.audio import manifest


def test_json_lines(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\ufeff{"path": "a.wav", "genre": "Rock \u2028 pop"}\n\n{"path": "b.wav"}\n')
    assert manifest.read(path) == [
        (1, {"path": "a.wav", "genre": "Rock \u2028 pop"}),
        (3, {"path": "b.wav"}),
    ]


def test_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('path, artist ,lyrics\na.wav,"Day, Night","one\ntwo"\nb.wav,,\n')
    (_, first), (_, second) = manifest.read(path)
    assert first == {"path": "a.wav", "artist": "Day, Night", "lyrics": "one\ntwo"}
    assert second == {"path": "b.wav"}


def test_a_table_with_a_large_cell(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text(f'path,lyrics\n\na.wav,"{"la " * 100000}"\n')
    ((line, row),) = manifest.read(tmp_path / "a.csv")
    assert line == 3 and len(row["lyrics"]) == 300000


def test_a_folder_says_what_its_list_leaves_out(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.wav", "b.wav", "below/c.flac", "cover.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("path\nbelow/../b.wav\n")
    assert manifest.unlisted(tmp_path, manifest.rows(tmp_path)) == 2
    assert not caplog.records
    manifest.write(tmp_path / "manifest.jsonl", [{"path": "a.wav"}, {"path": "b.wav"}])
    assert manifest.unlisted(tmp_path, manifest.rows(tmp_path)) == 1
    (said,) = caplog.messages
    assert said.endswith("manifest.csv: is not read, since manifest.jsonl lies beside it")


def test_a_name_that_is_no_text(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"")
    ((path, reason),) = manifest.rows(tmp_path)
    assert path == str(tmp_path / "caf\ufffd.wav")
    assert reason == f"{path}: its name is not UTF-8; rename it"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"path": "a"}\n{"path": b}\n', r"a\.jsonl:2: not JSON .* at column 10"),
        ("a.jsonl", '["a"]\n', r"a\.jsonl:1: .* is not an object"),
        ("a.jsonl", "\n", "lists no songs"),
        ("a.csv", "path\na,b\n", r"a\.csv:2: more cells"),
        (
            "a.csv",
            'path,genre\na,x\n"b,y\nc,z\n',
            r"a\.csv:3: .* no CSV \(unexpected end of data\)",
        ),
        ("a.csv", 'path,genre\n"a,x\n"b",y\n', r"a\.csv:2: the row that begins here is no CSV"),
        ("a.csv", 'path,genre\na,"x\nb,y\nc",z\n', r"a\.csv:2: more cells"),
        ("a.csv", 'path,genre\n\n"a,x\nb","y"\n', r"a\.csv:3: path goes over several lines"),
        ("a.txt", "", "is a .jsonl or a .csv file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(manifest.SongError, match=message) as caught:
        manifest.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_or_not_text(tmp_path: pathlib.Path) -> None:
    with pytest.raises(manifest.SongError, match="No such file"):
        manifest.read(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(manifest.SongError, match="not UTF-8"):
        manifest.read(tmp_path / "a.csv")


def test_lyrics(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("la la\nla")
    assert manifest.labels({"path": "a", "lyrics_file": "a.txt", "mood": 3}, tmp_path) == {
        "lyrics": "la la\nla",
        "mood": 3,
    }
    timed = [[0, "la"], [1.5, "lo"]]
    for given in (timed, json.dumps(timed)):
        labels = manifest.labels({"path": "a", "lyrics": given}, tmp_path)
        assert labels == {"lyrics": [(0.0, "la"), (1.5, "lo")]}
    labels = manifest.labels({"lyrics_times": timed}, tmp_path)
    assert labels["lyrics"] == labels["lyrics_times"] == [(0.0, "la"), (1.5, "lo")]
    assert manifest.labels({"lyrics_times": timed, "lyrics": "la"}, tmp_path)["lyrics"] == "la"
    for bad in ({"lyrics_file": "none.txt"}, {"lyrics": [1]}, {"lyrics_times": "words"}):
        with pytest.raises(manifest.SongError, match="lyrics"):
            manifest.labels(bad, tmp_path)


def test_written_whole(tmp_path: pathlib.Path) -> None:
    rows = [{"path": "a.wav", "artist": "Bjørk"}, {"path": "b.wav"}]
    manifest.write(tmp_path / "below" / "a.jsonl", rows)
    assert [row for _, row in manifest.read(tmp_path / "below" / "a.jsonl")] == rows
    assert len(list((tmp_path / "below").iterdir())) == 1
