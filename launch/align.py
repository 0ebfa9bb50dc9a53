"""Finds when the words of songs are sung, with a prior that reads lyrics.

    python launch/align.py --vqvae=runs/vqvae --prior=runs/level_2
    python launch/align.py --vqvae=runs/vqvae --prior=runs/level_2 --songs=songs --out=words

The first tries every attention head of the prior on the songs that it was not trained on, prints
how well each follows the lyrics, and stores the best in the stage as alignment.json, which
sampling reads from then on. Where the songs' lyrics have times, heads are judged by how far words
begin from them, and the model is not shown the times; otherwise by how much attention lies on a
path that only goes on. The second also writes the words of the songs with their times as LRC, SRT
and JSON, in folders as those of the songs; times that the songs' lyrics have are used there.
"""

import os
import pathlib

import command
from absl import flags

VQVAE = flags.DEFINE_string("vqvae", None, "The directory of the VQ-VAE.", required=True)
PRIOR = flags.DEFINE_string("prior", None, "The directory of the prior.", required=True)
SONGS = flags.DEFINE_string(
    "songs", "", "A folder, a list, tfds:... or band:...; by default those that were held out."
)
HELD_OUT = flags.DEFINE_float(
    "held_out", None, "Only the part of --songs, or the number, that training would hold out."
)
SECONDS = flags.DEFINE_float("seconds", 0.0, "Of each song, from its beginning; 0 for all of it.")
MOST = flags.DEFINE_integer("most", 20, "Songs to search on, at most.", lower_bound=1)
SEARCH = flags.DEFINE_bool("search", True, "Search for the best head; otherwise the stored one.")
STORE = flags.DEFINE_bool("store", True, "Store the best head with the prior.")
OUT = flags.DEFINE_string("out", "", "The folder to write words with their times to; '' for none.")


def main() -> None:
    """Searches, stores and writes."""
    import tqdm

    from jukebox_jax.models import Jukebox, Stage
    from jukebox_jax.sampling import alignment, attended, heads, heard
    from jukebox_jax.sampling.settings import Settings

    command.keep_compiled_programs()
    stage = Stage.load(PRIOR.value)
    if stage.kind != "prior":
        raise ValueError(f"--prior={PRIOR.value} is a {stage.kind}, not a prior")
    below = (None,) * int(stage.config["stage"].get("level", 0))
    jukebox = Jukebox(Stage.load(VQVAE.value), (*below, stage))
    attended.level_with_lyrics(jukebox)
    settings, seconds = Settings(allow_unknown=True), SECONDS.value or None
    songs = heard.held_out(stage, SONGS.value, HELD_OUT.value)
    if not SEARCH.value and heads.known(stage) is None:
        raise ValueError(f"{PRIOR.value} has no stored head: leave --nosearch out")
    chosen = None
    if SEARCH.value:
        with tqdm.tqdm(total=min(len(songs), MOST.value), unit=" songs", disable=None) as bar:
            found = heads.search(
                jukebox,
                heard.listen(jukebox, songs[: MOST.value], seconds),
                settings,
                on_song=lambda count: bar.update(),
            )
        print(*heads.table(found), sep="\n", flush=True)
        chosen = found[0].layer, found[0].head
        if STORE.value:
            heads.store(PRIOR.value, found[0])
            print(f"stored in {PRIOR.value}: layer {chosen[0]}, head {chosen[1]}", flush=True)
    if not OUT.value:
        return
    names, written = files_of([song.path for song in songs]), 0
    for song, codes in tqdm.tqdm(
        heard.listen(jukebox, songs, seconds), total=len(songs), unit=" songs", disable=None
    ):
        (lyric,) = alignment.align(jukebox, [song], codes, head=chosen, settings=settings)
        for extension in alignment.FORMATS:
            alignment.write(pathlib.Path(OUT.value, names[song.path] + extension), lyric)
        written += 1
    print(f"the words of {written} songs are in {OUT.value}")


def files_of(paths: list[str]) -> dict[str, str]:
    """For each song, its path below the folder that all share, without the extension of sound."""
    from jukebox_jax.audio import manifest

    full = {path: pathlib.Path(path).absolute() for path in paths}
    shared = os.path.commonpath([file.parent for file in full.values()])
    found = {}
    for path, file in full.items():
        bare = file.with_suffix("") if file.suffix.lower() in manifest.EXTENSIONS else file
        found[path] = str(bare.relative_to(shared))
    return found


if __name__ == "__main__":
    command.run("align", main)
