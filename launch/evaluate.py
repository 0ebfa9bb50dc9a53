"""Measures trained stages on songs that they were not trained on.

    python launch/evaluate.py --vqvae=runs/vqvae --priors=runs/level_0,runs/level_1,runs/level_2 \
        --measures=alignment,lyrics,signals --json=figures.json

alignment  how far from the truth the attention finds the words, beside an even spread and chance;
           needs a prior that reads lyrics, and songs whose lyrics have times
lyrics     how many bits a code more it costs to read another song's lyrics, for held-out songs
           and for sampled ones
signals    pairs of songs sampled with one label changed: loud and soft, fast and slow, with an
           instrument and without

Every figure has a 95 % interval, from drawing whole songs anew.
"""

import command
from absl import flags

VQVAE = flags.DEFINE_string("vqvae", None, "The directory of the VQ-VAE.", required=True)
PRIORS = flags.DEFINE_list(
    "priors", None, "The directories of the priors, finest first; '-' for none.", required=True
)
MEASURES = flags.DEFINE_list("measures", None, "What to measure, see above.", required=True)
SONGS = flags.DEFINE_string(
    "songs", "", "A folder, a list, tfds:... or band:...; by default those that were held out."
)
HELD_OUT = flags.DEFINE_float(
    "held_out", None, "Only the part of --songs, or the number, that training would hold out."
)
MOST = flags.DEFINE_integer("most", 40, "Songs to measure on, at most.", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 0.0, "Of each song, from its beginning; 0 for all of it.")
SAMPLES = flags.DEFINE_integer("samples", 16, "Songs to sample, a request.", lower_bound=2)
SAMPLED = flags.DEFINE_float("sampled_seconds", 6.0, "Of each sampled song.", lower_bound=0.1)
SEED = flags.DEFINE_integer("seed", 0, "Of the first sampled song.", lower_bound=0)
JSON = flags.DEFINE_string("json", "", "A file for the figures as JSON; '' for none.")


def main() -> None:
    """Measures, shows and writes."""
    from jukebox_jax.models import Jukebox
    from jukebox_jax.report import figures, measures
    from jukebox_jax.report.subject import Subject
    from jukebox_jax.sampling import heard
    from jukebox_jax.sampling.settings import Settings

    command.keep_compiled_programs()
    asked = measures.names(MEASURES.value)
    named = tuple(name if name.strip("- ") else None for name in PRIORS.value)
    jukebox = Jukebox.load(vqvae=VQVAE.value, priors=named)
    stage = next((one for one in reversed(jukebox.priors) if one is not None), None)
    if stage is None:
        raise ValueError(f"--priors={','.join(PRIORS.value)}: give a prior at least")
    subject = Subject(
        jukebox,
        heard.held_out(stage, SONGS.value, HELD_OUT.value)[: MOST.value],
        seconds=SECONDS.value or None,
        samples=SAMPLES.value,
        sampled_seconds=SAMPLED.value,
        settings=Settings(seed=SEED.value, allow_unknown=True),
    )
    found = measures.take(subject, asked)
    print(*figures.table(found), sep="\n", flush=True)
    if JSON.value:
        about = {"vqvae": VQVAE.value, "priors": PRIORS.value, "songs": len(subject.songs)}
        about |= {"source": SONGS.value or "held out", "seed": SEED.value}
        figures.write(JSON.value, found, about)
        print(f"written to {JSON.value}")


if __name__ == "__main__":
    command.run("evaluate", main)
