"""Pages in a real browser: they play, follow, obey keys, fit a phone, and run nothing foreign."""

from collections.abc import Iterator
from typing import Any

import browser
import pages
import pytest

from jukebox_jax.page import page as pages_


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as one:
        yield one


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a session's page."""
    folder = pages.recording(tmp_path_factory.mktemp("pages") / "out", 3)
    return pages_.write(folder).as_uri()


def playing(page: Any) -> dict[str, Any]:
    """What sounds: the level, its time and whether it runs, as the browser has it."""
    return page.evaluate(
        "() => ({key: player.key, time: player.audio.currentTime, paused: player.audio.paused,"
        " running: [...player.sounds.values()].filter((one) => !one.paused).length})"
    )


def after(page: Any, time: float) -> None:
    """Waits until the sound has come to a time."""
    browser.until(page, f"player.audio.currentTime > {time} && !player.audio.paused")


def share(page: Any) -> float:
    """Where the playhead stands, as a part of the spectrogram's width."""
    view, head = (page.locator(name).bounding_box() for name in ("#view", "#head"))
    return (head["x"] + head["width"] / 2 - view["x"]) / view["width"]


def test_it_plays_and_all_follows(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        assert playing(page)["paused"] and share(page) == pytest.approx(0, abs=0.01)
        assert page.locator("#picture").evaluate("one => one.naturalWidth") == 900
        page.get_by_role("button", name="Play", exact=True).click()
        after(page, 0.3)
        first = playing(page)["time"]
        after(page, first + 0.3)
        page.get_by_role("button", name="Pause", exact=True).click()
        now = playing(page)
        assert now["paused"] and now["running"] == 0
        assert share(page) == pytest.approx(now["time"] / pages.SECONDS, abs=0.02)
        page.locator("#view").click(
            position={"x": 0.26 * page.locator("#view").bounding_box()["width"], "y": 40}
        )
        browser.until(page, "Math.abs(player.audio.currentTime - 0.26 * player.length) < 0.02")
        assert page.locator(".word.now").inner_text() == "two"  # from 0.8 s on
        assert page.locator(".word.sung").all_inner_texts() == ["one", "two"]
        assert page.locator("#view").get_attribute("aria-valuetext") == "0:01.0 of 0:04.0"
        page.get_by_text("four", exact=True).click()
        browser.until(page, "Math.abs(player.audio.currentTime - 2.8) < 0.02")
        assert page.locator(".word.now").inner_text() == "four"


def test_another_level_goes_on_at_the_same_moment(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        page.get_by_role("button", name="Play", exact=True).click()
        for key in "210":
            after(page, 0.5)
            before = playing(page)["time"]
            picture = page.locator("#picture").get_attribute("src")
            page.keyboard.press(key)
            browser.until(
                page,
                f"player.key === '{key}' && !player.audio.paused && player.audio.aim === undefined",
            )
            now = playing(page)
            assert before - 0.05 <= now["time"] < before + 1.0
            assert now["running"] == 1
            assert page.locator("#picture").get_attribute("src") != picture
            pressed = page.locator("#versions button[aria-pressed=true]")
            assert pressed.count() == 1 and pressed.get_attribute("data-key") == key
        page.keyboard.press(" ")
        before = playing(page)
        assert before["paused"]
        page.locator("#versions button").nth(1).click()
        browser.until(page, "player.key === '1' && player.audio.aim === undefined")
        assert playing(page)["time"] == pytest.approx(before["time"], abs=0.01)
        assert playing(page)["paused"]


def test_keys(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        page.keyboard.press("Space")
        after(page, 0.05)
        page.keyboard.press("Space")
        assert playing(page)["paused"]
        page.keyboard.press("Home")
        page.keyboard.press("Shift+ArrowRight")
        browser.until(page, "Math.abs(player.audio.currentTime - 1) < 0.01")
        page.keyboard.press("ArrowLeft")
        browser.until(page, "player.audio.currentTime === 0")
        page.keyboard.press("ArrowDown")
        assert page.locator("#title").inner_text() == "Song 1"
        page.keyboard.press("c")
        assert "Song 1 chosen" in page.locator("#said").inner_text()
        page.locator("#view").focus()
        page.keyboard.press("ArrowRight")
        browser.until(page, "player.time > 3.9")
        # Everything can be reached, shows that it is, and a focused button keeps its own keys.
        seen = set()
        page.evaluate("document.activeElement.blur()")
        for _ in range(40):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert {"view", "play", "open", "choose", "order", "copy", "skip"} <= seen
        page.locator("#play").focus()
        assert (
            page.locator("#play").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        )
        page.keyboard.press("Space")
        assert page.evaluate("player.playing")


def test_choice_is_kept_and_becomes_a_command(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        assert page.locator("#command").is_hidden()
        for number in (2, 0):
            page.get_by_role("button", name=f"Choose song {number}").click()
        page.reload()
        line = page.locator("#line").inner_text()
        assert "launch/take.py pick " in line and " --songs 0,2 --out " in line
        assert page.locator(".song.chosen").count() == 2
        page.get_by_role("button", name="Choose song 0").click()
        assert " --songs 2 " in page.locator("#line").inner_text()
        page.get_by_role("button", name="Copy").click()
        browser.until(page, "document.getElementById('said').textContent.length > 5")


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (320, "dark")]
)
def test_it_fits_and_can_be_read(chromium: Any, listening: str, width: int, scheme: str) -> None:
    with browser.opened(chromium, listening, width=width, color_scheme=scheme) as page:
        assert browser.overflow(page) == 0
        for one in page.locator("details").all():
            one.evaluate("one => { one.open = true; }")
        page.get_by_role("button", name="Choose song 1").click()
        assert browser.overflow(page) == 0
        for box in (one.bounding_box() for one in page.locator("details").all()):
            assert box["x"] >= 16 and box["x"] + box["width"] <= width - 16
        play = page.get_by_role("button", name="Play", exact=True).bounding_box()
        assert play["x"] >= 0 and play["x"] + play["width"] <= width and play["height"] >= 44
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shade = int(paper.split("(")[1].split(",")[0])
        assert (shade > 200) == (scheme == "light")


def test_what_is_told_of_words_and_times_is_so(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = pages.recording(tmp_path_factory.mktemp("plain") / "out", 2, lyrics="plain words")
    with browser.opened(chromium, pages_.write(folder).as_uri()) as page:
        page.locator("#song-1 .open").click()
        assert page.locator("#untimed").inner_text() == "When each word is sung is not known."
        cells = page.locator("#timings tbody tr").first.locator("td").all_inner_texts()
        assert cells == ["1235 s", "62.5", "5"]  # 500 codes, drawn in 100 s


def test_what_people_wrote_is_text(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        page.wait_for_timeout(200)
        assert page.title() == "out · jukebox_jax"
        assert page.locator("img[src='x']").count() == 0
        assert page.get_by_text(pages.HOSTILE).count() == 1


def test_a_screen_reader_finds_its_way(chromium: Any, listening: str) -> None:
    with browser.opened(chromium, listening) as page:
        for role, name in (
            ("main", None),
            ("banner", None),
            ("slider", "Position"),
            ("group", "Level"),
            ("region", "Song 0"),
            ("region", "Songs"),
            ("region", "Lyrics"),
            ("heading", "Song 2"),
        ):
            assert page.get_by_role(role, name=name).count() >= 1, (role, name)
        assert page.locator("#said").get_attribute("aria-live") == "polite"
        nameless = page.locator("button:visible").evaluate_all(
            "all => all.filter((one) => !one.ariaHidden && !one.ariaLabel && !one.innerText).length"
        )
        assert nameless == 0


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a training run's page."""
    return pages_.write(pages.training(tmp_path_factory.mktemp("runs") / "vqvae")).as_uri()


def test_a_run_is_heard_beside_its_original(chromium: Any, training: str) -> None:
    with browser.opened(chromium, training) as page:
        pressed = page.locator("#sounds [aria-pressed=true]")
        assert pressed.all_inner_texts() == ["Song 1", "40", "Original"]
        page.keyboard.press("Space")
        after(page, 0.1)
        before = playing(page)["time"]
        page.keyboard.press("2")
        browser.until(page, "player.key === 'level_0' && !player.audio.paused")
        page.keyboard.press("ArrowUp")
        assert pressed.all_inner_texts() == ["Song 1", "20", "Level 0"]
        after(page, before)
        page.keyboard.press("n")
        assert pressed.all_inner_texts() == ["Song 2", "20", "Level 0"]


def test_curves_can_be_read(chromium: Any, training: str) -> None:
    with browser.opened(chromium, training) as page:
        chart = page.locator("figure").first
        assert chart.locator("h3").inner_text() == "Loss"
        assert chart.locator("td b").all_inner_texts() == ["0.075", "0.0875"]
        chart.locator(".plot").scroll_into_view_if_needed()
        box = chart.locator(".plot").bounding_box()
        page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 50)
        assert chart.locator(".at").inner_text() == "at step 40"
        page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 50)
        assert chart.locator(".at").inner_text().startswith("at step 1")
        page.mouse.move(0, 0)
        chart.locator(".plot").focus()
        for _ in range(20):
            page.keyboard.press("ArrowLeft")
        assert chart.locator("td b").all_inner_texts() == ["0.15", "0.175"]
        assert "Step 20: training 0.15, held out 0.175" in page.locator("#said").inner_text()
        line = chart.locator("path.line").first
        before = line.get_attribute("d")
        page.get_by_role("button", name="Logarithmic").click()
        assert line.get_attribute("d") != before
        assert page.locator("figure svg path.line").count() == 4
        page.locator("#others summary").click()
        assert page.locator("#more-charts svg path.line").count() == 1
        assert page.get_by_text(pages.HOSTILE).count() == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_fits(chromium: Any, training: str, width: int) -> None:
    with browser.opened(chromium, training, width=width) as page:
        for one in page.locator("details").all():
            one.evaluate("one => { one.open = true; }")
        assert browser.overflow(page) == 0
        for box in (one.bounding_box() for one in page.locator("figure, #versions button").all()):
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
