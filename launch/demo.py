"""The main job, end to end: train a tiny three-level model, then sample new songs with it.

    python launch/demo.py --out demo [--songs DIR]

Each step is one of the ordinary commands, printed before it runs, so that what the demo does can
be repeated and changed by hand. A step that is already done is recognised by its own command.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import time

from absl import app, flags

OUT = flags.DEFINE_string("out", "demo", "Where stages and samples go.")
SONGS = flags.DEFINE_string("songs", "", "A folder of songs; by default the procedural band plays.")
SECONDS = flags.DEFINE_float("seconds", 6.0, "Seconds of each new song.")

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


class StepFailed(Exception):
    """A step ended with a non-zero exit; its own line says why."""


def start(title: str, log: pathlib.Path | None, *arguments: str) -> subprocess.Popen:
    """Prints and starts one of the ordinary commands, its output to a log or to the terminal."""
    shown = " ".join(os.path.relpath(a, ROOT) if a.startswith(str(ROOT)) else a for a in arguments)
    print(f"\n== {title}\n   python {shown}", flush=True)
    command = [sys.executable, *arguments]
    if log is None:
        return subprocess.Popen(command, cwd=ROOT)
    log.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(command, cwd=ROOT, stdout=log.open("w"), stderr=subprocess.STDOUT)


def finish(title: str, process: subprocess.Popen, log: pathlib.Path | None = None) -> None:
    """Waits for a step.

    Raises:
      StepFailed: it ended with a non-zero exit.
    """
    if process.wait():
        tail = "\n" + "".join(log.read_text().splitlines(True)[-5:]) if log else ""
        raise StepFailed(f"{title} ended with exit code {process.returncode}{tail}")


def history(stage: pathlib.Path) -> list[dict]:
    """The lines of a stage's metrics."""
    return [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]


def values(lines: list[dict], key: str) -> list[float]:
    """All values that a metric took, in order."""
    return [line[key] for line in lines if key in line]


def choose_songs(stage: pathlib.Path, file: pathlib.Path, seconds: float) -> None:
    """Asks for new songs of up to two artists and genres that the top prior has met."""
    names = {"artist": [], "genre": []}
    vocabularies = json.loads((stage / "vocabularies.json").read_text())
    for signal in names:
        ids = vocabularies.get(signal, {}).get("ids", {})
        names[signal] = [name for name, number in ids.items() if number > 0]
    lines = []
    for index in range(2):
        song = {"total_seconds": max(30.0, seconds), "seed": index}
        for signal, known in names.items():
            if known:
                song[signal] = known[index * (len(known) - 1) // 1 if len(known) > 1 else 0]
        lines.append(json.dumps(song))
    file.write_text("\n".join(lines) + "\n")
    print("   songs asked for:", *lines, sep="\n     ")


def summary(stages: dict[str, pathlib.Path], samples: pathlib.Path, began: float) -> None:
    """What was learnt, in figures, and where the files are."""
    print("\n== Results")
    for name, stage in stages.items():
        losses = values(history(stage), "train/loss")
        print(f"   {name}: training loss first {losses[0]:.4g}, last {losses[-1]:.4g}")
    lines = history(stages["vqvae"])
    for level in range(3):
        suffix = f"_l{level + 1}"
        convergence = values(lines, f"evaluate/spectral_convergence{suffix}")
        usage = values(lines, f"evaluate/codebook_use{suffix}")
        if convergence and usage:
            print(
                f"   level {level}: held-out spectral convergence "
                f"{20 * math.log10(convergence[-1]):.1f} dB, codebook use {100 * usage[-1]:.0f} %"
            )
    print("   new songs, coarse to fine:")
    for wav in sorted(samples.glob("level_*/item_*.wav"), reverse=True):
        print(f"     {wav}")
    print(f"   done in {(time.monotonic() - began) / 60:.1f} minutes")


def demo(out: pathlib.Path, songs: str, seconds: float) -> None:
    """Trains every stage, samples, and says what came of it."""
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    source = [f"--config.data.source={songs}"] if songs else []
    stages = {name: out / name for name in ("vqvae", "level_2", "level_1", "level_0")}
    train = str(HERE / "train.py")

    def arguments(name: str, config: str, *more: str) -> list[str]:
        return [train, f"--config={config}", f"--workdir={stages[name]}", *source, *more]

    title = "The VQ-VAE: sound to codes at three levels, and back"
    finish(title, start(title, None, *arguments("vqvae", "configs/vqvae.py:tiny")))
    above = [f"--config.stage.vqvae={stages['vqvae']}"]
    plans = {
        "level_2": ("The prior of the coarsest codes", "configs/prior.py:tiny"),
        "level_1": ("The upsampler of level 1", "configs/upsampler.py:tiny,level=1"),
        "level_0": ("The upsampler of level 0", "configs/upsampler.py:tiny,level=0"),
    }
    for name, (title, config) in plans.items():
        finish(title, start(title, None, *arguments(name, config, *above)))

    samples = out / "samples"
    title = f"New songs of {seconds:g} seconds"
    file = out / "songs.jsonl"
    choose_songs(stages["level_2"], file, seconds)
    process = start(
        title,
        None,
        str(HERE / "sample.py"),
        "--config=configs/sample.py",
        f"--config.vqvae={stages['vqvae']}",
        "--config.priors=" + ",".join(str(stages[f"level_{n}"]) for n in range(3)),
        f"--config.songs={file}",
        f"--config.seconds={seconds}",
        f"--out={samples}",
    )
    finish(title, process)
    summary(stages, samples, began)


def main(_: list[str]) -> None:
    """Runs the demo."""
    try:
        demo(pathlib.Path(OUT.value).resolve(), SONGS.value, SECONDS.value)
    except StepFailed as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    app.run(main)
