"""One piece of work at a time, in a thread of its own, with its progress, its end and a stop.

What is worked on is known elsewhere: a piece of work is a function that is given `Desk.watch` to
tell of its progress, and that ends early when that says so.
"""

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable

from jukebox_jax.sampling import session
from jukebox_jax.sampling.compose import Progress

log = logging.getLogger(__name__)

Work = Callable[[Callable[[Progress], bool]], None]


@dataclasses.dataclass(frozen=True)
class News:
    """How the work stands.

    Attributes:
      name: of what is worked on, "" where nothing was yet.
      what: what is done, in a few words.
      busy: whether it goes on.
      stopping: whether it was told to stop and has not yet.
      level: which level is drawn; -1 before the first code.
      part: of that level's codes, from 0 to 1.
      left: seconds until the level is complete; not a number where that is not known.
      trouble: why it ended before its time; "" otherwise.
    """

    name: str = ""
    what: str = ""
    busy: bool = False
    stopping: bool = False
    level: int = -1
    part: float = 0.0
    left: float = math.nan
    trouble: str = ""


class Desk:
    """Where one piece of work is done at a time."""

    def __init__(self) -> None:
        """An empty desk."""
        self._lock = threading.Lock()
        self._news = News()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._paced: tuple[int, int, float] | None = None  # level, codes and when

    @property
    def news(self) -> News:
        """How the work stands."""
        return self._news

    def start(self, name: str, what: str, work: Work) -> None:
        """Begins a piece of work.

        Args:
          name: of what is worked on.
          what: what is done, in a few words.
          work: does it. A ValueError or an OSError that it raises is told of in the news.

        Raises:
          ValueError: another piece is not done.
        """
        with self._lock:
            if self._news.busy:
                raise ValueError(f"{self._news.name} is at work: wait for it, or stop it first")
            self._stop.clear()
            self._paced = None
            self._news = News(name, what, busy=True)
            self._thread = threading.Thread(target=self._do, args=(work,), daemon=True)
            self._thread.start()

    def stop(self, wait: float = 0.0) -> None:
        """Asks the work to stop after the codes that are being drawn; it can be gone on with.

        Args:
          wait: seconds to wait for it.
        """
        self._stop.set()
        if self._news.busy:
            self._tell(stopping=True)
        if wait and self._thread is not None:
            self._thread.join(wait)

    def say(self, what: str) -> None:
        """Notes that the work is at something else, of which no progress is told."""
        self._tell(what=what, level=-1, left=math.nan)

    def watch(self, progress: Progress) -> bool:
        """Notes how far a level is; whether to go on."""
        now = time.monotonic()
        if self._paced is None or self._paced[0] != progress.level:
            self._paced = progress.level, progress.drawn, now  # compiling does not count
        fresh, took = progress.drawn - self._paced[1], now - self._paced[2]
        left = (progress.missing - progress.drawn) * took / fresh if fresh else math.nan
        part = progress.drawn / max(progress.missing, 1)
        self._tell(level=progress.level, part=part, left=left)
        return not self._stop.is_set()

    def _do(self, work: Work) -> None:
        trouble = ""
        try:
            work(self.watch)
        except session.Stopped:
            log.info("%s: stopped", self._news.name)
        except (ValueError, OSError) as error:
            trouble = session.line_of(error)
            log.warning("%s: %s", self._news.name, trouble)
        except Exception as error:  # ours to mend: all of it goes to the log
            trouble = f"{type(error).__name__}: {session.line_of(error)}"
            log.exception("%s", self._news.name)
        finally:
            self._tell(busy=False, stopping=False, left=math.nan, trouble=trouble)

    def _tell(self, **changes: object) -> None:
        self._news = dataclasses.replace(self._news, **changes)  # type: ignore[arg-type]
