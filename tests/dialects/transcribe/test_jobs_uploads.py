"""How do bytes get to a job that awaits them: upload URLs, resuming, and the word that all is there?"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from tests.dialects.transcribe.asking import URL, big_file, coded, completed, created, job_of, looked, put
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api
from tiro.model.blob import source_key

MIB = 1 << 20
STATE = (409, "invalid_job_status")


@pytest.fixture
async def paid(api: Api) -> Api:
    return await funded(api)


async def a_batch(api: Api, *files: dict[str, Any], **fields: Any) -> str:
    answer = await created(api, {"type": "batch", "files": list(files), **fields})
    return str(answer["job_id"])


async def urls(api: Api, job_id: str, *files: Any) -> httpx2.Response:
    return await api.http.post(f"/v1/jobs/{job_id}/upload-urls", json={"files": list(files)})


async def resumed(api: Api, job_id: str, upload: Any) -> httpx2.Response:
    return await api.http.post(f"/v1/jobs/{job_id}/resume-upload", json={"upload": upload})


@pytest.mark.promise("T21")
async def test_a_page_of_upload_urls_in_the_order_in_which_it_was_asked_for(paid: Api) -> None:
    job_id = await a_batch(paid, {"reference_id": "a"}, {"url": URL}, {"reference_id": "c", "filename": "c.wav"})
    answer = await urls(
        paid, job_id, {"file_id": "c"}, {"reference_id": "a", "filename": "a.mp3", "content_type": "audio/mpeg"}
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["job_id"] == job_id
    assert [(one["file_id"], one["reference_id"], one["filename"]) for one in told["uploads"]] == [
        ("c", "c", "c.wav"),
        ("a", "a", "a.mp3"),
    ]
    assert [one["upload"]["headers"] for one in told["uploads"]] == [{}, {"Content-Type": "audio/mpeg"}]
    assert all(one["key"] == one["upload"]["key"] for one in told["uploads"])


@pytest.mark.promise("T21")
async def test_a_page_has_1_to_500_files(paid: Api) -> None:
    job_id = await a_batch(paid, *({} for _ in range(501)))
    names = [{"file_id": f"file_{n + 1:06d}"} for n in range(501)]
    assert len((await urls(paid, job_id, *names[:500])).json()["uploads"]) == 500
    bodies: list[dict[str, Any]] = [{"files": names}, {"files": []}, {}, {"files": "a"}]
    for body in bodies:
        answer = await paid.http.post(f"/v1/jobs/{job_id}/upload-urls", json=body)
        assert coded(answer) == (400, "invalid_upload_page")


@pytest.mark.promise("T21")
@pytest.mark.parametrize(
    "file",
    [
        {"file_id": "unknown"},
        {"file_id": "remote"},
        {},
        5,
        {"file_id": 5},
        {"file_id": "brought", "content_type": "video/mp4"},
        {"file_id": "brought", "size_bytes": 999},
        {"file_id": "brought", "size_bytes": -1},
        {"file_id": "brought", "content_type": "audio/wav"},
    ],
)
async def test_a_file_that_is_not_to_be_uploaded_or_is_said_to_be_another(paid: Api, file: Any) -> None:
    known = {"reference_id": "brought", "size_bytes": 1000, "content_type": "audio/mpeg"}
    job_id = await a_batch(paid, known, {"reference_id": "remote", "url": URL})
    assert coded(await urls(paid, job_id, file)) == (400, "invalid_file_metadata")
    assert (await urls(paid, job_id, {"file_id": "brought", "size_bytes": 1000})).status_code == 200


@pytest.mark.promise("T21")
async def test_a_file_is_asked_for_once_in_a_page_and_as_often_as_wanted_in_others(paid: Api) -> None:
    job_id = await a_batch(paid, {"reference_id": "a"}, {})
    assert coded(await urls(paid, job_id, {"file_id": "a"}, {"reference_id": "a"})) == (400, "invalid_file_metadata")
    for _ in range(2):
        assert (await urls(paid, job_id, {"file_id": "a"})).status_code == 200


@pytest.mark.promise("T21", "T33")
async def test_upload_urls_are_for_batches_that_still_await_something(paid: Api) -> None:
    single = (await big_file(paid))["job_id"]
    answer = await urls(paid, single, {"file_id": "file_000001"})
    assert (coded(answer), answer.json()["job_status"]) == (STATE, "uploading")
    job_id = await a_batch(paid, {"reference_id": "a"}, {})
    await completed(paid, job_id)
    answer = await urls(paid, job_id, {"file_id": "a"})
    assert (coded(answer), answer.json()["job_status"]) == (STATE, "queued")


@pytest.mark.promise("T19", "T23")
async def test_what_was_put_is_the_source_of_the_job(paid: Api) -> None:
    answer = await big_file(paid, size_bytes=5)
    upload = answer["uploads"][0]["upload"]
    assert (await put(paid, upload["url"], b"bytes", upload["headers"])).status_code == 200
    done = await completed(paid, answer["job_id"])
    assert done.status_code == 200, done.text
    assert done.json() == {
        "job_id": answer["job_id"],
        "status": "queued",
        "job_status": "queued",
        "billed_seconds": 0,
        "cost": 0.0,
        "total_files": 1,
    }
    assert paid.house.blobs.get(source_key(answer["job_id"])) == b"bytes"
    await paid.house.dispatch.once()
    assert (answer["job_id"], 1) in paid.orchestrator.launched


@pytest.mark.promise("T23")
async def test_completing_twice_or_at_once_is_answered_with_the_state(paid: Api) -> None:
    answer = await big_file(paid, size_bytes=5)
    upload = answer["uploads"][0]["upload"]
    await put(paid, upload["url"], b"bytes", upload["headers"])
    answers = await asyncio.gather(*(completed(paid, answer["job_id"]) for _ in range(3)))
    answers.append(await completed(paid, answer["job_id"]))
    assert {(one.status_code, one.json()["job_status"]) for one in answers} == {(200, "queued")}
    await paid.house.dispatch.once()
    assert len(paid.orchestrator.launched) == 1


@pytest.mark.promise("T23")
async def test_completing_with_nothing_there_fails_the_job_and_not_the_call(paid: Api) -> None:
    job_id = (await big_file(paid))["job_id"]
    answer = await completed(paid, job_id)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["job_status"]) == ("failed_upload_missing", "failed")
    again = await completed(paid, job_id)
    assert (coded(again), again.json()["job_status"]) == (STATE, "failed")


@pytest.mark.promise("T23")
async def test_what_never_had_an_upload_cannot_be_completed(paid: Api) -> None:
    job_id = (await created(paid, {"type": "big_file", "source": {"type": "url", "url": URL}}))["job_id"]
    answer = await completed(paid, job_id)
    assert (coded(answer), answer.json()["job_status"]) == (STATE, "verifying")


@pytest.mark.promise("T23")
async def test_a_batch_is_queued_when_it_is_said_to_be_there(paid: Api) -> None:
    job_id = await a_batch(paid, {"reference_id": "a"}, {"url": URL})
    assert (await completed(paid, job_id)).json()["status"] == "queued"
    await paid.house.dispatch.once()
    assert (job_id, 1) in paid.orchestrator.launched


@pytest.mark.promise("T22")
async def test_a_put_is_resumed_with_a_fresh_url(paid: Api) -> None:
    answer = await big_file(paid, size_bytes=5)
    before = answer["uploads"][0]
    told = await resumed(paid, answer["job_id"], {"type": "put", "key": before["key"]})
    assert told.status_code == 200, told.text
    upload = told.json()["upload"]
    assert (upload["type"], upload["key"]) == ("put", before["key"])
    assert (await put(paid, upload["url"], b"bytes", upload["headers"])).status_code == 200


@pytest.mark.promise("T22", "T43")
async def test_parts_that_came_are_not_asked_for_again(paid: Api) -> None:
    """A client that was killed between two parts forgets everything but what the create answer said."""
    data = b"".join(bytes([n]) * MIB for n in range(130))
    answer = await big_file(paid, size_bytes=len(data))
    first = answer["uploads"][0]["upload"]
    size = first["part_size"]

    def part(number: int) -> bytes:
        return data[(number - 1) * size : number * size]

    for one in first["parts"][:20]:
        assert (await put(paid, one["url"], part(one["part_number"]))).status_code == 200
    told = await resumed(paid, answer["job_id"], {name: first[name] for name in ("type", "key", "upload_id")})
    upload = told.json()["upload"]
    assert (upload["upload_id"], upload["part_size"]) == (first["upload_id"], size)
    assert [one["part_number"] for one in upload["parts"]] == list(range(21, 27))
    etags = {one["part_number"]: one["etag"] for one in upload["uploaded_parts"]}
    for one in upload["parts"]:
        etags[one["part_number"]] = (await put(paid, one["url"], part(one["part_number"]))).headers["etag"]
    listed = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in sorted(etags.items())
    )
    for _ in range(2):
        done = await paid.http.post(
            upload["complete_url"].partition("tiro.example")[2],
            content=f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode(),
            headers={"Content-Type": "application/xml"},
        )
        assert done.status_code == 200, done.text
    assert (await completed(paid, answer["job_id"])).json()["status"] == "queued"
    stored = await asyncio.to_thread(paid.house.blobs.get, source_key(answer["job_id"]))
    assert sha256(stored).hexdigest() == sha256(data).hexdigest()


@pytest.mark.promise("T22")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "jobs/other/source"}, "invalid_upload"),
        ({"key": ""}, "invalid_upload"),
        ({"key": None}, "invalid_upload"),
        ({"key": 5}, "invalid_upload"),
        ({"type": None}, "invalid_upload"),
        ({"type": "multipart"}, "invalid_upload"),
        ({"type": "multipart", "upload_id": "unknown"}, "invalid_upload"),
        ({"type": "tus"}, "invalid_upload_type"),
        ({"type": "PUT"}, "invalid_upload_type"),
    ],
)
async def test_another_upload_is_not_resumed(paid: Api, change: dict[str, Any], code: str) -> None:
    answer = await big_file(paid)
    upload = {"type": "put", "key": answer["uploads"][0]["key"]} | change
    assert coded(await resumed(paid, answer["job_id"], upload)) == (400, code)


@pytest.mark.promise("T22")
async def test_parts_of_an_upload_that_is_not_open_are_not_resumed(paid: Api) -> None:
    answer = await big_file(paid, size_bytes=128 * MIB)
    upload = answer["uploads"][0]["upload"]
    for wrong in ({"upload_id": "unknown"}, {"upload_id": "../../etc"}, {"upload_id": "u" * 5000}, {"type": "put"}):
        told = {name: upload[name] for name in ("type", "key", "upload_id")} | wrong
        assert coded(await resumed(paid, answer["job_id"], told)) == (400, "invalid_upload")


@pytest.mark.promise("T22")
@pytest.mark.parametrize("body", [{}, {"upload": None}, {"upload": []}, {"upload": "put"}])
async def test_resuming_names_an_upload(paid: Api, body: dict[str, Any]) -> None:
    job_id = (await big_file(paid))["job_id"]
    assert coded(await paid.http.post(f"/v1/jobs/{job_id}/resume-upload", json=body)) == (400, "invalid_upload")


@pytest.mark.promise("T22", "T33")
async def test_only_a_job_that_is_uploading_is_resumed(paid: Api) -> None:
    answer = await big_file(paid)
    upload = {"type": "put", "key": answer["uploads"][0]["key"]}
    await completed(paid, answer["job_id"])
    told = await resumed(paid, answer["job_id"], upload)
    assert (coded(told), told.json()["job_status"]) == (STATE, "failed")
    batch = await a_batch(paid, {}, {})
    assert coded(await resumed(paid, batch, upload)) == STATE


@pytest.mark.promise("T2", "T7")
async def test_another_size_than_was_declared_fails_the_job(paid: Api) -> None:
    """The address takes nothing else; what got there otherwise is found when it is looked at."""
    answer = await big_file(paid, size_bytes=5)
    upload = answer["uploads"][0]["upload"]
    assert (await put(paid, upload["url"], b"too long", upload["headers"])).status_code >= 400
    paid.house.blobs.put(source_key(answer["job_id"]), b"too long")
    assert (await completed(paid, answer["job_id"])).json()["status"] == "failed_upload_size_mismatch"
    job = await job_of(paid, answer["job_id"])
    assert (job.state, job.error_code) == ("failed", "upload_size_mismatch")
    assert (await looked(paid, answer["job_id"]))["code"] == "failed_upload_size_mismatch"
