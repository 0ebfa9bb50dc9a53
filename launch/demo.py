"""Songs from the small model that comes with the project, or the main job from end to end.

    python launch/demo.py --out demo
    python launch/demo.py --out demo --train [--songs DIR]

--train trains a tiny three-level model and samples with that. Each step is one of the ordinary
commands, printed before it runs, so that what the demo does can be repeated and changed by hand. A
step that is already done is recognised by its own command.
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
TRAIN = flags.DEFINE_bool("train", False, "Train every stage of a tiny model first.")
BEGAN = flags.DEFINE_float("began", None, "When it all began, in seconds since 1970.")
SONGS = flags.DEFINE_string("songs", "", "A folder of songs; by default the procedural band plays.")
SECONDS = flags.DEFINE_float("seconds", None, "Seconds of each new song: 12, or 6 with --train.")

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SHIPPED = ROOT / "jukebox_jax" / "shipped"
ASKED = (  # of the shipped model: who plays what, how fast, and which words when
    {
        "artist": "Velvet Harbor",
        "genre": "blues",
        "beats": {"tempo": 100, "metre": 4},
        "lyrics": "[00:03.00]slow rain falls on the harbor\n[00:06.00]and I sing my blues again\n"
        "[00:09.00]oh my heart is getting harder",
        "total_seconds": 40,
        "seed": 1,
    },
    {
        "artist": "Neon Orchard",
        "genre": "electro",
        "beats": {"tempo": 120, "metre": 4},
        "lyrics": "[00:03.00]hey hey dance in the light\n[00:06.00]every color of the night\n"
        "[00:09.00]hey hey hold me tight",
        "total_seconds": 40,
        "seed": 2,
    },
)


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


def sample(
    title: str, stages: dict[str, pathlib.Path], songs: pathlib.Path, out: pathlib.Path, *more: str
) -> subprocess.Popen:
    """Starts the sampling of songs with stages."""
    priors = [str(stage) for name, stage in sorted(stages.items()) if name != "vqvae"]
    return start(
        title,
        None,
        str(HERE / "sample.py"),
        "--config=configs/sample.py",
        f"--config.vqvae={stages['vqvae']}",
        f"--config.priors={','.join(priors)}",
        f"--config.songs={songs}",
        f"--out={out}",
        *more,
    )


def show(samples: pathlib.Path) -> None:
    """Says where the new songs are."""
    print("   new songs, coarse to fine:")
    for wav in sorted(samples.glob("level_*/item_*.wav"), reverse=True):
        print(f"     {wav}")
    page = samples / "index.html"
    if page.exists():
        print(f"   to listen, compare and choose: {page}")


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
    from jukebox_jax import checkpoint

    print("\n== Results")
    for name, stage in stages.items():
        losses = values(checkpoint.history(stage), "train/loss")
        print(f"   {name}: training loss first {losses[0]:.4g}, last {losses[-1]:.4g}")
    lines = checkpoint.history(stages["vqvae"])
    for level in range(3):
        suffix = f"_l{level + 1}"
        convergence = values(lines, f"evaluate/spectral_convergence{suffix}")
        usage = values(lines, f"evaluate/codebook_use{suffix}")
        if convergence and usage:
            print(
                f"   level {level}: held-out spectral convergence "
                f"{20 * math.log10(convergence[-1]):.1f} dB, codebook use {100 * usage[-1]:.0f} %"
            )
    show(samples)
    print(f"   done in {(time.monotonic() - began) / 60:.1f} minutes")


def play(out: pathlib.Path, seconds: float, began: float) -> None:
    """Samples songs with the shipped model, coarse level first, and says when each is there."""
    out.mkdir(parents=True, exist_ok=True)
    file, samples = out / "songs.jsonl", out / "shipped"
    file.write_text("".join(json.dumps(song) + "\n" for song in ASKED))
    print("\n== Songs asked for")
    for song in ASKED:
        tempo = song["beats"]["tempo"]
        print(f"   {song['artist']}, {song['genre']}, {tempo} beats a minute: {song['lyrics']!r}")
    first = samples / "level_1" / "item_0.wav"
    process = sample(
        f"New songs of {seconds:g} seconds from the shipped model",
        {name: SHIPPED / name for name in ("vqvae", "level_0", "level_1")},
        file,
        samples,
        f"--config.seconds={seconds}",
        "--config.guidance=(3.0,3.0)",
        "--config.temperature=(0.75,0.95)",
    )
    while process.poll() is None and not first.exists():
        time.sleep(0.2)
    if first.exists():
        print(f"\n   first sound after {time.time() - began:.0f} seconds: {first}\n", flush=True)
    finish("Sampling", process)
    print("\n== Results")
    show(samples)
    print(f"   done in {(time.time() - began) / 60:.1f} minutes; to train from scratch: --train")


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
    process = sample(title, stages, file, samples, f"--config.seconds={seconds}")
    finish(title, process)
    summary(stages, samples, began)


def main(_: list[str]) -> None:
    """Runs the demo."""
    out = pathlib.Path(OUT.value).resolve()
    try:
        if TRAIN.value or SONGS.value:
            demo(out, SONGS.value, SECONDS.value or 6.0)
        else:
            play(out, SECONDS.value or 12.0, BEGAN.value or time.time())
    except StepFailed as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    app.run(main)
