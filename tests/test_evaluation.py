"""Held-out songs are heard the same way every time, with the averaged parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax import sharding
from jukebox_jax.audio import song, wave
from jukebox_jax.audio.song import SongError
from jukebox_jax.training import evaluation, settings
from jukebox_jax.training.state import TrainState
from jukebox_jax.training.tasks import Task

RATE, SAMPLES = 8000, 1000


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> tuple[song.Song, ...]:
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    for number in range(3):
        wave.save(folder / f"{number}.wav", 0.1 * rng.standard_normal((9500, 2)), RATE)
    return song.find(folder, rate=RATE)


def mean_task() -> Task:
    """Measures the loudness of what it hears, times its parameter."""

    def measure(params, codebooks, frozen, batch):
        loudness = jnp.mean(batch["audio"] ** 2)
        return {"loss": params * loudness, "counts": jnp.ones(4)}

    return Task(
        model=None,
        samples=SAMPLES,
        vocabularies={},
        describe=lambda song, span: {},
        frozen=(),
        abstract=(),
        init=lambda key, places: (),
        start=lambda params, frozen, batch, key: (),
        loss=lambda params, codebooks, frozen, batch, key: (jnp.zeros(()), ((), {})),
        measure=measure,
        summarise=lambda means: {name: float(np.sum(mean)) for name, mean in means.items()},
        examples=lambda params, codebooks, frozen, batch, key: {"heard": batch["audio"]},
        example=lambda batch: {},
    )


def read(run: dict | None = None, **data) -> settings.Settings:
    return settings.read(
        {
            "stage": {"kind": "vqvae", "rate": RATE},
            "model": {},
            "data": {"source": "songs", "batch": 8, "loader": "numpy", "blend": True, **data},
            "run": {"steps": 5, "evaluate_batches": 3, **(run or {})},
        }
    )


def test_the_same_windows_every_time(songs: tuple[song.Song, ...]) -> None:
    measured = evaluation.Evaluation(read(), mean_task(), sharding.make_mesh(), songs)
    state = TrainState(jnp.int32(1), jnp.float32(5.0), jnp.float32(100.0), (), ())
    first = measured(state, ())
    assert first == measured(dataclasses.replace(state, step=jnp.int32(4)), ())
    loud = np.concatenate([wave.mono(wave.load(one.path, RATE))[:9000] for one in songs])
    assert first["loss"] == pytest.approx(100 * np.mean(loud**2), rel=0.05)  # of the average
    assert first["counts"] == 4
    heard = measured.examples(state, (), jax.random.key(0))["heard"]
    assert heard.shape == (2, SAMPLES, 1)


def test_training_batches_differ_from_step_to_step(songs: tuple[song.Song, ...]) -> None:
    mesh = sharding.make_mesh()
    stream = evaluation.batches(read(), mean_task(), mesh, songs)
    first, second = next(stream)["audio"], next(stream)["audio"]
    assert first.shape == (8, SAMPLES, 1) and first.sharding == sharding.batch(mesh)
    assert np.any(np.asarray(first) != np.asarray(second))
    later = next(evaluation.batches(read(), mean_task(), mesh, songs, start_step=1))["audio"]
    np.testing.assert_array_equal(later, second)


def test_songs_that_are_too_short(songs: tuple[song.Song, ...]) -> None:
    task = dataclasses.replace(mean_task(), samples=10000)
    with pytest.raises(SongError, match="no held-out song holds a window of 10000 samples"):
        evaluation.Evaluation(read(), task, sharding.make_mesh(), songs)
    never = read(run={"evaluate_every": 0, "examples_every": 0})
    evaluation.Evaluation(never, task, sharding.make_mesh(), songs)
