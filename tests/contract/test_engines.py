"""What every engine promises, kept by each of them: windows in, one answer each, in order, with times inside the window."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import jiwer
import numpy as np
import pytest

from tests import media_builder
from tests.stubs.hosted_engines import KEY, AssemblyAiStub, OpenAiStub
from tiro.adapters.engines.assemblyai import AssemblyAiEngine
from tiro.adapters.engines.calibration.sizes import Wishes
from tiro.adapters.engines.faster_whisper import FasterWhisperEngine
from tiro.adapters.engines.openai import OpenAiEngine
from tiro.adapters.engines.pocketsphinx import PocketsphinxEngine
from tiro.adapters.engines.registry import capabilities
from tiro.adapters.engines.scripted import ScriptedEngine
from tiro.model.errors import Permanent
from tiro.model.media import Span
from tiro.model.speech import EngineOptions
from tiro.model.windows import cut, place
from tiro.ports import Engine, Samples, Urgency
from tiro.settings import Settings

WHISPER = Path(__file__).parents[1] / "data" / "whisper-words"
US = Urgency("job_1")
ENGLISH = EngineOptions(language="en")
SETTINGS = Settings(
    database_url="sqlite://",
    blobs_url="memory://",
    secret_key="",
    whisper_model=str(WHISPER),
    openai_url="http://127.0.0.1",
    openai_model="whisper-1",
    assemblyai_key=KEY,
)
NAMES = ["scripted", "openai", "assemblyai", "pocketsphinx", "faster_whisper"]
RESIDENT = NAMES[3:]
CUTS_S = [(0.0, 6.5), (6.5, 7.2), (7.2, 16.0)]


def make(name: str, stubs: dict[str, object]) -> Engine:
    match name:
        case "scripted":
            return ScriptedEngine()
        case "openai":
            return OpenAiEngine(
                stubs[name].url("/v1"), KEY, "whisper-1", capabilities(name, SETTINGS), httpx2.AsyncClient
            )
        case "assemblyai":
            return AssemblyAiEngine(stubs[name].url(""), KEY, "", httpx2.AsyncClient, poll_scale=0.01)
        case "pocketsphinx":
            return PocketsphinxEngine(replicas=1)
        case _:
            return FasterWhisperEngine(str(WHISPER), wishes=Wishes(replicas=1))


@pytest.fixture
def stubs():
    with OpenAiStub() as openai, AssemblyAiStub() as assemblyai:
        yield {"openai": openai, "assemblyai": assemblyai}


@pytest.fixture(params=NAMES)
async def engine(request, stubs) -> AsyncIterator[Engine]:
    made = make(request.param, stubs)
    await made.start()
    yield made
    await made.stop()


def recording(name: str) -> Samples:
    """16 s that this engine can hear."""
    if name in RESIDENT:
        return media_builder.dialogue().sum(axis=0)[: 16 * 16_000].clip(-1, 1)
    return media_builder.numbered(16)


def windows_of(name: str) -> list[Samples]:
    samples = recording(name)
    return [samples[round(start * 16_000) : round(end * 16_000)] for start, end in CUTS_S]


async def test_each_window_has_its_answer_with_times_inside_it_and_in_order(engine):
    windows = windows_of(engine.id)
    answers = await engine.transcribe(windows, ENGLISH, US)
    assert len(answers) == len(windows)
    assert answers[0].segments
    assert answers[2].segments
    for answer, window in zip(answers, windows, strict=True):
        length_s = len(window) / 16_000
        words = [word for segment in answer.segments for word in segment.words]
        assert answer.language == "en"
        for segment in answer.segments:
            assert 0 <= segment.start_s <= segment.end_s <= length_s
            assert segment.text.split() == " ".join(word.text for word in segment.words).split()
        for word in words:
            assert word.text == word.text.strip() != ""
            assert 0 <= word.start_s <= word.end_s <= length_s + 0.001
            assert 0 <= word.confidence <= 1
        for one, other in itertools.pairwise(words):
            assert one.start_s <= other.start_s
            assert one.end_s <= other.end_s + 0.001


async def test_windows_asked_together_and_alone_give_the_same_words(engine):
    windows = windows_of(engine.id)
    together = await engine.transcribe(windows, ENGLISH, US)
    alone = [(await engine.transcribe([window], ENGLISH, US))[0] for window in windows]
    assert [[s.text for s in answer.segments] for answer in together] == [
        [s.text for s in answer.segments] for answer in alone
    ]


async def test_silence_gives_no_words(engine):
    answers = await engine.transcribe([media_builder.silence(5.0), media_builder.silence(0.5)], ENGLISH, US)
    assert [answer.segments for answer in answers] == [(), ()]


async def test_no_windows_no_answers(engine):
    assert await engine.transcribe([], ENGLISH, US) == []


async def test_detect_gives_probabilities_per_window(engine):
    answers = await engine.detect([window[: 16_000 * 10] for window in windows_of(engine.id)], US)
    assert len(answers) == 3
    assert all(0 <= p <= 1 for answer in answers for p in answer.values())
    assert max(answers[0], key=answers[0].get) == "en"


async def test_a_cancelled_call_leaves_the_engine_fit_for_the_next(engine):
    windows = windows_of(engine.id)
    call = asyncio.create_task(engine.transcribe(windows * 3, ENGLISH, US))
    # where a model works, a batch is under way; the others could be done by then
    await asyncio.sleep(0.05 if engine.id in {"faster_whisper", "pocketsphinx"} else 0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(await engine.transcribe(windows[:1], ENGLISH, US)) == 1


async def test_an_engine_claims_what_its_row_in_the_registry_says(engine):
    known = capabilities(engine.id, SETTINGS)
    assert (engine.id, engine.model, engine.max_window_s) == (known.id, known.model, known.max_window_s)
    for language in (None, "en", "de", "yue", "pt-BR", "xx"):
        for task in ("transcribe", "translate"):
            assert engine.supports(language, task) == known.supports(language, task)
    assert engine.supports("en", "transcribe")
    assert not engine.supports("xx", "transcribe")
    assert engine.windows_in_flight >= 1


async def test_starting_and_stopping_twice_is_harmless(engine):
    await engine.start()
    await engine.stop()
    await engine.stop()


@pytest.mark.parametrize("name", ["scripted", "openai", "assemblyai"])
async def test_a_recording_cut_into_windows_comes_back_whole(name, stubs):
    engine = make(name, stubs)
    await engine.start()
    samples = media_builder.numbered(95)
    span = Span(0, 0, 0.0, 95.0, ((0.0, 95.0),))
    windows = cut(span, min(engine.max_window_s, 30.0))
    answers = await engine.transcribe([samples[round(s * 16_000) : round(e * 16_000)] for s, e in windows], ENGLISH, US)
    await engine.stop()
    words = [
        w
        for answer, window in zip(answers, windows, strict=True)
        for segment in place(answer, window)
        for w in segment.words
    ]
    assert [word.text for word in words] == [f"w{n}" for n in range(95)]


async def test_pocketsphinx_reads_a_minute_of_synthetic_speech():
    demo = json.loads((media_builder.DEMO / "dialogue.json").read_text())
    samples = media_builder.dialogue().sum(axis=0).clip(-1, 1)
    turns = tuple((turn["start_s"], turn["end_s"]) for turn in demo["turns"])
    windows = cut(Span(0, 0, 0.0, demo["duration_s"], turns), 30.0)
    engine = PocketsphinxEngine(replicas=1)
    await engine.start()
    answers = await engine.transcribe([samples[round(s * 16_000) : round(e * 16_000)] for s, e in windows], ENGLISH, US)
    await engine.stop()
    said = " ".join(turn["text"] for turn in demo["turns"])
    heard = " ".join(segment.text for answer in answers for segment in answer.segments)
    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()])
    error_rate = jiwer.wer(said, heard, reference_transform=plain, hypothesis_transform=plain)
    assert error_rate <= 0.15, f"word error rate {error_rate:.2f}: {heard}"
    assert not any(mark in heard for mark in "<>[]()")


async def test_whisper_answers_in_the_language_asked_for_and_detects_otherwise():
    engine = FasterWhisperEngine(str(WHISPER), wishes=Wishes(replicas=1))
    assert engine.model == "whisper_words"
    assert not engine.supports("de", "transcribe")
    assert not engine.supports("en", "translate")
    await engine.start()
    window = windows_of("faster_whisper")[0]
    (answer,) = await engine.transcribe(
        [window], EngineOptions(prompt="house table", vocabulary=("alice", "robert")), US
    )
    await engine.stop()
    assert answer.language == "en"


async def test_whisper_without_a_model_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    engine = FasterWhisperEngine(str(tmp_path), wishes=Wishes(replicas=1))
    with pytest.raises(Permanent) as failed:
        await engine.start()
    assert failed.value.code == "engine_unavailable"
    assert "TIRO_WHISPER_MODEL" in failed.value.message


async def test_random_noise_does_not_break_any_engine(engine):
    noise = np.random.default_rng(3).normal(0, 0.2, 16_000 * 4).astype(np.float32).clip(-1, 1)
    assert len(await engine.transcribe([noise, noise[:1], noise[:0]], ENGLISH, US)) == 3
