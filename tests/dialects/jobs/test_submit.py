"""POST /jobs: what is taken, and what is refused and how."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.model.blob import job_prefix
from tiro.model.ids import is_id


def _file(name: str = "a.wav", seconds: float = 2.0) -> dict[str, tuple[str, bytes]]:
    return {"file": (name, tone_wav(seconds))}


def _objects(api: Api, job_id: str = "") -> int:
    return len(list(api.house.blobs.list(job_prefix(job_id) if job_id else "jobs/")))


@pytest.mark.promise("J16", "J18")
async def test_a_file_becomes_a_job(api: Api) -> None:
    """202 with id, status and RFC 3339 time in UTC."""
    answer = await api.http.post("/jobs", files=_file(), data={"language": "en", "diarize": "0"})
    assert answer.status_code == 202
    told = answer.json()
    assert set(told) == {"job_id", "status", "created_at"}
    assert is_id("job", told["job_id"])
    assert told["status"] == "queued"
    assert told["created_at"].endswith("Z")
    job = await api.house.jobs.get(told["job_id"])
    assert (job.options.language, job.options.diarize) == ("en", False)
    assert job.options.formats == ("txt", "srt", "vtt", "docx")
    assert _objects(api, told["job_id"]) == 1


@pytest.mark.parametrize("options_first", [True, False])
@pytest.mark.promise("J16")
async def test_options_may_stand_before_or_after_the_file(api: Api, options_first: bool) -> None:
    option = b'--b\r\nContent-Disposition: form-data; name="diarize"\r\n\r\nfalse\r\n'
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    file = head + tone_wav(1.0) + b"\r\n"
    body = (option + file if options_first else file + option) + b"--b--\r\n"
    answer = await api.http.post("/jobs", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 202
    assert (await api.house.jobs.get(answer.json()["job_id"])).options.diarize is False


@pytest.mark.promise("J16", "J41")
async def test_an_address_becomes_a_job(api: Api) -> None:
    """JSON with source_url; the address is kept sealed."""
    address = "https://93.184.215.14/interview.mp3?signature=sesame"
    answer = await api.http.post("/jobs", json={"source_url": address, "unknown": [1]})
    assert answer.status_code == 202, answer.text
    job = await api.house.jobs.get(answer.json()["job_id"])
    assert b"sesame" not in str(job).encode()


@pytest.mark.promise("J16")
async def test_an_address_may_come_in_a_form(api: Api) -> None:
    """Exactly one of file and source_url, whatever the form of the request."""
    answer = await api.http.post("/jobs", files={"source_url": (None, "https://93.184.215.14/a.mp3")})
    assert answer.status_code == 202
    # the form began an upload, of which nothing came: with the job there is no more of it
    async with api.house.records.look() as tx:
        assert await tx.jobs.uploads_since(datetime.min.replace(tzinfo=UTC)) == set()


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "invalid_request", "source_url"),
        ({"source_url": 7}, "invalid_request", "source_url"),
        ({"source_url": ""}, "invalid_source_url", "source_url"),
        ({"source_url": "http://127.0.0.1/a.mp3"}, "invalid_source_url", "source_url"),
        ({"source_url": "file:///etc/passwd"}, "invalid_source_url", "source_url"),
        ({"source_url": "https://user:pass@93.184.215.14/"}, "invalid_source_url", "source_url"),
        ({"source_url": "https://93.184.215.14/a", "diarize": "yes"}, "invalid_request", "diarize"),
        ({"source_url": "https://93.184.215.14/a", "diarize": 1}, "invalid_request", "diarize"),
        ({"source_url": "https://93.184.215.14/a", "language": "xx"}, "invalid_language", "language"),
        ({"source_url": "https://93.184.215.14/a", "language": "EN"}, "invalid_language", "language"),
        ({"source_url": "https://93.184.215.14/a", "language": ""}, "invalid_language", "language"),
        ({"source_url": "https://93.184.215.14/a", "language": "e" * 500}, "invalid_language", "language"),
        (
            {"source_url": "https://93.184.215.14/a", "webhook_url": "http://10.0.0.1/"},
            "invalid_webhook_url",
            "webhook_url",
        ),
    ],
)
@pytest.mark.promise("J16", "J27", "J36")
async def test_wrong_fields_are_named(api: Api, fields: dict[str, object], code: str, param: str) -> None:
    """400 with the field's name, and no job."""
    answer = await api.http.post("/jobs", json=fields)
    assert answer.status_code == 400
    assert (answer.json()["error"], answer.json()["param"]) == (code, param)
    assert "user:pass" not in answer.text
    assert (await api.http.get("/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "audio/mpeg"},
        {},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
@pytest.mark.promise("J16")
async def test_another_content_type_is_not_the_files_fault(api: Api, headers: dict[str, str]) -> None:
    """415 unsupported_media_type, not invalid_audio."""
    answer = await api.http.post("/jobs", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty_audio"), (tone_wav(2.0, level=0.0), "empty_audio"), (b"<html>" * 99, "unsupported_format")],
)
@pytest.mark.promise("J11")
async def test_a_bad_file_is_refused_at_once(api: Api, data: bytes, reason: str) -> None:
    """415 invalid_audio with its reason; nothing stays behind."""
    answer = await api.http.post("/jobs", files={"file": ("a.mp3", data)})
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (415, "invalid_audio", reason)
    assert _objects(api) == 0
    assert (await api.http.get("/jobs")).json()["jobs"] == []


@pytest.mark.promise("J19")
async def test_too_long_a_recording_is_refused_at_once(make_api: ApiMaker) -> None:
    """30 minutes on Free, as the header tells."""
    api = await make_api(plan="free")
    answer = await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(1900, rate_hz=4000))})
    assert answer.status_code == 415, answer.text
    assert answer.json()["reason"] == "duration_exceeds_limit"


@pytest.mark.promise("J16")
async def test_two_files_are_one_too_many(api: Api) -> None:
    two = [("file", ("a.wav", tone_wav(1.0))), ("file", ("b.wav", tone_wav(1.0)))]
    answer = await api.http.post("/jobs", files=two)
    assert (answer.status_code, answer.json()["param"]) == (400, "file")
    assert _objects(api) == 0


@pytest.mark.promise("J16")
async def test_a_file_and_an_address_are_one_too_many(api: Api) -> None:
    answer = await api.http.post("/jobs", files=_file(), data={"source_url": "https://93.184.215.14/a"})
    assert answer.status_code == 400
    assert _objects(api) == 0


@pytest.mark.promise("J16")
async def test_a_text_field_named_file_is_no_file(api: Api) -> None:
    answer = await api.http.post("/jobs", files={"file": (None, "not a file")})
    assert (answer.status_code, answer.json()["param"]) == (400, "file")


@pytest.mark.promise("J21", "J22")
async def test_spent_minutes_are_a_402_that_says_what_to_do(make_api: ApiMaker) -> None:
    """It says overage_allowed, minutes left and needed, and when they begin anew."""
    api = await make_api(plan="free", unmetered=False)
    first = await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(1790, rate_hz=4000))})
    second = await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(1790, rate_hz=4000))})
    assert (first.status_code, second.status_code) == (202, 202)
    refused = await api.http.post("/jobs?accept_overage=true", files={"file": ("a.wav", tone_wav(60, rate_hz=4000))})
    told = refused.json()
    assert (refused.status_code, told["error"], told["overage_allowed"]) == (402, "quota_exceeded", False)
    assert told["minutes_remaining"] < told["minutes_required"] == 1
    assert told["resets_at"].endswith("-01T00:00:00Z")
    assert _objects(api) == 2


@pytest.mark.promise("J22")
async def test_overage_is_open_where_it_is_switched_on_and_asked_for(make_api: ApiMaker) -> None:
    """402 with overage_allowed true; the same again with ?accept_overage=true is taken."""
    api = await make_api(plan="pro", unmetered=False)
    await api.house.accounts.change(api.account.account_id, overage=True)
    async with api.house.records.begin() as tx:
        from tiro.model.ledger import HoldTerms, month_of

        now = api.house.clock.now()
        terms = HoldTerms(quota_s=None, overage_micros_per_minute=None)
        await tx.ledger.hold(api.account.account_id, "job_before", 1, 1200 * 60, month_of(now), terms, now)
    refused = await api.http.post("/jobs", files=_file())
    assert (refused.status_code, refused.json()["overage_allowed"]) == (402, True)
    taken = await api.http.post("/jobs?accept_overage=true", files=_file())
    assert taken.status_code == 202


@pytest.mark.parametrize("value", ["", "maybe", "2"])
@pytest.mark.promise("J22")
async def test_accept_overage_is_true_or_false(api: Api, value: str) -> None:
    answer = await api.http.post(f"/jobs?accept_overage={value}", json={"source_url": "https://93.184.215.14/a"})
    assert (answer.status_code, answer.json()["param"]) == (400, "accept_overage")


@pytest.mark.promise("J24")
async def test_a_job_is_taken_while_temporal_is_away(api: Api) -> None:
    """Late, not lost; and started once when it is back."""
    api.orchestrator.away = True
    job_id = await api.submit()
    api.orchestrator.away = False
    await api.house.dispatch.once()
    assert list(api.orchestrator.launched) == [(job_id, 1)]


@pytest.mark.promise("J10")
async def test_the_relay_starts_what_was_ordered(api: Api) -> None:
    """Nobody asks; the bell rings with the commit."""
    import asyncio

    job_id = await api.submit()
    async with asyncio.timeout(4):
        while (job_id, 1) not in api.orchestrator.launched:
            await asyncio.sleep(0.02)
