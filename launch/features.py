"""What layers of a prior make of songs: features for classifiers, taggers, retrieval.

    python launch/features.py --songs FOLDER --vqvae runs/vqvae --prior runs/level_2 \
        --layers 12,24 --out features.npz

Only the layers up to the highest are loaded and computed. The file then holds paths, seconds, rows
and layer_12, layer_24: f32[songs, width], means over each song. With --pool 1.0 there is a row for
each second and with --pool none one for each code; `rows` tells how many each song has. --out
tfds:NAME@FOLDER writes a TFDS dataset instead. The same command goes on where it stopped.
"""

import command
from absl import flags

SONGS = flags.DEFINE_string("songs", None, "A folder, a .jsonl or .csv list, or tfds:...")
VQVAE = flags.DEFINE_string("vqvae", None, "The VQ-VAE's directory.")
PRIOR = flags.DEFINE_string("prior", None, "The prior's directory.")
LAYERS = flags.DEFINE_list("layers", None, "Layers, counted from 1.")
OUT = flags.DEFINE_string("out", None, "A file that ends in .npz, or tfds:NAME@FOLDER.")
POOL = flags.DEFINE_string("pool", "mean", "mean, none, or a number of seconds.")
OVERLAP = flags.DEFINE_float("overlap", 0.0, "Part of a window that is only the others' past.")
BATCH = flags.DEFINE_integer("batch", 1, "Windows computed at once.", lower_bound=1)
LABELS = flags.DEFINE_boolean("labels", False, "Tell the prior the artist, genre, ... of songs.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace what is there.")
flags.mark_flags_as_required(["songs", "vqvae", "prior", "layers", "out"])


def main() -> None:
    """Extracts features."""
    import dataclasses

    from jukebox_jax import sharding
    from jukebox_jax.analysis import collection, features
    from jukebox_jax.audio import song

    command.keep_compiled_programs()
    sharding.check_numerics()
    layers = tuple(int(layer) for layer in LAYERS.value)
    pool = {"mean": "mean", "none": None}.get(POOL.value, POOL.value)
    if pool not in ("mean", None):
        pool = float(POOL.value)
    box = collection.load(VQVAE.value, PRIOR.value, layers)
    plan = features.prepare(box, layers, pool=pool, overlap=OVERLAP.value, batch=BATCH.value)
    songs = song.find(SONGS.value, rate=box.rate)
    if not LABELS.value:
        songs = tuple(dataclasses.replace(one, labels={}) for one in songs)
    asked = {
        "vqvae": VQVAE.value,
        "prior": PRIOR.value,
        "overlap": OVERLAP.value,
        "labels": LABELS.value,
    }
    collection.extract(plan, songs, OUT.value, asked=asked, overwrite=OVERWRITE.value)


if __name__ == "__main__":
    command.run("features", main)
