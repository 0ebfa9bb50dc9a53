"""The release's hyperparameters and our fields."""

import json
import pathlib
from typing import Any

import pytest

from jukebox_jax.prior import transformer
from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, LyricsPrefix, Timing
from jukebox_jax.release import hyperparameters, torchfile
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

ROWS = ("row", "column", "previous")


@pytest.fixture(scope="module")
def index(reference: pathlib.Path) -> dict[str, Any]:
    return json.loads((reference / "index.json").read_text())


@pytest.fixture(scope="module")
def vqvae(index: dict[str, Any]) -> VQVAE:
    return VQVAE(**hyperparameters.vqvae_fields(index["vqvae"]))


PRIORS = [
    "prior_labels",
    "prior_unlabelled",
    "prior_lyrics_enc_dec",
    "prior_lyrics_single",
    "prior_attn_order_4",
    "prior_attn_order_5",
    "upsampler_level_0",
    "upsampler_level_1",
]


@pytest.mark.parametrize("name", [*PRIORS, "vqvae"])
def test_what_is_left_out_is_what_the_release_put_there(
    name: str, index: dict[str, Any], reference: pathlib.Path
) -> None:
    whole = torchfile.load(reference / f"{name}.pth.tar")["hps"]
    full = hyperparameters.complete(index[name])
    assert full == {key: whole[key] for key in full}


def test_a_prior_ignores_what_it_says_of_its_vqvae(vqvae: VQVAE, index: dict[str, Any]) -> None:
    hps = index["upsampler_level_0"]
    strange = {**hps, "l_bins": 512, "levels": 2, "downs_t": [1, 1], "emb_width": 1}
    fields = hyperparameters.prior_fields(strange, vqvae)
    assert fields == hyperparameters.prior_fields(hps, vqvae)
    assert fields["bins"] == vqvae.bins == 64


def test_the_fields_of_a_vqvae(vqvae: VQVAE) -> None:
    assert vqvae == VQVAE(
        bins=64, code_width=16, width=8, depth=4, linf=0.02, linf_count=256, commit=0.02
    )
    assert vqvae.hops == (8, 32, 128)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("l2", (1.0, 0.0, 0.0)), ("l1", (0.0, 1.0, 0.0)), ("linf", (0.0, 0.0, 1.0))],
)
def test_the_loss_of_a_vqvae(kind: str, weights: tuple[float, ...]) -> None:
    fields = hyperparameters.vqvae_fields({"loss_fn": kind, "lmix_l2": 5.0})
    assert tuple(fields[name] for name in ("l2", "l1", "linf")) == weights


def test_one_number_for_each_level() -> None:
    for name in ("downs_t", "strides_t", "hvqvae_multipliers"):
        with pytest.raises(ReleaseError, match=f"{name} = .* for levels = 3"):
            given = {"levels": 3, "downs_t": (1, 1, 1), "strides_t": (2, 2, 2), name: [1, 1]}
            hyperparameters.vqvae_fields(given)
    assert hyperparameters.vqvae_fields({})["multipliers"] == (1, 1)


def test_the_signals_of_each_kind_of_prior(vqvae: VQVAE, index: dict[str, Any]) -> None:
    def signals(name: str) -> dict[str, Any]:
        return dict(hyperparameters.prior_fields(index[name], vqvae)["signals"])

    labels = {"artist": Label(size=3), "genre": Label(size=4, most=5)}
    timing = Timing(bins=16, minimum_seconds=1.0, maximum_seconds=60.0, rate=44100)
    assert signals("prior_unlabelled") == {}
    assert signals("prior_labels") == {**labels, "timing": timing}
    above = dict(bins=64, width=16, depth=4, downs=2, dilation_cycle=2)
    assert signals("upsampler_level_0") == {**labels, "above": Codes(**above)}
    assert signals("upsampler_level_1")["above"] == Codes(**above, scale_residual=True)
    lyrics = Lyrics(
        tokens=32, size=80, width=24, layout=((ROWS, 1),), block=8, heads=2, init_scale=0.7
    )
    assert signals("prior_lyrics_enc_dec") == {**labels, "timing": timing, "lyrics": lyrics}
    single = signals("prior_lyrics_single")
    assert single["lyrics"] == LyricsPrefix(tokens=32, size=79)
    assert single["genre"] == Label(size=3, most=1)


def test_the_grid_counts_lyrics_that_share_the_sequence(
    vqvae: VQVAE, index: dict[str, Any]
) -> None:
    assert hyperparameters.prior_fields(index["prior_lyrics_single"], vqvae)["block"] == 20
    assert hyperparameters.prior_fields(index["prior_lyrics_enc_dec"], vqvae)["block"] == 16
    fields = hyperparameters.prior_fields({"labels": False, "level": 2}, vqvae)
    assert fields["block"] == fields["context"] == 1024  # no blocks: a single row


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"attn_order": 13}, "attn_order = 13 is unknown"),
        ({"blocks": 7}, "blocks = 7 does not divide the 128"),
        ({"level": 3}, "level = 3, but the VQ-VAE has levels 0 to 2"),
        ({"y_bins": 0}, "y_bins"),
        ({"max_bow_genre_size": None}, "max_bow_genre_size"),
        ({"max_duration": None}, "max_duration"),
        ({"y_cond_as_bias": True}, "y_cond_as_bias = True is not supported"),
        ({"use_tokens": True, "n_tokens": 8, "prime_spread": 2}, "prime_spread"),
        ({"use_tokens": True, "n_tokens": 8, "prime_blocks": 3}, "prime_blocks"),
    ],
)
def test_what_does_not_fit_is_told(
    change: dict[str, Any], reason: str, vqvae: VQVAE, index: dict[str, Any]
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        hyperparameters.prior_fields({**index["prior_labels"], **change}, vqvae)


LAYERS = {
    (0, 3): "dense dense dense",
    (1, 4): "row column row column",
    (2, 6): "row column previous row column previous",
    (3, 3): "row summary row",
    (4, 3): "row summary_spread row",
    (5, 5): "row summary row row row",
    (6, 5): "row column previous memory row",
    (9, 4): "row column previous dense",
}


@pytest.mark.parametrize(("order", "depth"), LAYERS)
def test_the_layers_of_short_orders(order: int, depth: int) -> None:
    groups = hyperparameters.layout(order, depth)
    assert transformer.patterns(groups) == tuple(LAYERS[order, depth].split())


@pytest.mark.parametrize(
    ("order", "depth", "places"),
    [
        (7, 48, {"memory": [15, 31, 47]}),
        (8, 30, {"memory": [9, 19, 29]}),
        (10, 79, {"memory": [18, 28, 38, 48, 58, 68, 78]}),
        (11, 96, {"memory": [15, 31, 63, 79], "dense": [47, 95]}),
        (12, 72, {"prefix": [15, 31, 63], "dense": [47]}),
    ],
)
def test_the_special_layers_of_long_orders(
    order: int, depth: int, places: dict[str, list[int]]
) -> None:
    layers = transformer.patterns(hyperparameters.layout(order, depth))
    assert len(layers) == depth
    special = [index for indices in places.values() for index in indices]
    for kind, indices in places.items():
        assert [index for index, layer in enumerate(layers) if layer == kind] == indices
    others = [layer for index, layer in enumerate(layers) if index not in special]
    assert set(others) == set(ROWS)
    if order >= 11:  # these go on counting where a special layer stands, the others do not
        assert all(
            layer == ROWS[index % 3] for index, layer in enumerate(layers) if index not in special
        )
    else:
        assert all(layer == ROWS[index % 3] for index, layer in enumerate(others))


def test_layers_are_written_out_as_few_times_as_possible() -> None:
    assert hyperparameters.layout(2, 72) == ((ROWS, 24),)
    assert hyperparameters.layout(10, 79) == ((ROWS, 3), ((*ROWS * 3, "memory"), 7))
    assert hyperparameters.layout(6, 50) == (((*ROWS, "memory"), 12), (("row", "column"), 1))
    assert hyperparameters.group([]) == ()
    written = sum(len(period) for period, _ in hyperparameters.layout(12, 72))
    assert written < 24  # of 72


@pytest.mark.parametrize("order", range(13))
def test_an_order_is_found_again(order: int) -> None:
    groups = hyperparameters.layout(order, 96)
    assert hyperparameters.order_of(groups) == (order, 96)


def test_layers_of_no_order() -> None:
    with pytest.raises(ReleaseError, match="no order"):
        hyperparameters.order_of(((("column", "row"), 2),))
