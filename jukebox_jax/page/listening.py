"""What a listening page shows of a session's folder: songs, their words, and how they compare.

Everything comes from the folder alone: settings.json, the sounds and lyrics of each level,
scores.json and take.json where they are. No stage is loaded, so that what is measured here of songs
that `take.py score` has not measured is what can be heard; of the priors, if they are still there,
the configs are read.
"""

import dataclasses
import json
import logging
import math
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jukebox_jax import checkpoint
from jukebox_jax.page import sounds
from jukebox_jax.page.document import Blocks
from jukebox_jax.prior import timed
from jukebox_jax.prior.lyrics import LabelError, Lyric
from jukebox_jax.sampling import request, scores, session, takes, timings, tree
from jukebox_jax.sampling.scores import Scores

log = logging.getLogger(__name__)

_ITEM = re.compile(r"item_(\d+)\.wav")
_LYRICS = (".json", ".lrc", ".srt")  # of what `alignment` writes, the finest times first
_FULL = 32766 / 32768  # from where a sample of 16 bits counts as beyond full scale


def page(folder: pathlib.Path, blocks: Blocks) -> dict[str, Any]:
    """What the page's program is given.

    Args:
      folder: of a session.
      blocks: where sounds and pictures go.

    Raises:
      ValueError: the folder holds no session, or no sound yet; in its kinds AudioError.
    """
    said = session.settings(folder)
    levels = _levels(folder)
    if not levels:
        raise ValueError(f"{folder}: no level has sounds yet; go on with --resume {folder}")
    codes = request.read_codes(folder) if (folder / session.CODES).exists() else {}
    songs, measured = [], []
    for number, labels in enumerate(said["songs"]):
        found = {level: files[number] for level, files in levels.items() if number in files}
        added = {level: sounds.add(blocks, file) for level, file in sorted(found.items())}
        finest = added[min(added)][1] if added else np.zeros(1, np.float32)
        lowest = codes.get(min(added, default=0), np.zeros((0, 0), np.int32))
        hop = said["hops"][min(added, default=0)]
        measured.append(_heard(lowest[number : number + 1], hop, finest, said["rate"]))
        words, text = _lyrics(folder, number, list(levels), labels)
        songs.append(
            {
                "number": number,
                "labels": _labels(labels),
                "seed": labels.get("seed"),
                "sounds": {level: dataclasses.asdict(sound) for level, (sound, _) in added.items()},
                "words": words,
                "text": text,
            }
        )
    level, measures = _scores(folder, len(songs)) or (min(levels), measured)
    ranked = scores.rank(measures)
    for number, (song, one) in enumerate(zip(songs, measures, strict=True)):
        song["scores"] = dataclasses.asdict(one)
        song["place"] = ranked.index(number) + 1
    return {
        "name": folder.resolve().name,
        "songs": songs,
        "levels": [
            {"level": level, "codes_per_second": round(said["rate"] / said["hops"][level], 1)}
            for level in sorted(levels)
        ],
        "top": len(said["hops"]) - 1,
        "seconds": said["samples"] / said["rate"],
        "rate": said["rate"],
        "scored": {"level": level, "fully": measures is not measured},
        "settings": _settings(said["config"]),
        "versions": said.get("versions", {}),
        "timings": timings.read(folder),
        "attends": any(map(_attends, _priors(said["config"]))),
        "take": _take(folder),
        "key": takes.fingerprint(codes)[f"codes_{max(codes)}"] if codes else folder.resolve().name,
        "pick": [
            f"python launch/take.py pick {shlex.quote(str(folder))} --songs ",
            f" --out {shlex.quote(f'{folder}_chosen')}",
        ],
    }


def _levels(folder: pathlib.Path) -> dict[int, dict[int, pathlib.Path]]:
    """The files of sound by level and song."""
    levels: dict[int, dict[int, pathlib.Path]] = {}
    for file in sorted(folder.glob("level_*/item_*.wav")):
        level, item = re.fullmatch(r"level_(\d+)", file.parent.name), _ITEM.fullmatch(file.name)
        if level and item:
            levels.setdefault(int(level[1]), {})[int(item[1])] = file
    return levels


def _labels(labels: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of labels as text, without those that have places of their own."""
    return [
        (name.replace("_", " "), _text(value))
        for name, value in labels.items()
        if name not in ("lyrics", "lyrics_times", "seed") and value not in (None, "")
    ]


def _settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, _text(value))
        for name, value in config.items()
        if name != "songs" and value not in (None, "", [], ())
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _lyrics(
    folder: pathlib.Path, number: int, levels: Sequence[int], labels: Mapping[str, Any]
) -> tuple[list[dict[str, Any]] | None, str]:
    """Words with their times in the recording, where they are known; and the text."""
    asked = _read(labels, folder)
    for file in (
        folder / f"level_{level}" / f"item_{number}{extension}"
        for level in sorted(levels, reverse=True)
        for extension in _LYRICS
    ):
        if not file.exists():
            continue
        try:
            written = file.read_text(encoding="utf-8")
            lyric = Lyric.read(json.loads(written) if file.suffix == ".json" else written)
        except (OSError, ValueError) as error:
            log.warning("%s: cannot be read (%s)", file, session.line_of(error))
            continue
        if lyric.times:  # of a song whose words are nowhere found the file is empty
            return timed.to_json(lyric.pairs, by="word"), asked.text
    if asked.times is None:
        return None, asked.text
    start = float(labels.get("start_seconds") or 0.0)
    times = ((time - start, one) for time, one in asked.pairs)
    return timed.to_json([pair for pair in times if pair[0] >= 0], by="word"), asked.text


def _priors(config: Mapping[str, Any]) -> list[str]:
    """The directories of a session's priors that are on this machine."""
    told = config.get("priors") or ()
    names = [str(one).strip() for one in (told.split(",") if isinstance(told, str) else told)]
    return [one for one in names if one.strip("- ") and not checkpoint.remote(one)]


def _attends(directory: str) -> bool:
    """Whether a prior attends to lyrics, as an alignment needs it; False where it is not found."""
    try:
        signals = checkpoint.read_json(directory, checkpoint.CONFIG, missing={}).get("signals", {})
        return any(one["kind"] in ("lyrics", "lyrics_prefix") for one in signals.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: cannot be read (%s)", directory, session.line_of(error))
        return False


def _read(labels: Mapping[str, Any], folder: pathlib.Path) -> Lyric:
    try:
        return Lyric.of(labels)
    except (LabelError, ValueError) as error:
        log.warning("%s: lyrics of a song cannot be read (%s)", folder, session.line_of(error))
        return Lyric()


def _heard(codes: np.ndarray, hop: int, sound: np.ndarray, rate: int) -> Scores:
    """The scores of a song that need no stage; codes are i32[1, length], or none."""
    least = max(1, round(scores.LAG * rate / hop))
    return Scores(
        bits_per_code=math.nan,
        repetition=scores.repetition(codes[0], least) if len(codes) else math.nan,
        clipping=float(np.mean(np.abs(sound) >= _FULL)),
        silence=scores.silence(sound, rate),
        loudness=scores.loudness(sound),
        lyrics=math.nan,
    )


def _scores(folder: pathlib.Path, songs: int) -> tuple[int, list[Scores]] | None:
    """The level and the scores of scores.json, in the order of songs; None without such a file."""
    file = folder / tree.SCORES
    if not file.exists():
        return None
    try:
        rows = sorted(json.loads(file.read_text(encoding="utf-8")), key=lambda row: row["song"])
        names = [field.name for field in dataclasses.fields(Scores)]
        found = [
            Scores(**{name: math.nan if row[name] is None else row[name] for name in names})
            for row in rows
        ]
        if [row["song"] for row in rows] != list(range(songs)):
            raise ValueError(f"scores of songs {[row['song'] for row in rows]}")
        return int(rows[0]["level"]), found
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        log.warning("%s: cannot be read (%s)", file, session.line_of(error))
        return None


def _take(folder: pathlib.Path) -> str:
    """How the folder came from others, in one line; "" for one that came from none."""
    file = folder / tree.TAKE
    try:
        record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        if record is None:
            return ""
        given = ", ".join(f"{name} {_text(value)}" for name, value in record["arguments"].items())
        return f"{record['operation']} of {' and '.join(record['parents'])}: {given}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: cannot be read (%s)", file, session.line_of(error))
        return ""
