"""The house as it is drawn: imports go down only, one library has one door, files stay small."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "jukebox_jax"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# A room may import the rooms named here, itself, and the two tools of every floor.
BELOW = {
    "audio": set(),
    "vqvae": {"audio"},
    "prior": {"audio", "vqvae"},
    "release": {"audio", "vqvae", "prior"},
    "models": {"audio", "vqvae", "prior"},
    "sampling": {"audio", "vqvae", "prior", "models"},
    "analysis": {"audio", "vqvae", "prior", "models"},
    "training": {"audio", "vqvae", "prior", "models", "sampling"},
    "evaluation": {"audio", "vqvae", "prior", "models", "sampling", "analysis", "training"},
    "report": {"audio", "vqvae", "prior", "models", "sampling"},
    "page": {"audio", "vqvae", "prior", "models", "sampling", "analysis"},
    "studio": {"sampling"},
    "notebook": {"audio", "prior", "models", "sampling", "training", "report"},
    "sharding": set(),
    "checkpoint": set(),
    "": {"audio", "vqvae", "prior", "models", "sampling", "training", "analysis"},
}
TOOLS = {"sharding", "checkpoint"}
DOORS = {
    "tensorflow": {"audio/windows.py", "audio/dataset.py"},
    "tensorflow_datasets": {"audio/dataset.py", "audio/shards.py"},
    "array_record": {"audio/shards.py"},
    "librosa": {"audio/measure.py"},
    "filelock": {"audio/measure.py"},
    "soundfile": {"audio/wave.py"},
    "soxr": {"audio/wave.py"},
    "orbax": {"checkpoint/disk.py"},
    "optax": {"training/optimizer.py"},
    "pickle": {"release/torchfile.py"},
    "matplotlib": {"report/plots.py"},
    "IPython": {"notebook.py"},
    "gradio": {"studio/page.py"},
}
ROOMS_OF = {"clu": {"training"}}
# Those who know what a ConfigDict is; everything below takes plain values.
READS_CONFIG = {"models", "sampling", "training", "report"}


def room(path: pathlib.Path) -> str:
    """The room of a file: its folder, or its own name on the top floor."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: pathlib.Path) -> list[tuple[str, str]]:
    """Each import of a file, wherever it stands, as (module, name)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def label(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=label)
def test_imports_go_down_only(path: pathlib.Path) -> None:
    here = room(path)
    for module, name in imports(path):
        if module.split(".")[0] != "jukebox_jax":
            continue
        full = f"{module}.{name}" if name else module
        there = full.split(".")[1]
        assert there == here or there in BELOW[here] | TOOLS, f"{label(path)} imports {full}"
        assert not any(part.startswith("_") for part in full.split(".")[1:]), (
            f"{label(path)} imports the private name {full}"
        )


@pytest.mark.parametrize("path", FILES, ids=label)
def test_one_library_has_one_door(path: pathlib.Path) -> None:
    for module, _ in imports(path):
        top = module.split(".")[0]
        if top in DOORS:
            assert label(path) in DOORS[top], f"{label(path)} imports {top}"
        if top in ROOMS_OF:
            assert room(path) in ROOMS_OF[top], f"{label(path)} imports {top}"
        if top == "ml_collections":
            assert room(path) in READS_CONFIG, f"{label(path)} imports {top}"
        assert top not in {"configs", "launch", "tests", "torch"}, f"{label(path)} imports {top}"


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_is_short_and_says_what_it_holds(path: pathlib.Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{label(path)} does not say what it holds"
    lines = len(text.splitlines())
    assert lines <= 400, f"{label(path)} has {lines} lines: two nouns live in it"


def test_mesh_axes_are_named_in_one_file() -> None:
    for path in FILES:
        if label(path) == "sharding.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "sharding":
                assert node.attr not in {"make_mesh", "PartitionSpec"}, label(path)


def test_every_file_of_the_package_has_its_test() -> None:
    without = {"__init__", "tasks"}
    names = {path.stem for path in (ROOT / "tests").glob("test_*.py")}
    for path in FILES:
        if path.stem in without:
            continue
        candidates = {f"test_{path.stem}", f"test_{path.parent.name}_{path.stem}"}
        candidates.add(f"test_reference_{path.stem}")
        assert candidates & names, f"no test for {label(path)}: one of {sorted(candidates)}"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=lambda p: p.stem)
def test_configs_are_plain_numbers(path: pathlib.Path) -> None:
    tops = {module.split(".")[0] for module, _ in imports(path)}
    assert tops <= {"ml_collections"}, f"{path.name} imports {tops}"
    assert "launch/" in (ast.get_docstring(ast.parse(path.read_text())) or ""), (
        f"{path.name} does not open with its command"
    )


def test_import_is_light() -> None:
    """Sampling needs no TensorFlow, and importing the package loads no audio library."""
    heavy = "tensorflow tensorflow_datasets librosa soundfile soxr optax clu orbax".split()
    code = (
        "import sys, jukebox_jax\n"
        f"print([m for m in {heavy!r} if m in sys.modules])\n"
        "for name in jukebox_jax.__all__:\n"
        "    if name != 'train_and_evaluate': getattr(jukebox_jax, name)\n"
        "print([m for m in ('tensorflow', 'librosa', 'clu', 'optax') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout


def test_the_project_names_no_machine() -> None:
    """No absolute path of one machine and no registry host in what people read."""
    suffixes = {".py", ".sh", ".md", ".txt", ".toml", ".yaml", ".ipynb"}
    forbidden = ("/" + "work/", "/" + "root/", "pypi" + ".org", "files.python" + "hosted")
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if any(part.startswith((".venv", ".git", ".cache")) for part in inside):
            continue
        if path.suffix in suffixes and path.is_file():
            text = path.read_text(errors="replace")
            for word in forbidden:
                assert word not in text, f"{path.relative_to(ROOT)} names {word}"
