"""Makes a new take from those that sessions hold; the folders it is made from stay as they are.

    python launch/take.py pick out --songs 0,3 --out chosen
    python launch/take.py upsample chosen --level 1 --out full --set 'levels=[0,1]'
    python launch/take.py branch out --seconds 12 --count 4 --out ways
    python launch/take.py truncate out --seconds 12 --out shorter
    python launch/take.py splice one other --seconds 12 --out both
    python launch/take.py replace out --start 8 --end 12 --seed 7 --out mended
    python launch/take.py excerpt out --start 8 --end 16 --out part
    python launch/take.py rebuild full --out again
    python launch/take.py score out --level 2

Each makes the folder of a session, draws what is missing there, and can be stopped and gone on with
by `launch/sample.py --resume FOLDER`; its index.html is a page to listen to it. `rebuild` makes a
folder again from its record alone and says whether the codes are the same; `score` measures the
songs of a folder and puts them in order.
"""

import json

import command
from absl import flags

OUT = flags.DEFINE_string("out", None, "The folder of the new take.")
SONGS = flags.DEFINE_list("songs", [], "Numbers of songs, for pick.")
SECONDS = flags.DEFINE_float("seconds", None, "A time, for truncate, branch and splice.")
START = flags.DEFINE_float("start", None, "Where a span begins, for replace and excerpt.")
END = flags.DEFINE_float("end", None, "Where it ends.")
COUNT = flags.DEFINE_integer("count", None, "Ways to go on for each song, for branch.")
SEED = flags.DEFINE_integer("seed", None, "Seed of the first song, for branch and replace.")
LEVEL = flags.DEFINE_integer("level", None, "The highest level to draw (again), or to score.")
SET = flags.DEFINE_multi_string("set", [], "KEY=JSON: a key of the config that is to differ.")
LATER = flags.DEFINE_boolean("later", False, "Write the folder only; draw with --resume.")


def main() -> None:
    """Makes the take."""
    from jukebox_jax import sharding
    from jukebox_jax.page import page
    from jukebox_jax.sampling import tree

    if len(command.words) < 2:
        raise ValueError("say what to do and with which folder, as in: take.py pick out --songs 0")
    operation, *folders = command.words
    command.keep_compiled_programs()
    sharding.check_numerics()
    if operation == "score":
        from jukebox_jax.sampling import scores

        print(scores.table(tree.score(folders[0], LEVEL.value)))
        page.offer(folders[0])
        return
    if OUT.value is None:
        raise ValueError(f"{operation}: give --out, the folder of the new take")
    if operation == "rebuild":
        found = tree.rebuild(folders[0], OUT.value)
        print(f"{OUT.value}: the same codes as {folders[0]}: {json.dumps(found)}")
        return
    given = {
        "songs": [_number(song) for song in SONGS.value] or None,
        "seconds": SECONDS.value,
        "start": START.value,
        "end": END.value,
        "count": COUNT.value,
        "seed": SEED.value,
        "level": LEVEL.value,
    }
    arguments = {name: value for name, value in given.items() if value is not None}
    changes = dict(_change(text) for text in SET.value)
    tree.derive(OUT.value, operation, folders, arguments, changes=changes, sample=not LATER.value)
    if not LATER.value:
        page.offer(OUT.value)
    print(f"{OUT.value}: {operation} of {', '.join(folders)}")


def _number(text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"--songs: {text!r} is no number of a song, as 0")
    return int(text)


def _change(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: write KEY=VALUE, as temperature=0.9")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


if __name__ == "__main__":
    command.run("take", main)
