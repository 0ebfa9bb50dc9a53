"""The small priors of the 2020 release compute here what they computed there.

Labels, conditioning, logits, both losses, gradients and the attention to lyrics.
"""

import functools
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jukebox_jax.audio.song import Song, Span
from jukebox_jax.prior import conditioning, prior
from jukebox_jax.prior.conditioning import Alphabet, Vocabulary
from jukebox_jax.prior.prior import Prior
from jukebox_jax.release import hyperparameters, torchfile
from jukebox_jax.release import prior as release
from jukebox_jax.vqvae.vqvae import VQVAE

FOLDER = pathlib.Path(__file__).parent / "data" / "reference"
INDEX = json.loads((FOLDER / "index.json").read_text())
NAMES = sorted(name for name in INDEX if name.startswith(("prior_", "upsampler_")))
# Deep stacks of layers whose gradients other models have, in stacks that compile faster.
FORWARD = [f"prior_attn_order_{order}" for order in (7, 8, 10, 11)] + ["prior_lyrics_single_deep"]
SLOW = ("prior_attn_order_10",)  # 79 layers in the order of prior_lyrics_enc_dec
LIMIT = 1e-5  # of the largest value


@functools.cache
def load(name: str) -> tuple[Prior, Any, dict[str, np.ndarray]]:
    """Our module, its parameters, and the release's numbers."""
    vqvae = VQVAE(**hyperparameters.vqvae_fields(INDEX["vqvae"]))
    content = torchfile.load(FOLDER / f"{name}.pth.tar")
    model, params = release.convert(content["model"], content["hps"], vqvae)
    with np.load(FOLDER / f"{name}.npz") as numbers:
        return model, params, dict(numbers)


@functools.cache
def encoded(name: str, start: int) -> dict[str, np.ndarray]:
    """The labels of the two songs of the index, for a window that begins at code `start`."""
    model, fields = load(name)[0], INDEX[name]
    version = "v3" if fields.get("labels_v3") else "v2"
    vocabularies: dict[str, Any] = {"lyrics": Alphabet(version)}
    for label in ("artist", "genre"):
        path = FOLDER / "ids" / f"{version}_{label}_ids.txt"
        vocabularies[label] = Vocabulary.read(path, version)
    hop = (8, 32, 128)[fields["level"]]
    songs = []
    for meta in INDEX["metas"]:
        song = Song("", 0, {key: meta[key] for key in ("artist", "genre", "lyrics")})
        span = Span(meta["offset"] + start * hop, model.context * hop, meta["total_length"])
        songs.append(
            conditioning.encode(
                model.signals, vocabularies, song, span, model.context, allow_unknown=True
            )
        )
    return {key: np.stack([song[key] for song in songs]) for key in songs[0]}


def close(found: Any, expected: np.ndarray, what: str, limit: float = LIMIT) -> None:
    error = np.abs(np.asarray(found, np.float64) - expected).max() / np.abs(expected).max()
    assert error < limit, f"{what}: {error:.1e} of the largest value"


@pytest.mark.parametrize("name", [name for name in NAMES if INDEX[name]["labels"]])
@pytest.mark.parametrize(("key", "start"), [("y", 0), ("y_start_16", 16)])
def test_labels(name: str, key: str, start: int) -> None:
    """Ours by name are the release's vector: lengths, artist, genres, lyric tokens."""
    numbers, labels = load(name)[2], encoded(name, start)
    parts = [labels[part] for part in ("artist", "genre", "lyrics") if part in labels]
    expected = numbers[key][:, 3:] if "timing" not in labels else numbers[key]
    if "timing" in labels:
        parts.insert(0, labels["timing"])
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NAMES],
)
def test_numbers(name: str) -> None:
    model, params, numbers = load(name)
    codes, above = jnp.asarray(numbers["z"]), numbers.get("z_cond")
    labels = encoded(name, 0) if model.signals else {}
    layer = INDEX[name].get("alignment_layer")

    def run(params: Any) -> Any:
        def loss(params: Any) -> Any:
            return prior.loss(model, params, codes, labels, above)

        embedded = prior.condition(model, params, labels, above)
        weights, gradient = None, None
        if layer is not None:
            weights = prior.attention_weights(model, params, codes, embedded, layer)
        if name in FORWARD:
            losses = loss(params)
        else:
            losses, gradient = jax.value_and_grad(loss, has_aux=True)(params)
        rows = prior.logits(model, params, codes, embedded)
        return losses, gradient, embedded, rows, weights

    quick = {"xla_backend_optimization_level": 0}  # to compile
    losses, gradient, embedded, rows, weights = jax.jit(run, compiler_options=quick)(params)
    total, metrics = losses
    close(rows, numbers["logits"][:, -model.context :], "logits")
    close(total, numbers["loss"], "loss")
    close(metrics["bits_per_code"], numbers["gen_loss"], "bits a code")
    if model.lyrics:
        close(metrics["lyric_bits_per_token"], numbers["prime_loss"], "bits a lyric token")
    if gradient is not None:
        squares = [np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(gradient)]
        close(np.sqrt(sum(squares)), numbers["train_grad_norm"], "gradient norm")
        close(gradient["codes"]["embedding"], numbers["train_grad/prior.x_emb.weight"], "gradient")
    for key, found in (
        ("x_cond", embedded.track),
        ("y_cond", embedded.start),
        ("encoder_kv", embedded.memory),
        ("alignment_attention", weights),
    ):
        assert (key in numbers) == (found is not None) or key == "y_cond", key
        if key in numbers:
            close(found, numbers[key], key)
