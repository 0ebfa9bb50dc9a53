"""A headless browser for tests of pages: one that is on the machine, or the tests are skipped.

    @pytest.fixture(scope="module")
    def chromium() -> Iterator[Browser]:
        with browser.chromium() as one:
            yield one

    def test_it(chromium: Browser) -> None:
        with browser.opened(chromium, "file:///...", width=390) as page:
            page.click("text=Play")

A page that logs an error, or throws one, fails the test that opened it; so does one that asks for
anything over a network, unless it is told where it may.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",  # as root there is none
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-dev-shm-usage",
)
HEIGHTS = {390: 844, 1280: 800}


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A Playwright browser; the test is skipped where Playwright or a browser is missing.

    BROWSER_PATH names another executable than those of `NAMES`.
    """
    sync = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"no browser on this machine: none of {', '.join(NAMES)}")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Any, url: str, *, width: int = 1280, allowed: tuple[str, ...] = (), **options: Any
) -> Iterator[Any]:
    """A page at an address, in a fresh session of the browser.

    Args:
      browser: of `chromium`.
      url: file://... or that of a server of the test.
      width: of the window in pixels; 390 is a phone that is touched.
      allowed: beginnings of addresses that the page may ask for, besides its own and blob: and
        data:.
      options: of Playwright's `new_context`, as color_scheme="dark".
    """
    size = {"width": width, "height": HEIGHTS.get(width, 800)}
    context = browser.new_context(viewport=size, has_touch=width < 600, **options)
    wrong: list[str] = []
    own = (url.split("#")[0], "blob:", "data:", *allowed)
    try:
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: wrong.append(f"threw {error}"))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.on("dialog", lambda dialog: (wrong.append("opened a dialog"), dialog.dismiss()))
        page.on("request", lambda asked: asked.url.startswith(own) or wrong.append(asked.url))
        page.goto(url)
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def overflow(page: Any) -> int:
    """By how many pixels a page is wider than its window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def until(page: Any, expression: str, seconds: float = 10.0) -> None:
    """Waits until an expression of JavaScript is true, on pages that forbid `eval` too."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"() => Boolean({expression})"):
        assert time.monotonic() < end, f"not so after {seconds} s: {expression}"
        page.wait_for_timeout(20)
