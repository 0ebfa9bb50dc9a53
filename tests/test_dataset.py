"""Songs are packed into a prepared dataset and read back by slices; others are read as well."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from jukebox_jax.audio import dataset, song, wave, windows
from jukebox_jax.audio.song import SongError

RATE = 8000
ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Twelve songs of other lengths, one or two channels, with labels."""
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    rows = []
    for number in range(12):
        shape = (4000 + 100 * number, 1 + number % 2)
        wave.save(folder / f"{number}.wav", 0.1 * rng.standard_normal(shape), RATE)
        lyrics = [[0.0, "la"], [0.25, f"la {number}"]]
        rows.append({"path": f"{number}.wav", "artist": f"Ärtist {number}", "lyrics": lyrics})
    song.manifest.write(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def packed(folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return dataset.pack(folder, tmp_path_factory.mktemp("packed"), name="some_songs", rate=RATE)


def test_songs_come_back_in_order(folder: pathlib.Path, packed: str) -> None:
    files = song.find(folder, rate=RATE)
    records = song.find(packed, rate=22050)  # the dataset states its own rate
    assert [(r.samples, r.rate, r.labels) for r in records] == [
        (f.samples, f.rate, f.labels) for f in files
    ]
    assert records[3].path == f"{packed}#3"
    for file, record in zip(files, records, strict=True):
        np.testing.assert_allclose(
            dataset.load(record, RATE), wave.load(file.path, RATE), atol=2 / 32768
        )
    piece = dataset.load(records[1], 16000, 3000, 500)
    np.testing.assert_allclose(piece, wave.load(files[1].path, 16000, 3000, 500), atol=1e-3)
    with pytest.raises(wave.AudioError, match="some_songs/train.*#1: has 4100 samples"):
        dataset.load(records[1], RATE, 4000, 500)


def test_without_its_index(packed: str) -> None:
    before = song.find(packed, rate=RATE)
    index = next(pathlib.Path(packed.partition("@")[2]).rglob(dataset.INDEX))
    text = index.read_text()
    try:
        index.unlink()
        dataset._open.cache_clear()
        assert song.find(packed, rate=RATE) == before
    finally:
        index.write_text(text)
        dataset._open.cache_clear()


def test_windows_of_records_are_those_of_files(folder: pathlib.Path, packed: str) -> None:
    settings = {
        "rate": RATE,
        "samples": 1000,
        "batch": 4,
        "describe": lambda one, span: {"start": np.int32(span.start)},
        "seed": 0,
        "blend": True,
    }
    files = windows.numpy_batches(song.find(folder, rate=RATE), **settings)
    records = windows.batches(song.find(packed, rate=RATE), **settings).as_numpy_iterator()
    for _, one, other in zip(range(5), files, records, strict=False):
        np.testing.assert_allclose(one["audio"], other["audio"], atol=2 / 32768)
        np.testing.assert_array_equal(one["labels"]["start"], other["labels"]["start"])


def test_part_of_a_split(packed: str) -> None:
    part = song.find(packed.replace("/train@", "/train[4:6]@"), rate=RATE)
    assert [one.labels["artist"] for one in part] == ["Ärtist 4", "Ärtist 5"]


def test_another_dataset(tmp_path: pathlib.Path) -> None:
    """Any prepared dataset with audio will do; a class is known by its name."""
    import tensorflow_datasets as tfds

    audio = [np.arange(-50, 50 + n, dtype=np.int64) * 100 for n in range(3)]
    examples = [
        (n, {"audio": audio[n], "genre": n % 2, "artist": "A", "tempo": 90.5, "ids": [1, 2]})
        for n in range(3)
    ]

    class Writer(tfds.dataset_builders.AdhocBuilder, skip_registration=True):
        code_path = None  # there are no files beside its code to be looked for

    builder = Writer(
        name="other",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "audio": tfds.features.Audio(sample_rate=100),
                "genre": tfds.features.ClassLabel(names=["folk", "rock"]),
                "artist": tfds.features.Text(),
                "tempo": tfds.features.Scalar(dtype=np.float32),
                "ids": tfds.features.Tensor(shape=(2,), dtype=np.int32),
            }
        ),
        split_datasets={"test": examples},
        data_dir=tmp_path,
        file_format="array_record",
        disable_shuffling=True,
    )
    builder.download_and_prepare()
    found = song.find(f"tfds:other@{tmp_path}", rate=RATE)
    assert [(one.samples, one.rate) for one in found] == [(100, 100), (101, 100), (102, 100)]
    assert found[1].labels == {"genre": "rock", "artist": "A", "tempo": 90.5}
    assert found[1].path == f"tfds:other/test@{tmp_path}#1"
    np.testing.assert_allclose(dataset.load(found[1], 100, 1, 3)[:, 0], audio[1][1:4] / 32768)


def test_what_is_not_there(packed: str, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for source, message in (
        ("tfds:", "write tfds:NAME"),
        (f"tfds:nothing@{tmp_path}", "no such dataset"),
        (packed.replace("/train@", "/test@"), "has no split 'test'; it has train"),
    ):
        with pytest.raises(SongError, match=message) as caught:
            song.survey(source, rate=RATE)
        assert "\n" not in str(caught.value)
    with pytest.raises(SongError, match="was begun with rate = 8000, not 9000"):
        dataset.pack(folder, packed.partition("@")[2], name="some_songs", rate=9000)
    with pytest.raises(SongError, match="small letters"):
        dataset.pack(folder, tmp_path, name="Some Songs")


def test_processes_share_the_work(
    folder: pathlib.Path, packed: str, tmp_path: pathlib.Path
) -> None:
    settings = {"name": "some_songs", "rate": RATE, "files": 4}
    assert dataset.pack(folder, tmp_path, **settings, process=(1, 2)) is None
    assert dataset.pack(folder, tmp_path, **settings, process=(1, 2)) is None
    source = dataset.pack(folder, tmp_path, **settings, process=(0, 2))
    assert source == dataset.pack(folder, tmp_path, **settings, process=(1, 2))
    assert source == f"tfds:some_songs/train@{tmp_path}"
    assert len(list(tmp_path.rglob("*array_record*"))) == 4
    one, other = song.find(packed, rate=RATE), song.find(source, rate=RATE)
    assert [record.labels for record in one] == [record.labels for record in other]
    for number in (0, 2, 3, 11):
        first, second = dataset.load(one[number], RATE), dataset.load(other[number], RATE)
        np.testing.assert_array_equal(first, second)


def test_the_command(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "launch" / "pack.py"), f"--out={tmp_path}"]
    command += ["--name=by_hand", f"--rate={RATE}"]
    done = subprocess.run([*command, f"--source={folder}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source = done.stdout.strip().split("\n")[-1]
    assert source == f"tfds:by_hand/train@{tmp_path}"
    index = next(tmp_path.rglob(dataset.INDEX)).read_text().splitlines()
    assert [json.loads(line)["samples"] for line in index] == list(range(4000, 5200, 100))
    done = subprocess.run(
        [*command, "--source=none", "--name=other"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip().split("\n")[-1] == "pack: none: no such folder or list of songs"
