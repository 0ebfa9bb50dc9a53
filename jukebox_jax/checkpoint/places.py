"""Where a directory is: on this machine, or in a bucket that an installed package reaches.

Only names are looked at; nothing is opened.
"""

import importlib.util
import os

from etils import epath

from jukebox_jax.checkpoint.disk import CheckpointError


def located(directory: epath.PathLike) -> epath.Path:
    """A directory on this machine, or in a bucket as gs://; Orbax writes to no others.

    Raises:
      CheckpointError: another kind of bucket, or nothing is installed that reaches it.
    """
    scheme, found, _ = os.fspath(directory).partition("://")
    if found and scheme != "gs":
        raise CheckpointError(
            f"{directory}: checkpoints are written to gs:// and to folders, not to {scheme}://; "
            "mount it and give its folder"
        )
    if found and not by_tensorflow(directory) and not _installed("gcsfs"):
        raise CheckpointError(f"{directory} needs the package gcsfs: pip install gcsfs")
    return epath.Path(directory)


def by_tensorflow(directory: epath.PathLike) -> bool:
    """Whether a bucket is reached through TensorFlow: where it is, unless EPATH_USE_TF=0 is set."""
    wanted = os.environ.get("EPATH_USE_TF", "").lower() not in ("false", "no", "f", "0")
    return "://" in os.fspath(directory) and wanted and _installed("tensorflow")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
