"""Stage 1, the VQ-VAE: sound to codes at several levels, and back.

    python launch/train.py --config configs/vqvae.py:tiny --workdir runs/vqvae
    python launch/train.py --config configs/vqvae.py:small --workdir W --config.data.source=songs

base   as published: 44.1 kHz, hops 8, 32 and 128, 2048 codes; two million parameters. The paper's
       run took 256 V100 three days.
small  as published: 22.05 kHz, two levels with hops 32 and 256, 1024 codes; for one GPU.
tiny   11.025 kHz, hops 8, 32 and 128, 128 codes, on the procedural band: three minutes on two
       CPU cores, for the demo and to try things out.
band   16 kHz, two levels with hops 64 and 256, 512 codes, spectral losses alone, on the procedural
       band: ten minutes on two CPU cores, for `jukebox_jax/shipped`.
"""

import ml_collections


def get_config(size: str = "base") -> ml_collections.ConfigDict:
    """The config of a size; a size is an update of the first."""
    config = ml_collections.ConfigDict()
    config.stage = dict(kind="vqvae", rate=44100)
    config.model = dict(
        downs=(3, 2, 2),  # halvings of each block: hops 8, 32, 128
        strides=(2, 2, 2),
        bins=2048,  # codes of a codebook
        code_width=64,
        width=32,
        depth=4,
        multipliers=(2, 1, 1),  # of width and depth, a level
        dilation_growth=3,
        decay=0.99,  # of the codebooks' moving average
        commit=0.02,
        l2=1.0,
        linf=0.02,
        linf_count=2048,
        multispectral=1.0,
        dtype="float32",
    )
    config.signals = dict()
    config.data = dict(
        source="",  # a folder, a .jsonl or .csv list, tfds:NAME, or band:songs=24
        batch=256,  # windows of a step, over all devices
        samples=393216,  # of a window: nine seconds
        held_out=0.05,  # part of the songs, or a number of them
        minimum_seconds=0.0,
        maximum_seconds=600.0,
        shift=True,  # move each window by up to half of itself
        blend=True,  # mix stereo to mono by a random share
        seed=0,  # of order, shifts and blends
        check=False,  # decode every file to its end before training
        loader="tf",  # or "numpy": the same batches without TensorFlow
    )
    config.optimizer = dict(
        learning_rate=3e-4,
        warmup=100,
        decay=0,  # last steps, over which the rate falls to 0
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        weight_decay=0.0,
        clip=1.0,  # of the gradient's global norm
        average_decay=0.968,  # of the parameters' average
        moments="float32",  # or "bfloat16", or "factored": less memory
        accumulate=1,  # pieces that a batch is dealt out to, to save memory
        freeze="",  # parts that are not trained, as "encoder_.,codebooks"
        rates="",  # factors of the learning rate of parts, as "decoder_0=2"
    )
    config.mesh = dict(data=-1, fsdp=1, tensor=1)
    config.run = dict(
        steps=384_000,
        seed=0,  # of parameters, restarts and dropout
        log_every=100,
        evaluate_every=1000,
        evaluate_batches=16,
        examples_every=5000,
        examples=2,
        checkpoint_every=1000,
        keep=3,  # of the newest checkpoints, and the best one
        give_up_after=20,  # steps in a row whose gradient is not finite
        stall_minutes=30.0,  # for a step or its songs, after which a process ends; 0 for never
        start_from="",  # a trained stage's directory: its weights instead of random ones
    )
    if size == "small":
        config.stage.rate = 22050
        config.model.update(
            downs=(5, 3), strides=(2, 2), multipliers=(1, 1), bins=1024, linf=0.0, multispectral=1.0
        )
        config.data.update(batch=32, samples=262144)
        config.optimizer.update(average_decay=0.996)
        config.run.update(steps=100_000)
    elif size == "tiny":
        config.stage.rate = 11025
        config.model.update(bins=128, code_width=16, width=16, depth=2, decay=0.95, linf_count=256)
        config.data.update(
            source="band:songs=24,seconds=24", batch=4, samples=16384, held_out=0.15, blend=False
        )
        config.optimizer.update(learning_rate=2e-3, warmup=20, decay=60, average_decay=0.95)
        config.run.update(
            steps=160, log_every=20, evaluate_every=160, examples_every=160, checkpoint_every=80
        )
    elif size == "band":
        config.stage.rate = 16000
        config.model.update(
            downs=(6, 2),
            strides=(2, 2),
            multipliers=(1, 1),
            bins=512,
            depth=3,
            decay=0.98,
            l2=0.0,  # codes that say nothing of phase can be predicted by a small prior
            linf=0.0,
        )
        config.data.update(
            source="band:songs=192,seconds=40", batch=4, samples=16384, held_out=12, blend=False
        )
        config.optimizer.update(learning_rate=1e-3, warmup=50, decay=400, average_decay=0.99)
        config.run.update(
            steps=1100, log_every=20, evaluate_every=200, examples_every=1100, checkpoint_every=200
        )
    elif size != "base":
        raise ValueError(
            f"configs/vqvae.py has no size {size!r}; it has base, small, tiny and band"
        )
    return config
