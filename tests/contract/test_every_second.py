"""Noise and speech: what is heard more when every second is, and what is not made up?"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from activities.hearing import hear
from tests.media_builder import RATE_HZ, dialogue, noise, silence, wav
from tiro.adapters.engines.pocketsphinx import PocketsphinxEngine
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.media import MediaLimits, MediaProbe
from tiro.model.speech import EngineOptions, HeardSegment, Part
from tiro.ports import Engine, PreparedEnd, PreparedSpan, Urgency

LIMITS = MediaLimits(max_duration_s=600, max_bytes=1 << 30)
TALK_S = (12.0, 20.0)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = PocketsphinxEngine(replicas=1)
    await made.start()
    yield made
    await made.stop()


def _prepared(folder: Path) -> PreparedSpan:
    """12 s of noise, 8 s of talk, silence, noise again: one span, cut with ears for speech."""
    talk = dialogue().sum(axis=0)[: 8 * RATE_HZ].clip(-1, 1)
    (folder / "recording").write_bytes(wav(np.concatenate([noise(12, 0.08), talk, silence(2), noise(8, 0.02, seed=3)])))
    preparer = ChildPreparer(span_s=120)
    try:
        probe, span, end = preparer.prepare(folder / "recording", LIMITS, False, threading.Event())
    finally:
        preparer.close()
    assert isinstance(probe, MediaProbe)
    assert isinstance(span, PreparedSpan)
    assert isinstance(end, PreparedEnd)
    return span


def _outside(segments: tuple[HeardSegment, ...]) -> list[str]:
    return [one.text for one in segments if one.end_s < TALK_S[0] or one.start_s > TALK_S[1]]


def _text(part: Part) -> str:
    return " ".join(one.text for one in part.segments)


@pytest.mark.promise("T15")
async def test_every_second_is_heard_and_nothing_is_made_up_in_noise(engine: Engine, tmp_path: Path) -> None:
    """The engine does make words up there, and is sure of them. Ears for speech miss the first word, which is said over the noise's end."""
    span = _prepared(tmp_path)
    options = EngineOptions(language="en")
    speech = await hear(engine, span.span, span.samples, options, Urgency("job_1"))
    everything = await hear(engine, span.span, span.samples, options, Urgency("job_1"), vad=False)
    assert _outside(everything.segments) == _outside(speech.segments) == []
    assert everything.segments[0].start_s < speech.segments[0].start_s
    assert "hello" in _text(everything)
    assert "hello" not in _text(speech)
    assert set(_text(speech).split()) & set(_text(everything).split()) >= {"talking", "writing"}
