"""What does transcribe leave behind, when it runs once, again, or too late?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from temporalio.testing import ActivityEnvironment

from activities.faults import first_of
from activities.speech import Speech
from activities.tasks import TranscribeTask
from activities.threads import Threads
from tests.unit.services.desk import PLAN, Desk
from tiro.adapters.media.flac import encode, read
from tiro.model.blob import part_key, span_audio_key, span_record_key
from tiro.model.errors import Transient
from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.model.speech import EngineOptions, Heard, HeardSegment, HeardWord, Part
from tiro.ports import Samples, Urgency
from tiro.services.line import Superseded

SPAN = Span(0, 0, 0.0, 20.0, ((1.0, 9.0), (11.0, 19.0)))


class Flac:
    """The preparer's part that reads spans."""

    def read(self, flac: bytes) -> Samples:
        return read(flac)


class Listener:
    """Says one word in the middle of each second that it is asked about, but `deaf` answers of the first calls stay empty."""

    id, model, max_window_s, windows_in_flight = "first", "model_a", 10.0, 1

    def __init__(self, deaf: int = 0) -> None:
        self.calls: list[list[float]] = []
        self._deaf = deaf

    def supports(self, language: str | None, task: str) -> bool:
        return language != "ja"

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        lengths = [len(window) / SAMPLE_RATE_HZ for window in windows]
        self.calls.append(lengths)
        answers = [self._answer(length_s) for length_s in lengths]
        if self._deaf:
            answers[-1], self._deaf = Heard((), "en"), self._deaf - 1
        return answers

    def _answer(self, length_s: float) -> Heard:
        words = tuple(HeardWord(f"w{n}", n + 0.2, n + 0.8, 0.9) for n in range(int(length_s)))
        return Heard(
            (HeardSegment(words[0].start_s, words[-1].end_s, " ".join(w.text for w in words), words, 0.9),), "en"
        )


@pytest.fixture
def threads() -> Iterator[Threads]:
    with ThreadPoolExecutor(4) as executor:
        yield Threads(executor)


async def _begun(desk: Desk) -> None:
    await desk.running(await desk.account())
    sound = np.zeros(int(20 * SAMPLE_RATE_HZ), np.float32)
    desk.blobs.put(span_record_key("job_1", PLAN, 0), msgspec.json.encode(SPAN))
    desk.blobs.put(span_audio_key("job_1", PLAN, 0), encode(sound))


def _task(engine: str = "first") -> TranscribeTask:
    return TranscribeTask(
        job_id="job_1", run=1, plan=PLAN, spans=(0,), engine=engine, accept=("first", "second"), language="en"
    )


def _speech(desk: Desk, engine: Listener, threads: Threads) -> Speech:
    engines = {"first": engine, "second": engine}
    return Speech(desk.line, desk.blobs, Flac(), engines, threads)  # type: ignore[arg-type]


async def test_a_part_that_is_stored_is_counted_and_never_heard_again(desk: Desk, threads: Threads) -> None:
    """Killed between storing and reporting: the next attempt, and the next engine, take what is there."""
    await _begun(desk)
    engine = Listener()
    speech = _speech(desk, engine, threads)
    first = await ActivityEnvironment().run(speech.transcribe, _task())
    stored = desk.blobs.get(part_key("job_1", PLAN, "first", 0))
    again = await ActivityEnvironment().run(speech.transcribe, _task())
    moved_on = await ActivityEnvironment().run(speech.transcribe, _task("second"))
    assert first == again == moved_on
    assert len(engine.calls) == 1
    assert desk.blobs.get(part_key("job_1", PLAN, "first", 0)) == stored
    job = await desk.job()
    assert (job.spans_done, [beat.number for beat in job.pace]) == (1, [1])


async def test_speech_without_words_is_decoded_again_alone(desk: Desk, threads: Threads) -> None:
    """What a batch has dropped comes back, and is not there twice."""
    await _begun(desk)
    engine = Listener(deaf=1)
    await ActivityEnvironment().run(_speech(desk, engine, threads).transcribe, _task())
    part = msgspec.json.decode(desk.blobs.get(part_key("job_1", PLAN, "first", 0)), type=Part)
    assert len(engine.calls) == 2
    assert len(engine.calls[1]) == 1
    words = [word for segment in part.segments for word in segment.words]
    assert [word.start_s for word in words] == sorted({word.start_s for word in words})
    assert part.covered_s == part.speech_s
    assert part.warnings == ()


async def test_speech_that_stays_without_words_is_a_warning(desk: Desk, threads: Threads) -> None:
    """The transcript says that something may be missing."""
    await _begun(desk)
    await ActivityEnvironment().run(_speech(desk, Listener(deaf=9), threads).transcribe, _task())
    part = msgspec.json.decode(desk.blobs.get(part_key("job_1", PLAN, "first", 0)), type=Part)
    assert part.covered_s < part.speech_s
    assert part.warnings == ("speech_without_words",)


class Babbler(Listener):
    """Times that are no numbers; `heard`: how often it answers each question."""

    def __init__(self, heard: int) -> None:
        super().__init__()
        self._heard = heard

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        word = HeardWord("\ud800", math.nan, math.inf, math.nan)
        return [Heard((HeardSegment(math.nan, math.inf, "\ud800", (word,), 0.5),), "en") for _ in windows] * self._heard


async def test_what_an_engine_babbles_is_mended_before_it_is_stored(desk: Desk, threads: Threads) -> None:
    """A part can be read again, whatever was heard."""
    await _begun(desk)
    await ActivityEnvironment().run(_speech(desk, Babbler(1), threads).transcribe, _task())
    part = msgspec.json.decode(desk.blobs.get(part_key("job_1", PLAN, "first", 0)), type=Part)
    assert {(word.text, word.confidence) for segment in part.segments for word in segment.words} == {("\ufffd", 0.0)}


async def test_an_engine_that_answers_more_than_was_asked_has_failed(desk: Desk, threads: Threads) -> None:
    """Nobody knows which answer belongs to which window: nothing is stored, and the next engine may be tried."""
    await _begun(desk)
    with pytest.raises(ExceptionGroup) as failed:
        await ActivityEnvironment().run(_speech(desk, Babbler(2), threads).transcribe, _task())
    told = first_of(failed.value)
    assert isinstance(told, Transient)
    assert told.code == "engine_error"
    assert desk.blobs.head(part_key("job_1", PLAN, "first", 0)) is None


async def test_a_late_writer_removes_what_it_wrote(desk: Desk, threads: Threads) -> None:
    """The job was cancelled while the engine was hearing."""
    await _begun(desk)
    engine = Listener()
    transcribe = engine.transcribe

    async def cancelled_meanwhile(windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        await desk.jobs.cancel("job_1")
        return await transcribe(windows, options, urgency)

    engine.transcribe = cancelled_meanwhile  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as ended:
        await ActivityEnvironment().run(_speech(desk, engine, threads).transcribe, _task())
    assert isinstance(ended.value.exceptions[0], Superseded)
    assert desk.blobs.head(part_key("job_1", PLAN, "first", 0)) is None
