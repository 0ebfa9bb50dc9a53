"""One HTML file that holds all it shows: style, program, data, sounds and pictures.

What people wrote (labels, lyrics, names of folders) is data: it lies in the file as JSON without a
"<", and the program sets it as text. The file forbids itself, by a Content-Security-Policy with
the fingerprints of its own style and program, to run anything else or to ask a network for
anything. Sounds and pictures lie in blocks of base64, which are decoded when they are first needed.
"""

import base64
import hashlib
import html
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Any

_SHARED = "player.js"
_PLACES = re.compile(r"\{\{(\w+)\}\}")


class Blocks:
    """Sounds and pictures of a document, each under a name by which its data speaks of it."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}  # from base64 to name

    def add(self, content: bytes) -> str:
        """Keeps a sound or a picture, the same one once, and returns its name."""
        text = base64.b64encode(content).decode("ascii")
        return self._texts.setdefault(text, f"b{len(self._texts)}")

    def html(self) -> str:
        """All of them, as elements that no browser runs."""
        return "\n".join(
            f'<script type="text/plain" id="{name}">{text}</script>'
            for text, name in self._texts.items()
        )


def render(name: str, title: str, data: Mapping[str, Any], blocks: Blocks) -> str:
    """The text of a document.

    Args:
      name: which: there are {name}.html, its body, and {name}.js, its program.
      title: of the window.
      data: what the program shows; numbers that are not finite become null.
      blocks: the sounds and pictures that it speaks of.
    """
    style = _read("page.css")
    program = f'"use strict";\n{_read(_SHARED)}\n{_read(f"{name}.js")}'
    parts = {
        "title": html.escape(title),
        "style": style,
        "style_hash": _fingerprint(style),
        "program": program,
        "program_hash": _fingerprint(program),
        "body": _filled(_read(f"{name}.html"), {"player": _read("player.html")}),
        "data": embed(data),
        "blocks": blocks.html(),
    }
    return _filled(_read("page.html"), parts)


def embed(data: Any) -> str:
    """JSON that can stand inside of an HTML element, whatever the data says."""
    text = json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair has no UTF-8


def _plain(value: Any) -> Any:
    """The same with null for numbers that are not finite, and text for what JSON has not."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _filled(text: str, parts: Mapping[str, str]) -> str:
    """A text with its places filled, in one pass: what is filled in is not looked through."""
    return _PLACES.sub(lambda found: parts[found[1]], text)


def _fingerprint(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _read(name: str) -> str:
    file = importlib.resources.files("jukebox_jax.page") / "assets" / name
    return file.read_text(encoding="utf-8")
