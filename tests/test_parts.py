"""What is trained is said by whole names of paths, and a pattern that says nothing is an error."""

import jax
import numpy as np
import pytest

from jukebox_jax.training import parts
from jukebox_jax.training.parts import Selection

PARAMS = {
    "codes": {"embedding": np.ones((3, 2))},
    "transformer": {
        "layer_1": {"kernel": np.ones((2, 2)), "bias": np.ones(2)},
        "layer_10": {"kernel": np.ones((2, 4))},
    },
    "conditioning": {"artist": {"embedding": np.ones((5, 2))}},
}


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        ("codes", {"codes/embedding"}),
        ("layer_1", {"transformer/layer_1/kernel", "transformer/layer_1/bias"}),
        ("transformer/.*/kernel", {"transformer/layer_1/kernel", "transformer/layer_10/kernel"}),
        ("embedding", {"codes/embedding", "conditioning/artist/embedding"}),
    ],
)
def test_whole_names_match(pattern: str, frozen: set[str]) -> None:
    trained, kept = Selection((pattern,)).split(PARAMS)
    assert {path for path, _ in parts.named(kept)} == frozen
    assert len(parts.named(trained)) == 5 - len(frozen)
    jax.tree.map(np.testing.assert_array_equal, parts.join(trained, kept), PARAMS)


def test_nothing_frozen_is_the_tree_itself() -> None:
    trained, kept = Selection().split(PARAMS)
    assert trained is PARAMS and kept is None and parts.join(trained, kept) is PARAMS


def test_values_are_read_from_both_forms() -> None:
    assert parts.read_patterns("key", "codes, transformer/layer_.,") == (
        "codes",
        "transformer/layer_.",
    )
    assert parts.read_patterns("key", ["codes"]) == ("codes",)
    expected = (("conditioning/.*", 5.0), ("codes", 0.5))
    assert parts.read_factors("key", "conditioning/.*=5, codes=0.5") == expected
    assert parts.read_factors("key", {"conditioning/.*": 5, "codes": 0.5}) == expected
    chosen = Selection((), expected)
    assert chosen.factors(PARAMS)["conditioning"]["artist"]["embedding"] == 5.0
    assert chosen.factors(PARAMS)["transformer"]["layer_10"]["kernel"] == 1.0


@pytest.mark.parametrize("value", ["conditioning", "conditioning=0", "=3", "codes=fast", "a=inf"])
def test_what_is_no_factor_is_one_line(value: str) -> None:
    with pytest.raises(ValueError, match="config.optimizer.rates: .* no pattern with a factor"):
        parts.read_factors("config.optimizer.rates", value)


def test_a_pattern_must_say_something() -> None:
    with pytest.raises(ValueError, match=r"key: '\(' is no regular expression"):
        parts.read_patterns("key", "(")
    with pytest.raises(ValueError, match="freeze: no parameter lies at 'layer'; paths begin with"):
        Selection(("layer",)).check(PARAMS)
    with pytest.raises(ValueError, match="rates: no parameter lies at 'code'"):
        Selection((), (("code", 2.0),)).check(PARAMS)
    with pytest.raises(ValueError, match="no parameter lies at 'codebooks'"):
        Selection(("codebooks",)).check(PARAMS)
    Selection(("codebooks",)).check(PARAMS, with_codebooks=True)
    with pytest.raises(ValueError, match="leaves nothing to train"):
        Selection((".*",)).check(PARAMS)


def test_the_plan_counts_everything_once() -> None:
    chosen = Selection(("transformer",), (("conditioning", 5.0),))
    lines = parts.plan(chosen, PARAMS, {"codes": np.ones(1000)})
    assert [line.split() for line in lines] == [
        ["parameters", "trained", "frozen", "rate"],
        ["codes", "6", "x", "1"],
        ["codes", "(base)", "1,000"],
        ["conditioning/artist", "10", "x", "5"],
        ["transformer", "14"],
        ["all", "16", "1,014"],
    ]
