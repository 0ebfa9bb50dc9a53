"""Stage 2, a lower level: finer codes, given the codes above them, artist and genre.

    python launch/train.py --config configs/upsampler.py:tiny,level=1 --workdir runs/level_1

base   as published: one billion parameters; the paper's runs took 128 V100 two weeks each.
small  as published for one GPU: width 1024, 48 layers; level 0 of `configs/vqvae.py:small`.
tiny   for the VQ-VAE of `configs/vqvae.py:tiny`: a minute on two CPU cores.
band   for that of `configs/vqvae.py:band`: the lower level of `shipped/`.

The VQ-VAE is that of runs/vqvae, or of --config.stage.vqvae=DIR.
"""

import ml_collections


def get_config(size: str = "base") -> ml_collections.ConfigDict:
    """The config of a size and a level, as "base,level=1"; a size is an update of the first."""
    size, _, level = size.partition(",level=")
    if level and not level.isdigit():
        raise ValueError(f"configs/upsampler.py: level={level!r} is no number")
    config = ml_collections.ConfigDict()
    config.stage = dict(kind="prior", rate=44100, level=int(level or 0), vqvae="runs/vqvae")
    config.model = dict(
        context=8192,
        block=64,
        bins=2048,
        width=1920,
        heads=1,
        layout=((("row", "column", "previous"), 24),),
        init_scale=0.4,
        tied=True,
        label_dropout=0.0,
        remat="full",
        dtype="bfloat16",
    )
    config.signals = dict(
        artist=dict(kind="label", size=4111),
        genre=dict(kind="label", size=120, most=5),
        above=dict(
            kind="codes",
            bins=2048,
            width=1024,
            depth=16,
            downs=2,
            stride=2,
            dilation_growth=3,
            dilation_cycle=8,
            scale_residual=level == "1",
        ),
    )
    config.data = dict(
        source="",  # a folder, a .jsonl or .csv list, tfds:NAME, or band:songs=24
        batch=192,  # windows of a step, over all devices
        held_out=0.01,  # part of the songs, or a number of them
        minimum_seconds=24.0,
        maximum_seconds=600.0,
        shift=True,  # move each window by up to half of itself
        blend=True,  # mix stereo to mono by a random share
        seed=0,  # of order, shifts and blends
        check=False,  # decode every file to its end before training
        loader="tf",  # or "numpy": the same batches without TensorFlow
        allow_unknown=True,  # songs without a label, or with a new name, count as unknown
        normalise="plain",  # how names of labels are compared
        alphabet="characters",  # what lyrics are written in
    )
    config.optimizer = dict(
        learning_rate=3e-4,
        warmup=1000,
        decay=0,  # last steps, over which the rate falls to 0
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        weight_decay=0.01,
        clip=1.0,  # of the gradient's global norm
        average_decay=0.976,  # of the parameters' average
        moments="float32",  # or "bfloat16", or "factored": less memory
        accumulate=1,  # pieces that a batch is dealt out to, to save memory
        freeze="",  # parts that are not trained, as "codes,transformer"
        rates="",  # factors of the learning rate of parts, as "conditioning=5"
    )
    config.lora = dict(rank=0, alpha=16.0, targets="attention,mlp")  # adapters, above rank 0
    config.mesh = dict(data=-1, fsdp=1, tensor=1)
    config.run = dict(
        steps=300_000,
        seed=0,  # of parameters, restarts and dropout
        log_every=50,
        evaluate_every=1000,
        evaluate_batches=16,
        examples_every=10_000,
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
            block=128,
            bins=1024,
            width=1024,
            layout=((("row", "column", "previous"), 16),),
            init_scale=0.7,
        )
        config.signals.artist.size = 1024
        config.signals.above.update(bins=1024, width=512, downs=3)
        config.data.update(batch=16)
        config.optimizer.update(warmup=100, average_decay=0.998)
        config.run.update(steps=100_000)
    elif size == "tiny":
        config.stage.rate = 11025
        config.model.update(
            context=512,
            block=32,
            bins=128,
            width=128,
            layout=((("row", "column", "previous"), 2),),
            init_scale=1.0,
            label_dropout=0.1,
            remat="none",
            dtype="float32",
        )
        config.signals.artist.size = 64
        config.signals.genre.size = 64
        config.signals.above.update(bins=128, width=32, depth=4, dilation_cycle=4)
        config.data.update(
            source="band:songs=24,seconds=24",
            batch=8,
            held_out=0.15,
            minimum_seconds=3.0,
            blend=False,
        )
        config.optimizer.update(learning_rate=2e-3, warmup=20, decay=60, average_decay=0.95)
        config.run.update(
            steps=120, log_every=20, evaluate_every=120, examples_every=0, checkpoint_every=80
        )
    elif size == "band":
        config.stage.rate = 16000
        config.model.update(
            context=512,
            block=32,
            bins=512,
            width=256,
            heads=4,
            attention_width=0.5,
            mlp_width=2.0,
            layout=((("row", "column", "previous"), 2),),
            init_scale=1.0,
            label_dropout=0.1,
            remat="none",
            dtype="float32",
        )
        # Told at every code, not at the first alone: a small prior learns to listen at once.
        config.signals.artist = dict(kind="track", size=8, rate=16000)
        config.signals.genre = dict(kind="track", size=8, rate=16000)
        config.signals.above.update(bins=512, width=64, depth=4, dilation_cycle=4, downs=2)
        config.signals.lyrics = dict(kind="sung", size=48, rate=16000)
        config.data.update(
            source="band:songs=576,seconds=40",
            batch=8,
            held_out=12,
            minimum_seconds=5.0,
            blend=False,
        )
        config.optimizer.update(
            learning_rate=1e-3, warmup=50, decay=1200, beta2=0.98, average_decay=0.99
        )
        config.run.update(
            steps=4600, log_every=20, evaluate_every=300, examples_every=0, checkpoint_every=100
        )
    elif size != "base":
        sizes = "base, small, tiny and band"
        raise ValueError(f"configs/upsampler.py has no size {size!r}; it has {sizes}")
    return config
