"""The page stands alone, says what the figures say, and escapes what it is given."""

import pathlib
import xml.etree.ElementTree as ElementTree

import browser

from jukebox_jax.evaluation import page
from jukebox_jax.evaluation.figures import Figure

FIGURES = (
    Figure("bits", "level 0: a code", 4.0, "bits", 3.0, 5.0, 8, "<guess> costs 7"),
    Figure("bits", "level 1: a code", 2.0, "bits", 1.0, 2.5, 8),
    Figure("bits", "use", 90.0, "%"),
    Figure("samples", "jumps", float("nan"), "dB"),
)


def test_the_page_says_what_the_figures_say(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "new" / "page.html"
    page.write(file, FIGURES, {"vqvae": "runs/a&b"}, {"labels": "not the band's"})
    text = file.read_text()
    for said in ("3 to 5", "runs/a&amp;b", "&lt;guess&gt; costs 7", "not the band&#x27;s"):
        assert said in text, said
    assert text.count("<svg") == 1 and text.count("<h2>") == 3
    assert "http" not in text and "src=" not in text


def test_it_fits_a_phone(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "page.html"
    long = Figure("bits", "level 0: " + "a code " * 9, 4123.0, "bits", 3.0, 5000.0, 8, "note " * 9)
    about = {"vqvae": "/a/long/path/without/any/place/to/break/it" * 3, "seed": 0}
    page.write(file, [long, *FIGURES], about, {"labels": "x" * 80})
    with (
        browser.chromium() as one,
        browser.opened(one, file.as_uri(), width=320, is_mobile=True) as shown,
    ):
        assert browser.overflow(shown) == 0
        assert shown.evaluate("innerWidth") == 320


def test_intervals_lie_where_their_values_say() -> None:
    """From 0 to 5 bits over the drawing's width."""
    root = ElementTree.fromstring(page.drawing(FIGURES[:2]))
    lines = [one for one in root.iter("line") if one.get("stroke-width")]
    places = [(float(one.get("x1", 0)), float(one.get("x2", 0))) for one in lines]
    zero = float(next(root.iter("line")).get("x1", 0))
    unit = (places[0][1] - zero) / 5
    for (first, last), (low, high) in zip(places, ((3, 5), (1, 2.5)), strict=True):
        assert abs(first - zero - low * unit) < 0.2 and abs(last - zero - high * unit) < 0.2
