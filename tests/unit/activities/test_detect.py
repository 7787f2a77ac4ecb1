"""Which language is a recording in, when nobody said so? A vote over the first windows of speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from temporalio.testing import ActivityEnvironment

from activities.speech import VOTES, Speech
from activities.tasks import DetectTask
from activities.threads import Threads
from tests.unit.services.desk import PLAN, Desk
from tiro.adapters.media.flac import encode, read
from tiro.model.blob import span_audio_key, span_record_key
from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.ports import Samples, Urgency

LEVELS = {"en": 0.2, "de": 0.4, "silence": 0.0}


class Flac:
    """The preparer's part that reads spans."""

    def read(self, flac: bytes) -> Samples:
        return read(flac)


class Ear:
    """Knows a language by its level, as surely as so much of the window's speech is in it."""

    id, model, max_window_s, windows_in_flight = "first", "model_a", 30.0, 1

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        self.asked_s += [len(window) / SAMPLE_RATE_HZ for window in windows]
        return [
            {
                name: float(np.isclose(window, level, atol=0.01).sum() / max(1, (window > 0.1).sum()))
                for name, level in LEVELS.items()
                if level
            }
            for window in windows
        ]


@pytest.fixture
def threads() -> Iterator[Threads]:
    with ThreadPoolExecutor(4) as executor:
        yield Threads(executor)


async def _detected(desk: Desk, threads: Threads, said: Sequence[tuple[str, int]]) -> tuple[str | None, Ear]:
    """The vote on two spans: `said` is (language, seconds), one after the other; the second span is more of the last."""
    await desk.running(await desk.account())
    sound = np.concatenate([np.full(seconds * SAMPLE_RATE_HZ, LEVELS[name], np.float32) for name, seconds in said])
    begin_s, speech = 0.0, []
    for name, seconds in said:
        if name != "silence":
            speech.append((begin_s, begin_s + seconds))
        begin_s += seconds
    more = np.full(150 * SAMPLE_RATE_HZ, LEVELS[said[-1][0]], np.float32)
    spans = [
        (Span(0, 0, 0.0, begin_s, tuple(speech)), sound),
        (Span(1, 0, begin_s, begin_s + 150.0, ((begin_s, begin_s + 150.0),)), more),
    ]
    for span, samples in spans:
        desk.blobs.put(span_record_key("job_1", PLAN, span.index), msgspec.json.encode(span))
        desk.blobs.put(span_audio_key("job_1", PLAN, span.index), encode(samples))
    ear = Ear()
    speech_room = Speech(desk.line, desk.blobs, Flac(), {"first": ear}, threads)  # type: ignore[arg-type, dict-item]
    task = DetectTask("job_1", 1, PLAN, (0, 1), "first")
    return await ActivityEnvironment().run(speech_room.detect, task), ear


@pytest.mark.promise("J6")
@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_recording_in_one_language_is_in_that_of_its_first_thirty_seconds(
    desk: Desk, threads: Threads, language: str
) -> None:
    """Whoever listens to these alone hears the same; nothing else is asked about."""
    found, ear = await _detected(desk, threads, [(language, 90)])
    alone = (await Ear().detect([np.full(30 * SAMPLE_RATE_HZ, LEVELS[language], np.float32)], Urgency("job_1", 1)))[0]
    assert found == max(alone, key=lambda name: alone[name]) == language
    assert ear.asked_s == [30]


@pytest.mark.promise("J6")
@pytest.mark.parametrize("opening", [("en", 20), ("silence", 40)])
async def test_an_opening_decides_nothing(desk: Desk, threads: Threads, opening: tuple[str, int]) -> None:
    """A greeting in another language, or no speech at all in the first thirty seconds."""
    found, ear = await _detected(desk, threads, [opening, ("de", 60)])
    assert found == "de"
    assert len(ear.asked_s) <= 1 + VOTES
    assert max(ear.asked_s) <= 30


@pytest.mark.promise("J6")
@pytest.mark.parametrize("pause_s", [0, 15])
async def test_thirty_seconds_in_one_language_decide_alone(desk: Desk, threads: Threads, pause_s: int) -> None:
    """Whatever is spoken after them, as with whoever listens to these alone."""
    said = [("silence", pause_s)] * (pause_s > 0) + [("de", 30 - pause_s), ("en", 300)]
    found, _ = await _detected(desk, threads, said)
    assert found == "de"
