"""The models that were published in 2020, by the release's hyperparameters.

In the form that `launch/import_release.py --hps` reads: a VQ-VAE, and its priors from the finest
level up. What is not named has the release's defaults, which stand in `hyperparameters`.
"""

from collections.abc import Mapping
from typing import Any

from jukebox_jax.release.tensors import ReleaseError

LICENCE = (
    "The published weights are under a licence for non-commercial use. They are no part of this "
    "project: bring your own copy, and keep to its terms in whatever you make with them."
)

_VQVAE: Mapping[str, Any] = dict(
    levels=3,
    downs_t=(3, 2, 2),
    strides_t=(2, 2, 2),
    hvqvae_multipliers=(2, 1, 1),
    emb_width=64,
    l_bins=2048,
    commit=0.02,
    loss_fn="lmix",
    lmix_l2=1.0,
    lmix_linf=0.02,
    width=32,
    depth=4,
    dilation_growth_rate=3,
)
_V2_LABELS: Mapping[str, Any] = dict(y_bins=(120, 4111), t_bins=128, max_bow_genre_size=5)
_UPSAMPLER: Mapping[str, Any] = dict(
    _V2_LABELS,
    n_ctx=8192,
    prior_width=1920,
    prior_depth=72,
    heads=1,
    attn_order=2,
    blocks=128,
    init_scale=0.4,
    cond_width=1024,
    cond_depth=16,
    cond_dilation_growth_rate=3,
    cond_dilation_cycle=8,
)
_UPSAMPLERS = (dict(_UPSAMPLER, level=0), dict(_UPSAMPLER, level=1, cond_res_scale=True))
_5B: Mapping[str, Any] = dict(
    _V2_LABELS,
    level=2,
    n_ctx=8192,
    prior_width=4800,
    prior_depth=72,
    heads=8,
    attn_order=2,
    blocks=128,
    init_scale=0.1,
    merged_decoder=True,
    min_duration=60.0,
    max_duration=600.0,
)
_5B_LYRICS: Mapping[str, Any] = dict(
    _5B,
    prior_depth=79,
    attn_order=10,
    min_duration=23.8,
    use_tokens=True,
    n_tokens=512,
    n_vocab=80,
    prime_loss_fraction=0.4,
    prime_width=1280,
    prime_depth=18,
    prime_heads=4,
    prime_attn_order=2,
    prime_blocks=32,
    prime_init_scale=0.7,
    alignment_layer=68,
    alignment_head=2,
)
_1B_LYRICS: Mapping[str, Any] = dict(
    level=2,
    n_ctx=6144,
    prior_width=2048,
    prior_depth=72,
    heads=2,
    attn_order=12,
    blocks=64,
    init_scale=0.2,
    labels_v3=True,
    y_bins=(604, 7898),
    t_bins=64,
    max_bow_genre_size=1,
    min_duration=17.84,
    max_duration=600.0,
    single_enc_dec=True,
    use_tokens=True,
    n_tokens=384,
    n_vocab=79,
    prime_loss_fraction=0.4,
    alignment_layer=63,
    alignment_head=0,
)

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    name: {"vqvae": _VQVAE, "priors": (*_UPSAMPLERS, top)}
    for name, top in (("5b", _5B), ("5b_lyrics", _5B_LYRICS), ("1b_lyrics", _1B_LYRICS))
}
"""The models by name."""


def find(name: str) -> Mapping[str, Any]:
    """A published model's hyperparameters.

    Raises:
      ReleaseError: no model has this name.
    """
    if name not in PUBLISHED:
        raise ReleaseError(f"model {name!r} is unknown; published: {', '.join(PUBLISHED)}")
    return PUBLISHED[name]
