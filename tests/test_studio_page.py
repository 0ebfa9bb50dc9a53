"""The studio in a real browser: ask, hear, pick, upsample, close in the middle, go on."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import browser
import counting
import pytest

from jukebox_jax.sampling import session, stages

pytest.importorskip("gradio", reason="Gradio is missing: install the extra `studio`")

from jukebox_jax.studio import page as page_  # noqa: E402
from jukebox_jax.studio.studio import Studio  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
RATE = 4000  # which a browser plays; the codes do not mind


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as one:
        yield one


TOLD = """
import sys

def look(event, given):
    here = (None, "localhost", "127.0.0.1", "0.0.0.0")
    if event == "socket.getaddrinfo" and given[0] not in here:
        print("asked for", given[0], flush=True)

sys.addaudithook(look)
"""
"""Loaded by Python at its start: says which other machines it looks for."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with stages that draw noise, and nothing else yet."""
    home = tmp_path_factory.mktemp("page")
    (home / "sitecustomize.py").write_text(TOLD)
    counting.save(home / "stages")
    for file in (home / "stages").glob("*/config.json"):
        config = json.loads(file.read_text())
        config["stage"]["rate"] = RATE
        file.write_text(json.dumps(config))
    return home


@contextlib.contextmanager
def opened(home: pathlib.Path, *more: str) -> Iterator[tuple[str, list[str]]]:
    """The studio's command at work: its address, and what it says until it is closed."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / "tests" / ".cache"),
        "PYTHONPATH": f"{home}:{ROOT}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "launch/studio.py", f"--stages={home / 'stages'}", "--port=0"]
    process = subprocess.Popen(
        [*command, f"--runs={home / 'runs'}", "--most_seconds=30", "--most_candidates=4", *more],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("studio at "):
                break
        assert said and said[-1].startswith("studio at "), "".join(said)
        yield said[-1].split()[2].rstrip(","), said
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            rest, _ = process.communicate(timeout=60)
            said.append(rest)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def set_slider(page: Any, label: str, value: float) -> None:
    box = page.get_by_label(f"number input for {label}")
    box.fill(str(value))
    box.press("Tab")


def state(page: Any) -> str:
    return page.locator("#run input").input_value()


def wait_for(page: Any, words: str, seconds: float = 90.0) -> None:
    """Waits until the chosen run's line says some words."""
    browser.until(
        page, f"document.querySelector('#run input')?.value.includes({json.dumps(words)})", seconds
    )


def hear(page: Any, *durations: float) -> None:
    """Waits until the players are of these durations, in seconds."""
    found = "[...document.querySelectorAll('#players audio')].map((one) => one.duration)"
    browser.until(
        page,
        f"JSON.stringify({found}) === {json.dumps(json.dumps(durations, separators=(',', ':')))}",
    )


def test_from_labels_to_a_song_and_on_after_closing(home: pathlib.Path, chromium: Any) -> None:
    with opened(home) as (url, said), browser.opened(chromium, url, allowed=(url,)) as page:
        page.get_by_role("button", name="Generate").wait_for(timeout=30_000)
        page.locator("#field-artist input").click()
        page.get_by_role("option", name="the copper foxes").click()
        set_slider(page, "Candidates", 2)
        set_slider(page, "Seconds of each", 1.5)
        page.get_by_role("button", name="Generate").click()
        wait_for(page, "001 candidates · 2 songs of 1.5 s · finished to level 2")
        hear(page, 1.5, 1.5)
        browser.until(page, "document.body.innerText.includes('first by measures')", 60)
        page.evaluate("document.querySelector('#players audio').play()")  # sound that can be played
        browser.until(page, "document.querySelector('#players audio').currentTime > 0.2")
        page.locator("#songs").get_by_label("song 0").uncheck()
        page.locator("#songs").get_by_label("song 1").check()
        page.get_by_label("level 1", exact=True).first.check()
        page.get_by_role("button", name="Upsample these").click()
        wait_for(page, "002 upsampled · 1 song of 1.5 s · finished to level 1")
        hear(page, 1.5, 1.5)  # of both levels
        set_slider(page, "Seconds of each", 30)
        page.get_by_role("button", name="Generate").click()
        browser.until(page, "document.querySelector('#status progress')", 60)
        page.get_by_role("button", name="Stop").click()
        wait_for(page, "003 candidates · 2 songs of 30.0 s · unfinished")
        player = "document.querySelector('#players audio')"
        browser.until(page, f"{player}?.duration > 0 && {player}.duration < 30")  # what there is
    assert "Traceback" not in "".join(said)
    with opened(home) as (url, said), browser.opened(chromium, url, allowed=(url,)) as page:
        page.get_by_role("button", name="Continue").wait_for(timeout=30_000)
        wait_for(page, "003 candidates")
        page.get_by_role("button", name="Continue").click()
        wait_for(page, "003 candidates · 2 songs of 30.0 s · finished to level 2")
        page.locator("#run input").click()
        page.get_by_role("option", name="001 candidates").click()
        wait_for(page, "001 candidates")
        hear(page, 1.5, 1.5)
        page.get_by_role("button", name="Upsample these").click()
        wait_for(page, "004 upsampled · 1 song of 1.5 s · finished to level 0")
        hear(page, 1.5, 1.5, 1.5)
    assert "Traceback" not in "".join(said) and "asked for" not in "".join(said)
    codes = {path.name for path in (home / "runs").iterdir()}
    assert codes == {"001 candidates", "002 upsampled", "003 candidates", "004 upsampled"}


def test_the_page_fits_its_window_and_says_what_is_wrong(
    home: pathlib.Path, chromium: Any, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "stages").symlink_to(home / "stages")
    config = stages.in_folder(home / "stages").config
    songs = [{"artist": "ada"}, {"artist": "ada"}]
    asked = {**config, "songs": songs, "seconds": 0.1, "levels": [2]}
    session.run(asked, tmp_path / "runs" / "001 candidates")
    with opened(tmp_path, "--host=0.0.0.0") as (url, said):
        for width in (320, 1280):
            with browser.opened(chromium, url, width=width, allowed=(url,)) as page:
                wait_for(page, "001 candidates", 30)
                hear(page, 0.1, 0.1)
                assert browser.overflow(page) <= 0
                page.locator("#songs").get_by_label("song 0").uncheck()
                page.locator("#songs").get_by_label("song 1").uncheck()
                page.get_by_role("button", name="Upsample these").click()
                browser.until(page, "document.querySelector('#answered [role=alert]')")
                assert "no song is chosen" in page.locator("#answered").inner_text()
                assert browser.overflow(page) <= 0
    assert "asks for no password" in "".join(said)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_form_begins_with_names_and_can_be_sent_as_it_is(tmp_path: pathlib.Path) -> None:
    """That of the stages that come along, whose artist and genre may change during a song."""
    found = stages.found("")
    studio = Studio(found, tmp_path)
    form = [page_._input(field, studio) for field in found.fields]
    assert [one.label for one in form[:2]] == ["Artist", "Genre"]
    assert all(one.allow_custom_value and one.value == one.choices[0][1] for one in form[:2])
    filled = {field.name: one.value for field, one in zip(found.fields, form, strict=True)}
    assert stages.labels(found.fields, filled)["artist"] == "Iron Lantern"


def test_the_best_song_is_chosen_once_it_is_known(tmp_path: pathlib.Path) -> None:
    """Unless somebody has chosen meanwhile."""
    studio = Studio(stages.Stages("vqvae", ("prior",), 80, (8,)), tmp_path)
    folder = tmp_path / "001 candidates"
    folder.mkdir()
    config = {"vqvae": "v", "priors": ["a"], "levels": [0]}
    said = {"config": config, "songs": [{}, {}], "samples": 320, "rate": 80, "hops": [8]}
    (folder / "settings.json").write_text(json.dumps(said))

    def looked(before: dict, touched: str = "") -> tuple[Any, dict]:
        shown = page_._refresh(studio, folder.name, before, touched)
        return shown[3].get("value"), shown[-1]

    first, seen = looked({})
    assert first == [0] and looked(seen)[0] is None
    (folder / "scores.json").write_text('[{"song": 1}, {"song": 0}]')
    assert looked(seen, folder.name)[0] is None
    first, seen = looked(seen, "another")
    assert first == [1] and looked(seen)[0] is None


def test_mistakes_are_one_line(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for given, message in (
            ([f"--stages={home / 'stages'}", f"--port={port}"], f"port {port}: cannot be"),
            ([f"--stages={tmp_path}"], "holds no stages"),
            ([f"--vqvae={home / 'stages' / 'level_0'}"], "kind 'prior', not a VQ-VAE"),
        ):
            done = subprocess.run(
                [sys.executable, "launch/studio.py", f"--runs={tmp_path / 'runs'}", *given],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            lines = done.stderr.strip().splitlines()
            assert done.returncode == 1 and "Traceback" not in done.stderr
            assert lines[-1].startswith("studio: ") and message in lines[-1], done.stderr
