"""A document holds what it shows, and nothing that people wrote can get out of it."""

import base64
import hashlib
import json
import re

import pages

from jukebox_jax.page import document
from jukebox_jax.page.document import Blocks

NASTY = [pages.HOSTILE, "<!--<script>", "]]>", "\u2028", "{{data}}", "\ud800", 'a"b\\', "&amp;"]


def test_data_comes_back_as_it_was() -> None:
    data = {"texts": NASTY[:-3] + NASTY[-2:], "none": float("nan"), "deep": [{"x": (1, 2.5)}]}
    text = document.embed(data)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {**data, "none": None, "deep": [{"x": [1, 2.5]}]}
    document.embed(NASTY).encode("utf-8")


def test_a_document_names_its_own_program_and_nothing_else() -> None:
    blocks = Blocks()
    name = blocks.add(b"\x00\xffsound")
    text = document.render("listening", pages.HOSTILE, {"name": pages.HOSTILE}, blocks)
    assert pages.HOSTILE not in text and "{{" not in text
    (style,) = re.findall("<style>(.*?)</style>", text, re.S)
    scripts = re.findall("<script>(.*?)</script>", text, re.S)
    assert len(scripts) == 1
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', text)
    for part in (style, scripts[0]):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    (block,) = re.findall(f'id="{name}">(.*?)</script>', text)
    assert base64.b64decode(block) == b"\x00\xffsound"
    assert blocks.add(b"\x00\xffsound") == name != blocks.add(b"another")
