"""From configs and from directories to modules and weights, and what is refused on the way."""

import json
import logging
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.models import Jukebox, Stage
from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.prior import Prior
from jukebox_jax.vqvae import vqvae
from jukebox_jax.vqvae.vqvae import VQVAE, Codebook

CODEC = {
    "stage": {"kind": "vqvae", "rate": 8000},
    "model": {
        "downs": [1, 1],
        "strides": [2, 2],
        "multipliers": [1, 1],
        "bins": 16,
        "code_width": 4,
        "width": 4,
        "depth": 1,
    },
}
ABOVE = {"kind": "codes", "bins": 16, "width": 4, "depth": 1, "downs": 1}


def prior_config(level: int, **model: Any) -> dict[str, Any]:
    fields = {"context": 32, "block": 8, "bins": 16, "width": 16, "layout": [[["row"], 2]]}
    signals: dict[str, Any] = {"artist": {"kind": "label", "size": 5}}
    if level == 0:
        signals["above"] = ABOVE
    return {
        "stage": {"kind": "prior", "rate": 8000, "level": level, "vqvae": "codec"},
        "model": {**fields, **model},
        "signals": signals,
    }


def drawn(shapes: Any) -> Any:
    """Parameters of these shapes, without compiling what would draw them well."""
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype("f"), shapes)


def save_prior(directory: pathlib.Path, config: dict[str, Any], average: bool = False) -> None:
    model = models.build(config)
    assert isinstance(model, Prior)
    params = drawn(prior.abstract(model))
    parts = {"params": params, "codebooks": ()}
    if average:
        parts["average"] = jax.tree.map(lambda leaf: leaf + 1, params)
    names = conditioning.Vocabulary.build(["ann", "bob"])
    checkpoint.save_stage(directory, config, parts, {"artist": names.to_json()})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A VQ-VAE of two levels and their priors, in the folders codec, level_0 and level_1."""
    root = tmp_path_factory.mktemp("trained")
    model = models.build(CODEC)
    assert isinstance(model, VQVAE)
    codes = np.random.default_rng(1).normal(size=(2, 16, 4))
    books = vqvae.codebooks_from(model, tuple(codes), 512)
    parts = {"params": drawn(vqvae.abstract(model)), "codebooks": books}
    checkpoint.save_stage(root / "codec", CODEC, parts)
    save_prior(root / "level_0", prior_config(0))
    save_prior(root / "level_1", prior_config(1), average=True)
    return root


@pytest.fixture
def copied(trained: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(trained, tmp_path / "copied"))


def edit(directory: pathlib.Path, section: str, **values: Any) -> None:
    config = json.loads((directory / "config.json").read_text())
    config.setdefault(section, {}).update(values)
    (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("wrap", [dict, ml_collections.ConfigDict], ids=["dict", "ConfigDict"])
def test_a_config_becomes_its_module(wrap: Any) -> None:
    codec = models.build(wrap(CODEC))
    assert isinstance(codec, VQVAE)
    assert (codec.downs, codec.bins, codec.hops) == ((1, 1), 16, (2, 4))
    model = models.build(wrap(prior_config(0)))
    assert isinstance(model, Prior)
    assert model.layout == ((("row",), 2),)
    assert dict(model.signals) == {
        "artist": conditioning.Label(size=5),
        "above": conditioning.Codes(bins=16, width=4, depth=1, downs=1),
    }
    assert hash(model) == hash(models.build(prior_config(0))), "modules are static arguments"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"stage": {"kind": "vqvea"}}, 'kind = \'vqvea\': it must be "vqvae" or "prior"'),
        ({}, "config.stage.kind = None"),
        ({**CODEC, "model": {"widht": 4}}, r"config\.model\.widht: VQVAE .* mean 'width'\?"),
        ({**CODEC, "model": {"zzz": 4}}, r"config\.model\.zzz: .*; known: downs, strides"),
        ({**CODEC, "model": {"name": "x"}}, r"config\.model\.name"),
        ({**CODEC, "model": {"downs": (1,)}}, "strides"),
        (prior_config(1, signals=()), r"config\.model\.signals: Prior has no such field"),
        (
            {**prior_config(1), "signals": {"artist": {"kind": "labl", "size": 5}}},
            r"config\.signals\.artist\.kind = 'labl'",
        ),
        ({**prior_config(1), "signals": {"artist": {"kind": "label"}}}, "a label needs size"),
    ],
)
def test_a_wrong_config_fails_by_name(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        models.build(config)


def test_a_stage_loads_from_its_directory_alone(trained: pathlib.Path) -> None:
    stage = Stage.load(trained / "codec")
    assert (stage.kind, stage.config["stage"]["rate"]) == ("vqvae", 8000)
    assert [type(book) for book in stage.weights.codebooks] == [Codebook, Codebook]
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(stage.weights))
    audio = jax.random.normal(jax.random.key(2), (1, 16, 1))
    codes = vqvae.encode(stage.model, stage.weights, audio)
    assert [level.shape for level in codes] == [(1, 8), (1, 4)]
    upper = Stage.load(str(trained / "level_1"))
    assert upper.vocabularies["artist"].id("bob") == 2
    assert upper.model == models.build(prior_config(1))


def test_the_average_is_taken_where_there_is_one(trained: pathlib.Path) -> None:
    plain = Stage.load(trained / "level_1", average=False).weights
    jax.tree.map(
        lambda average, leaf: np.testing.assert_allclose(average, leaf + 1, rtol=1e-6),
        Stage.load(trained / "level_1").weights,
        plain,
    )
    Stage.load(trained / "level_0", average=True)


def test_half_precision_stays_half(copied: pathlib.Path) -> None:
    params = Stage.load(copied / "level_1", average=False).weights
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    checkpoint.save_stage(copied / "half", prior_config(1, dtype="bfloat16"), {"params": half})
    loaded = Stage.load(copied / "half")
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.weights)} == {jnp.dtype("bfloat16")}
    assert loaded.vocabularies == {}


def test_a_config_of_another_width_is_told(copied: pathlib.Path) -> None:
    edit(copied / "level_0", "model", width=32)
    with pytest.raises(checkpoint.CheckpointError) as caught:
        Stage.load(copied / "level_0")
    said = str(caught.value)
    assert f"{copied}/level_0/0 was saved with another config: params/" in said
    assert "16" in said and "32" in said and "more" in said
    assert "\n" not in said and len(said) < 600
    edit(copied / "codec", "model", bins=8)
    with pytest.raises(checkpoint.CheckpointError, match=r"codebooks/0/codes is float32\[16, 4\]"):
        Stage.load(copied / "codec")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "config.json is missing: give the directory of a stage"),
        ("{", "config.json cannot be read"),
        ("[1]", "holds no stage"),
        ('{"model_type": "bert"}', "holds no stage: config.stage.kind = None"),
        ('{"stage": {"kind": "prior"}, "model": {"widht": 2}}', "holds no stage: config.model.wi"),
        ('{"stage": {"kind": "prior"}, "model": {"block": 7}}', "holds no stage: context = 8192"),
        (json.dumps(CODEC), "holds no saved step"),
    ],
)
def test_a_foreign_or_half_written_directory_is_told(
    tmp_path: pathlib.Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(checkpoint.CheckpointError, match=said) as caught:
        Stage.load(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_broken_vocabularies_are_told(copied: pathlib.Path) -> None:
    (copied / "level_0" / "vocabularies.json").write_text('{"artist": {"ids": {}}}')
    with pytest.raises(checkpoint.CheckpointError, match="level_0 holds no stage: 'normalise'"):
        Stage.load(copied / "level_0")


@pytest.mark.parametrize("sizes", [None, (2, 2, 2)])
def test_a_jukebox_loads_onto_any_mesh(
    trained: pathlib.Path, sizes: tuple[int, int, int] | None
) -> None:
    mesh = None if sizes is None else sharding.make_mesh(*sizes)
    loaded = Jukebox.load(
        vqvae=trained / "codec", priors=(trained / "level_0", trained / "level_1"), mesh=mesh
    )
    assert (loaded.rate, loaded.hops) == (8000, (2, 4))
    lower, upper = loaded.priors
    assert lower is not None and upper is not None
    if mesh is None:
        assert isinstance(jax.tree.leaves(upper.weights)[0], np.ndarray)
    else:
        expected = sharding.shardings(upper.weights, mesh)
        assert jax.tree.map(lambda leaf: leaf.sharding, upper.weights) == expected
        assert not all(place.is_fully_replicated for place in jax.tree.leaves(expected))
    assert (
        Jukebox.load(vqvae=trained / "codec", priors=(None, trained / "level_1")).priors[0] is None
    )


@pytest.mark.parametrize(
    ("codec", "priors", "said"),
    [
        ("level_1", (), "vqvae: a stage of kind 'prior'; give a VQ-VAE's"),
        ("codec", ("codec",), r"priors\[0\]: a stage of kind 'vqvae', not a prior"),
        ("codec", ("level_1", "level_0"), r"priors\[0\] was trained as level 1: list"),
        ("codec", ("level_0", "level_1", None), "3 priors for a VQ-VAE of 2 levels"),
    ],
)
def test_stages_that_do_not_belong_together_are_refused(
    trained: pathlib.Path, codec: str, priors: tuple[str | None, ...], said: str
) -> None:
    paths = tuple(None if name is None else trained / name for name in priors)
    with pytest.raises(ValueError, match=said):
        Jukebox.load(vqvae=trained / codec, priors=paths)


def test_a_level_may_be_missing(trained: pathlib.Path) -> None:
    loaded = Jukebox.load(vqvae=trained / "codec", priors=(None, trained / "level_1"))
    assert loaded.priors[0] is None


def test_a_prior_of_another_vqvae_is_told_of(
    copied: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the prior's record says whose codes it learnt."""
    paths = {"vqvae": copied / "codec", "priors": (copied / "level_0", copied / "level_1")}
    own = models.identity(Stage.load(copied / "codec"))
    for level, name in enumerate((own, "another")):
        checkpoint.write_json(copied / f"level_{level}", models.DATA, {"vqvae": name})
    with caplog.at_level(logging.WARNING):
        assert [stage.vqvae for stage in Jukebox.load(**paths).priors if stage] == [own, "another"]
    (said,) = caplog.messages
    assert said.startswith("priors[1] learnt the codes of another VQ-VAE")


def test_a_prior_of_other_codes_is_refused(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    save_prior(tmp_path / "other", prior_config(1, bins=8))
    with pytest.raises(ValueError, match=r"priors\[1\] models codes of 8 bins, .* has 16"):
        Jukebox.load(vqvae=trained / "codec", priors=(None, tmp_path / "other"))
