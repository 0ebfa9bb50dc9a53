"""The published models at their full size, by shapes alone."""

from typing import Any

import pytest

from jukebox_jax.prior import transformer
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import hyperparameters, prior, published, tensors, vqvae
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE


def first(name: str) -> VQVAE:
    return VQVAE(**hyperparameters.vqvae_fields(published.find(name)["vqvae"]))


def level(name: str, index: int) -> Prior:
    hps = published.find(name)["priors"][index]
    return Prior(**hyperparameters.prior_fields(hps, first(name)))


def test_the_vqvae_is_ours_by_default() -> None:
    assert first("5b") == VQVAE()
    abstract = vqvae.abstract(VQVAE())
    shapes = tensors.check(vqvae.names(VQVAE()), abstract)
    assert tensors.count(abstract["params"]) == 1_485_763
    assert shapes["encoders.2.level_blocks.0.model.0.0.weight"] == (32, 1, 4)
    assert shapes["decoders.0.level_blocks.0.model.3.1.weight"] == (64, 64, 4)
    assert shapes["bottleneck.level_blocks.1.k"] == (2048, 64)


@pytest.mark.parametrize(
    ("name", "index", "parameters", "some"),
    [
        (
            "5b",
            0,
            981_298_176,
            {
                "conditioner_blocks.0.cond.model.2.1.weight": (1024, 1920, 4),
                "conditioner_blocks.0.cond.model.1.0.blocks.15.model.3.weight": (1024, 1024, 1),
                "prior.transformer._attn_mods.71.attn.c_attn.w": (1920, 1440),
                "y_emb.artist_emb.emb.weight": (4111, 1920),
            },
        ),
        ("5b", 2, 5_060_452_800, {"prior.x_out.weight": (2048, 4800)}),
        (
            "5b_lyrics",
            2,
            5_640_506_800,
            {
                "prior.transformer._attn_mods.78.attn.c_enc_kv.w": (4800, 2400),
                "prime_prior.transformer._attn_mods.17.mlp.c_fc.w": (1280, 1280),
                "prime_state_proj.w": (1280, 4800),
                "prime_x_out.weight": (80, 4800),
            },
        ),
        (
            "1b_lyrics",
            2,
            942_643_200,
            {
                "prior.pos_emb.pos_emb": (6528, 2048),
                "prior.x_emb.weight": (2127, 2048),
                "y_emb.bow_genre_emb.emb.weight": (604, 2048),
            },
        ),
    ],
)
def test_every_tensor_has_its_place(
    name: str, index: int, parameters: int, some: dict[str, tuple[int, ...]]
) -> None:
    model = level(name, index)
    abstract = prior.abstract(model)
    shapes = tensors.check(prior.names(model), abstract)
    assert tensors.count(abstract) == parameters
    assert {key: shapes[key] for key in some} == some


def test_what_tells_the_models_apart() -> None:
    kinds = {name: transformer.patterns(level(name, 2).layout) for name in published.PUBLISHED}
    assert [kinds["1b_lyrics"].count(kind) for kind in ("prefix", "dense", "row")] == [3, 1, 22]
    assert kinds["5b_lyrics"].count("memory") == 7 and len(kinds["5b_lyrics"]) == 79
    assert kinds["5b"] == ("row", "column", "previous") * 24
    assert dict(level("5b", 1).signals)["above"].scale_residual
    assert not dict(level("5b", 0).signals)["above"].scale_residual
    for name, layers in kinds.items():  # the layer that shows where in the lyrics the music is
        hps: dict[str, Any] = published.find(name)["priors"][2]
        if "alignment_layer" in hps:
            assert layers[hps["alignment_layer"]] in ("memory", "prefix")
            assert hps["alignment_head"] < hps["heads"]


def test_an_unknown_model() -> None:
    with pytest.raises(ReleaseError, match="'2b' is unknown; published: 5b, 5b_lyrics, 1b_lyrics"):
        published.find("2b")
