"""Opens the studio: ask for songs in the browser, hear them grow, choose, branch, upsample.

    python launch/studio.py --stages runs              # a folder with vqvae, level_0, level_1, ...
    python launch/studio.py --vqvae DIR --priors DIR,DIR,DIR --runs songs

Without either it takes the small model that comes with the package. Each run is a
session's folder under --runs: after the studio was closed, in the middle of a run or not, it is
there again and goes on, in the studio or with `launch/sample.py --resume`. The page is served to
this machine alone unless --host says otherwise, and loads nothing from elsewhere.
"""

import logging
import pathlib
import signal
import threading

import command
from absl import flags

STAGES = flags.DEFINE_string("stages", None, "A folder that holds vqvae, level_0, level_1, ...")
VQVAE = flags.DEFINE_string("vqvae", None, "The VQ-VAE's directory, instead of --stages.")
PRIORS = flags.DEFINE_list("priors", [], "And the priors', finest first; - for a level without.")
RUNS = flags.DEFINE_string("runs", "out/studio", "Where runs go; made if missing.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "The address to listen at.")
PORT = flags.DEFINE_integer("port", 7860, "The port; 0 for any that is free.", 0, 65535)
SECONDS = flags.DEFINE_float("most_seconds", 60.0, "The longest recording that may be asked for.")
CANDIDATES = flags.DEFINE_integer("most_candidates", 8, "The most songs side by side.")


def main() -> None:
    """Serves the page until it is stopped."""
    from jukebox_jax import sharding
    from jukebox_jax.sampling import stages
    from jukebox_jax.studio.studio import Limits, Studio

    if VQVAE.value is not None:
        found = stages.read(VQVAE.value, PRIORS.value)
    else:
        found = stages.found(STAGES.value)
    limits = Limits(SECONDS.value, CANDIDATES.value)
    command.keep_compiled_programs()
    sharding.check_numerics()
    try:
        from jukebox_jax.studio import page
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: pip install -c launch/constraints.txt -e '.[studio]'"
        ) from None
    logging.getLogger("httpx").setLevel(logging.WARNING)
    studio = Studio(found, pathlib.Path(RUNS.value), limits)
    address, close = page.serve(studio, HOST.value, PORT.value)
    if HOST.value not in ("127.0.0.1", "localhost", "::1"):
        logging.warning("whoever reaches %s can use the studio: it asks for no password", address)
    print(f"studio at {address}, runs in {studio.home}; Ctrl-C closes it", flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    close()
    studio.close()


if __name__ == "__main__":
    command.run("studio", main)
