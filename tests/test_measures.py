"""Measures are taken by their names, in the order in which they are asked for."""

import pytest
import singing

from jukebox_jax.report import measures
from jukebox_jax.report.figures import Figure
from jukebox_jax.report.subject import Subject


def test_measures_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: lambda subject, name=name: [Figure(name, "x", 1.0)] for name in "abc"}
    monkeypatch.setattr(measures, "MEASURES", made)
    subject = Subject(singing.jukebox(), ())
    assert [one.measure for one in measures.take(subject, ["c", "a"])] == ["c", "a"]


def test_unknown_ones_are_told() -> None:
    with pytest.raises(ValueError, match="measure 'lyrcs' is unknown; known: alignment, lyrics, s"):
        measures.names(["alignment", "lyrcs"])
    with pytest.raises(ValueError, match="no measure is asked for"):
        measures.names([])
