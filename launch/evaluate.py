"""Measures trained stages on songs that they were not trained on.

    python launch/evaluate.py --vqvae=runs/vqvae --priors=runs/level_0,runs/level_1,runs/level_2 \
        --json=figures.json --page=figures.html

By default the first four of these are taken, or what --measures names:

reconstruction  what the VQ-VAE keeps of held-out songs, level by level: spectral convergence, STFT
                and mel distances, SI-SDR, use of codebooks, bits a second
bits            what codes of held-out songs cost under their priors, a code and a second, by genre
                and by place in the window and in the song
samples         sampled songs beside real ones: Frechet distances, whether pitch and tempo go on,
                loudness, clipping, jumps at windows, lyrics visited; of --session=DIR (a folder of
                launch/sample.py) or sampled on the spot
labels          whether sampled songs have their artist's timbre, their genre's rhythm, the beats
                and the sung vowels that were asked for, by judges whose own accuracy is told; for
                stages trained on the procedural band
alignment       how far from the truth the attention finds the words, beside an even spread and
                chance; needs a prior that reads lyrics, and songs whose lyrics have times
lyrics          how many bits a code more it costs to be told another song's lyrics, for held-out
                songs and for sampled ones
signals         pairs of songs sampled with one label changed: loud and soft, fast and slow, with an
                instrument and without

Every mean of two songs or more has a 95 % interval, from drawing whole songs anew; shares have
Wilson's. A measure that the stages do not allow is refused in one line. How long it takes is
bounded by --most songs of --seconds each, and --samples songs of --sampled_seconds.
"""

import time

import command
from absl import flags

VQVAE = flags.DEFINE_string("vqvae", None, "The directory of the VQ-VAE.", required=True)
PRIORS = flags.DEFINE_list(
    "priors", [], "The directories of the priors, finest first; '-' for a level without one."
)
MEASURES = flags.DEFINE_list(
    "measures", ["reconstruction", "bits", "samples", "labels"], "What to measure, see above."
)
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
SESSION = flags.DEFINE_string("session", "", "A folder of sampled songs, in place of new ones.")
EMBEDDINGS = flags.DEFINE_list(
    "embeddings", [], "Two files of launch/features.py, or arrays: of real songs, of sampled ones."
)
LEARN = flags.DEFINE_integer("learn", 144, "The band's songs that classifiers learn from.", 48)
PAGE = flags.DEFINE_string("page", "", "A file for the figures as a page to look at; '' for none.")
JSON = flags.DEFINE_string("json", "", "A file for the figures as JSON; '' for none.")


def main() -> None:
    """Measures, shows and writes."""
    from jukebox_jax.evaluation import figures, measures, page
    from jukebox_jax.evaluation.subject import Subject
    from jukebox_jax.models import Jukebox
    from jukebox_jax.sampling import heard
    from jukebox_jax.sampling.settings import Settings

    command.keep_compiled_programs()
    asked = measures.names(MEASURES.value)
    begun = time.monotonic()
    named = tuple(name if name.strip("- ") else None for name in PRIORS.value)
    jukebox = Jukebox.load(vqvae=VQVAE.value, priors=named)
    stages = (jukebox.vqvae, *(one for one in jukebox.priors if one is not None))
    subject = Subject(
        jukebox,
        heard.held_out(stages[-1], SONGS.value, HELD_OUT.value)[: MOST.value],
        seconds=SECONDS.value or None,
        samples=SAMPLES.value,
        sampled_seconds=SAMPLED.value,
        settings=Settings(seed=SEED.value, allow_unknown=True),
        session=SESSION.value,
        embeddings=tuple(EMBEDDINGS.value),
        learn=LEARN.value,
    )
    found, refused, failed = measures.take(subject, asked)
    print(*figures.table(found), sep="\n", flush=True)
    for name, why in refused.items():
        print(f"refused: {name}: {why}")
    about = {"vqvae": VQVAE.value, "priors": PRIORS.value, "songs": len(subject.songs)}
    about |= {"source": SONGS.value or "held out", "seed": SEED.value}
    about |= {"session": SESSION.value} if SESSION.value else {}
    about |= {"minutes": round((time.monotonic() - begun) / 60, 1)}
    if JSON.value:
        figures.write(JSON.value, found, about, refused)
        print(f"written to {JSON.value}")
    if PAGE.value:
        page.write(PAGE.value, found, about, refused)
        print(f"written to {PAGE.value}")
    if failed:
        raise failed[0]


if __name__ == "__main__":
    command.run("evaluate", main)
