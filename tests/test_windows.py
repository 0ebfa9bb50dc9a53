"""Batches are a function of seed, step and host, the same with TensorFlow and without."""

import itertools
import logging
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from jukebox_jax.audio import song, wave, windows
from jukebox_jax.audio.song import Song, SongError, Span

RATE, SAMPLES = 8000, 1000


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Song, ...]:
    """Each sample of a song tells its song and its place, left and right with opposite signs."""
    folder = tmp_path_factory.mktemp("songs")
    for number, length in enumerate((5000, 3999, 400, 7100)):
        ramp = (np.arange(length) + 8192 * number) / 32768 / 4
        wave.save(folder / f"{number}.wav", np.stack([ramp, -ramp / 2], 1), RATE)
    return song.find(folder, rate=RATE)


def describe(one: Song, span: Span) -> dict[str, np.ndarray]:
    place = np.array([span.total, span.start, span.length], np.int32)
    return {"timing": place, "number": np.float32(pathlib.Path(one.path).stem)}


def take(stream, steps: int) -> list[dict]:
    if not hasattr(stream, "__next__"):
        stream = stream.as_numpy_iterator()
    return list(itertools.islice(stream, steps))


def settings(**changes) -> dict:
    return {
        "rate": RATE,
        "samples": SAMPLES,
        "batch": 4,
        "describe": describe,
        "seed": 3,
        "threads": 2,
    } | changes


def same(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first["audio"], second["audio"])
        assert list(first["labels"]) == list(second["labels"])
        for name, values in first["labels"].items():
            np.testing.assert_array_equal(values, second["labels"][name])
            assert values.dtype == second["labels"][name].dtype


@pytest.mark.parametrize("blend", [False, True])
def test_both_kinds_agree(songs: tuple[Song, ...], blend: bool) -> None:
    one = take(windows.batches(songs, **settings(blend=blend)), 6)
    other = take(windows.numpy_batches(songs, **settings(blend=blend)), 6)
    same(one, other)
    assert one[0]["audio"].shape == (4, SAMPLES, 1) and one[0]["audio"].dtype == np.float32
    assert one[0]["labels"]["timing"].shape == (4, 3)


def test_shapes_are_known_before_anything_is_read(songs: tuple[Song, ...]) -> None:
    spec = windows.batches(songs, **settings(host=(1, 2))).element_spec
    assert spec["audio"].shape.as_list() == [2, SAMPLES, 1]
    assert spec["labels"]["timing"].shape.as_list() == [2, 3]
    bare = windows.batches(songs, **settings(describe=lambda one, span: {}))
    assert take(bare, 1)[0]["labels"] == {}


def test_windows_are_where_their_labels_say(songs: tuple[Song, ...]) -> None:
    for batch in take(windows.numpy_batches(songs, **settings()), 20):
        for audio, timing, number in zip(
            batch["audio"], *(batch["labels"][name] for name in ("timing", "number")), strict=True
        ):
            total, start, length = timing
            assert length == SAMPLES and 0 <= start <= total - length
            assert total == songs[int(number)].samples
            ramp = (start + np.arange(SAMPLES) + 8192 * number) / 32768 / 4
            np.testing.assert_allclose(audio[:, 0], ramp / 4, atol=1e-4)


def test_an_epoch_holds_each_window_once(songs: tuple[Song, ...]) -> None:
    seen = []
    for batch in take(windows.numpy_batches(songs, **settings(batch=5, shift=False)), 6):
        labels = batch["labels"]
        seen += list(zip(labels["number"], labels["timing"][:, 1], strict=True))
    every = sorted((n, s * 1000) for n, slots in ((0, 5), (1, 3), (3, 7)) for s in range(slots))
    assert sorted(seen[:15]) == sorted(seen[15:]) == every
    assert seen[:15] != seen[15:]


@pytest.mark.parametrize("kind", [windows.batches, windows.numpy_batches])
def test_a_start_skips(songs: tuple[Song, ...], kind) -> None:
    everything = take(kind(songs, **settings(blend=True)), 9)
    same(everything[7:], take(kind(songs, **settings(blend=True, start_step=7)), 2))
    assert take(kind(songs, **settings(start_step=10**12)), 1)[0]["audio"].shape[0] == 4


@pytest.mark.parametrize("kind", [windows.batches, windows.numpy_batches])
def test_hosts_share_nothing_and_miss_nothing(songs: tuple[Song, ...], kind) -> None:
    whole = take(kind(songs, **settings()), 4)
    for hosts in (2, 4):
        parts = [take(kind(songs, **settings(host=(h, hosts))), 4) for h in range(hosts)]
        for step, batch in enumerate(whole):
            rows = np.concatenate([part[step]["audio"] for part in parts])
            np.testing.assert_array_equal(rows, batch["audio"])


def test_a_seed_repeats(songs: tuple[Song, ...]) -> None:
    first, again, other = (
        take(windows.numpy_batches(songs, **settings(seed=seed)), 3) for seed in (1, 1, 2)
    )
    same(first, again)
    assert any((a["audio"] != b["audio"]).any() for a, b in zip(first, other, strict=True))


def test_blend_mixes_by_a_random_share(songs: tuple[Song, ...]) -> None:
    shares = []
    for batch in take(windows.numpy_batches(songs, **settings(blend=True)), 20):
        start, number = batch["labels"]["timing"][:, 1], batch["labels"]["number"]
        ramp = (start + SAMPLES - 1 + 8192 * number) / 32768 / 4
        shares += list((batch["audio"][:, -1, 0] / ramp + 0.5) / 1.5)
    assert 0 <= min(shares) < 0.1 and 0.9 < max(shares) <= 1.001
    assert 0.35 < np.mean(shares) < 0.65


@pytest.mark.parametrize("kind", [windows.batches, windows.numpy_batches])
def test_a_song_that_is_lost_is_passed_over(
    songs: tuple[Song, ...], kind, caplog: pytest.LogCaptureFixture, tmp_path: pathlib.Path
) -> None:
    lost = (Song(str(tmp_path / "2.wav"), 3000, {}, RATE), *songs)
    with caplog.at_level(logging.WARNING):
        batches = take(kind(lost, **settings()), 8)
        again = take(kind(lost, **settings(start_step=5)), 3)
    same(batches[5:], again)
    assert all(2 not in batch["labels"]["number"] for batch in batches)
    named = [record for record in caplog.records if "no such file" in record.getMessage()]
    assert len(named) == 2  # once for each of the two streams
    assert "another window takes its place" in named[0].getMessage()


def test_too_many_that_are_lost_end_it(songs: tuple[Song, ...], tmp_path: pathlib.Path) -> None:
    gone = Song(str(tmp_path / "9.wav"), 60000, {}, RATE)
    with pytest.raises(wave.AudioError, match="20 windows in a row cannot be read"):
        take(windows.numpy_batches([gone], **settings(threads=1)), 1)
    with pytest.raises(wave.AudioError, match=r"cannot be read; (see|last)|in a row"):
        take(windows.numpy_batches([gone, *songs], **settings()), 100)
    with pytest.raises(Exception, match=r"windows (in a row )?cannot be read"):
        take(windows.batches([gone], **settings()), 1)
    with pytest.raises(wave.AudioError, match="20 windows in a row cannot be read") as caught:
        take(windows.tf_batches([gone], **settings()), 1)
    assert "Traceback" not in str(caught.value) and caught.value.__suppress_context__


def test_batches_through_tensorflow_are_the_same(songs: tuple[Song, ...]) -> None:
    one = take(windows.tf_batches(songs, **settings(start_step=2)), 3)
    same(one, take(windows.numpy_batches(songs, **settings(start_step=2)), 3))


def test_labels_at_fault_are_found_first(songs: tuple[Song, ...]) -> None:
    def uneven(one: Song, span: Span) -> dict[str, np.ndarray]:
        return {"label": np.zeros(2 if one.path.endswith("3.wav") else 1)}

    def refuse(one: Song, span: Span) -> dict[str, np.ndarray]:
        if one.path.endswith("3.wav"):
            raise KeyError("unknown artist")
        return {}

    for kind in (windows.batches, windows.numpy_batches):
        with pytest.raises(SongError, match=r"3\.wav: labels .* differ"):
            kind(songs, **settings(describe=uneven))
        with pytest.raises(KeyError, match="unknown artist"):
            kind(songs, **settings(describe=refuse))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 8000}, "no song holds a window of 8000 samples"),
        ({"batch": 5, "host": (0, 2)}, "batch=5 is not a multiple of 2 hosts"),
        ({"host": (2, 2)}, r"host=\(2, 2\)"),
        ({"start_step": -1}, "start_step=-1"),
    ],
)
def test_settings_that_do_not_fit(songs: tuple[Song, ...], changes: dict, message: str) -> None:
    for kind in (windows.batches, windows.tf_batches, windows.numpy_batches):
        with pytest.raises(SongError, match=message):
            kind(songs, **settings(**changes))


def test_numpy_batches_need_no_tensorflow(songs: tuple[Song, ...]) -> None:
    code = (
        "import sys; from jukebox_jax.audio import song, windows\n"
        "songs = song.find(sys.argv[1], rate=8000)\n"
        "next(windows.numpy_batches(songs, rate=8000, samples=100, batch=1, seed=0,"
        " describe=lambda one, span: {}))\n"
        "print([m for m in ('tensorflow', 'tensorflow_datasets', 'librosa') if m in sys.modules])"
    )
    folder = str(pathlib.Path(songs[0].path).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
