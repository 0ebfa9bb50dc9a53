"""A page is one file that needs nothing else, whichever folder it is of, and no trouble."""

import os
import pathlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import pages
import pytest

from jukebox_jax.page import page

ROOT = pathlib.Path(__file__).parent.parent
MAKERS = {"session": pages.recording, "stage": pages.training}


class Reader(HTMLParser):
    """Collects the elements of a page, as a browser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("kind", MAKERS)
def test_it_is_one_file_that_refers_to_no_other(tmp_path: pathlib.Path, kind: str) -> None:
    folder = MAKERS[kind](tmp_path / "<b>&amp;")
    file = page.write(folder)
    assert file == folder / "index.html" and not list(folder.glob(".*"))
    text = file.read_text(encoding="utf-8")
    shown = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.S)
    assert "//" not in re.sub(r"(?m)(^|\s)// .*$", "", shown)  # no address, with or without https:
    reader = Reader()
    reader.feed(text)
    assert {tag for tag, _ in reader.found} & {"main", "header", "button", "h1"}
    for tag, attributes in reader.found:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, value)
    assert sum(tag == "img" for tag, _ in reader.found) == 1  # the player's own
    assert pages.HOSTILE not in text and "<title>&lt;b&gt;&amp;amp;" in text


def test_it_is_small(tmp_path: pathlib.Path) -> None:
    """A second of sound at one level takes 8 kB of mp3 and a picture, a third more as text."""
    size = page.write(pages.recording(tmp_path / "out", 4)).stat().st_size
    assert size < 12 * (pages.SECONDS * 8000 + 40_000) * 4 / 3 + 60_000


def test_other_folders_are_refused_in_one_line(tmp_path: pathlib.Path) -> None:
    for folder, message in (
        (tmp_path, "is neither a session's folder (settings.json) nor a stage's directory"),
        (tmp_path / "none", "no such folder"),
        ("gs://bucket/run", "copy it here first"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            page.write(folder)
    made = pages.recording(tmp_path / "out", 1)
    with pytest.raises(ValueError, match="is a folder: give a file"):
        page.write(made, tmp_path)
    assert page.write(made, tmp_path / "a" / "b.html").exists()


def test_an_offer_never_fails(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    page.offer(tmp_path)
    made = pages.recording(tmp_path / "out", 1)
    (made / "level_1" / "item_0.wav").write_text("no sound")
    page.offer(made)
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2 and all("\n" not in record.getMessage() for record in told)
    assert "no page for" in told[1].getMessage() and "item_0.wav" in told[1].getMessage()
    assert not (made / "index.html").exists()


def test_hours_of_sound_become_no_page_by_themselves(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pages.recording(tmp_path / "out", 1)
    monkeypatch.setattr(page, "_MUCH", 100e3)
    page.offer(made)
    assert "its sounds take 0 MB; launch/page.py makes one still" in caplog.text
    assert not (made / "index.html").exists() and page.write(made).exists()


def test_the_command(tmp_path: pathlib.Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess:
        words = [sys.executable, "launch/page.py", *arguments]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
        return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)

    made = pages.recording(tmp_path / "out", 1)
    done = run(str(made), f"--out={tmp_path / 'it.html'}")
    assert done.returncode == 0 and "it.html: 0." in done.stdout, done.stderr
    assert (tmp_path / "it.html").exists() and not (made / "index.html").exists()
    done = run(str(tmp_path))
    assert done.returncode == 1 and done.stderr.strip().startswith("page: "), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
