"""A recording session: which stages, which songs, how long, and how codes are drawn.

    python launch/sample.py --config configs/sample.py --out out --config.songs=songs.jsonl

What to expect: out/level_2/item_0.wav and so on first, then the same songs at level 1 and level 0,
each finer than the one before; the codes of finished levels in out/codes.npz. The same
command again goes on where it stopped.

    --config.prompt=a.wav --config.prompt_seconds=5     goes on from a recording's first 5 seconds
    --config.codes=out/codes.npz --config.seconds=40    goes on from an earlier run
    --config.levels=2                                   only the top level, to listen and choose
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The session."""
    config = ml_collections.ConfigDict()
    config.vqvae = "runs/vqvae"  # a stage's directory
    # Priors, finest level first; "-" for a level without one.
    config.priors = "runs/level_0,runs/level_1,runs/level_2"
    # A .jsonl or .csv list: artist, genre, lyrics, total_seconds, start_seconds, seed, ...
    # or [{"artist": ...}, ...] itself.
    config.songs = ""
    # Of each recording; 0 for as long as the codes that are given, or else 20.
    config.seconds = 0.0
    config.samples = 0  # the same as a number of audio samples

    # What there is already: nothing, a former run's codes, or sound.
    config.codes = ""  # a codes.npz, or the folder that holds one
    config.prompt = ""  # sound files: one for all songs, or one for each
    config.prompt_seconds = 0.0  # of the prompt; 0 for all of it
    config.levels = ()  # which to sample; () for all from the highest that is given downwards

    # One value, or one for each level, finest first: a number, or [[second, number], ...] of the
    # recording. A song of the list may have its own under the same names.
    config.temperature = (0.99,)
    config.top_k = (0,)  # 0 for off
    config.top_p = (0.0,)  # 0 for off
    config.guidance = (1.0,)  # more follows labels more closely, by priors with label dropout
    config.guide_lyrics = False  # and lyrics too
    config.hop_fraction = ()  # of the context; () for 0.125 at the top and 0.5 below

    config.seed = 0  # song i has seed + i, unless the list of songs says otherwise
    # How priors are held: "" as saved, "float32", "bfloat16", or "int8", a quarter of the bytes:
    # for accelerators (slower on a CPU). launch/precision.py tells what it costs.
    config.weights = ""
    config.save_seconds = 30.0  # between two writings of what is unfinished
    config.batch = 16  # songs side by side
    config.chunk = 256  # codes between two looks at the progress
    # Also write when each word is sung, as level_{top}/item_{i}.lrc, .srt and .json.
    config.align = False
    # More than 1: so many pieces of a level side by side. Faster for few songs, but approximate.
    config.approximate_pieces = (1,)
    config.approximate_overlap = 0.25  # of the context, a past that each piece draws for itself
    config.allow_unknown = False  # take unknown labels, as if nothing was known
    return config
