"""Attention is gathered window by window, and the best path through it never goes back."""

import numpy as np
import pytest
import singing

from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import attended
from jukebox_jax.sampling.settings import Settings


def following(begins: list[int], length: int, noise: float = 0.0) -> np.ndarray:
    """A head that looks at each token from its beginning to the next."""
    weights = np.zeros((length, len(begins)), np.float32)
    ends = [*begins[1:], length]
    for token, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        weights[begin:end, token] = 1
    weights += noise * np.random.default_rng(0).random(weights.shape, np.float32)
    return weights


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_path_finds_where_tokens_begin(noise: float) -> None:
    begins = [0, 3, 4, 9, 20, 21, 30]
    assert attended.path(following(begins, 40, noise)).tolist() == begins


def test_the_path_never_goes_back() -> None:
    weights = following([0, 5, 10], 20)
    weights[12, 0] = 1.5  # a look back, which is no singing
    assert attended.path(weights).tolist() == [0, 5, 10]
    random = np.random.default_rng(1).random((60, 25), np.float32)
    begins = attended.path(random)
    known = begins[np.isfinite(begins)]
    assert (np.diff(known) > 0).all() and len(known) > 10


def test_tokens_that_nobody_attends_to_have_no_time() -> None:
    weights = np.zeros((10, 5), np.float32)
    assert np.isnan(attended.path(weights)).all()
    weights[2:5, 1] = weights[5:9, 3] = 0.5
    begins = attended.path(weights)
    assert begins[[1, 3]].tolist() == [2, 5] and np.isnan(begins[[0, 2, 4]]).all()


def test_the_path_is_the_heaviest() -> None:
    """All paths that never go back, tried one by one."""
    weights = np.random.default_rng(2).random((6, 4)).astype(np.float32)
    best = max(
        float(sum(weights[row, token] for row, token in enumerate(path)))
        for path in np.ndindex(*(4,) * 6)
        if all(a <= b for a, b in zip(path, path[1:], strict=False))
    )
    begins = attended.path(weights)
    tokens = np.flatnonzero(np.isfinite(begins))
    taken = tokens[np.searchsorted(begins[tokens], np.arange(6), side="right") - 1]
    assert weights[np.arange(6), taken].sum() == pytest.approx(best)


def test_a_head_that_reads_follows_more_than_one_that_stares_or_wanders() -> None:
    begins, length = list(range(0, 40, 4)), 40
    stares = np.zeros((length, len(begins)), np.float32)
    stares[:, 3] = 1
    everywhere = np.full_like(stares, 1 / len(begins))
    assert attended.follows(following(begins, length)) == 1
    reads = attended.follows(0.6 * following(begins, length))
    assert reads > attended.follows(stares) and reads > attended.follows(everywhere)
    assert attended.follows(np.zeros_like(stares)) == 0


def song(text: str, **labels: object) -> Song:
    return Song("", int(0.2 * singing.RATE), {"lyrics": text, **labels}, singing.RATE)


def test_windows_tell_of_the_tokens_that_they_read() -> None:
    """Each song's own tokens, of all codes; the earlier of two windows tells of those it reads."""
    box = singing.jukebox()
    songs = [song("la le"), song("ole lale la lo")]
    codes = [np.random.default_rng(0).integers(0, 8, (2, 48)).astype(np.int32)]
    quick = Settings(hop_fraction=0.5)
    first, second = attended.matrices(box, songs, codes, 0, [0, 1], quick)
    assert first.shape == (2, 48, 5) and second.shape == (2, 48, 14)
    assert (second[:, :, :].sum(axis=2) > 0).all() and (second >= 0).all()
    assert (second[:, :16].sum(axis=2) < 1.001).all()  # where there is but one window
    cut = [codes[0][:, :32]]
    timed = [song("la le", total_seconds=0.2), song("ole lale la lo", total_seconds=0.2)]
    early = attended.matrices(box, timed, cut, 0, [0, 1], quick)
    read = early[1][0, 0] > 0
    np.testing.assert_allclose(early[1][:, :, read], second[:, :32, read], atol=1e-6)


def test_times_place_the_windows() -> None:
    """A song with times reads the tokens of its moment, under the same names as the model does."""
    text = "la le la lo ole la lala o"
    times = [[0.0, text[:20]], [0.19, text[20:]]]
    codes = [np.zeros((1, 48), np.int32)]
    read = []
    for one in (song(text), song(text, lyrics_times=times)):
        (weights,) = attended.matrices(singing.jukebox(), [one], codes, 0, [0])
        read.append(np.flatnonzero(weights[0, :16].any(axis=0)))
    assert read[0].tolist() != read[1].tolist() and len(read[1]) >= 8


def test_what_cannot_be_gathered() -> None:
    box, songs = singing.jukebox(), [song("la")]
    codes = [np.zeros((1, 32), np.int32)]
    with pytest.raises(ValueError, match="head 2 of layer 0: the prior has heads 0 to 1"):
        attended.matrices(box, songs, codes, 0, [2])
    with pytest.raises(ValueError, match="layer 1 does not attend to lyrics"):
        attended.matrices(box, songs, codes, 1, [0])
    with pytest.raises(ValueError, match="not complete"):
        attended.matrices(box, songs, [codes[0] - 1], 0, [0])
    with pytest.raises(ValueError, match="none of the priors reads lyrics"):
        attended.level_with_lyrics(type(box)(box.vqvae))
