"""A config is checked by name and by value before any work starts."""

import pathlib
import sys

import pytest

from jukebox_jax import models
from jukebox_jax.training import preparation, settings

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from configs import prior, upsampler, vqvae  # noqa: E402

CONFIGS = {
    **{f"vqvae:{size}": vqvae.get_config(size) for size in ("base", "small", "tiny", "band")},
    **{
        f"prior:{size}": prior.get_config(size)
        for size in "5b 5b_lyrics 1b_lyrics small tiny tiny_lyrics tiny_signals band".split()
    },
    **{
        f"upsampler:{size},level={level}": upsampler.get_config(f"{size},level={level}")
        for size in ("base", "small", "tiny", "band")
        for level in (0, 1)
    },
}


def plain(**changes) -> dict:
    config = {
        "stage": {"kind": "vqvae", "rate": 8000},
        "model": {"downs": (2, 2), "strides": (2, 2)},
        "data": {"source": "songs", "batch": 4, "samples": 4096},
        "run": {"steps": 10},
    }
    for path, value in changes.items():
        section, _, key = path.partition("__")
        config.setdefault(section, {})[key] = value
    return config


def test_a_config_is_typed_and_json() -> None:
    read = settings.read(plain(optimizer__warmup=7, mesh__fsdp=2))
    assert read.optimizer.warmup == 7 and read.mesh.fsdp == 2 and read.data.batch == 4
    assert read.plain["model"]["downs"] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__sorce": "x"}, "config.data.sorce: no such key; did you mean 'source'"),
        ({"optimiser__warmup": 1}, "config.optimiser: no such section; did you mean 'optimizer'"),
        ({"data__source": ""}, "config.data.source is empty: give a folder"),
        ({"data__batch": 0}, "config.data.batch = 0"),
        ({"data__loader": "torch"}, 'config.data.loader = \'torch\': "tf" or "numpy"'),
        ({"run__steps": 0}, "config.run.steps = 0"),
        ({"model__dtype": "float16"}, "'float16': small gradients would be lost in it"),
        ({"run__log_every": -1}, "config.run.log_every = -1"),
        ({"stage__kind": "prior"}, "config.stage.vqvae is empty"),
        ({"optimizer__learning_rate": 0.0}, "config.optimizer.learning_rate = 0.0"),
        ({"optimizer__average_decay": 1.0}, "config.optimizer.average_decay = 1.0"),
        ({"optimizer__moments": "int8"}, "config.optimizer.moments = 'int8'"),
    ],
)
def test_mistakes_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        settings.read(plain(**changes))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_missing_is_named() -> None:
    config = plain()
    del config["run"]
    with pytest.raises(ValueError, match=r"config\.run is missing"):
        settings.read(config)
    config = plain()
    del config["data"]["batch"]
    with pytest.raises(ValueError, match=r"config\.data\.batch is missing"):
        settings.read(config)


def test_due() -> None:
    run = settings.Run(steps=10)
    assert [step for step in range(1, 11) if run.due(4, step)] == [4, 8, 10]
    assert not any(run.due(0, step) for step in range(1, 11))


def test_changed() -> None:
    old, new = plain(data__seed=1), plain(data__seed=2, data__shift=False)
    assert settings.changed(old, new, "data") == [
        "config.data.seed: was 1, is 2",
        "config.data.shift: was None, is False",
    ]
    assert settings.changed(old, new, "model") == []


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_of_every_size_builds(name: str) -> None:
    """By shapes alone, so that the largest costs nothing."""
    import jax

    from jukebox_jax import models
    from jukebox_jax.prior import prior as priors
    from jukebox_jax.vqvae import vqvae as vqvaes

    config = CONFIGS[name].copy_and_resolve_references()
    config.data.source = config.data.source or "songs"
    read = settings.read(config)
    model = models.build(read.plain)
    shapes = (priors if read.stage.kind == "prior" else vqvaes).abstract(model)
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    published = {
        "vqvae:base": 1_485_763,
        "prior:5b": 5_060_452_800,
        "prior:5b_lyrics": 5_640_506_800,
        "upsampler:base,level=0": 981_298_176,
        "upsampler:base,level=1": 981_298_176,
        "prior:1b_lyrics": 942_643_200,
    }
    if name in published:
        assert count == published[name]
    assert count > 10_000


@pytest.mark.parametrize("get_config", [vqvae.get_config, prior.get_config, upsampler.get_config])
def test_an_unknown_size_is_named(get_config) -> None:
    with pytest.raises(ValueError, match="has no size 'huge'"):
        get_config("huge")


@pytest.mark.parametrize("size", ["base", "small", "tiny", "band"])
def test_the_stages_of_a_size_belong_together(size: str) -> None:
    """Each prior of a size models a level of that size's VQ-VAE, and there is one for each."""
    of_codec = CONFIGS[f"vqvae:{size}"]
    codec, rate = models.build(of_codec.to_dict()), of_codec.stage.rate
    lower = [CONFIGS[f"upsampler:{size},level={level}"] for level in range(codec.levels - 1)]
    names = {"base": "5b 5b_lyrics 1b_lyrics", "tiny": "tiny tiny_lyrics tiny_signals"}
    for name in names.get(size, size).split():
        levels = []
        for config in (*lower, CONFIGS[f"prior:{name}"]):
            config = config.copy_and_resolve_references()
            config.data.source = config.data.source or "songs"
            model, read = models.build(config.to_dict()), settings.read(config)
            preparation.check_level(model, read, codec, rate)
            preparation.check_rates(model, rate)
            levels.append(read.stage.level)
        assert levels == list(range(codec.levels))
