"""What hosted engines send, and what their servers' refusals become."""

from __future__ import annotations

import httpx2
import pytest

from tests.media_builder import numbered
from tests.stubs.hosted_engines import KEY, AssemblyAiStub, OpenAiStub
from tiro.adapters.engines.abilities import ENGLISH, Abilities
from tiro.adapters.engines.assemblyai import AssemblyAiEngine
from tiro.adapters.engines.openai import OpenAiEngine
from tiro.model.errors import Permanent, QuotaExceeded, TiroError, Transient
from tiro.model.speech import EngineOptions
from tiro.ports import Urgency

US = Urgency("job_1")
ANY = EngineOptions()
ABILITIES = Abilities("openai", "whisper_1", ENGLISH, frozenset({"transcribe", "translate"}), max_window_s=300.0)


async def openai(stub, options=ANY, key=KEY, model="whisper-1", seconds=2):
    engine = OpenAiEngine(stub.url("/v1/"), key, model, ABILITIES, httpx2.AsyncClient)
    await engine.start()
    try:
        return await engine.transcribe([numbered(seconds)], options, US)
    finally:
        await engine.stop()


async def assemblyai(stub, options=ANY, key=KEY, model="", seconds=2):
    engine = AssemblyAiEngine(stub.url(""), key, model, httpx2.AsyncClient, poll_scale=0.01)
    await engine.start()
    try:
        return await engine.transcribe([numbered(seconds)], options, US)
    finally:
        await engine.stop()


async def test_openai_is_asked_for_words_in_the_language_with_the_hints():
    with OpenAiStub() as stub:
        options = EngineOptions("pt-BR", "transcribe", "A talk.", ("Tiro", "Cicero"))
        await openai(stub, options)
        fields = {name: values for name, values in stub.forms[0].items() if name != "file"}
    assert fields == {
        "model": ["whisper-1"],
        "language": ["pt"],
        "prompt": ["Tiro, Cicero A talk."],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
        "temperature": ["0"],
    }


async def test_openai_translations_go_to_their_own_route_without_a_language():
    with OpenAiStub() as stub:
        await openai(stub, EngineOptions("de", "translate"))
        assert stub.visits[0].path == "/v1/audio/translations"
        assert "language" not in stub.forms[0]


@pytest.mark.promise("T4")
async def test_what_openai_has_translated_keeps_the_language_that_was_spoken():
    """Its answers call it English; so it is asked first what it hears."""
    with OpenAiStub() as stub:
        stub.say.append((200, {"text": "Guten Tag", "language": "german"}, {}))
        stub.say.append((200, {"text": "Good day", "language": "english"}, {}))
        (heard,) = await openai(stub, EngineOptions(None, "translate"))
        assert [visit.path for visit in stub.visits] == ["/v1/audio/transcriptions", "/v1/audio/translations"]
    assert (heard.language, heard.segments[0].text) == ("de", "Good day")


@pytest.mark.parametrize(("plain", "model"), [(True, "whisper-1"), (False, "gpt-4o-transcribe")])
async def test_words_without_times_are_spread_over_what_is_known(plain, model):
    with OpenAiStub(plain=plain) as stub:
        (heard,) = await openai(stub, model=model, seconds=4)
    (segment,) = heard.segments
    assert segment.text == "w0 w1 w2 w3"
    assert [(word.start_s, word.end_s) for word in segment.words] == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]


async def test_the_language_a_server_names_in_english_becomes_its_code():
    with OpenAiStub() as stub:
        stub.say.append((200, {"text": "Guten Tag", "language": "German"}, {}))
        (heard,) = await openai(stub)
    assert heard.language == "de"


async def test_hallucinated_silence_is_dropped():
    segments = [{"start": 0, "end": 2, "text": "Thank you.", "avg_logprob": -1.5, "no_speech_prob": 0.9}]
    with OpenAiStub() as stub:
        stub.say.append((200, {"text": "Thank you.", "segments": segments}, {}))
        (heard,) = await openai(stub)
    assert heard.segments == ()


@pytest.mark.parametrize(
    ("status", "document", "kind", "code"),
    [
        (401, {"error": {"code": "invalid_api_key"}}, Permanent, "engine_refused"),
        (403, {}, Permanent, "engine_refused"),
        (402, {}, QuotaExceeded, "quota_exceeded"),
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, QuotaExceeded, "quota_exceeded"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, Transient, "engine_busy"),
        (400, {"error": {"code": None, "message": "insufficient_quota"}}, Permanent, "engine_rejected"),
        (413, {}, Permanent, "engine_rejected"),
        (500, {}, Transient, "engine_unreachable"),
        (503, "not even an object", Transient, "engine_unreachable"),
        (200, {"words": 3}, Transient, "engine_error"),
    ],
)
async def test_a_refusal_becomes_the_right_error(status, document, kind, code):
    with OpenAiStub() as stub:
        stub.say.append((status, document, {}))
        with pytest.raises(TiroError) as failed:
            await openai(stub)
    assert type(failed.value) is kind
    assert failed.value.code == code
    assert KEY not in repr(failed.value)


async def test_a_rate_limit_says_when_to_come_again():
    with OpenAiStub() as stub:
        stub.say.append((429, {}, {"Retry-After": "7"}))
        with pytest.raises(Transient) as failed:
            await openai(stub)
    assert failed.value.extras == {"retry_after_s": 7.0}


async def test_a_server_that_is_not_there_or_hangs_up_is_transient():
    with OpenAiStub() as stub:
        gone = stub.url("/v1")
        stub.scripts["/v1/audio/transcriptions"] = lambda visit: visit.reset()
        with pytest.raises(Transient):
            await openai(stub)
    engine = OpenAiEngine(gone, KEY, "whisper-1", ABILITIES, httpx2.AsyncClient)
    with pytest.raises(Transient):
        await engine.transcribe([numbered(1)], EngineOptions(), US)
    await engine.start()
    with pytest.raises(Transient):
        await engine.transcribe([numbered(1)], EngineOptions(), US)
    await engine.stop()


@pytest.mark.promise("J26")
async def test_assemblyai_is_told_model_language_and_terms_and_keeps_nothing():
    with AssemblyAiStub() as stub:
        (known,) = await assemblyai(stub, EngineOptions("en", vocabulary=("Tiro",)))
        (found,) = await assemblyai(stub, model="universal-2")
        orders = [{name: value for name, value in order.items() if name != "audio_url"} for order in stub.orders]
        assert len(stub.deleted) == 2
    assert orders == [
        {"speech_models": ["universal-3-pro"], "language_code": "en", "keyterms_prompt": ["Tiro"]},
        {"speech_models": ["universal-2"], "language_detection": True},
    ]
    assert (known.language, known.language_probability) == ("en", None)
    assert (found.language, found.language_probability) == ("en", 0.97)
    assert [(w.text, w.start_s, w.end_s) for w in known.segments[0].words] == [("w0", 0.0, 1.0), ("w1", 1.0, 2.0)]


@pytest.mark.parametrize(
    ("noun", "status", "document", "kind", "code"),
    [
        ("upload", 401, {"error": "Authentication error"}, Permanent, "engine_refused"),
        ("order", 400, {"error": "Your current account balance is negative."}, QuotaExceeded, "quota_exceeded"),
        ("order", 400, {"error": "speech_models must be a list"}, Permanent, "engine_rejected"),
        ("order", 402, {"error": ""}, QuotaExceeded, "quota_exceeded"),
        ("poll", 429, {"error": "Too many requests"}, Transient, "engine_busy"),
        ("poll", 500, {"error": "Server error"}, Transient, "engine_unreachable"),
    ],
)
@pytest.mark.promise("J26")
async def test_each_step_of_assemblyai_may_refuse(noun, status, document, kind, code):
    with AssemblyAiStub() as stub:
        stub.say[noun] = (status, document)
        with pytest.raises(TiroError) as failed:
            await assemblyai(stub)
    assert type(failed.value) is kind
    assert failed.value.code == code


@pytest.mark.parametrize(("error", "kind"), [("Internal problem", Transient), ("Insufficient funds", QuotaExceeded)])
@pytest.mark.promise("J26")
async def test_a_transcript_that_ends_in_error_is_an_error(error, kind):
    with AssemblyAiStub() as stub:
        stub.error = error
        with pytest.raises(kind):
            await assemblyai(stub)
        assert len(stub.deleted) == 1


@pytest.mark.promise("J26")
async def test_a_recording_without_speech_is_no_error():
    with AssemblyAiStub() as stub:
        stub.error = "language_detection cannot be performed on files with no spoken audio."
        (heard,) = await assemblyai(stub)
    assert heard.segments == ()
