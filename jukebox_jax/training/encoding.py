"""Songs turned into codes once, so that priors train without hearing or encoding them again.

Each song is encoded as a whole, in pieces that overlap by as much as a code sees, read one after
the other: memory does not grow with a song's length, and any window that begins on a code of the
top level is a slice of every level. What is written, and how the work is shared and taken up
again, is known to `audio.shards`; what the records mean, to `audio.codes`.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jukebox_jax import checkpoint, models, sharding
from jukebox_jax.audio import codes, making, shards, song, wave, windows
from jukebox_jax.audio import measure as measures
from jukebox_jax.audio.song import Song, SongError
from jukebox_jax.vqvae import pieces, vqvae
from jukebox_jax.vqvae.vqvae import VQVAE

_AHEAD = 4  # pieces read while others are computed


def encode(
    stage: str | os.PathLike,
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    files: int | None = None,
    process: tuple[int, int] = (0, 1),
    piece: int = pieces.SAMPLES,
    batch: int | None = None,
    measure: Sequence[str] = (),
    minimum_seconds: float = 0.0,
    devices: Sequence[jax.Device] | None = None,
) -> bool:
    """Encodes the songs of a source, or goes on with it.

    The same call goes on where an earlier one stopped, at any point, and the result is the same
    to the last bit. Songs that cannot be read are logged and left out.

    Args:
      stage: the directory of a trained VQ-VAE.
      source: songs, as for `song.survey`.
      out: the folder of the dataset; made if missing.
      files: how many files hold the codes; by default one for each 64 songs.
      process: (this process, processes), each of which encodes its share of the files.
      piece: audio samples of a song to compute at once, on one device.
      batch: pieces of a song to compute at once; by default one a device.
      measure: labels to measure where songs have none, of `measures.MEASURES`.
      minimum_seconds: shorter songs are left out.
      devices: those to compute on, all of this process by default.

    Returns:
      Whether the dataset is complete; otherwise other processes are at work.

    Raises:
      ValueError: no VQ-VAE's stage, or a measure that is unknown.
      CheckpointError: no stage.
      SongError: no songs, other codes in the folder, or no room for these.
      OSError: the folder cannot be written to, or the disk is full.
    """
    for name in measure:
        if name not in measures.MEASURES:
            known = ", ".join(measures.MEASURES)
            raise ValueError(f"measure={name!r} is unknown; known: {known}")
    config = checkpoint.read_json(stage, checkpoint.CONFIG)
    if (config.get("stage") or {}).get("kind") != "vqvae":
        raise ValueError(f"{stage}: is no VQ-VAE's stage; give the workdir of one")
    if codes.are_in(source):
        raise SongError(f"{source}: holds codes already; give songs as sound")
    below = models.Stage.load(os.fspath(stage))
    model, rate = below.model, int(config["stage"]["rate"])
    assert isinstance(model, VQVAE)
    made = making.begin(
        out,
        codes.NAME,
        lambda kinds: codes.features(model.levels, model.bins, kinds),
        lambda: song.find(source, rate=rate, minimum_seconds=minimum_seconds),
        {
            "source": os.fspath(source),
            "rate": rate,
            "hops": list(model.hops),
            "bins": model.bins,
            "vqvae": models.identity(below),
            "piece": piece,
            "measure": sorted(measure),
            "minimum_seconds": minimum_seconds,
        },
        file=codes.NOTES,
        bytes_a_second=sum(rate / hop for hop in model.hops) * (2 if model.bins <= 1 << 16 else 4),
        shards=files,
        process=process,
        description="Codes of songs, for every level of a VQ-VAE, and the songs' labels.",
    )
    if not made.missing():
        return shards.write(made, lambda one: (), rate=None)
    devices = jax.local_devices() if devices is None else devices
    mesh = sharding.make_mesh(devices=devices)
    weights = sharding.place(below.weights, sharding.replicated(mesh))
    encoder = _Encoder(model, weights, rate, piece, batch or len(devices), mesh)

    return shards.write(
        made, encoder.records, label=functools.partial(measures.fill, names=tuple(measure))
    )


@dataclasses.dataclass(frozen=True)
class _Encoder:
    """Songs to records.

    Attributes:
      model: the VQ-VAE.
      weights: on the mesh.
      rate: audio samples a second.
      piece: audio samples of a piece, at most.
      batch: pieces computed at once.
      mesh: devices that share them.
    """

    model: VQVAE
    weights: Any
    rate: int
    piece: int
    batch: int
    mesh: jax.sharding.Mesh

    def records(self, one: Song) -> Iterator[tuple[dict[str, Any], float]]:
        """The records of a song, each with the share of the song that ends with it.

        Raises:
          AudioError: the song is shorter than a code, or cannot be read.
        """
        top = self.model.hops[-1]
        samples = one.length(self.rate)
        length = samples // top
        if not length:
            raise wave.AudioError(f"{one.path}: {samples} samples are shorter than a code of {top}")
        paces = [top // hop for hop in self.model.hops]
        whole = {"path": one.path, "samples": samples, "rate": self.rate}
        whole["labels"] = json.dumps(dict(one.labels))
        waiting: list[list[np.ndarray]] = [[] for _ in paces]  # codes not yet in a record
        count = start = 0
        for found in self._codes(one, length):
            for parts, part in zip(waiting, found, strict=True):
                parts.append(part)
            count += len(found[-1])
            while count >= codes.STRETCH or (count and start + count == length):
                size = min(codes.STRETCH, count)
                record = {**whole, "start": start * top}
                for level, pace in enumerate(paces):
                    joined = np.concatenate(waiting[level])
                    record[f"codes_{level}"] = joined[: size * pace].astype(
                        np.uint16 if self.model.bins <= 1 << 16 else np.int32
                    )
                    waiting[level] = [joined[size * pace :]]
                start, count = start + size, count - size
                yield record, start / length

    def _codes(self, one: Song, length: int) -> Iterator[list[np.ndarray]]:
        """A song's codes, some at a time: for each level i32[some], side by side all of them."""
        margin = self._margin()
        size = self._size(length, margin)
        laid = pieces.lay(length, size, margin)
        top = self.model.hops[-1]
        with concurrent.futures.ThreadPoolExecutor(_AHEAD, "pieces") as pool:

            def read(part: pieces.Piece) -> np.ndarray:
                return wave.mono(windows.load(one, self.rate, part.start * top, size * top))

            ahead: collections.deque = collections.deque()
            following = iter(laid)
            try:
                for first in range(0, len(laid), self.batch):
                    while len(ahead) < self.batch + _AHEAD:
                        part = next(following, None)
                        if part is None:
                            break
                        ahead.append(pool.submit(read, part))
                    group = laid[first : first + self.batch]
                    audio = [ahead.popleft().result() for _ in group]
                    audio += [audio[-1]] * (self.batch - len(audio))  # one shape, one compilation
                    placed = sharding.place_batch(np.stack(audio), self.mesh)
                    found = jax.device_get(vqvae.encode(self.model, self.weights, placed))
                    for row, part in enumerate(group):
                        keep = [
                            slice((part.first - part.start) * pace, (part.last - part.start) * pace)
                            for pace in (top // hop for hop in self.model.hops)
                        ]
                        yield [level[row, one] for level, one in zip(found, keep, strict=True)]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _margin(self) -> pieces.Margin:
        """What a code of any level sees beyond itself, in codes of the top level."""
        top, before, after = self.model.hops[-1], 0, 0
        for level, hop in enumerate(self.model.hops):
            own = pieces.encoder_margin(*self.model.sizes(level))
            before = max(before, -(-own.before * hop // top))
            after = max(after, -(-own.after * hop // top))
        return pieces.Margin(before, after)

    def _size(self, length: int, margin: pieces.Margin) -> int:
        """Codes of a song's pieces: of few sizes, so that few programs are compiled."""
        least = 2 * (margin.before + margin.after) + 1
        size = max(self.piece // self.model.hops[-1], least)
        while size * self.batch > length and size // 2 >= least:
            size //= 2
        return min(size, length)
