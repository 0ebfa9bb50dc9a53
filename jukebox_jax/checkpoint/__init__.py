"""A stage in, a stage out.

A stage is a directory: `config.json`, `vocabularies.json`, of some priors `alignment.json`, and a
folder for each saved step with its parts (params, average, codebooks, optimizer, data), of which
each loads alone and onto any mesh. `run` writes the steps, `stage` reads them, `disk` knows the
library and what lies where, and `fingerprint` tells whether arrays are those that were saved. No
file here knows a module.
"""

from jukebox_jax.checkpoint.disk import CheckpointError, remote
from jukebox_jax.checkpoint.run import Checkpoints, save_stage
from jukebox_jax.checkpoint.stage import (
    ALIGNMENT,
    CONFIG,
    METRICS,
    VOCABULARIES,
    begun,
    history,
    latest,
    load,
    parts,
    read_json,
    weights_part,
    write_json,
    write_text,
)

__all__ = [
    "ALIGNMENT",
    "CONFIG",
    "METRICS",
    "VOCABULARIES",
    "CheckpointError",
    "Checkpoints",
    "begun",
    "history",
    "latest",
    "load",
    "parts",
    "read_json",
    "remote",
    "save_stage",
    "weights_part",
    "write_json",
    "write_text",
]
