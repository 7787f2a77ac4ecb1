"""What a request may choose, and what it may not."""

from __future__ import annotations

import pytest

from api.config import RequestLimits
from tests.dialects.transcribe.calling import PATH, funded, jobs, send, transcribed
from tests.servers.api import Api, ApiMaker
from tiro.model.languages import LANGUAGES
from tiro.model.request import JobOptions

ANY = JobOptions(diarize=False, vad=False, moving_pictures=False)
TURBO = {
    "TIRO_OPENAI_URL": "http://127.0.0.1:9",
    "TIRO_OPENAI_KEY": "k",
    "TIRO_OPENAI_MODEL": "whisper-large-v3-turbo",
}
"""An engine that transcribes and does nothing else, wherever it is."""


async def _chosen(api: Api, fields: dict[str, str]) -> JobOptions:
    """What the job was told."""
    answer = await send(api, fields)
    assert answer.status_code == 200, answer.text
    return (await api.house.jobs.get(answer.json()["job_id"])).options


async def _refused(api: Api, fields: dict[str, str]) -> tuple[int, str, str]:
    before = [job.job_id for job in await jobs(api)]
    answer = await send(api, fields)
    told = answer.json()
    assert [job.job_id for job in await jobs(api)] == before
    return answer.status_code, told["code"], told.get("param", "")


@pytest.mark.asyncio(loop_scope="module")
async def test_without_options_everything_is_usual(lasting: Api) -> None:
    assert await _chosen(lasting, {}) == ANY


@pytest.mark.parametrize(
    ("field", "text", "chosen"),
    [
        ("language", "haw", {"language": "haw"}),
        ("language", "jv", {"language": "jw"}),
        ("language", "yue", {"language": "yue"}),
        ("language", "auto", {}),
        ("language", "", {}),
        ("task", "transcribe", {}),
        ("vad_filter", "true", {"vad": True}),
        ("vad_filter", "True", {"vad": True}),
        ("vad_filter", "1", {"vad": True}),
        ("vad_filter", "False", {}),
        ("initial_prompt", "Tiro, Cicero", {"prompt": "Tiro, Cicero"}),
        ("initial_prompt", "ü" * 2048, {"prompt": "ü" * 2048}),
        ("vtt_granularity", "word", {"cues": "word"}),
        ("vtt_granularity", "sentence", {}),
        ("exclude", "vtt", {"omit": ("vtt",)}),
        ("exclude", "billing, text ,,billing", {"omit": ("text", "billing")}),
        ("unknown", "x", {}),
    ],
)
@pytest.mark.promise("T13", "T15", "T17")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_choice_reaches_the_job(lasting: Api, field: str, text: str, chosen: dict[str, object]) -> None:
    options = await _chosen(lasting, {field: text})
    assert {name: getattr(options, name) for name in chosen} == chosen
    assert options == JobOptions(**{"diarize": False, "vad": False, "moving_pictures": False, **chosen})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *[("language", text) for text in ("EN", "en-US", "english", "xx", "e n", "ｅｎ")],
        *[("task", text) for text in ("Translate", "summarise")],
        *[("vad_filter", text) for text in ("yes", "2", "maybe")],
        ("initial_prompt", "ü" * 2048 + "x"),
        *[("vtt_granularity", text) for text in ("Word", "paragraph")],
        *[("exclude", text) for text in ("vtt,words", "vtt;text", "VTT")],
        *[("model", text) for text in ("whisper-large-v9", "Whisper-1", "../x")],
        ("reference_id", "x" * 129),
        ("webhook_url", "http://10.0.0.7/x"),
        ("webhook_url", "nowhere"),
    ],
)
@pytest.mark.promise("T13", "T16", "T17", "T34")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_choice_that_is_none_is_refused(lasting: Api, field: str, text: str) -> None:
    """400 invalid_request_options, naming the field; nothing is kept."""
    assert await _refused(lasting, {field: text}) == (400, "invalid_request_options", field)


@pytest.mark.promise("T17")
@pytest.mark.asyncio(loop_scope="module")
async def test_every_language_of_the_list_is_taken(lasting: Api) -> None:
    """A hundred codes, by an engine that knows them all."""
    assert len(LANGUAGES) == 100
    for code in sorted(LANGUAGES):
        assert (await _chosen(lasting, {"language": code})).language == code


@pytest.mark.promise("T17")
async def test_a_language_that_no_engine_knows_is_refused(make_api: ApiMaker) -> None:
    """Not heard as another one."""
    api = await funded(await make_api(environ={"TIRO_ENGINES": "scripted:languages=en|de"}))
    assert await _refused(api, {"language": "fr"}) == (400, "invalid_request_options", "language")


@pytest.mark.promise("T4")
async def test_translation_goes_to_an_engine_that_can(make_api: ApiMaker) -> None:
    """Past one that only transcribes; where none can, it is refused at once."""
    environ = {**TURBO, "TIRO_ENGINES": "openai"}
    without = await funded(await make_api(environ=environ))
    assert await _refused(without, {"task": "translate"}) == (400, "invalid_request_options", "task")
    environ = {**TURBO, "TIRO_ENGINES": "openai,scripted"}
    able = await funded(await make_api(environ=environ, limits=RequestLimits(wait_s=0.01)))
    assert (await _chosen(able, {"task": "translate"})).task == "translate"
    (job,) = await jobs(able)
    assert await able.house.line.engines(job) == ("scripted",)


@pytest.mark.parametrize(
    "model",
    ["whisper-large-v3-turbo", "whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", ""],
)
@pytest.mark.promise("T16")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_usual_model_is_what_this_server_uses(lasting: Api, model: str) -> None:
    assert (await _chosen(lasting, {"model": model})).engines == ()


@pytest.mark.promise("T16")
async def test_an_engine_may_be_asked_for_by_name_and_the_answer_says_what_ran(api: Api) -> None:
    await funded(api)
    (facts,) = api.house.chain
    told = (await transcribed(api, {"model": facts.id})).json()
    (job,) = await jobs(api)
    assert (job.options.engines, told["model"]) == ((facts.id,), "scripted-primary")


@pytest.mark.promise("T16")
async def test_an_account_with_engines_of_its_own_gets_no_others_by_name(make_api: ApiMaker) -> None:
    """What its operator chose cannot be led around, in a form or in JSON; the usual model is then one of those."""
    api = await funded(await make_api(environ={**TURBO, "TIRO_ENGINES": "openai,scripted"}))
    mine, other = (facts.id for facts in api.house.chain)
    await api.house.accounts.change(api.account.account_id, engines=(mine,))
    assert await _refused(api, {"model": other}) == (400, "invalid_request_options", "model")
    body = {"type": "big_file", "size_bytes": 9, "model": other}
    assert (await api.http.post("/v1/jobs", json=body)).json()["code"] == "invalid_job_request"
    assert (await api.http.post("/v1/jobs", json={**body, "model": mine})).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_json_creates_a_job_at_the_same_address(lasting: Api) -> None:
    """As published clients do."""
    body = {"files": [{"reference_id": "00001", "url": "https://93.184.215.14/a.mp3"}], "language": "de"}
    answer = await lasting.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    job = await lasting.house.jobs.get(answer.json()["job_id"])
    assert (job.dialect, job.options.language, job.priority) == ("transcribe", "de", 3)
