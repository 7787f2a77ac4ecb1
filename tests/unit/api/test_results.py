"""What is behind the address of a result? The document, to whoever has it, as long as the job is kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest

from tests.servers.api import PUBLIC_URL, Api, ApiMaker
from tests.servers.databases import SteppedClock
from tiro.model.blob import BlobRef, document_key, manifest_key, source_key, transcript_key
from tiro.model.job import Job
from tiro.model.request import JobOptions, JobRequest, ManifestSource, UploadedSource
from tiro.ports import Blobs
from tiro.services.results import AT_HAND_FOR

DOCUMENT = b'{"results":[' + b"1," * 4000 + b"1]}"


async def heard(api: Api) -> str:
    """A completed job of the transcribe dialect."""
    house, account = api.house, api.account.account_id
    await house.wallets.credit(account, 1_000_000, "test")
    job_id = house.intake.new_job_id()
    wish = JobRequest(
        job_id=job_id,
        account_id=account,
        dialect="transcribe",
        options=JobOptions(language="en"),
        source=UploadedSource(house.blobs.put(source_key(job_id), b"sound")),
    )
    await house.intake.submit(wish)
    await api.complete(job_id)
    return job_id


async def of_a_batch(api: Api, document: bytes | None = DOCUMENT) -> str:
    house = api.house
    job_id, now = house.intake.new_job_id(), house.clock.now()
    source = ManifestSource(BlobRef(manifest_key(job_id), 1, "0"), 2)
    job = Job(
        job_id=job_id,
        account_id=api.account.account_id,
        dialect="transcribe",
        options=JobOptions(),
        source=source,
        created_at=now,
        changed_at=now,
        files_total=2,
        state="completed",
        ended_at=now,
        expires_at=now + timedelta(days=30),
    )
    async with house.records.begin() as tx:
        await tx.jobs.add(job)
    if document is not None:
        house.blobs.put(document_key(job_id), document)
    return job_id


class Reader:
    """Has a link and no key."""

    def __init__(self, api: Api, job_id: str) -> None:
        self.url = api.house.passes.result_url(job_id, api.house.clock.now()).replace(PUBLIC_URL, api.url)

    async def get(self, method: str = "GET", **headers: str) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            return await http.request(method, self.url, headers=headers)


@pytest.mark.promise("T25")
async def test_the_document_of_one_recording_is_made_when_it_is_fetched(api: Api) -> None:
    """Without a key, to be saved under a name of ours."""
    job_id = await heard(api)
    answer = await Reader(api, job_id).get()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-disposition"] == f'attachment; filename="{job_id}.json"'
    assert (answer.json()["job_id"], answer.json()["text"]) == (job_id, "So tell. Yes.")


async def test_a_document_that_is_fetched_in_pieces_is_made_once(
    make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of hours takes seconds. A minute later it is not at hand any more; one that is deleted never is."""
    clock = SteppedClock()
    api = await make_api(clock=clock)
    job_id = await heard(api)
    reader, made = Reader(api, job_id), []
    get = type(api.house.blobs).get

    def getting(self: Blobs, key: str) -> bytes:
        made.append(key)
        return get(self, key)

    monkeypatch.setattr(type(api.house.blobs), "get", getting)
    pieces = await asyncio.gather(*(reader.get(Range=f"bytes={n}-{n}") for n in range(20)))
    whole = await reader.get()
    assert b"".join(piece.content for piece in pieces) == whole.content[:20]
    assert made == [transcript_key(job_id)]
    clock.step(AT_HAND_FOR.total_seconds())
    assert (await reader.get()).content == whole.content
    assert len(made) == 2
    await api.house.jobs.delete(job_id)
    assert (await reader.get()).status_code == 404


@pytest.mark.promise("T25")
async def test_a_document_is_served_in_ranges(api: Api) -> None:
    """Put together again they are the document."""
    reader = Reader(api, await of_a_batch(api))
    whole = await reader.get()
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, DOCUMENT, "bytes")
    first = await reader.get(Range="bytes=0-99")
    rest = await reader.get(Range="bytes=100-", **{"If-Range": whole.headers["etag"]})
    assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-99/{len(DOCUMENT)}")
    assert (rest.status_code, first.content + rest.content) == (206, DOCUMENT)
    beyond = await reader.get(Range="bytes=999999-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(DOCUMENT)}"
    head = await reader.get("HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(DOCUMENT)))


async def test_what_is_gone_or_never_was_is_a_404(make_api: ApiMaker) -> None:
    """Deleted, expired before anybody swept it, not ended, lost by the store, or of a dialect that has no documents."""
    clock = SteppedClock()
    api = await make_api(clock=clock)
    deleted, lost, kept = await of_a_batch(api), await of_a_batch(api, None), await of_a_batch(api)
    await api.house.jobs.delete(deleted)
    other = await api.submit(language="en")
    for job_id in (deleted, lost, other, "job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x"):
        answer = await Reader(api, job_id).get()
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await Reader(api, kept).get()).status_code == 200
    clock.step(timedelta(days=30).total_seconds())
    assert (await Reader(api, kept).get()).status_code == 404


async def test_a_result_address_ends_after_seven_days(make_api: ApiMaker) -> None:
    """The result is kept for longer: a new address opens it."""
    clock = SteppedClock()
    api = await make_api(clock=clock)
    job_id = await of_a_batch(api)
    old = Reader(api, job_id)
    clock.step(timedelta(days=7).total_seconds() + 1)
    answer = await old.get()
    assert (answer.status_code, answer.json()["code"]) == (403, "link_expired")
    assert (await Reader(api, job_id).get()).status_code == 200
