"""Which jobs can be created, and what is answered?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.transcribe.asking import HOOK, URL, big_file, created, job_of, looked, refused
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api
from tiro.model.request import AwaitedSource, ManifestSource, UrlSource

MIB = 1 << 20
GIB = 1 << 30
URL_JOB = {"type": "big_file", "source": {"type": "url", "url": URL}}


@pytest.fixture
async def paid(api: Api) -> Api:
    return await funded(api)


@pytest.mark.promise("T18", "T19")
async def test_a_big_file_to_be_uploaded_awaits_its_bytes(paid: Api) -> None:
    answer = await big_file(paid, reference_id="talk 7")
    [upload] = answer.pop("uploads")
    assert answer == {
        "job_id": answer["job_id"],
        "status": "uploading",
        "job_status": "uploading",
        "total_files": 1,
        "reference_id": "talk 7",
    }
    assert upload["reference_id"] == upload["file_id"] == "talk 7"
    assert upload["upload"]["type"] == "put"
    assert upload["upload"]["headers"] == {"Content-Type": "audio/mpeg"}
    job = await job_of(paid, answer["job_id"])
    assert (job.dialect, job.awaiting, job.reference, job.priority) == ("transcribe", True, "talk 7", 3)
    assert job.source == AwaitedSource(1000, "audio/mpeg")


@pytest.mark.promise("T18")
async def test_from_128_mib_on_a_big_file_comes_in_parts(paid: Api) -> None:
    put = (await big_file(paid, size_bytes=128 * MIB - 1))["uploads"][0]["upload"]
    parts = (await big_file(paid, size_bytes=128 * MIB))["uploads"][0]["upload"]
    assert (put["type"], parts["type"]) == ("put", "multipart")
    assert {"key", "upload_id", "part_size", "parts", "complete_url", "abort_url"} <= parts.keys()
    assert parts["part_size"] == 5 * MIB
    assert [part["part_number"] for part in parts["parts"]] == list(range(1, 27))


@pytest.mark.promise("T18")
async def test_parts_grow_so_that_there_are_at_most_a_thousand(paid: Api) -> None:
    upload = (await big_file(paid, size_bytes=10 * GIB))["uploads"][0]["upload"]
    assert len(upload["parts"]) == -(-10 * GIB // upload["part_size"]) <= 1000


@pytest.mark.promise("T19")
async def test_a_job_with_an_address_begins_by_itself(paid: Api) -> None:
    answer = await created(paid, URL_JOB | {"model": "whisper-large-v3-turbo"})
    assert answer["uploads"] == []
    assert (answer["status"], answer["job_status"], answer["total_files"]) == ("verifying", "verifying", 1)
    await paid.house.dispatch.once()
    assert (answer["job_id"], 1) in paid.orchestrator.launched
    assert isinstance((await job_of(paid, answer["job_id"])).source, UrlSource)


@pytest.mark.promise("T18")
@pytest.mark.parametrize("body", [{}, {"size_bytes": 5, "source": URL_JOB["source"]}], ids=["neither", "both"])
async def test_a_big_file_has_a_size_or_a_source(paid: Api, body: dict[str, Any]) -> None:
    assert await refused(paid, {"type": "big_file"} | body) == (400, "invalid_job_request")


@pytest.mark.promise("T18")
async def test_options_of_a_job_are_those_of_a_sync_call(paid: Api) -> None:
    wishes = {
        "language": "en",
        "vad_filter": True,
        "initial_prompt": "Tiro",
        "vtt_granularity": "word",
        "exclude": "vtt",
    }
    options = (await job_of(paid, (await big_file(paid, **wishes))["job_id"])).options
    assert (options.language, options.vad, options.prompt, options.cues) == ("en", True, "Tiro", "word")
    assert (options.omit, options.diarize, options.moving_pictures) == (("vtt",), False, False)


@pytest.mark.promise("T20")
async def test_a_batch_is_asked_for_its_upload_urls_page_by_page(paid: Api) -> None:
    answer = await created(paid, {"type": "batch", "files": [{"reference_id": "a"}, {"reference_id": "b", "url": URL}]})
    assert answer["uploads"] == []
    assert (answer["status"], answer["job_status"], answer["total_files"]) == ("uploading", "uploading", 2)
    job = await job_of(paid, answer["job_id"])
    assert isinstance(job.source, ManifestSource)
    assert (job.files_total, job.source.uploads, job.priority) == (2, 1, 4)


@pytest.mark.promise("T20")
async def test_names_of_files_come_back_byte_for_byte(paid: Api) -> None:
    names = ["a/b", 'quo"te', "back\\slash", "\u00fcber \U0001f600", " space ", "00001", "x" * 128, "\u202egnirts"]
    answer = await created(paid, {"files": [{"reference_id": name} for name in names]}, "/v1/transcribe")
    assert [one["reference_id"] for one in answer["uploads"]] == names
    assert len({one["key"] for one in answer["uploads"]}) == len(names)


@pytest.mark.promise("T20")
async def test_files_without_a_name_are_numbered(paid: Api) -> None:
    answer = await created(paid, {"files": [{}, {"reference_id": "mine"}, {}]}, "/v1/transcribe")
    assert [one["reference_id"] for one in answer["uploads"]] == ["file_000001", "mine", "file_000003"]


@pytest.mark.promise("T19", "T20")
async def test_clients_that_name_no_type_are_told_at_once_how_to_bring_each_file(paid: Api) -> None:
    """Large ones in parts; what has an address is not brought."""
    files = [
        {"reference_id": "00001"},
        {"reference_id": "00002", "size_bytes": 200 * MIB},
        {"reference_id": "3", "url": URL},
    ]
    answer = await created(paid, {"files": files}, "/v1/transcribe")
    assert [(one["reference_id"], one["upload"]["type"]) for one in answer["uploads"]] == [
        ("00001", "put"),
        ("00002", "multipart"),
    ]
    assert answer["uploads"][0]["upload"]["headers"] == {}
    assert (answer["job_status"], answer["total_files"]) == ("uploading", 3)


@pytest.mark.promise("T19")
async def test_a_list_of_one_file_is_a_big_file(paid: Api) -> None:
    answer = await created(paid, {"files": [{"reference_id": "00001", "language": None}]}, "/v1/transcribe")
    assert [one["reference_id"] for one in answer["uploads"]] == ["00001"]
    assert answer["reference_id"] == "00001"
    job = await job_of(paid, answer["job_id"])
    assert (job.is_batch, job.source, job.options.language) == (False, AwaitedSource(), None)


@pytest.mark.promise("T19")
async def test_a_list_of_addresses_begins_by_itself(paid: Api) -> None:
    for files in ([{"url": URL}], [{"url": URL}, {"url": URL}]):
        answer = await created(paid, {"files": files, "webhook_url": HOOK}, "/v1/transcribe")
        assert (answer["uploads"], answer["status"]) == ([], "verifying")
        await paid.house.dispatch.once()
        assert (answer["job_id"], 1) in paid.orchestrator.launched


@pytest.mark.promise("T45")
async def test_a_file_that_names_its_language_has_it(paid: Api) -> None:
    files = [{"reference_id": "de", "language": "de"}, {"reference_id": "as all"}]
    answer = await created(paid, {"type": "batch", "language": "en", "files": files})
    job = await job_of(paid, answer["job_id"])
    entries = await paid.house.batches.entries(job)
    assert [entry.language or job.options.language for entry in entries] == ["de", "en"]


@pytest.mark.promise("T45")
async def test_null_has_the_language_found_although_all_others_have_one(paid: Api) -> None:
    files = [{"reference_id": "found", "language": None}, {"reference_id": "as all"}]
    answer = await created(paid, {"type": "batch", "language": "en", "files": files})
    job = await job_of(paid, answer["job_id"])
    entries = await paid.house.batches.entries(job)
    assert [entry.language or job.options.language for entry in entries] == [None, "en"]


@pytest.mark.promise("T3")
async def test_without_credit_no_job_is_created(api: Api) -> None:
    for body in (URL_JOB, {"type": "big_file", "size_bytes": 5}, {"type": "batch", "files": [{}, {}]}):
        answer = await api.http.post("/v1/jobs", json=body)
        assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credit")
        assert {"required_usd", "remaining_balance"} <= answer.json().keys()
    assert await api.house.jobs.page(None) == []
    assert list(api.house.blobs.list("jobs/")) == []


@pytest.mark.promise("T19")
async def test_ten_thousand_files_are_created_in_one_call(paid: Api) -> None:
    """As the published clients send them: an address of 600 characters each, or a name for each upload."""
    long = f"{URL}&token={'x' * 550}"
    answer = await created(
        paid, {"files": [{"reference_id": f"{n:05d}", "url": long} for n in range(10_000)]}, "/v1/transcribe"
    )
    assert (answer["total_files"], answer["uploads"]) == (10_000, [])
    answer = await created(paid, {"files": [{"reference_id": f"{n:05d}"} for n in range(10_000)]}, "/v1/transcribe")
    assert [one["reference_id"] for one in answer["uploads"]] == [f"{n:05d}" for n in range(10_000)]
    assert (await looked(paid, answer["job_id"]))["total_files"] == 10_000
