"""Sound that is told while codes are drawn is that of the whole, and the best that there is."""

import counting
import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.sampling import compose, listening
from jukebox_jax.sampling.compose import Settings

SONGS = (Song("", 0, {"artist": "ada", "seed": 5}), Song("", 0, {"artist": "ada", "seed": 6}))
SECONDS = 6.4
SAMPLES = int(SECONDS * counting.RATE)


@pytest.mark.parametrize(("chunk", "pieces", "given"), [(16, 1, 0), (16, 3, 0), (50, 1, 13)])
def test_side_by_side_they_are_the_whole(chunk: int, pieces: int, given: int) -> None:
    """In chunks of any length, after codes that were given, and where pieces come out of order."""
    box, settings = counting.noisy(), Settings(chunk=chunk, approximate_pieces=pieces)
    codes = None
    if given:
        top = np.random.default_rng(0).integers(0, counting.BINS, (1, given))
        codes = (np.zeros((1, 0), np.int32), None, top)
    whole = compose.sample(box, SONGS, SECONDS, codes=codes, settings=settings, progress=False)
    found = [np.full((len(SONGS), SAMPLES, 1), np.nan, np.float32) for _ in counting.HOPS]
    ends: dict[tuple[int, int], int] = {}
    drawn = compose.stream(box, SONGS, SECONDS, codes=codes, settings=settings)
    for sound in listening.listen(box, drawn, codes=codes):
        place = sound.level, sound.song
        assert sound.start == ends.get(place, 0) and len(sound.audio)
        ends[place] = sound.start + len(sound.audio)
        found[sound.level][sound.song, sound.start : ends[place]] = sound.audio
    for level, audio in enumerate(whole.audio):
        np.testing.assert_allclose(found[level], audio, atol=1e-5)


def test_written_as_they_come_levels_are_spliced() -> None:
    """A coarser level never covers what a finer one has told."""
    box, settings = counting.noisy(), Settings(chunk=16)
    whole = compose.sample(box, SONGS, SECONDS, settings=settings, progress=False)
    told = np.full((len(SONGS), SAMPLES), 3)
    heard = np.zeros((len(SONGS), SAMPLES, 1), np.float32)
    mixed = 0
    drawn = compose.stream(box, SONGS, SECONDS, settings=settings)
    for sound in listening.listen(box, drawn, spliced=True):
        span = sound.song, slice(sound.start, sound.start + len(sound.audio))
        assert (told[span] > sound.level).all()
        told[span], heard[span] = sound.level, sound.audio
        mixed += len(np.unique(told[0])) == 4
        assert (np.diff(told[sound.song]) >= 0).all()  # finest first
    assert mixed
    np.testing.assert_allclose(heard, whole.audio[0], atol=1e-5)
