"""A mixture of labels is the weighted sum of what they are embedded as."""

from typing import Any

import counting
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning, mixture, prior
from jukebox_jax.prior.conditioning import Label, LabelError, Vocabulary
from jukebox_jax.prior.mixture import Mixture
from jukebox_jax.sampling import compose
from jukebox_jax.sampling.settings import Settings

SIGNALS = (("artist", Label(9)), ("genre", Label(9, most=2)))
NAMES = {
    "artist": Vocabulary(ids={"ada": 1, "eve": 2}),
    "genre": Vocabulary("v2", {"rock": 3, "pop": 4, "jazz": 5}),
}
SPAN = Span(0, 80, 80)


def encode(**labels: Any) -> dict[str, Any]:
    song = Song("", 0, labels)
    return conditioning.encode(SIGNALS, NAMES, song, SPAN, 8, mixtures=True, rate=10)


def test_a_mixture_holds_ids_with_weights() -> None:
    found = encode(artist={"ada": 0.75, "eve": 0.25}, genre='{"rock pop": 2, "jazz": -1}')
    assert found["artist"].ids.tolist() == [1, 2]
    assert found["artist"].weights.tolist() == [0.75, 0.25]
    assert found["genre"].ids.tolist() == [3, 4, 5, -1]
    assert found["genre"].weights.tolist() == [2, 2, -1, -1]
    plain = encode(artist="eve", genre="jazz")
    assert plain["artist"].tolist() == [2] and plain["genre"].tolist() == [5, -1]


def test_mixtures_change_over_time() -> None:
    over = {"schedule": [[0, "ada"], [4, {"ada": 0.5, "eve": 0.5}]]}
    assert encode(artist=over, genre="pop")["artist"].ids.tolist() == [1, 2]


def test_songs_of_several_forms_are_brought_to_one() -> None:
    plain, mixed = np.array([4, -1], np.int32), Mixture(np.array([1, 2, 3]), np.array([0.5, 1, 2]))
    both = mixture.stack([plain, mixed])
    assert both.ids.tolist() == [[4, -1, -1], [1, 2, 3]]
    assert both.weights.tolist() == [[1, 1, 0], [0.5, 1, 2]]
    assert mixture.stack([plain, plain]).tolist() == [[4, -1], [4, -1]]
    assert both.nothing().ids.tolist() == [[0, -1, -1]] * 2


def test_a_mixture_is_a_weighted_sum() -> None:
    stage = counting.noisy().priors[2]
    assert stage is not None
    given = [np.array([1], np.int32), np.array([2], np.int32)]
    both = prior.condition(stage.model, stage.weights, {"artist": mixture.stack(given)}).start
    mixed = prior.condition(
        stage.model, stage.weights, {"artist": mixture.stack([*given, _mix(0.7, 0.3)])}
    ).start
    np.testing.assert_array_equal(mixed[:2], both)
    np.testing.assert_allclose(mixed[2], 0.7 * both[0] + 0.3 * both[1], rtol=1e-5)


def _mix(*weights: float) -> Mixture:
    return Mixture(np.array([1, 2], np.int32), np.array(weights, np.float32))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "is no mixture of labels; write {name: weight, ...}"),
        ({"ada": "much"}, "is no mixture of labels"),
        ({"ada": float("nan")}, "is no mixture of labels"),
        ("{ada}", "{ada} is no mixture of labels"),
        ({"ada": 1, "bob": 1}, "'bob' is none of the 2 names"),
    ],
)
def test_mixtures_that_cannot_be(value: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        encode(artist=value, genre="pop")


def test_songs_are_sampled_from_mixtures() -> None:
    box, seconds = counting.noisy(), 32 * 8 / counting.RATE
    labels = ("ada", {"ada": 1.0}, {"ada": -9, "the copper foxes": 9})
    songs = [Song("", 0, {"artist": one, "seed": 3}) for one in labels]
    found = compose.sample(box, songs, seconds, levels=(2,), settings=Settings()).codes[2]
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])
