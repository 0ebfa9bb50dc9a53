"""The release's hyperparameters as the fields of our modules.

A release's hyperparameters are one flat dictionary, of which a user may give a part: what is left
out has the release's defaults. A prior's dictionary may hold unrelated values for its VQ-VAE, so
whatever a prior takes over from the VQ-VAE is taken from ours. The models that were published
stand in `published`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jukebox_jax.prior import transformer
from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, LyricsPrefix, Timing
from jukebox_jax.prior.transformer import Layout
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE

DEFAULTS: Mapping[str, Any] = {
    # the VQ-VAE
    "sr": 44100,
    "levels": 2,
    "downs_t": (1, 1),
    "strides_t": (2, 2),
    "hvqvae_multipliers": None,
    "emb_width": 64,
    "l_bins": 512,
    "l_mu": 0.99,
    "commit": 1.0,
    "spectral": 0.0,
    "multispectral": 1.0,
    "loss_fn": "l2",
    "lmix_l1": 0.0,
    "lmix_l2": 0.0,
    "lmix_linf": 0.0,
    "linf_k": 2048,
    "width": 128,
    "depth": 3,
    "m_conv": 1.0,
    "dilation_growth_rate": 1,
    "dilation_cycle": None,
    "revival_threshold": 1.0,
    "use_bottleneck": True,
    "vqvae_reverse_decoder_dilation": True,
    # priors and upsamplers
    "level": 0,
    "n_ctx": 1024,
    "prior_width": 128,
    "prior_depth": 3,
    "heads": 1,
    "attn_order": 0,
    "blocks": None,
    "spread": None,
    "init_scale": 1.0,
    "res_scale": False,
    "m_attn": 0.25,
    "m_mlp": 1.0,
    "merged_decoder": False,
    "single_enc_dec": False,
    "copy_input": False,
    # what they are conditioned on
    "labels": True,
    "labels_v3": False,
    "y_bins": 0,
    "y_cond_as_bias": False,
    "t_bins": 64,
    "max_bow_genre_size": None,
    "min_duration": None,
    "max_duration": None,
    "cond_width": 128,
    "cond_depth": 3,
    "cond_m_conv": 1.0,
    "cond_res_scale": False,
    "cond_dilation_growth_rate": 1,
    "cond_dilation_cycle": None,
    # lyrics
    "use_tokens": False,
    "n_tokens": 0,
    "n_vocab": 0,
    "prime_loss_fraction": 0.1,
    "prime_width": 128,
    "prime_depth": 3,
    "prime_heads": 1,
    "prime_attn_order": 0,
    "prime_blocks": None,
    "prime_spread": None,
    "prime_init_scale": 1.0,
    "prime_res_scale": False,
    "prime_m_attn": 0.25,
    "prime_m_mlp": 1.0,
    "alignment_layer": None,
    "alignment_head": None,
}
"""The hyperparameters that matter here and what they are unless they are given."""

_ONLY: Mapping[str, Any] = {
    "use_bottleneck": True,
    "vqvae_reverse_decoder_dilation": True,
    "copy_input": False,
    "y_cond_as_bias": False,
}  # switches of the release that no published model turns

_KINDS = (
    "dense",
    "row",
    "column",
    "previous",
    "summary",
    "summary_spread",
    "memory",
    "prefix",
)  # the release numbers its patterns in this order

_THREE = (1, 2, 3)
_ORDERS: Mapping[int, tuple[int, ...]] = {
    0: (0,),
    1: (1, 2),
    2: _THREE,
    3: (1, 4),
    4: (1, 5),
    5: (1, 4, 1, 1),
    6: (*_THREE, 6),
    7: (*_THREE * 5, 6),
    8: (*_THREE * 3, 6),
    9: (*_THREE, 0),
    10: (*_THREE * 3, *(*_THREE * 3, 6) * 7),
    11: tuple((6, 6, 0)[d % 3] if d % 16 == 15 else _THREE[d % 3] for d in range(48)),
    12: tuple((7, 7, 0)[d % 3] if d % 16 == 15 else _THREE[d % 3] for d in range(48)),
}


def complete(hps: Mapping[str, Any]) -> dict[str, Any]:
    """All of `DEFAULTS`, with what is given in place of the release's defaults.

    Args:
      hps: hyperparameters by the release's names; those that make no difference here are left
        out of the result.

    Raises:
      ReleaseError: they turn on what no published model uses.
    """
    full = {name: _frozen(hps.get(name, default)) for name, default in DEFAULTS.items()}
    for name, only in _ONLY.items():
        if full[name] != only:
            raise ReleaseError(f"hps: {name} = {full[name]!r} is not supported, only {only!r}")
    return full


def vqvae_fields(hps: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the VQ-VAE that hyperparameters describe.

    Raises:
      ReleaseError: the levels do not agree, or the loss is unknown.
    """
    full = complete(hps)
    levels = full["levels"]
    multipliers = full["hvqvae_multipliers"] or (1,) * levels
    for name, values in (
        ("downs_t", full["downs_t"]),
        ("strides_t", full["strides_t"]),
        ("hvqvae_multipliers", multipliers),
    ):
        if len(values) != levels:
            raise ReleaseError(f"hps: {name} = {values} for levels = {levels}: one for each level")
    return dict(
        downs=full["downs_t"],
        strides=full["strides_t"],
        bins=full["l_bins"],
        code_width=full["emb_width"],
        width=full["width"],
        depth=full["depth"],
        multipliers=multipliers,
        dilation_growth=full["dilation_growth_rate"],
        dilation_cycle=full["dilation_cycle"],
        conv_multiplier=full["m_conv"],
        decay=full["l_mu"],
        restart_threshold=full["revival_threshold"],
        commit=full["commit"],
        **_loss(full),
        linf_count=full["linf_k"],
        spectral=full["spectral"],
        multispectral=full["multispectral"],
    )


def _loss(full: Mapping[str, Any]) -> dict[str, float]:
    names = ("l2", "l1", "linf")
    kind = full["loss_fn"]
    if kind == "lmix":
        return {name: full[f"lmix_{name}"] for name in names}
    if kind not in names:
        raise ReleaseError(f"hps: loss_fn = {kind!r} is unknown; known: l1, l2, linf, lmix")
    return {name: float(name == kind) for name in names}


def prior_fields(hps: Mapping[str, Any], vqvae: VQVAE) -> dict[str, Any]:
    """The fields of the prior or upsampler that hyperparameters describe.

    Args:
      hps: its hyperparameters, by the release's names.
      vqvae: the VQ-VAE whose codes it models.

    Raises:
      ReleaseError: they do not fit together, or not the VQ-VAE.
    """
    full = complete(hps)
    prefix = full["n_tokens"] if full["use_tokens"] and full["single_enc_dec"] else 0
    fields = dict(
        context=full["n_ctx"],
        block=_block("blocks", full["blocks"], full["n_ctx"] + prefix),
        bins=vqvae.bins,
        width=full["prior_width"],
        heads=full["heads"],
        layout=layout(full["attn_order"], full["prior_depth"]),
        attention_width=full["m_attn"],
        mlp_width=full["m_mlp"],
        init_scale=full["init_scale"],
        scale_residual=full["res_scale"],
        tied=not full["merged_decoder"],
        signals=_signals(full, vqvae),
    )
    if full["spread"] is not None:
        fields["spread"] = full["spread"]
    return fields


def _signals(full: Mapping[str, Any], vqvae: VQVAE) -> tuple[tuple[str, Any], ...]:
    level, top = full["level"], vqvae.levels - 1
    if not 0 <= level <= top:
        raise ReleaseError(f"hps: level = {level}, but the VQ-VAE has levels 0 to {top}")
    signals: list[tuple[str, Any]] = []
    if full["labels"]:
        if not isinstance(full["y_bins"], tuple) or not full["max_bow_genre_size"]:
            raise ReleaseError("hps: with labels, y_bins (genres, artists) and max_bow_genre_size")
        genres, artists = full["y_bins"]
        signals.append(("artist", Label(size=artists)))
        signals.append(("genre", Label(size=genres, most=full["max_bow_genre_size"])))
    if level < top:
        signals.append(("above", _codes(full, vqvae, level + 1)))
    elif full["labels"]:
        if full["min_duration"] is None or full["max_duration"] is None:
            raise ReleaseError("hps: the top level needs min_duration and max_duration, in seconds")
        timing = Timing(
            bins=full["t_bins"],
            minimum_seconds=full["min_duration"],
            maximum_seconds=full["max_duration"],
            rate=full["sr"],
        )
        signals.append(("timing", timing))
    if full["use_tokens"]:
        signals.append(("lyrics", _lyrics(full)))
    return tuple(sorted(signals))  # as `models` sorts them, so that equal models are equal


def _codes(full: Mapping[str, Any], vqvae: VQVAE, above: int) -> Codes:
    return Codes(
        bins=vqvae.bins,
        width=full["cond_width"],
        depth=full["cond_depth"],
        downs=vqvae.downs[above],
        stride=vqvae.strides[above],
        dilation_growth=full["cond_dilation_growth_rate"],
        dilation_cycle=full["cond_dilation_cycle"],
        scale_residual=full["cond_res_scale"],
        conv_multiplier=full["cond_m_conv"],
    )


def _lyrics(full: Mapping[str, Any]) -> Lyrics | LyricsPrefix:
    if full["single_enc_dec"]:
        return LyricsPrefix(
            tokens=full["n_tokens"],
            size=full["n_vocab"],
            loss_fraction=full["prime_loss_fraction"],
            rate=full["sr"],
        )
    if full["prime_spread"] not in (None, 1):
        raise ReleaseError(f"hps: prime_spread = {full['prime_spread']} is not supported")
    return Lyrics(
        tokens=full["n_tokens"],
        size=full["n_vocab"],
        width=full["prime_width"],
        layout=layout(full["prime_attn_order"], full["prime_depth"]),
        block=_block("prime_blocks", full["prime_blocks"], full["n_tokens"]),
        heads=full["prime_heads"],
        attention_width=full["prime_m_attn"],
        mlp_width=full["prime_m_mlp"],
        init_scale=full["prime_init_scale"],
        scale_residual=full["prime_res_scale"],
        loss_fraction=full["prime_loss_fraction"],
        rate=full["sr"],
    )


def _block(name: str, blocks: int | None, length: int) -> int:
    """Columns of a row, from the number of rows; None for a single row."""
    rows = blocks or 1
    if length % rows:
        raise ReleaseError(f"hps: {name} = {rows} does not divide the {length} positions")
    return length // rows


def layout(order: int, depth: int) -> Layout:
    """The groups of a stack of layers whose patterns the release numbers by an order.

    Raises:
      ReleaseError: an unknown order.
    """
    if order not in _ORDERS:
        raise ReleaseError(
            f"hps: attn_order = {order!r} is unknown; known: 0 to {len(_ORDERS) - 1}"
        )
    cycle = _ORDERS[order]
    return group([_KINDS[cycle[layer % len(cycle)]] for layer in range(depth)])


def order_of(groups: Layout) -> tuple[int, int]:
    """The inverse of `layout`: the release's order and the depth; the lowest order that fits.

    Raises:
      ReleaseError: no order has these layers.
    """
    layers = transformer.patterns(groups)
    for order, cycle in _ORDERS.items():
        if all(_KINDS[cycle[d % len(cycle)]] == layer for d, layer in enumerate(layers)):
            return order, len(layers)
    raise ReleaseError(f"the release has no order of layers like {groups}")


def group(patterns: Sequence[str]) -> Layout:
    """Layers as groups of (period, repeats), such that as few as possible are written out.

    Each group costs the length of its period, which is compiled once, and one more for the group.
    """
    names = tuple(patterns)
    # best[n]: what the first n layers cost at least, and the groups that do it
    best: list[tuple[int, Layout]] = [(0, ())]
    for end in range(1, len(names) + 1):
        choices = []
        for period in range(1, end + 1):
            start = end - period
            while start >= 0 and names[start : start + period] == names[end - period : end]:
                cost, groups = best[start]
                repeats = (end - start) // period
                whole = (*groups, (names[start : start + period], repeats))
                choices.append((cost + period + 1, len(whole), whole))
                start -= period
        cost, _, groups = min(choices, key=lambda choice: choice[:2])
        best.append((cost, groups))
    return best[-1][1]


def _frozen(value: Any) -> Any:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, list) else value
