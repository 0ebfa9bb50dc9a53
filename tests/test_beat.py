"""`beats`: the place in beat and bar of each code; what is refused, hidden and measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio import band, measure
from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning
from jukebox_jax.prior.conditioning import Beats, LabelError

RATE = 100
SIGNAL = Beats(bins=4, most=4, rate=RATE)


def encode(value: object, span: Span, length: int) -> np.ndarray:
    song = Song("a.wav", span.total, {"beats": value})
    found = SIGNAL.encode("beats", song, span, length, None, False)
    assert found.dtype == np.int32 and found.shape == (length,)
    assert found.min() >= 0 and found.max() < SIGNAL.size
    return found


def told(value: object, seconds: float, length: int) -> list[str]:
    """The beat and its part at each code of the first seconds, "1.0" for a bar's first."""
    found = encode(value, Span(0, round(seconds * RATE), round(seconds * RATE)), length) - 1
    return ["-" if one < 0 else f"{one // SIGNAL.bins}.{one % SIGNAL.bins}" for one in found]


def test_beats_are_cut_into_parts_and_go_on_before_and_after() -> None:
    value = [[1.0, 1], [2.0, 2], [3.0, 3], [4.0, 1]]
    assert told(value, 6.0, 6) == ["3.0", "1.0", "2.0", "3.0", "1.0", "2.0"]
    assert told(value, 2.0, 8) == ["3.0", "3.1", "3.2", "3.3", "1.0", "1.1", "1.2", "1.3"]


def test_uneven_beats_are_stretched() -> None:
    assert told([[0, 1], [1, 2], [3, 1]], 5.0, 10) == (
        "1.0 1.2 2.0 2.1 2.2 2.3 1.0 1.1 1.2 1.3".split()
    )


def test_beats_alone_leave_the_bar_untold() -> None:
    assert told([1.0, 1.5, 2.0], 2.0, 8) == "0.0 0.2".split() * 4
    assert told("[1.0, 1.5, 2.0]", 1.0, 2) == ["0.0", "0.0"], "JSON in a table's cell"


@pytest.mark.parametrize(
    ("steady", "listed"),
    [
        ({"tempo": 120, "metre": 3, "start": 0.25}, [[0.25, 1], [0.75, 2], [1.25, 3], [1.75, 1]]),
        ('{"tempo": 120}', [0.0, 0.5, 1.0]),
        (120, [0.0, 0.5, 1.0]),
        ("120", [0.0, 0.5, 1.0]),
    ],
)
def test_a_steady_pulse_is_the_list_of_its_beats(steady: object, listed: object) -> None:
    span = Span(37, 500, 1000)
    np.testing.assert_array_equal(encode(steady, span, 60), encode(listed, span, 60))


def test_windows_agree_where_they_overlap() -> None:
    value = [[0.31, 1], [0.9, 2], [1.57, 1], [2.2, 2]]
    whole = encode(value, Span(0, 400, 400), 400)
    for start in (0, 37, 250):
        window = encode(value, Span(start, 100, 400), 100)
        np.testing.assert_array_equal(window, whole[start : start + 100])


@pytest.mark.parametrize("value", [None, "", [], [1.5]])
def test_songs_without_a_pulse_are_told_none(value: object) -> None:
    assert not encode(value, Span(0, 400, 400), 8).any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", r"beats of a\.wav: 'fast' cannot be read; write a tempo, "),
        ([[0, 1, 2]], "cannot be read"),
        ([0.0, float("nan")], "cannot be read"),
        ([0.0, 1.0, 1.0], "from 1 s to 1 s: sort them, each once"),
        ([[0, 1], [1, 2.5]], r"number in its bar is 1, 2, \.\.\."),
        ([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]], "a bar of 5 beats, but the signal has most=4"),
        ({"tempo": 120, "meter": 4}, "'meter' is no field of steady beats; did you mean 'metre'"),
        ({"metre": 4}, "cannot be read"),
        (0, "give a tempo above 0"),
        ({"tempo": 90, "metre": -1}, "a metre of 1 or more"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(value: object, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        encode(value, Span(0, 900, 900), 9)
    assert "\n" not in str(caught.value)


def test_it_is_made_from_a_config_embedded_and_hidden() -> None:
    line = {"kind": "beats", "bins": 4, "rate": RATE}
    signals = (("beats", conditioning.make("beats", line)),)
    assert signals[0][1] == SIGNAL
    with pytest.raises(ValueError, match=r"bins=0: give 1 or more"):
        conditioning.make("beats", {**line, "bins": 0})
    labels, _ = conditioning.example(signals, 6, batch=2)
    module = conditioning.Conditioner(signals, 6, 4)
    params = module.init(jax.random.key(0), labels, None)
    values = {"beats": jnp.array([[0, 20, 5, 1, 0, 3]] * 2)}
    rows = params["params"]["beats"]["rows"]["embedding"]
    assert rows.shape == (SIGNAL.size, 4) == (21, 4)
    np.testing.assert_array_equal(
        module.apply(params, values, None)["track"][0], rows[values["beats"][0]]
    )
    hidden = conditioning.drop(signals, values, 1.0, jax.random.key(1))
    np.testing.assert_array_equal(hidden["beats"], 0)
    np.testing.assert_array_equal(conditioning.without(signals, values)["beats"], 0)


def test_training_also_hides_the_beats_alone() -> None:
    signals = (
        ("mood", conditioning.make("mood", {"kind": "label", "size": 4})),
        ("beats", conditioning.make("beats", {"kind": "beats"})),
    )
    values = {"mood": jnp.ones((2000, 1), jnp.int32), "beats": jnp.ones((2000, 3), jnp.int32)}
    hidden = conditioning.drop(signals, values, 0.2, jax.random.key(0))
    mood, beats = (hidden[name][:, 0] == 0 for name in ("mood", "beats"))
    assert bool(jnp.all(beats | ~mood)), "whoever is told no mood is told no beats either"
    assert float(mood.mean()) == pytest.approx(0.2, abs=0.03)
    assert float(beats.mean()) == pytest.approx(0.36, abs=0.04)


def test_the_band_plays_to_its_beats() -> None:
    """Chords change on beats that are told, and a tracker hears beats where they are told."""
    score = band.song(1, seconds=20.0, seed=3)
    labels = band.labels(score)
    times = np.array(labels["beats"])[:, 0]
    numbers = [number for _, number in labels["beats"]]
    assert numbers[: score.metre + 1] == [*range(1, score.metre + 1), 1]
    starts = [second for second, _ in labels["chords"]]
    assert all(np.abs(times - second).min() < 1e-3 for second in starts if second < times[-1])
    heard = np.array(measure.beats(band.render(score, 22050), 22050))
    step = 60 / score.tempo
    late = np.abs(heard[:, None] - times).min(axis=1)
    assert np.median(late) < 0.06 < step / 4
    assert measure.beats(np.zeros((22050, 1), np.float32), 22050) is None
