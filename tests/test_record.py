"""Two records ask for the same codes, unless they say in what they differ."""

from typing import Any

from jukebox_jax.sampling import record


def of(**changes: Any) -> dict[str, Any]:
    said = {"songs": [{"seed": 1}], "samples": 320, "rate": 80, "hops": [2, 4, 8]}
    config = {"vqvae": "v", "seed": 0, "batch": 2, "chunk": 64, "levels": [2], "save_seconds": 4.0}
    return {**said, "config": {**config, **changes}}


def test_what_changes_no_code_may_differ() -> None:
    assert (
        record.changed(of(), of(batch=9, chunk=1, levels=[], save_seconds=30.0, align=True)) == []
    )


def test_what_changes_codes_is_told_of() -> None:
    assert record.changed(of(), of(seed=3)) == ["config.seed was 0, is 3"]
    assert record.changed(of(), of(top_k=3)) == ["config.top_k was None, is 3"]
    assert record.changed(of(), {**of(), "samples": 8}) == ["the samples differ"]
    assert record.changed({}, of())  # no session at all
