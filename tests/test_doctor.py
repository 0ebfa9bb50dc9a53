"""The doctor finds this machine well, and what is broken or missing with its remedy."""

import pathlib

import pytest

from jukebox_jax.audio import wave
from jukebox_jax.report import doctor


def test_a_machine_that_runs_the_tests_is_well() -> None:
    found = list(doctor.examine())
    assert tuple(one.part for one in found) == doctor.PARTS
    states = {one.part: one.state for one in found}
    assert all(states[part] == doctor.OK for part in doctor.PARTS if part != "extra notebook"), (
        found
    )
    assert sum(one.seconds for one in found) < 120
    assert all(len(doctor.line(one).splitlines()) == 1 for one in found)


def test_what_fails_is_found_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: pathlib.Path, *_: object) -> None:
        raise wave.AudioError(f"{path.suffix}: no such format")

    def ending() -> tuple[str, str]:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(wave, "save", broken)
    monkeypatch.setitem(doctor._EXTRAS, "release", ("no_such_module",))
    checks = {name: doctor._CHECKS[name] for name in ("codecs", "extra release", "versions")}
    monkeypatch.setattr(doctor, "_CHECKS", {"sampling": ending, **checks})
    lines = [doctor.line(one) for one in doctor.examine()]
    assert lines[0].startswith("broken   sampling       RuntimeError: out of memory")
    assert "broken" in lines[1] and "pip install -U soundfile" in lines[1]
    assert "missing" in lines[2] and "jukebox-jax[release]" in lines[2]
    assert lines[3].startswith("ok       versions")
