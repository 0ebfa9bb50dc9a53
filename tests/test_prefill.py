"""Decoding goes on the same, whether a whole window was read or only the rows that are known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Lyrics, LyricsPrefix
from jukebox_jax.prior.prior import Prior

SIGNALS: dict[str, Any] = {
    "memory": (("lyrics", Lyrics(6, 9, width=8, layout=((("row",), 1),), block=3)),),
    "prefix": (("lyrics", LyricsPrefix(8, 9)),),
    "others": (),
}
OTHERS = ("dense", "row", "column", "previous", "summary", "summary_spread")


@pytest.mark.parametrize("kind", SIGNALS)
def test_rows_that_are_not_known_need_not_be_read(kind: str) -> None:
    signals = SIGNALS[kind]
    model = Prior(
        context=24,
        block=4,
        bins=11,
        width=8,
        heads=2,
        spread=2,
        layout=((OTHERS if kind == "others" else (kind, "row"), 1),),
        attention_width=1.0,
        signals=signals,
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=0.4, size=leaf.shape).astype(np.float32),
        prior.abstract(model),
    )
    params = prior.unstack(model, params)
    labels = {name: jnp.ones((2, signal.tokens), jnp.int32) for name, signal in signals}
    conditioning = prior.condition(model, params, labels)
    codes = jnp.asarray(rng.integers(0, 11, (2, 24)), jnp.int32)
    prefill = jax.jit(prior.prefill, static_argnums=0)
    step = jax.jit(prior.step, static_argnums=0)
    for known in (5, 12):
        caches = [prefill(model, params, codes[:, :read], known, conditioning) for read in (12, 24)]
        for position in range(known, 24):
            found = []
            for place, cache in enumerate(caches):
                before = codes[:, position - 1]
                logits, caches[place] = step(model, params, before, conditioning, cache, position)
                found.append(np.asarray(logits))
            np.testing.assert_allclose(found[0], found[1], atol=1e-5)
            assert found[0].std() > 0.01
