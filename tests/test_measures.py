"""Measures are taken by their names, in the order in which they are asked for."""

import pytest
import singing

from jukebox_jax.evaluation import measures
from jukebox_jax.evaluation.figures import Figure
from jukebox_jax.evaluation.subject import Subject


def test_measures_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: lambda subject, name=name: [Figure(name, "x", 1.0)] for name in "abc"}
    monkeypatch.setattr(measures, "MEASURES", made)
    subject = Subject(singing.jukebox(), ())
    found, refused, _ = measures.take(subject, ["c", "a"])
    assert [one.measure for one in found] == ["c", "a"] and not refused


def test_what_is_refused_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(subject: Subject) -> list[Figure]:
        raise ValueError("there is no prior:\n give one")

    made = {"a": refuse, "b": lambda subject: [Figure("b", "x", 1.0)]}
    monkeypatch.setattr(measures, "MEASURES", made)
    subject = Subject(singing.jukebox(), ())
    found, refused, _ = measures.take(subject, ["a", "b"])
    assert len(found) == 1 and refused == {"a": "there is no prior: give one"}
    with pytest.raises(ValueError, match="nothing could be measured: a: there is no prior"):
        measures.take(subject, ["a"])


def test_a_mistake_in_one_loses_nothing_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(subject: Subject) -> list[Figure]:
        raise IndexError("too many indices")

    made = {"a": lambda subject: [Figure("a", "x", 1.0)], "b": fail}
    monkeypatch.setattr(measures, "MEASURES", made)
    found, refused, (error,) = measures.take(Subject(singing.jukebox(), ()), ["a", "b"])
    assert len(found) == 1 and refused == {"b": "IndexError: too many indices"}
    assert isinstance(error, IndexError)
    with pytest.raises(IndexError):
        measures.take(Subject(singing.jukebox(), ()), ["b"])


def test_unknown_ones_are_told() -> None:
    with pytest.raises(ValueError, match="measure 'lyrcs' is unknown; known: reconstruc"):
        measures.names(["alignment", "lyrcs"])
    with pytest.raises(ValueError, match="no measure is asked for"):
        measures.names([])
