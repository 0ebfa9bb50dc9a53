"""The paper's ablations of the VQ-VAE, small: restarts, codebooks, spectral loss, separate levels.

    python launch/ablate.py --config configs/ablations.py:tiny --out ablations

Each variant is the VQ-VAE of configs/vqvae.py, trained alike but for what it says. tiny: 8 kHz,
hops 8, 32 and 128, on the procedural band; half an hour for all on two CPU cores. The sizes of
the paper are those of --config configs/ablations.py:base with --config.all.data.source=SONGS.
"""

import ml_collections


def get_config(size: str = "tiny") -> ml_collections.ConfigDict:
    """The config of a size."""
    config = ml_collections.ConfigDict()
    config.base = size  # of configs/vqvae.py
    config.all = dict(  # what all variants have of their own
        stage=dict(rate=44100),
        data=dict(source="", seed=0),
        run=dict(steps=384_000, evaluate_every=0, examples_every=0),
    )
    config.variants = dict(  # what each has beyond that
        full=dict(),
        without_restarts=dict(model=dict(restart_threshold=0.0)),
        fewest_codes=dict(model=dict(bins=256)),
        fewer_codes=dict(model=dict(bins=512)),
        more_codes=dict(model=dict(bins=4096)),
        without_spectral_loss=dict(model=dict(multispectral=0.0)),
        joint=dict(),  # one autoencoder for all levels, as in VQ-VAE-2
    )
    config.only = ""  # names of variants, with commas; "" for all
    config.opus = True  # the codec beside them, at bitrates as near as it goes
    config.seconds = 8.0  # of each song that is measured
    config.songs = 24  # of those that were held out, at most
    if size == "tiny":
        config.all.stage.rate = 8000
        config.all.data.update(
            source="band:songs=48,seconds=12", batch=4, samples=8192, held_out=0.25
        )
        config.all.optimizer = dict(decay=60)
        config.all.run.update(steps=160, log_every=20, checkpoint_every=80)
        for name, bins in (("fewest_codes", 16), ("fewer_codes", 64), ("more_codes", 256)):
            config.variants[name].model.bins = bins  # of 128
    elif size != "base":
        raise ValueError(f"configs/ablations.py has no size {size!r}; it has base and tiny")
    return config
