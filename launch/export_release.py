"""Writes a stage's weights under the release's names.

    python launch/export_release.py --stage=stages/level_2 --out=prior_level_2.pth.tar

A name that ends in .safetensors gets safetensors; any other a PyTorch checkpoint, with the
hyperparameters by the release's names, which launch/import_release.py reads back.
"""

import command
from absl import flags

STAGE = flags.DEFINE_string("stage", None, "The stage's directory.", required=True)
OUT = flags.DEFINE_string("out", None, "The file to write.", required=True)


def main() -> None:
    """Exports."""
    from jukebox_jax.models import Stage
    from jukebox_jax.release import description, export
    from jukebox_jax.vqvae.vqvae import VQVAE

    stage = Stage.load(STAGE.value)
    of = stage.config["stage"]
    if isinstance(stage.model, VQVAE):
        hps = description.of_vqvae(stage.model, rate=of["rate"])
    else:
        v3 = getattr(stage.vocabularies.get("artist"), "normalise", "") == "v3"
        hps = description.of_prior(stage.model, of["level"], rate=of["rate"], labels_v3=v3)
        for name in ("layer", "head") if stage.alignment else ():
            hps[f"alignment_{name}"] = stage.alignment[name]
    if OUT.value.endswith(".safetensors"):
        export.save_safetensors(OUT.value, stage.model, stage.weights)
    else:
        export.save_checkpoint(OUT.value, stage.model, stage.weights, hps)


if __name__ == "__main__":
    command.run("export_release", main)
