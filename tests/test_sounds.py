"""A sound in a page is the sound in the file."""

import base64
import io
import pathlib

import numpy as np
import pages
import pytest
import soundfile

from jukebox_jax.audio import wave
from jukebox_jax.page import sounds
from jukebox_jax.page.document import Blocks


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_what_is_played_is_what_was_sampled(tmp_path: pathlib.Path, rate: int) -> None:
    tone = pages.tone(440, 0.5, 0)
    wave.save(tmp_path / "a.wav", tone, rate)
    blocks = Blocks()
    found, audio = sounds.add(blocks, tmp_path / "a.wav")
    assert found.seconds == len(tone) / rate and len(audio) == len(tone)
    text = blocks.html()
    played = base64.b64decode(text.split(f'id="{found.sound}">')[1].split("<")[0])
    heard, at = soundfile.read(io.BytesIO(played), dtype="float32")
    assert at >= 16000 and len(played) < 13_000 * found.seconds + 3000
    assert len(heard) / at == pytest.approx(found.seconds, abs=0.1)
    wanted = wave.load(tmp_path / "a.wav", at)[: len(heard), 0]
    alike = float(wanted @ heard[: len(wanted)] / np.square(wanted).sum())
    assert alike == pytest.approx(0.95, abs=0.02)  # an encoder leaves that much room, at once
