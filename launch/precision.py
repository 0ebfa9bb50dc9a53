"""What weights of other types cost a prior: bytes, and bits a code on the first window of songs.

    python launch/precision.py --vqvae runs/vqvae --prior runs/level_2 --songs FOLDER

launch/sample.py --config.weights=bfloat16 or int8 samples with them. Songs that are shorter than a
window of the prior do not count.
"""

import command
from absl import flags

SONGS = flags.DEFINE_string("songs", None, "A folder, a .jsonl or .csv list, or band:...")
VQVAE = flags.DEFINE_string("vqvae", None, "The VQ-VAE's directory.")
PRIOR = flags.DEFINE_string("prior", None, "The prior's directory.")
MOST = flags.DEFINE_integer("most", 16, "Songs that are read.", lower_bound=1)
TYPES = flags.DEFINE_list("types", ["float32", "bfloat16", "int8"], "Types to compare.")
flags.mark_flags_as_required(["songs", "vqvae", "prior"])


def main() -> None:
    """Compares."""
    from jukebox_jax import sharding
    from jukebox_jax.analysis import collection, precision
    from jukebox_jax.audio import song, wave

    command.keep_compiled_programs()
    sharding.check_numerics()
    box = collection.load(VQVAE.value, PRIOR.value)
    level = len(box.priors) - 1
    context = box.priors[level].model.context * box.hops[level]
    songs = song.find(
        SONGS.value, rate=box.rate, minimum_seconds=(context + box.hops[-1]) / box.rate
    )
    samples = context + box.hops[-1]
    sounds = (
        (wave.mono(wave.load(one.path, box.rate, 0, samples)), one.labels)
        for one in songs[: MOST.value]
    )
    found = precision.compare(box, level, sounds, TYPES.value)
    first = next(iter(found.values()))[1]
    for name, (size, bits) in found.items():
        print(f"{name}\t{size / 1e6:.1f} MB\t{bits:.4f} bits a code\t{bits - first:+.4f}")


if __name__ == "__main__":
    command.run("precision", main)
