"""Where a directory is: on this machine, or in a bucket that an installed package reaches.

Only names are looked at; nothing is opened.
"""

import importlib.util
import os

from etils import epath

from jukebox_jax.checkpoint.disk import CheckpointError

_REACHED_BY = {
    "gs": ("tensorflow", "gcsfs"),
    "s3": ("tensorflow_io", "s3fs"),
    "az": ("tensorflow_io", "adlfs"),
    "hf": ("tensorflow_io", "huggingface_hub"),
}
"""For each kind of bucket, the package that reaches it where TensorFlow is installed, or is not."""


def located(directory: epath.PathLike) -> epath.Path:
    """A directory anywhere: on this machine, or in a bucket as gs://, s3:// and so on.

    Raises:
      CheckpointError: nothing is installed that reaches it.
    """
    scheme, found, _ = os.fspath(directory).partition("://")
    if not found:
        return epath.Path(directory)
    if scheme not in _REACHED_BY:
        known = ", ".join(f"{name}://" for name in _REACHED_BY)
        raise CheckpointError(f"{directory}: {scheme}:// is unknown; known: {known}")
    here = {name for name in ("tensorflow", *_REACHED_BY[scheme]) if importlib.util.find_spec(name)}
    with_tensorflow, without = _REACHED_BY[scheme]
    wanted = with_tensorflow if "tensorflow" in here else without
    if wanted not in here:
        raise CheckpointError(f"{directory} needs the package {wanted}: pip install {wanted}")
    return epath.Path(directory)
