"""An engine's answer as the attacker: it is mended where it can be, else the engine has failed and the next one is asked."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media_builder import numbered
from tests.servers.scripted_http import ScriptedHttp, Visit
from tests.unit.render.samples import WORDS, patient
from tiro.adapters.engines.abilities import ENGLISH, Abilities
from tiro.adapters.engines.assemblyai import AssemblyAiEngine
from tiro.adapters.engines.openai import OpenAiEngine
from tiro.model.errors import Transient
from tiro.model.heard import believed
from tiro.model.media import Span, SpanPlan
from tiro.model.merge import merge
from tiro.model.speech import EngineOptions, Heard, HeardSegment, HeardWord, Part
from tiro.model.transcript import Transcript
from tiro.model.windows import place
from tiro.ports import Urgency
from tiro.render import FORMATS

Note = Callable[[str], None]
WINDOW = (100.0, 130.0)
SPAN = Span(0, 0, *WINDOW, speech=(WINDOW,))


def answer(*words: HeardWord, text: str | None = None, confidence: float = 0.5) -> Heard:
    said = " ".join(word.text for word in words) if text is None else text
    first, last = (words[0].start_s, words[-1].end_s) if words else (0.0, 1.0)
    return Heard((HeardSegment(first, last, said, words, confidence),), "en")


def transcribed(heard: Heard) -> Transcript:
    """The way of an answer through a span's part, kept as JSON, to the transcript, kept as JSON."""
    (one,) = believed([heard], [WINDOW])
    part = Part(0, 0, "model", one.language, place(one, WINDOW), 30.0, 30.0)
    stored = msgspec.json.decode(msgspec.json.encode(part), type=Part)
    plan = SpanPlan("plan", "mono", (SPAN,), decoded_s=200.0)
    made = merge(
        "job_1", plan, [stored], None, language="en", language_detected=False, primary_engine="x", fallback=False
    ).whole()
    return msgspec.json.decode(msgspec.json.encode(made), type=Transcript)


def sound(made: Transcript) -> None:
    """Numbers that are numbers, in order, inside the window; files that foreign readers open."""
    words = [word for segment in made.segments for word in segment.words]
    assert not any(0 <= ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for word in words for sign in word.text)
    assert all(0.0 <= word.confidence <= 1.0 for word in words)
    assert all(WINDOW[0] <= word.start_s <= word.end_s <= WINDOW[1] for word in words)
    assert all(before.end_s <= after.start_s for before, after in pairwise(words) if before.start_s != after.start_s)
    for form in FORMATS.values():
        form.render(made)


def word(text: str = "word", start_s: float = 1.0, end_s: float = 2.0, confidence: float = 0.5) -> HeardWord:
    return HeardWord(text, start_s, end_s, confidence)


def hostile(what: str, heard: Heard) -> object:
    return pytest.param(heard, marks=pytest.mark.hostile_input(54, f"an engine's {what}", "mended"), id=what)


@pytest.mark.parametrize(
    "heard",
    [
        hostile("times that are no numbers", answer(word(start_s=math.nan, end_s=math.nan))),
        hostile("times without end", answer(word("a", -math.inf, math.inf), word("word", math.inf, -math.inf))),
        hostile("negative times", answer(word(start_s=-5.0, end_s=-1.0))),
        hostile("times beyond the window", answer(word(start_s=1e9, end_s=1e300))),
        hostile("word that ends before it starts", answer(word(start_s=9.0, end_s=1.0))),
        hostile("words out of order", answer(word("a", 9.0, 10.0), word("b", 1.0, 2.0), word("word", 5.0, 5.5))),
        hostile("segment that ends before it starts", Heard((HeardSegment(9.0, 1.0, "word", (), 0.5),), "en")),
        hostile("confidence that is no number", answer(word(confidence=math.nan), confidence=math.nan)),
        hostile("confidences beyond all", answer(word("a", confidence=1e300), word(confidence=-math.inf))),
        hostile("half a character", answer(word("\ud800"), word("word"))),
        hostile("control characters", answer(word("\x00\x1b"), word("wo\x00rd"))),
        hostile("line breaks in a word", answer(word("\r\n\u2028word"))),
        hostile("text that its words do not make", answer(word(), text="something else")),
        hostile("words without text", answer(word(""), word(" "), word())),
    ],
)
def test_what_can_be_mended_is_mended(heard: Heard, seen: Note) -> None:
    """Its last word is there, at a moment that exists."""
    made = transcribed(heard)
    sound(made)
    assert made.segments[-1].words[-1].text == "word"
    seen("a sound transcript")


ANY = st.floats(allow_nan=True, allow_infinity=True)
HEARD_WORDS = st.lists(st.builds(HeardWord, WORDS, ANY, ANY, ANY), max_size=8).map(tuple)
SEGMENTS = st.lists(st.builds(HeardSegment, ANY, ANY, WORDS, HEARD_WORDS, ANY), max_size=4).map(tuple)


@patient
@given(st.builds(Heard, SEGMENTS))
def test_whatever_an_engine_answers_the_transcript_is_sound(heard: Heard) -> None:
    sound(transcribed(heard))


def refused(what: str, *answers: Heard) -> object:
    mark = pytest.mark.hostile_input(54, f"an engine's {what}", "engine_error")
    return pytest.param(answers, marks=mark, id=what)


@pytest.mark.parametrize(
    "answers",
    [
        refused("word of 100 kB", answer(word("x" * 100_000))),
        refused("text of 100 kB", Heard((HeardSegment(0.0, 1.0, "x " * 50_000, (), 0.5),), "en")),
        refused("million segments", Heard((HeardSegment(0.0, 1.0, "", (), 0.5),) * 1_000_000, "en")),
        refused("million words", Heard((HeardSegment(0.0, 1.0, "", (word(),) * 1_000_000, 0.5),), "en")),
        refused("silence about a window"),
        refused("two answers to one window", answer(word()), answer(word())),
    ],
)
def test_what_nobody_can_say_is_an_engine_that_failed(answers: tuple[Heard, ...], seen: Note) -> None:
    with pytest.raises(Transient) as failed:
        believed(answers, [WINDOW])
    seen(failed.value.code)
    assert failed.value.code == "engine_error"


Asked = Callable[[str], Awaitable[list[Heard]]]
JSON = {"Content-Type": "application/json"}


async def openai(address: str) -> list[Heard]:
    abilities = Abilities("openai", "whisper_1", ENGLISH, frozenset({"transcribe"}), max_window_s=300.0)
    return await _asked(OpenAiEngine(address, "key", "whisper-1", abilities, httpx2.AsyncClient))


async def assemblyai(address: str) -> list[Heard]:
    return await _asked(AssemblyAiEngine(address, "key", "", httpx2.AsyncClient, poll_scale=0.01))


async def _asked(engine: OpenAiEngine | AssemblyAiEngine) -> list[Heard]:
    await engine.start()
    try:
        return await engine.transcribe([numbered(2)], EngineOptions("en"), Urgency("job_1"))
    finally:
        await engine.stop()


class Liar(ScriptedHttp):
    """Speaks both APIs as far as it must, and then answers this transcript."""

    def __init__(self, body: bytes) -> None:
        def transcript(visit: Visit) -> None:
            visit.answer(200, body, JSON)

        def uploaded(visit: Visit) -> None:
            visit.answer(200, b'{"upload_url":"https://x.example/1"}', JSON)

        paths = ("/audio/transcriptions", "/v2/transcript", "/v2/transcript/t")
        super().__init__({"/v2/upload": uploaded, **dict.fromkeys(paths, transcript)})


def document(**changes: Any) -> bytes:
    """One word, as each of the two APIs says it (times in seconds, or milliseconds)."""
    one = {"word": "word", "text": "word", "start": 0, "end": 1, "confidence": 0.5, **changes}
    return json.dumps({"id": "t", "status": "completed", "text": "word", "words": [one]}).encode()


LIES = {
    "an error page": b"<!DOCTYPE html><title>502</title>",
    "nothing": b"",
    "another type": b"[1, 2, 3]",
    "bytes that are no UTF-8": document(word="?", text="?").replace(b"?", b"\xff\xfe"),
    "half a character": document(word="\ud800", text="\ud800"),
    "times that are no numbers": document(start=math.nan, end=math.inf),
    "a time of 400 digits": document(start=10**400, end=10**400),
    "a time that is a word": document(start="soon"),
    "a hundred thousand brackets": b"[" * 100_000,
    "17 MiB": document(text="x" * (17 << 20)),
}


@pytest.mark.parametrize("ask", [openai, assemblyai])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            body,
            marks=pytest.mark.hostile_input(54, f"an engine's server that answers {what}", "engine_error"),
            id=what,
        )
        for what, body in LIES.items()
    ],
)
async def test_a_server_that_answers_garbage_has_failed(ask: Asked, body: bytes, seen: Note) -> None:
    """And its words are in no error."""
    with Liar(body) as server, pytest.raises(Transient) as failed:
        await ask(server.url(""))
    seen(failed.value.code)
    assert failed.value.code == "engine_error"
    assert failed.value.__cause__ is None
    assert "word" not in str(failed.value)


@pytest.mark.parametrize("ask", [openai, assemblyai])
@pytest.mark.hostile_input(54, "an engine's server whose times are far off", "mended")
async def test_times_that_are_far_off_are_brought_into_the_window(ask: Asked, seen: Note) -> None:
    with Liar(document(start=1e300, end=-5)) as server:
        (heard,) = await ask(server.url(""))
    assert [(one.text, one.start_s, one.end_s) for one in heard.segments[0].words] == [("word", 0.0, 2.0)]
    seen("inside the window")
