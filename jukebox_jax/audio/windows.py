"""Songs to batches of windows, in an order that is a pure function of seed, step and host.

Where each window of the endless stream lies is planned without reading anything: an epoch is an
exact permutation of the windows of all songs, and the step number is the whole state, so that any
step can be gone to at once and the number of hosts changes nothing but who reads what. The same
plan feeds `tf.data` and, where TensorFlow is missing, a plain iterator. What a window's labels are
is *given*, as `describe`; nothing here knows of conditioning.
"""

import collections
import concurrent.futures
import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax.audio import wave
from jukebox_jax.audio.order import Plan as Plan
from jukebox_jax.audio.order import plan as plan
from jukebox_jax.audio.song import Song, SongError, Span

log = logging.getLogger(__name__)

Describe = Callable[[Song, Span], Mapping[str, np.ndarray]]
"""From a song and a span of it to its labels, arrays of the same shapes for every window."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """What is read of a window: sound, unless told otherwise.

    Attributes:
      arrays: shape and type of each array, by name.
      read: from a song, a span of it and the left channel's share to the arrays; it may raise
        AudioError, and then another window takes the place.
      grid: windows begin on a multiple of so many samples.
    """

    arrays: Mapping[str, tuple[tuple[int, ...], np.dtype]]
    read: Callable[[Song, Span, float], Mapping[str, np.ndarray]]
    grid: int = 1


_TRIES = 20  # windows tried in place of one that cannot be read
_JUDGED = 40  # reads after which a majority of failures ends the stream


def batches(
    songs: Sequence[Song],
    *,
    rate: int,
    samples: int,
    batch: int,
    describe: Describe,
    seed: int,
    host: tuple[int, int] = (0, 1),
    start_step: int = 0,
    shift: bool = True,
    blend: bool = False,
    threads: int | None = None,
    prefetch: int = 2,
    reader: Reader | None = None,
    failures: list[Exception] | None = None,
) -> Any:
    """Endless batches of windows as a `tf.data.Dataset`.

    Args:
      songs: where windows come from; each is taken as long as it was measured.
      rate: samples a second wanted.
      samples: samples of a window.
      batch: windows of a step, over all hosts.
      describe: labels of a window; asked once for each song before anything is read.
      seed: of order, shifts and blends.
      host: (this host, hosts). It reads its equal share of each batch's rows, in order.
      start_step: the first step; nothing before it is read.
      shift: move each window by up to half of itself, within its song.
      blend: mix two channels by a random share instead of evenly.
      threads: windows read at a time; by default one for each processor, 16 at most.
      prefetch: batches read ahead.
      reader: what is read of each window; mono sound by default.
      failures: what stops the reading is added to it, since TensorFlow keeps only its text.

    Returns:
      Elements {"audio": f32[batch / hosts, samples, 1], "labels": {name: [batch / hosts, ...]}},
      or with the reader's arrays in place of the audio.

    Raises:
      SongError: no song is long enough, or batch and hosts do not fit.
    """
    stream = _stream(
        songs, rate, samples, batch, describe, seed, host, start_step, shift, blend, threads, reader
    )
    tf = _tensorflow()
    arrays = stream.reader.arrays
    known = [*arrays.values(), *stream.labels.values()]

    def read(index: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            heard, labels = stream.read(int(index))
        except Exception as error:  # of which TensorFlow keeps only the text
            if failures is not None:
                failures.append(error)
            raise
        return *heard.values(), *labels.values()

    def element(index: Any) -> dict[str, Any]:
        kinds = [tf.as_dtype(dtype) for _, dtype in known]
        values = tf.numpy_function(read, [index], kinds, stateful=False)
        for value, (shape, _) in zip(values, known, strict=True):
            value.set_shape(shape)
        heard = dict(zip(arrays, values[: len(arrays)], strict=True))
        return heard | {"labels": dict(zip(stream.labels, values[len(arrays) :], strict=True))}

    def rows(step: Any) -> Any:
        first = step * batch + host[0] * stream.rows
        return tf.data.Dataset.range(first, first + stream.rows)

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max // batch)
    windows = steps.flat_map(rows).map(
        element, num_parallel_calls=stream.threads, deterministic=True
    )
    return windows.batch(stream.rows, drop_remainder=True).prefetch(prefetch)


def tf_batches(songs: Sequence[Song], **how: Any) -> Iterator[dict[str, Any]]:
    """The batches of `batches` as numpy arrays, read by TensorFlow.

    Arguments and elements are those of `batches`. What stops the reading is raised as it is, and
    not as TensorFlow's error about it.

    Raises:
      SongError: no song is long enough, or batch and hosts do not fit.
      AudioError: while iterating, where too many windows cannot be read.
    """
    failures: list[Exception] = []
    dataset = batches(songs, **how, failures=failures)

    def iterate() -> Iterator[dict[str, Any]]:
        try:
            yield from dataset.as_numpy_iterator()
        except _tensorflow().errors.OpError:
            if not failures:
                raise
            raise failures[0] from None

    return iterate()


def numpy_batches(
    songs: Sequence[Song],
    *,
    rate: int,
    samples: int,
    batch: int,
    describe: Describe,
    seed: int,
    host: tuple[int, int] = (0, 1),
    start_step: int = 0,
    shift: bool = True,
    blend: bool = False,
    threads: int | None = None,
    prefetch: int = 2,
    reader: Reader | None = None,
) -> Iterator[dict[str, Any]]:
    """The batches of `batches`, the same to the last bit, without TensorFlow.

    Arguments and elements are those of `batches`; elements are numpy arrays.

    Raises:
      SongError: no song is long enough, or batch and hosts do not fit.
      AudioError: while iterating, where too many windows cannot be read.
    """
    stream = _stream(
        songs, rate, samples, batch, describe, seed, host, start_step, shift, blend, threads, reader
    )

    def iterate() -> Iterator[dict[str, Any]]:
        pool = concurrent.futures.ThreadPoolExecutor(stream.threads, "windows")
        ahead: collections.deque = collections.deque()
        step = start_step
        try:
            while True:
                while len(ahead) < 1 + prefetch:
                    first = step * batch + host[0] * stream.rows
                    ahead.append([pool.submit(stream.read, first + n) for n in range(stream.rows)])
                    step += 1
                read = [row.result() for row in ahead.popleft()]
                labels = {
                    name: np.stack([labels[name] for _, labels in read]) for name in stream.labels
                }
                heard = {
                    name: np.stack([heard[name] for heard, _ in read])
                    for name in stream.reader.arrays
                }
                yield heard | {"labels": labels}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    return iterate()


@dataclasses.dataclass(frozen=True)
class _Stream:
    """What both kinds of batches share: the plan, and how a window of it is read."""

    songs: Sequence[Song]
    reader: Reader
    plan: Plan
    describe: Describe
    labels: Mapping[str, tuple[tuple[int, ...], np.dtype]]
    rows: int
    threads: int
    outcomes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    named: set[str] = dataclasses.field(default_factory=set)
    lock: Any = dataclasses.field(default_factory=threading.Lock)

    def read(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The window's arrays and labels, or the next one's that can be read."""
        for tried in range(index, index + _TRIES):
            which, span, left = self.plan(tried)
            song = self.songs[which]
            try:
                found = self.reader.read(song, span, left)
            except wave.AudioError as error:
                self._note(song, error)
            else:
                self._note(song, None)
                heard = {name: found[name] for name in self.reader.arrays}
                return heard, _described(self.describe, song, span, self.labels)
        raise wave.AudioError(
            f"{_TRIES} windows in a row cannot be read, the last of {song.path}; see the log, mend "
            "the songs, and go on from the last checkpoint"
        )

    def _note(self, song: Song, error: wave.AudioError | None) -> None:
        """Counts reads, logs each bad song once, and gives up where most reads fail."""
        with self.lock:
            self.outcomes["good" if error is None else "bad"] += 1
            good, bad = self.outcomes["good"], self.outcomes["bad"]
            if error is None:
                return
            new = song.path not in self.named
            self.named.add(song.path)
        if new:
            log.warning("%s; another window takes its place", error)
        if good + bad >= _JUDGED and bad > good:
            raise wave.AudioError(f"{bad} of {good + bad} windows cannot be read; last: {error}")


def _stream(
    songs: Sequence[Song],
    rate: int,
    samples: int,
    batch: int,
    describe: Describe,
    seed: int,
    host: tuple[int, int],
    start_step: int,
    shift: bool,
    blend: bool,
    threads: int | None,
    reader: Reader | None,
) -> _Stream:
    index, hosts = host
    if not 0 <= index < hosts:
        raise SongError(f"host={host}: give (this host, hosts), counted from 0")
    if batch < 1 or batch % hosts:
        raise SongError(f"batch={batch} is not a multiple of {hosts} hosts; make it one")
    if start_step < 0:
        raise SongError(f"start_step={start_step} lies before the first step")
    reader = reader or _sound(rate, samples)
    planned = plan(
        [song.length(rate) for song in songs],
        samples=samples,
        seed=seed,
        shift=shift,
        blend=blend,
        grid=reader.grid,
    )
    shortest = -(-samples // reader.grid) * reader.grid
    useful = [song for song in songs if song.length(rate) >= shortest]
    if len(useful) < len(songs):
        log.warning("%d songs are shorter than a window", len(songs) - len(useful))
    labels: dict[str, tuple[tuple[int, ...], np.dtype]] | None = None
    for song in useful:  # so that a label at fault is found before the first step
        span = Span(0, samples, song.length(rate))
        if labels is None:
            first = {name: np.asarray(value) for name, value in describe(song, span).items()}
            labels = {name: (value.shape, value.dtype) for name, value in first.items()}
        else:
            _described(describe, song, span, labels)
    return _Stream(
        tuple(songs),
        reader,
        planned,
        describe,
        labels or {},
        batch // hosts,
        threads or min(16, os.cpu_count() or 1),
    )


def _described(
    describe: Describe,
    song: Song,
    span: Span,
    expected: Mapping[str, tuple[tuple[int, ...], np.dtype]],
) -> dict[str, np.ndarray]:
    values = {name: np.asarray(value) for name, value in describe(song, span).items()}
    shapes = {name: (value.shape, value.dtype) for name, value in values.items()}
    if shapes != expected:
        raise SongError(f"{song.path}: labels {shapes} differ from the first song's {expected}")
    return {name: values[name] for name in expected}


def _sound(rate: int, samples: int) -> Reader:
    """The reader of sound in mono."""

    def read(song: Song, span: Span, left: float) -> dict[str, np.ndarray]:
        sound = load(song, rate, span.start, span.length)
        return {"audio": wave.mono(sound, left, name=song.path)}

    return Reader({"audio": ((samples, 1), np.dtype(np.float32))}, read)


def load(song: Song, rate: int, start: int = 0, samples: int | None = None) -> np.ndarray:
    """A slice of a song, be it a file or a record; see `wave.load`."""
    if song.path.startswith("tfds:"):
        from jukebox_jax.audio import dataset

        return dataset.load(song, rate, start, samples)
    return wave.load(song.path, rate, start, samples)


def _tensorflow() -> Any:
    """TensorFlow, without its hands on the accelerator."""
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:  # someone has used it already; what they see is theirs to say
        log.warning("TensorFlow was in use before; it may hold memory of the accelerator")
    return tf
