"""The VQ-VAE as a codec: sound to codes, codes to sound, and how good the round trip is.

    python launch/codec.py encode --vqvae runs/vqvae song.wav codes.npz
    python launch/codec.py decode --vqvae runs/vqvae --level 0 codes.npz again.wav
    python launch/codec.py report --vqvae runs/vqvae song.wav other.flac

A file of any length takes the same memory but for its codes. `report` prints, for each file and
level, the spectral convergence and the scale-invariant signal-to-distortion ratio in dB, the
codes' bits a second (and what is left of them at best, coded one by one), and the part of the
codebook that is used. Other commands read codes.npz too: launch/sample.py --config.codes.
"""

import command
from absl import flags

VQVAE = flags.DEFINE_string("vqvae", None, "The VQ-VAE's directory.", required=True)
LEVEL = flags.DEFINE_integer("level", 0, "Whose codes are decoded; 0 is the finest.")
DETAILS = "codec: give encode SOUND CODES.npz, decode CODES.npz SOUND, or report SOUND ..."


def main() -> None:
    """Encodes, decodes or reports."""
    verb, *files = command.words or [""]
    from jukebox_jax import sharding
    from jukebox_jax.analysis import codec
    from jukebox_jax.audio import wave
    from jukebox_jax.models import Jukebox

    if verb not in ("encode", "decode", "report") or (verb != "report" and len(files) != 2):
        raise ValueError(DETAILS)
    command.keep_compiled_programs()
    sharding.check_numerics()
    stage = Jukebox.load(vqvae=VQVAE.value).vqvae
    if verb == "encode":
        codec.save(files[1], codec.encode(stage, files[0]))
    elif verb == "decode":
        codes = codec.load(files[0])
        wave.save_pieces(
            files[1], codec.decode(stage, codes, LEVEL.value), int(stage.config["stage"]["rate"])
        )
    else:
        print("file\tlevel\tconvergence dB\tSI-SDR dB\tbits/s\tentropy bits/s\tcodebook use")
        for file in files:
            for one in codec.report(stage, file):
                print(
                    f"{file}\t{one.level}\t{one.convergence:.2f}\t{one.si_sdr:.2f}\t{one.bits:.0f}"
                    f"\t{one.entropy:.0f}\t{one.use:.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    command.run("codec", main)
