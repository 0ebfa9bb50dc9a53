"""Makes stages of a model that was published in 2020, from your own copy of its files.

    python launch/import_release.py --model=5b_lyrics --checkpoints=DIR --ids=DIR --out=stages

--checkpoints holds vqvae.pth.tar, prior_level_0.pth.tar, prior_level_1.pth.tar and
prior_level_2.pth.tar; --ids holds v2_artist_ids.txt, v2_genre_ids.txt and, for 1b_lyrics,
v3_artist_ids.txt and v3_genre_ids.txt. Nothing in the files is run. Neither --model nor --hps
takes the hyperparameters that the files hold. --abstract only sees whether every tensor of the
model has its place, without any file. The published weights are for non-commercial use.
"""

import functools

import command
from absl import flags

MODEL = flags.DEFINE_string("model", None, "A published model: 5b, 5b_lyrics or 1b_lyrics.")
HPS = flags.DEFINE_string(
    "hps",
    None,
    'Another model: a JSON file {"vqvae": {...}, "priors": [{...}, ...]}, finest level first, of '
    "the release's hyperparameters.",
)
CHECKPOINTS = flags.DEFINE_string("checkpoints", None, "The folder of the .pth.tar files.")
IDS = flags.DEFINE_string("ids", None, "The folder of the lists of names and ids.")
OUT = flags.DEFINE_string("out", None, "The folder of stages to make.")
DTYPE = flags.DEFINE_enum(
    "dtype",
    "float32",
    ["float32", "float16", "bfloat16"],
    "What the priors compute in and keep kernels and embeddings in.",
)
ABSTRACT = flags.DEFINE_bool("abstract", False, "Only check names and shapes; needs no file.")


def main() -> None:
    """Imports, or checks."""
    from jukebox_jax.release import published, stages

    if MODEL.value and HPS.value:
        raise ValueError("give --model or --hps, not both")
    hps = None
    if MODEL.value:
        hps = published.find(MODEL.value)
    elif HPS.value:
        hps = stages.read_hyperparameters(HPS.value)
    if ABSTRACT.value:
        if hps is None:
            raise ValueError("--abstract needs --model or --hps")
        for line in stages.survey(hps):
            print(line, flush=True)
        return
    if not CHECKPOINTS.value or not OUT.value:
        raise ValueError("give --checkpoints=DIR and --out=DIR")
    stages.import_model(
        CHECKPOINTS.value,
        OUT.value,
        hps=hps,
        ids=IDS.value,
        dtype=DTYPE.value,
        say=functools.partial(print, flush=True),
    )


if __name__ == "__main__":
    command.run("import_release", main)
