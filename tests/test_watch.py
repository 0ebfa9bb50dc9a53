"""A process that waits for too long ends, and says what for; one that is alone fails as ever."""

import os
import signal
import threading
import time

import jax
import pytest

from jukebox_jax.training import watch


class Left(Exception):
    """Stands for the end of the process."""


def test_what_takes_too_long_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[float] = []
    monkeypatch.setattr(watch, "leave", lambda: left.append(time.monotonic()))
    began = time.monotonic()
    with watch.Watch(minutes=0.3 / 60) as waiting_for:
        for step in range(4):  # each in time, together longer than one may take
            waiting_for(f"step {step}")
            time.sleep(0.1)
        assert not left
        waiting_for("the songs of step 4")
        while not left and time.monotonic() < began + 10:
            time.sleep(0.01)
    assert left and left[0] - began > 0.7
    line = caplog.records[0].getMessage()
    assert "for the songs of step 4 (in test_watch.py:" in line and "\n" not in line
    assert "the same command goes on" in line


def test_nothing_is_watched_without_a_limit() -> None:
    with watch.Watch(minutes=0) as waiting_for:
        waiting_for("anything")
        assert not any(thread.name == "watch" for thread in threading.enumerate())


def test_sigterm_is_heard_and_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with watch.Interrupt() as interrupt:
        assert not interrupt.asked(1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.asked(2)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no such\nsong"), 1),
        (jax.errors.JaxRuntimeError("Connection reset by peer"), watch.TRY_AGAIN),
    ],
)
def test_one_of_several_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
) -> None:
    def leave(status: int) -> None:
        raise Left(status)

    monkeypatch.setattr(watch, "leave", leave)
    with pytest.raises(type(error)), watch.together():
        raise error  # alone: as ever
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(Left) as left, watch.together():
        raise error
    assert left.value.args == (status,)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("process 0 ") and "\n" not in line
