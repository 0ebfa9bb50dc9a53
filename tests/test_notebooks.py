"""The notebooks run from top to bottom, at the smallest size, one after the other."""

import base64
import json
import os
import pathlib
from typing import Any

import pytest

for _library in ("nbclient", "ipykernel", "matplotlib"):
    pytest.importorskip(_library, reason=f"{_library} is missing: install the extra `notebook`")

import nbclient  # noqa: E402
import nbformat  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
NAMES = ("explore", "sample", "train")
LOADED = "import sys\nprint('TensorFlow:', 'tensorflow' in sys.modules)"
TINY = {
    "vqvae": {
        "model.downs": [4, 2],
        "model.strides": [2, 2],
        "model.multipliers": [1, 1],
        "model.bins": 16,
        "model.width": 4,
        "model.depth": 1,
        "model.multispectral": 0.0,
        "data.samples": 2304,
        "data.held_out": 1,
    },
    "prior": {
        "model.context": 64,
        "model.width": 16,
        "model.bins": 16,
        "model.layout": [[["row", "memory"], 1]],
        "data.held_out": 1,
    },
    "upsampler": {
        "model.context": 64,
        "model.width": 16,
        "model.bins": 16,
        "model.layout": [[["row"], 1]],
        "signals.above.bins": 16,
        "signals.above.width": 4,
        "signals.above.depth": 1,
        "data.held_out": 1,
    },
}


def run(name: str, home: pathlib.Path, **parameters: Any) -> list[Any]:
    """Executes a notebook in a kernel of its own; its cells, with what they showed."""
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(LOADED))
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(ROOT),
        **{f"JUKEBOX_{key.upper()}": str(value) for key, value in parameters.items()},
    }
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(home)}}
    )
    client.execute(env=environment)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(cells: list[Any], kind: str) -> list[str]:
    """All outputs of a kind, as "image/png"; for "text" what was printed."""
    found = []
    for cell in cells:
        for output in cell.outputs:
            if kind == "text" and output.output_type == "stream":
                found.append(output.text)
            elif kind in output.get("data", {}):
                found.append(output.data[kind])
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def trained(home: pathlib.Path) -> list[Any]:
    """The cells of train.ipynb; its stages lie in home / "runs"."""
    parameters = dict(
        songs="band:songs=3,seconds=6", runs="runs", top="tiny_lyrics", steps=2, seconds=0.5
    )
    return run("train", home, changes=json.dumps(TINY), **parameters)


def test_train_ends_with_a_song(home: pathlib.Path, trained: list[Any]) -> None:
    assert "levels at 11025 samples a second" in "".join(shown(trained, "text"))
    assert len(shown(trained, "image/png")) == 1
    for stage in ("vqvae", "level_0", "level_1"):
        assert (home / "runs" / stage / "2").is_dir()
    assert len(list(home.glob("runs/songs/candidates_*_pick_*/level_*/item_0.wav"))) == 2
    assert sum("<audio" in text for text in shown(trained, "text/html")) == 2


def test_sample_needs_no_tensorflow(home: pathlib.Path, trained: list[Any]) -> None:
    cells = run(
        "sample", home, folder="runs", seconds=0.5, count=2, pick=1, out="new", lyrics="oh my"
    )
    assert "lyrics: oh my" in "".join(shown(cells, "text"))
    assert any("bits_per_code" in text for text in shown(cells, "text/markdown"))
    assert sum("<audio" in text for text in shown(cells, "text/html")) == 2 + 2
    assert "TensorFlow: False" in "".join(shown(cells, "text"))
    chosen = next(home.glob("new/candidates_*_pick_*"))
    said = json.loads((chosen / "settings.json").read_text())["songs"]
    assert [song["seed"] for song in said] == [1]


def test_explore_shows_what_each_level_keeps(home: pathlib.Path, trained: list[Any]) -> None:
    cells = run(
        "explore", home, folder="runs", song="band:songs=3,seconds=6", seconds=0.5, context=16
    )
    pictures = shown(cells, "image/png")
    assert len(pictures) == 5  # codes, use, spectrograms, patterns, lyrics
    assert all(base64.b64decode(one).startswith(b"\x89PNG") for one in pictures)
    assert sum("<audio" in text for text in shown(cells, "text/html")) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_clean(name: str) -> None:
    book = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    assert [cell["id"] for cell in book["cells"]] == [
        f"{name}-{index:02d}" for index in range(len(book["cells"]))
    ]
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            assert len(cell["source"]) <= 24, "logic lives in the package"
    nbformat.validate(nbformat.from_dict(book))
