"""Samples new songs into a folder, or goes on where that stopped.

    python launch/sample.py --config configs/sample.py --out out \
        --config.vqvae=runs/vqvae --config.priors=runs/level_0,runs/level_1,runs/level_2 \
        --config.songs=songs.jsonl --config.seconds=20

Any value of the config is overridden on the command line; a key that the config does not have is
an error. The folder then holds codes.npz (codes_0, codes_1, ...: int32 [songs, length]),
level_{n}/item_{i}.wav, settings.json, and index.html, a page to listen to all of it (--nopage for
none). The same command goes on in the same folder, and so does

    python launch/sample.py --resume out

`--plan` prints memory, codes and expected time of each level instead, and draws nothing.
A folder that holds anything else is left alone, unless --overwrite is given. What to do with the
songs then (choose, branch, replace, upsample) is said by launch/take.py.
"""

import command
from absl import flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "What to sample.", lock_config=True)
OUT = flags.DEFINE_string("out", None, "The session's folder; made if missing.")
RESUME = flags.DEFINE_string("resume", None, "A session's folder to go on with; all it needs.")
PLAN = flags.DEFINE_boolean("plan", False, "Say what it would take, from a short measurement.")
PAGE = flags.DEFINE_boolean("page", True, "Write index.html, to listen to what was sampled.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Begin anew, whatever the folder holds.")


def main() -> None:
    """Samples."""
    from jukebox_jax import sharding
    from jukebox_jax.page import page
    from jukebox_jax.sampling import session

    if RESUME.value is None and (CONFIG.value is None or not (OUT.value or PLAN.value)):
        raise ValueError("give --config and --out, or --resume with a session's folder")
    if RESUME.value is not None and (CONFIG.value is not None or OUT.value or OVERWRITE.value):
        raise ValueError(
            "--resume goes on with what the folder says: give no --config, --out or --overwrite "
            "beside it, or make another take with launch/take.py"
        )
    command.keep_compiled_programs()
    sharding.check_numerics()
    if PLAN.value:
        folder = RESUME.value
        print(session.plan(session.recorded(folder) if folder else CONFIG.value, folder))
    elif RESUME.value is not None:
        session.resume(RESUME.value)
    else:
        session.run(CONFIG.value, OUT.value, overwrite=OVERWRITE.value)
    if PAGE.value and not PLAN.value:
        page.offer(RESUME.value or OUT.value)


if __name__ == "__main__":
    command.run("sample", main)
