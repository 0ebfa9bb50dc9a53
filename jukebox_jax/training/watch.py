"""Ending a process that would otherwise wait for ever, and hearing that a run is to stop.

Processes of a run wait for one another in each step. Where one is lost or hangs, the others would
hold their machines for nothing: a `Watch` ends a process whose step takes too long, and whatever
started the run starts it again, from its last checkpoint. It knows time and threads, and nothing
of training.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils

log = logging.getLogger(__name__)

TRY_AGAIN = 75
"""The exit status of a process that was ended: the same command goes on."""


class Watch:
    """Ends the process when nothing is finished for too long.

    A context manager; what is awaited is named by calling it. The line that it logs names it too,
    and where the main thread stands.

    Args:
      minutes: how long one thing may take; 0 for any time.
    """

    def __init__(self, minutes: float) -> None:
        self._limit = 60 * minutes
        self._awaited, self._since = "the start", time.monotonic()
        self._ended = threading.Event()
        self._main = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __call__(self, awaited: str) -> None:
        """Says what is awaited from now on; what was before is finished."""
        self._awaited, self._since = awaited, time.monotonic()

    def __enter__(self) -> "Watch":
        self("the start")
        if self._limit:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self._limit / 10)):
            spent = time.monotonic() - self._since
            if spent > self._limit:
                log.error(
                    "process %d has waited %.3g minutes for %s (in %s) and ends; the same command "
                    "goes on from the last checkpoint",
                    jax.process_index(),
                    spent / 60,
                    self._awaited,
                    _place(sys._current_frames().get(self._main)),
                )
                leave()


class Interrupt:
    """Hears SIGTERM, so that the step under way is finished and saved.

    Processes of one run stop after the same step, whichever of them was told.
    """

    def __init__(self) -> None:
        self._told = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        # Of several processes each hears it in JAX, which brings it to the others.
        alone = jax.process_count() == 1
        if alone and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def asked(self, step: int) -> bool:
        """Whether to stop after a step; every process of a run asks at each step."""
        if jax.process_count() == 1:
            return self._told
        return bool(multihost_utils.reached_preemption_sync_point(step))

    def _note(self, *_: object) -> None:
        self._told = True


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends a process of several at once, with one line, when something goes wrong in it.

    An ordinary exit waits for the other processes, which wait for this one. A process that is
    alone is left alone.
    """
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1:
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if isinstance(error, jax.errors.JaxRuntimeError):
            what = "lost another process, or failed"
        else:
            what = "failed"
            if not isinstance(error, (ValueError, OSError)):  # ours, and not hidden
                log.exception("process %d:", jax.process_index())
        log.error("process %d %s, and ends: %s", jax.process_index(), what, reason)
        leave(TRY_AGAIN if isinstance(error, jax.errors.JaxRuntimeError) else 1)


def leave(status: int = TRY_AGAIN) -> None:
    """Ends the process at once, without waiting for others as an ordinary exit would."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _place(frame: Any) -> str:
    """Where a thread stands: the innermost line of this package, or of anything."""
    inner = frame
    while frame is not None and "jukebox_jax" not in frame.f_code.co_filename:
        frame = frame.f_back
    frame = frame or inner
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else "nothing"
