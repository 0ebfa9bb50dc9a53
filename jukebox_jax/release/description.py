"""Our modules as the release's hyperparameters: the inverse of `hyperparameters`."""

from collections.abc import Mapping
from typing import Any

from jukebox_jax.prior.conditioning import Codes, Label, Lyrics, LyricsPrefix, Timing
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import hyperparameters
from jukebox_jax.release.tensors import ReleaseError
from jukebox_jax.vqvae.vqvae import VQVAE


def of_vqvae(model: VQVAE, rate: int = 44100) -> dict[str, Any]:
    """The hyperparameters of a VQ-VAE.

    Args:
      model: the VQ-VAE.
      rate: audio samples a second.

    Raises:
      ReleaseError: the release has no such model.
    """
    if model.scale_residual:
        raise ReleaseError("the release has no VQ-VAE with scale_residual")
    given: dict[str, Any] = dict(
        sr=rate,
        levels=model.levels,
        downs_t=model.downs,
        strides_t=model.strides,
        hvqvae_multipliers=model.multipliers,
        emb_width=model.code_width,
        l_bins=model.bins,
        l_mu=model.decay,
        commit=model.commit,
        spectral=model.spectral,
        multispectral=model.multispectral,
        loss_fn="lmix",
        lmix_l1=model.l1,
        lmix_l2=model.l2,
        lmix_linf=model.linf,
        linf_k=model.linf_count,
        width=model.width,
        depth=model.depth,
        m_conv=model.conv_multiplier,
        dilation_growth_rate=model.dilation_growth,
        dilation_cycle=model.dilation_cycle,
        revival_threshold=model.restart_threshold,
    )
    return hyperparameters.complete(given)


def of_prior(
    model: Prior, level: int, *, rate: int = 44100, labels_v3: bool = False
) -> dict[str, Any]:
    """The hyperparameters of a prior or an upsampler.

    Args:
      model: the prior.
      level: whose codes it models.
      rate: audio samples a second.
      labels_v3: whether its names are normalised as in the release's third generation.

    Raises:
      ReleaseError: the release has no such model.
    """
    order, depth = hyperparameters.order_of(model.layout)
    given: dict[str, Any] = dict(
        sr=rate,
        level=level,
        n_ctx=model.context,
        prior_width=model.width,
        prior_depth=depth,
        heads=model.heads,
        attn_order=order,
        blocks=(model.prefix + model.context) // model.block,
        spread=model.spread if model.spread > 1 else None,
        init_scale=model.init_scale,
        res_scale=model.scale_residual,
        m_attn=model.attention_width,
        m_mlp=model.mlp_width,
        merged_decoder=not model.tied,
        labels=False,
        labels_v3=labels_v3,
    )
    for name, signal in model.signals:
        given |= _of_signal(name, signal)
    labels = [name for name, signal in model.signals if isinstance(signal, Label)]
    if labels:
        if sorted(labels) != ["artist", "genre"]:
            raise ReleaseError(f"the release has labels artist and genre, not {', '.join(labels)}")
        given["y_bins"] = (given.pop("genres"), given.pop("artists"))
    full = hyperparameters.complete(given)
    _check(model, level, full)
    return full


def _check(model: Prior, level: int, full: Mapping[str, Any]) -> None:
    """Raises a ReleaseError unless the hyperparameters describe just this model."""
    above = [signal for _, signal in model.signals if isinstance(signal, Codes)]
    levels = level + 1 + len(above)
    codec = VQVAE(
        bins=model.bins,
        downs=(above[0].downs if above else 1,) * levels,
        strides=(above[0].stride if above else 2,) * levels,
        multipliers=(1,) * levels,
    )
    there = hyperparameters.prior_fields(full, codec)
    own, known = dict(model.signals), dict(there.pop("signals"))
    wrong = [
        f"signals.{name} = {own.get(name)}, not {known.get(name)}"
        for name in sorted({*own, *known})
        if own.get(name) != known.get(name)
    ]
    wrong += [
        f"{name} = {getattr(model, name)}, not {value}"
        for name, value in there.items()
        if getattr(model, name) != value
    ]
    if wrong:
        raise ReleaseError(f"the release has no such model: {'; '.join(wrong)}")


def _of_signal(name: str, signal: Any) -> dict[str, Any]:
    if isinstance(signal, Label):
        if name == "genre":
            return dict(labels=True, genres=signal.size, max_bow_genre_size=signal.most)
        return dict(artists=signal.size)
    if isinstance(signal, Timing):
        return dict(
            t_bins=signal.bins,
            min_duration=signal.minimum_seconds,
            max_duration=signal.maximum_seconds,
        )
    if isinstance(signal, Codes):
        return dict(
            cond_width=signal.width,
            cond_depth=signal.depth,
            cond_m_conv=signal.conv_multiplier,
            cond_res_scale=signal.scale_residual,
            cond_dilation_growth_rate=signal.dilation_growth,
            cond_dilation_cycle=signal.dilation_cycle,
        )
    if isinstance(signal, LyricsPrefix):
        return dict(
            use_tokens=True,
            single_enc_dec=True,
            n_tokens=signal.tokens,
            n_vocab=signal.size,
            prime_loss_fraction=signal.loss_fraction,
        )
    if isinstance(signal, Lyrics):
        order, depth = hyperparameters.order_of(signal.layout)
        return dict(
            use_tokens=True,
            n_tokens=signal.tokens,
            n_vocab=signal.size,
            prime_loss_fraction=signal.loss_fraction,
            prime_width=signal.width,
            prime_depth=depth,
            prime_heads=signal.heads,
            prime_attn_order=order,
            prime_blocks=signal.tokens // signal.block,
            prime_m_attn=signal.attention_width,
            prime_m_mlp=signal.mlp_width,
            prime_init_scale=signal.init_scale,
            prime_res_scale=signal.scale_residual,
        )
    raise ReleaseError(f"the release has no signal like {name!r}")
