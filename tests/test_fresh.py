"""The band's fresh songs are its own, and are as many as are asked for."""

from jukebox_jax.audio import band
from jukebox_jax.audio.song import Song
from jukebox_jax.evaluation import fresh


def test_the_band_is_known_by_its_names() -> None:
    own = Song("", 8000, {"artist": band.ARTISTS[0], "genre": band.GENRES[0]}, 8000)
    assert fresh.plays((own,))
    assert not fresh.plays((own, Song("", 8000, {"artist": "Ann", "genre": band.GENRES[0]}, 8000)))
    assert not fresh.plays(())


def test_songs_have_the_labels_that_are_told() -> None:
    told = fresh.labels(2, 1.0, fresh.TEST)
    played = list(fresh.sounds(2, 1.0, fresh.TEST, 8000))
    for one, (sound, labels) in zip(told, played, strict=True):
        assert one["artist"] == labels["artist"] and one["lyrics"] == labels["lyrics"]
        assert sound.shape == (round(one["total_seconds"] * 8000), 1)
    assert fresh.labels(24, 1.0, 1) != fresh.labels(24, 1.0, 2)
    pairs = {(one["artist"], one["genre"]) for one in fresh.labels(24, 1.0, fresh.ASK)}
    assert len(pairs) == 24


def test_how_loud_the_singer_was() -> None:
    assert fresh.singer({"data": {"source": "band:songs=4,singer=8,seconds=2"}}) == 8
    assert fresh.singer({"data": {"source": "songs"}}) == fresh.singer({}) == 1
