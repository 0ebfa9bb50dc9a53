"""What every command here shares: a mistake of the user's is one line and a non-zero exit.

`run(name, main)` parses the flags, sets up logging, and runs `main`.
"""

import importlib.metadata
import importlib.util
import logging
import os
import pathlib
import platform
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow only reads files here

from absl import app, flags

words: list[str] = []
"""What the command line says besides flags."""


def run(name: str, main: Callable[[], None]) -> None:
    """Runs a command.

    Args:
      name: what its messages begin with.
      main: does the work, once the flags are parsed. A ValueError or an OSError that leaves it is
        the user's to mend, and is printed as one line; any other error is ours, and is not hidden.
    """
    _take_large_pages()

    def parse(arguments: list[str]) -> list[str]:
        try:
            return flags.FLAGS(arguments)
        except (AttributeError, KeyError, TypeError, ValueError, OSError, flags.Error) as error:
            sys.exit(f"{name}: {line(error)}")

    def guarded(given: list[str]) -> None:
        words.extend(given[1:])
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
        )
        for chatty in ("absl", "jax", "orbax", "asyncio", "fsspec", "gcsfs"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        try:
            main()
        except (ValueError, OSError) as error:
            sys.exit(f"{name}: {line(error)}")
        except MemoryError as error:
            sys.exit(f"{name}: the machine's memory is not enough ({line(error)}): ask for less")
        except KeyboardInterrupt:
            sys.exit(f"{name}: stopped")

    app.run(guarded, flags_parser=parse)


def _take_large_pages() -> None:
    """Begins the command again with large pages of memory, where the processor computes.

    What a step of training needs is asked for and given back at each step, and large pages are
    cheaper to come by than many small ones. glibc takes them only where the environment says so
    before a program begins; where GLIBC_TUNABLES is set already, it stays as it is.
    """
    if "GLIBC_TUNABLES" in os.environ:  # as where it has begun again
        return
    devices = [*importlib.metadata.entry_points(group="jax_plugins")]
    accelerated = devices or importlib.util.find_spec("libtpu") is not None
    if accelerated and os.environ.get("JAX_PLATFORMS") != "cpu":
        return
    library, version = platform.libc_ver()
    if library == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 35):
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_compiled_programs() -> None:
    """Keeps what is compiled in the user's cache, so that the next run starts at once."""
    import jax
    import jaxlib

    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        kept = home / "jukebox_jax" / f"compiled-{jaxlib.__version__}"
        jax.config.update("jax_compilation_cache_dir", str(kept))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    # On some CPUs XLA prints pages of processor features, as an error, for each program that it had
    # kept and takes (jax-ml/jax#38445). What goes wrong is raised all the same.
    jax.config.update("jax_logging_level", "CRITICAL")


def speak_once() -> None:
    """Of several processes the first tells what all do; the others tell what goes wrong."""
    import jax

    if jax.process_index():
        logging.getLogger().setLevel(logging.WARNING)


def line(error: BaseException) -> str:
    """An error's message on one line."""
    message = str(error.args[0] if len(error.args) == 1 else error).replace("\\n", "\n")
    if "Traceback" in message:  # a config file's own error, which its loader wraps
        message = message.strip().splitlines()[-1].removeprefix("ValueError: ")
    if isinstance(error, (KeyError, AttributeError)):
        message = "the config has no such key: " + message.translate({ord(c): None for c in "'\\"})
    return " ".join(message.split()) or type(error).__name__
