"""Stage 2, the top level: the coarsest codes, given artist, genre and timing.

    python launch/train.py --config configs/prior.py:tiny --workdir runs/level_2

5b     as published: 24 seconds of context, five billion parameters; the paper's run took
       512 V100 four weeks.
5b_lyrics, 1b_lyrics
       as published, with lyrics: an encoder of their own, or one sequence with the codes.
small  as published for one GPU: width 1024, 48 layers, for `configs/vqvae.py:small`.
tiny   three seconds of context, for the VQ-VAE of `configs/vqvae.py:tiny`: a minute on two CPU
       cores. tiny_lyrics reads the words as well; tiny_signals is told mood, dynamics, tempo and
       which instruments play, as the band's songs are labelled.
band   eight seconds of context, told which letter is sung and where the beats are, for
       `configs/vqvae.py:band`: the top level of `shipped/`, an hour and a half on two CPU cores.

The VQ-VAE is that of runs/vqvae, or of --config.stage.vqvae=DIR.
"""

import ml_collections


def get_config(size: str = "5b") -> ml_collections.ConfigDict:
    """The config of a size; a size is an update of the first."""
    config = ml_collections.ConfigDict()
    config.stage = dict(kind="prior", rate=44100, level=2, vqvae="runs/vqvae")
    config.model = dict(
        context=8192,
        block=64,
        bins=2048,
        width=4800,
        heads=8,
        layout=((("row", "column", "previous"), 24),),
        init_scale=0.1,
        tied=False,
        label_dropout=0.0,  # above 0, sampling can be guided by labels
        remat="full",
        dtype="bfloat16",
    )
    config.signals = dict(
        artist=dict(kind="label", size=4111),
        genre=dict(kind="label", size=120, most=5),
        timing=dict(
            kind="timing", bins=128, minimum_seconds=60.0, maximum_seconds=600.0, rate=44100
        ),
    )
    config.data = dict(
        source="",  # a folder, a .jsonl or .csv list, tfds:NAME, or band:songs=24
        batch=512,  # windows of a step, over all devices
        held_out=0.01,  # part of the songs, or a number of them
        minimum_seconds=60.0,
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
        learning_rate=1.5e-4,
        warmup=1000,
        decay=0,  # last steps, over which the rate falls to 0
        beta1=0.9,
        beta2=0.925,
        epsilon=1e-8,
        weight_decay=0.01,
        clip=1.0,  # of the gradient's global norm
        average_decay=0.936,  # of the parameters' average
        moments="float32",  # or "bfloat16", or "factored": less memory
        accumulate=1,  # pieces that a batch is dealt out to, to save memory
        freeze="",  # parts that are not trained, as "codes,transformer"
        rates="",  # factors of the learning rate of parts, as "conditioning=5"
    )
    config.lora = dict(rank=0, alpha=16.0, targets="attention,mlp")  # adapters, above rank 0
    config.mesh = dict(data=-1, fsdp=8, tensor=1)
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
    if size == "5b_lyrics":
        three = ("row", "column", "previous")
        config.model.layout = ((three, 3), ((*three, *three, *three, "memory"), 7))
        config.signals.lyrics = dict(
            kind="lyrics",
            tokens=512,
            size=80,
            width=1280,
            layout=((three, 6),),
            block=16,
            heads=4,
            init_scale=0.7,
            loss_fraction=0.4,
            rate=44100,
        )
        config.signals.timing.minimum_seconds = 23.8
        config.data.update(minimum_seconds=23.8, alphabet="v2")
        config.optimizer.accumulate = 2  # 4 songs at a time on each of 64 devices
    elif size == "1b_lyrics":
        config.model.update(
            context=6144,
            block=102,  # (6144 + 384) / 64
            width=2048,
            heads=2,
            layout=(
                (("row", "column", "previous"), 5),
                (("prefix",), 1),
                (("column", "previous", "row"), 5),
                (("prefix",), 1),
                (("previous", "row", "column"), 5),
                (("dense",), 1),
                (("row", "column", "previous"), 5),
                (("prefix", "column", "previous"), 1),
                (("row", "column", "previous"), 2),
            ),
            init_scale=0.2,
            tied=True,
        )
        config.signals.artist.size = 7898
        config.signals.genre.update(size=604, most=1)
        config.signals.timing.update(bins=64, minimum_seconds=17.84)
        config.signals.lyrics = dict(
            kind="lyrics_prefix", tokens=384, size=79, loss_fraction=0.4, rate=44100
        )
        config.data.update(minimum_seconds=17.84, alphabet="v3")
        config.optimizer.update(learning_rate=3e-4, beta2=0.999)
        config.mesh.fsdp = 1
    elif size == "small":
        config.stage.update(rate=22050, level=1)
        config.model.update(
            block=128,
            bins=1024,
            width=1024,
            heads=1,
            layout=((("row", "column", "previous"), 16),),
            init_scale=0.7,
            tied=True,
        )
        config.signals.artist.size = 1024
        config.signals.timing.update(minimum_seconds=24.0, rate=22050)
        config.data.update(batch=16, minimum_seconds=24.0)
        config.optimizer.update(learning_rate=3e-4, warmup=100, beta2=0.999, average_decay=0.998)
        config.mesh.fsdp = 1
        config.run.update(steps=100_000)
    elif size in ("tiny", "tiny_lyrics", "tiny_signals"):
        config.stage.rate = 11025
        config.model.update(
            context=256,
            block=16,
            bins=128,
            width=128,
            heads=2,
            layout=((("row", "column", "previous"), 2),),
            init_scale=1.0,
            tied=True,
            label_dropout=0.1,
            remat="none",
            dtype="float32",
        )
        config.signals.artist.size = 64
        config.signals.genre.size = 64
        config.signals.timing.update(
            bins=32, minimum_seconds=3.0, maximum_seconds=120.0, rate=11025
        )
        config.data.update(
            source="band:songs=24,seconds=24",
            batch=8,
            held_out=0.15,
            minimum_seconds=3.0,
            blend=False,
        )
        config.optimizer.update(
            learning_rate=2e-3, warmup=20, decay=60, beta2=0.99, average_decay=0.95
        )
        config.mesh.fsdp = 1
        config.run.update(
            steps=160, log_every=20, evaluate_every=160, examples_every=0, checkpoint_every=80
        )
        if size == "tiny_lyrics":
            config.model.layout = ((("row", "column", "previous", "memory"), 2),)
            config.model.attention_width = 0.5
            config.signals.lyrics = dict(
                kind="lyrics",
                tokens=64,
                size=64,
                width=64,
                layout=((("row", "column", "previous"), 1),),
                block=8,
                heads=2,
                attention_width=0.5,
                init_scale=1.0,
                loss_fraction=0.4,
                remat="none",
                rate=11025,
            )
        elif size == "tiny_signals":
            config.signals.mood = dict(kind="label", size=16)
            config.signals.dynamics = dict(
                kind="curve", minimum=0.0, maximum=1.0, bins=16, rate=11025
            )
            config.signals.tempo = dict(
                kind="curve", minimum=60.0, maximum=200.0, bins=28, rate=11025
            )
            config.signals.activity = dict(kind="events", size=32, rate=11025)
    elif size == "band":
        config.stage.update(rate=16000, level=1)
        config.model.update(
            context=512,
            block=32,
            bins=512,
            width=256,
            heads=4,
            attention_width=0.5,
            mlp_width=2.0,
            layout=((("row", "column", "previous"), 3),),
            init_scale=1.0,
            tied=True,
            label_dropout=0.1,
            remat="none",
            dtype="float32",
        )
        # Told at every code, not at the first alone: a small prior learns to listen at once.
        config.signals.artist = dict(kind="track", size=8, rate=16000)
        config.signals.genre = dict(kind="track", size=8, rate=16000)
        config.signals.timing.update(
            bins=32, minimum_seconds=8.0, maximum_seconds=120.0, rate=16000
        )
        config.signals.lyrics = dict(kind="sung", size=48, rate=16000)
        config.signals.beats = dict(kind="beats", rate=16000)
        config.data.update(
            source="band:songs=576,seconds=40",
            batch=8,
            held_out=12,
            minimum_seconds=9.0,
            blend=False,
        )
        config.optimizer.update(
            learning_rate=1e-3, warmup=50, decay=1300, beta2=0.98, average_decay=0.99
        )
        config.mesh.fsdp = 1
        config.run.update(
            steps=5000, log_every=20, evaluate_every=300, examples_every=0, checkpoint_every=100
        )
    elif size != "5b":
        sizes = "5b, 5b_lyrics, 1b_lyrics, small, tiny, tiny_lyrics, tiny_signals and band"
        raise ValueError(f"configs/prior.py has no size {size!r}; it has {sizes}")
    return config
