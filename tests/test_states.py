"""A half-filled window goes on from its file as if nothing had happened."""

import pathlib
from typing import Any

import counting
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song
from jukebox_jax.prior.cache import KV
from jukebox_jax.sampling import compose, generate
from jukebox_jax.sampling import states as states_
from jukebox_jax.sampling.generate import Decoding
from jukebox_jax.sampling.settings import Settings
from jukebox_jax.sampling.states import States, Where

SONGS = tuple(Song("", 0, {"artist": "ada", "seed": seed}, counting.RATE) for seed in (1, 2))
WHERE = Where(level=1, songs=(0, 1), starts=(8, 8), known=4)


class Stopped(Exception):
    pass


def test_a_run_goes_on_at_the_code(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of a window of the top level; no code is drawn twice."""
    box, settings = counting.noisy(), Settings(chunk=3)
    whole = compose.sample(box, SONGS, 4.0, settings=settings, levels=(2,), progress=False)
    kept = States(tmp_path / "state.npz", every=-1.0)
    save, saved = kept.save, []

    def stopping(where: Where, state: Decoding) -> bool:
        saved.append((where, int(state.position)))
        assert save(where, state)
        if len(saved) == 12:
            raise Stopped
        return True

    held: dict[int, np.ndarray] = {}
    monkeypatch.setattr(kept, "save", stopping)
    with pytest.raises(Stopped):
        compose.sample(
            box,
            SONGS,
            4.0,
            settings=settings,
            levels=(2,),
            states=kept,
            on_window=lambda level, codes: held.update({level: codes}),
            progress=False,
        )
    where, position = saved[-1]
    assert where.known > 0 and where.known < position < counting.CONTEXTS[2]
    drawn: list[int] = []
    advance = generate.advance

    def counted(*arguments: Any, **more: Any) -> Decoding:
        drawn.append(int(arguments[2].position))
        return advance(*arguments, **more)

    monkeypatch.setattr(generate, "advance", counted)
    again = compose.sample(
        box,
        SONGS,
        4.0,
        codes=[None, None, held[2]],
        settings=settings,
        levels=(2,),
        states=States(tmp_path / "state.npz", every=1e9),
        progress=False,
    )
    np.testing.assert_array_equal(again.codes[2], whole.codes[2])
    assert drawn[0] == position


def state(dtype: str) -> Decoding:
    rng = np.random.default_rng(0)
    arrays = [jnp.asarray(rng.normal(size=(2, 6, 4)), dtype) for _ in range(4)]
    cache = (KV(arrays[0], arrays[1]), KV(arrays[2][:, :3], arrays[3][:, :3]))
    window = jnp.asarray(rng.integers(0, 9, (2, 16)), jnp.int32)
    return Decoding(window=window, cache=cache, position=jnp.asarray(7, jnp.int32))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_state_comes_back_to_the_bit(dtype: str, tmp_path: pathlib.Path) -> None:
    kept, before = States(tmp_path / "state.npz", every=-1.0), state(dtype)
    assert kept.load(WHERE) is None
    assert kept.save(WHERE, before)
    after = kept.load(WHERE)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one, np.float32), np.asarray(other, np.float32))
    for other in (Where(1, (0, 1), (8, 8), 5), Where(0, (0, 1), (8, 8), 4)):
        assert kept.load(other) is None
    kept.clear()
    assert kept.load(WHERE) is None


def test_what_is_damaged_or_too_large_is_passed_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.npz"
    kept = States(file, every=-1.0)
    assert kept.save(WHERE, state("float32"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert kept.load(WHERE) is None and "is drawn again" in caplog.text
    file.unlink()
    monkeypatch.setattr(states_, "_MOST", 100)
    assert not kept.save(WHERE, state("float32")) and not file.exists()
    assert not States(file, every=60.0).save(WHERE, state("float32"))
