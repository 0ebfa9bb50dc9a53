"""Where a directory is: on this machine, or in a bucket that an installed package reaches.

Only names are looked at; nothing is opened.
"""

import importlib.util
import os

from etils import epath

from jukebox_jax.checkpoint import disk
from jukebox_jax.checkpoint.disk import CheckpointError


def located(directory: epath.PathLike) -> epath.Path:
    """A directory on this machine, or in a bucket as gs://; Orbax writes to no others.

    Raises:
      CheckpointError: another kind of bucket, or nothing is installed that reaches it.
    """
    if not disk.remote(directory):
        return epath.Path(directory)
    scheme = os.fspath(directory).partition("://")[0]
    if scheme != "gs":
        raise CheckpointError(
            f"{directory}: checkpoints are written to gs:// and to folders, not to {scheme}://; "
            "mount it and give its folder"
        )
    # Orbax lists steps with Google's own package, which gcsfs brings.
    package = "google.cloud.storage" if by_tensorflow(directory) else "gcsfs"
    if not _installed(package):
        name = package.replace(".", "-")
        raise CheckpointError(f"{directory} needs the package {name}: pip install {name}")
    return epath.Path(directory)


def by_tensorflow(directory: epath.PathLike) -> bool:
    """Whether a bucket is reached through TensorFlow: where it is, unless EPATH_USE_TF=0 is set."""
    wanted = os.environ.get("EPATH_USE_TF", "").lower() not in ("false", "no", "f", "0")
    return disk.remote(directory) and wanted and _installed("tensorflow")


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it lies in
        return False
