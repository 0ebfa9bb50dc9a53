"""The artists' tables are whole, and no two of them sound alike."""

import itertools

import pytest

from jukebox_jax.audio.band.artists import ARTISTS


@pytest.mark.parametrize("name", ARTISTS)
def test_an_artist(name: str) -> None:
    artist = ARTISTS[name]
    assert name.isascii() and name.replace(" ", "").isalpha()
    assert set(artist.parts) == {"comp", "pad", "lead", "bass"}
    names = [part.name for part in artist.parts.values()]
    assert len(set(names)) == 4 and not {"voice", "drums"} & set(names)
    assert all(one.isalpha() and one == one.lower() for one in names)
    assert artist.parts["bass"].centre < artist.parts["comp"].centre < artist.parts["lead"].centre
    assert 14 <= artist.voice.high - artist.voice.low <= 20, "room for every tonic and its tune"
    assert artist.parts["bass"].pan == 0 and artist.parts["bass"].width == 0
    assert 0 <= artist.loose < 0.02


def test_artists_differ() -> None:
    assert len(ARTISTS) >= 4
    for one, other in itertools.combinations(ARTISTS.values(), 2):
        assert one.kit != other.kit and one.voice != other.voice and one.room != other.room
        for role in one.parts:
            assert one.parts[role].timbre != other.parts[role].timbre
