"""Trains variants of the VQ-VAE and compares them, as the paper's ablations do.

    python launch/ablate.py --config configs/ablations.py:tiny --out ablations

The folder then holds each variant (those of separate levels are stages), figures.json,
figures.html, and spectrograms.png: a held-out song, and what the levels of some variants make of
it, bottom to top. A variant that is finished is not trained again, and a training that was stopped
goes on (the joint variant's begins anew). --config.all.run.steps=400 trains all for longer;
--config.only=full,joint takes some of them.
"""

import copy
import dataclasses
import importlib.util
import json
import logging
import pathlib
import time
from typing import Any

import command
from absl import flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "What to compare.", lock_config=True)
OUT = flags.DEFINE_string("out", "ablations", "The folder; made if missing.")
flags.mark_flag_as_required("config")

LEVELS = ("bottom level", "middle level", "top level")
SHOWN = {  # the rows of the picture, as the paper has them
    "full": "VQ-VAE",
    "without_spectral_loss": "no spectral loss",
    "joint": "joint",
    "opus": "Opus",
    "without_restarts": "no restarts",
    "fewest_codes": "fewest codes",
}


def main() -> None:
    """Trains what is not there yet, measures it, and shows it."""
    from jukebox_jax.audio import song as songs_
    from jukebox_jax.evaluation import ablation, figures, page
    from jukebox_jax.training import settings

    command.keep_compiled_programs()
    config, out = CONFIG.value.to_dict(), pathlib.Path(OUT.value)
    configs = {name: merged(base(config["base"]), config["all"], own)
               for name, own in config["variants"].items()}  # fmt: skip
    every = sorted(configs, key=lambda name: (name != "full", name))
    asked = [name for name in config["only"].split(",") if name] or every
    for name in asked:
        if name not in configs:
            raise ValueError(f"config.only names {name!r}; there are {', '.join(every)}")
        settings.read(configs[name])
    plain = configs[asked[0]]
    rate, data = plain["stage"]["rate"], plain["data"]
    train, held_out = songs_.split(songs_.find(data["source"], rate=rate), data["held_out"])
    sounds = ablation.windows(
        held_out[: config["songs"]], rate, config["seconds"], hops(plain["model"])[-1]
    )
    out.mkdir(parents=True, exist_ok=True)
    results, times = [], []
    for place, name in enumerate(asked, 1):
        begun = time.monotonic()
        found, trained = variant(out / name, name, configs[name], train, sounds)
        results.append(found)
        if trained:
            times.append(time.monotonic() - begun)
            left = sum(times) / len(times) * (len(asked) - place)
            logging.info("%d of %d variants, about %.0f minutes left", place, len(asked), left / 60)
    if config["opus"]:
        results.append(opus(out / "opus", plain, sounds))
    print(*ablation.table(results), sep="\n")
    claims = ablation.compared(results)
    if claims:
        print("", *figures.table(claims), sep="\n", flush=True)
    about = {"steps": plain["run"]["steps"], "rate": rate, "source": data["source"]}
    about |= {"songs": len(sounds), "seconds of each": len(sounds[0]) / rate}
    told = ablation.all_figures(results)
    figures.write(out / "figures.json", told, about)
    page.write(out / "figures.html", told, about)
    picture(out, [one.name for one in results], sounds[0], rate)


def base(size: str) -> dict[str, Any]:
    """A config of configs/vqvae.py."""
    file = pathlib.Path(__file__).resolve().parent.parent / "configs" / "vqvae.py"
    spec = importlib.util.spec_from_file_location("vqvae_config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(size).to_dict()


def merged(*configs: dict[str, Any]) -> dict[str, Any]:
    """Configs over one another, section by section."""
    found: dict[str, Any] = {}
    for config in copy.deepcopy(configs):
        for section, values in config.items():
            found[section] = {**found.get(section, {}), **values}
    return found


def hops(model: dict[str, Any]) -> tuple[int, ...]:
    """Samples a code of each level."""
    from jukebox_jax import models

    return models.build({"stage": {"kind": "vqvae"}, "model": model}).hops


def variant(folder: pathlib.Path, name: str, config: dict, train: Any, sounds: list) -> Any:
    """What is known of a variant, and whether it had to be trained."""
    from jukebox_jax.audio import wave
    from jukebox_jax.evaluation import ablation, opus

    said = json.loads(json.dumps({"config": config, "songs": [len(sounds), len(sounds[0])]}))
    result = folder / "result.json"
    if result.exists():
        kept = json.loads(result.read_text())
        if kept["asked"] == said:
            logging.info("%s is there already", name)
            return ablation.Result.of_json(kept["result"]), False
        raise ValueError(f"{folder} holds a variant of another config: give another --out")
    logging.info("variant %s", name)
    begun, rate, bins = time.monotonic(), config["stage"]["rate"], config["model"]["bins"]
    parameters, coded = trained(folder, name, config, train, sounds)
    took = time.monotonic() - begun
    kbits = opus.nearest(rate, hops(config["model"]), bins)
    found = ablation.measure(name, coded, rate, kbits, bins)
    found = dataclasses.replace(found, parameters=parameters, seconds=took)
    for level, sound in enumerate(coded[0].outputs):
        wave.save(folder / f"level_{level}.wav", sound, rate)
    write(result, {"asked": said, "result": dataclasses.asdict(found)})
    return found, True


def trained(folder: pathlib.Path, name: str, config: dict, train: Any, sounds: list) -> Any:
    """A variant's number of parameters, and the songs that went through it."""
    import jax

    from jukebox_jax import models
    from jukebox_jax.evaluation import ablation
    from jukebox_jax.training import brief, loop

    if name == "joint":
        weights = brief.train_joint(config, train)
        coded = list(ablation.by_joint(models.build(config), weights, sounds))
        folder.mkdir(parents=True, exist_ok=True)
    else:
        loop.train_and_evaluate(config, folder)
        stage = models.Stage.load(folder)
        weights, coded = stage.weights, list(ablation.by_stage(stage, sounds))
    return sum(leaf.size for leaf in jax.tree.leaves(weights.params)), coded


def opus(folder: pathlib.Path, config: dict, sounds: list) -> Any:
    """The codec at the bitrates of the levels of a config."""
    from jukebox_jax.audio import wave
    from jukebox_jax.evaluation import ablation
    from jukebox_jax.evaluation import opus as codec
    from jukebox_jax.evaluation.reconstruction import Coded

    rate, model = config["stage"]["rate"], config["model"]
    wanted = codec.nearest(rate, hops(model), model["bins"])
    made = [codec.code(sounds, rate, one) for one in wanted]
    coded = [Coded(sound, [way[0][at] for way in made]) for at, sound in enumerate(sounds)]
    for level, sound in enumerate(coded[0].outputs):
        wave.save(folder / f"level_{level}.wav", sound, rate)
    return ablation.measure("opus", coded, rate, [kbits for _, kbits in made])


def picture(out: pathlib.Path, names: list[str], sound: Any, rate: int) -> None:
    """Spectrograms of a song and of what became of it, from the sounds beside each result."""
    from jukebox_jax.audio import wave
    from jukebox_jax.report import spectrograms

    wave.save(out / "original.wav", sound, rate)
    count = len(list((out / names[0]).glob("level_*.wav")))
    rows = [("original", [sound] * count)]
    for name, title in SHOWN.items():
        if name in names:
            levels = [wave.load(out / name / f"level_{n}.wav", rate) for n in range(count)]
            rows.append((title, levels))
    titles = LEVELS if count == len(LEVELS) else [f"level {n}" for n in range(count)]
    try:
        spectrograms.draw(out / "spectrograms.png", rows, titles, rate)
        print(f"written: {out / 'figures.json'}, figures.html, spectrograms.png")
    except ValueError as error:
        print(f"written: {out / 'figures.json'}, figures.html; no picture: {error}")


def write(path: pathlib.Path, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    from jukebox_jax.audio import files

    with files.whole(path) as unfinished:
        unfinished.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    command.run("ablate", main)
