"""What a client of each API hears of a bad recording: a 415 with its reason at once, or a job that fails with it later."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from api.config import RequestLimits
from tests.acceptance.site import Site
from tests.hostile.media.cases import COMPLETED, REFUSED
from tests.hostile.media.forged import headless_mp3, id3
from tests.media_builder import encode, numbered, silence, wav
from tests.servers.api import ApiMaker
from tiro.adapters.temporal.names import job_workflow_id

Seen = Callable[[str], None]
PATIENT = RequestLimits(glance_s=60)
"""However busy the machine is, the first look is not cut short."""


@pytest.mark.hostile_input(1, "inputs 1 to 23, to POST /jobs", "415 invalid_audio with the reason at once, else 202")
async def test_each_bad_file_is_refused_over_http_or_taken(make_api: ApiMaker, seen: Seen) -> None:
    """Never a 5xx; and of those refused nothing is kept."""
    api = await make_api(limits=PATIENT)
    told: dict[str, tuple[int, str | None]] = {}
    for case in [*REFUSED, *COMPLETED]:
        answer = await api.http.post("/jobs", files={"file": ("upload.mp3", case.make())})
        told[case.what] = (answer.status_code, answer.json().get("reason"))
    refused = {case.what: (415, case.reason) for case in REFUSED if not case.late}
    taken = [case.what for case in [*REFUSED, *COMPLETED] if case.what not in refused]
    seen(f"{len(refused)} refused at once, {len(taken)} taken")
    assert told == refused | dict.fromkeys(taken, (202, None))
    assert len(list(api.house.blobs.list("jobs/"))) == len(taken)


@pytest.mark.hostile_input(26, "100 MiB + 1 byte to POST /jobs on the free plan", "413 file_too_large")
async def test_one_byte_more_than_the_plan_is_a_413(make_api: ApiMaker, seen: Seen) -> None:
    api = await make_api(plan="free")
    limit_bytes = 100 << 20
    exactly = await api.http.post("/jobs", files={"file": ("upload.mp3", bytes(limit_bytes))})
    more = await api.http.post("/jobs", files={"file": ("upload.mp3", bytes(limit_bytes + 1))})
    seen(f"{more.status_code} {more.json()['error']}; without that byte: {exactly.status_code}")
    assert (more.status_code, more.json()["error"], more.json()["limit_bytes"]) == (413, "file_too_large", limit_bytes)
    assert exactly.status_code == 202
    assert len(list(api.house.blobs.list("jobs/"))) == 1


LATE = {
    "empty_audio": lambda: wav(silence(90)),
    "unsupported_format": lambda: bytes(17 << 20),
    "decode_failed": lambda: id3(17 << 20, 100 << 20) + encode(numbered(10), "mp3"),
    "duration_exceeds_limit": lambda: headless_mp3(35),
}


@pytest.mark.hostile_input(
    25, "one file per reason that is found late, on a whole installation", "failed, 415 for the text"
)
async def test_what_is_found_late_fails_the_job_and_no_other(site: Site, seen: Seen) -> None:
    """Tried once; not charged; the client hears the same words as it would have at once, and its other job is completed."""
    site.account = await site.house.accounts.create("hostile", "free")
    site.key = (await site.house.accounts.create_key(site.account.account_id, "hostile")).text
    _, address = await site.serving()
    await site.working()
    jobs = {reason: await site.post(address, content=make(), name="upload.mp3") for reason, make in LATE.items()}
    neighbour = await site.post(address, content=wav(numbered(5)))
    for reason, job_id in jobs.items():
        job = await site.ended(job_id, "failed")
        assert (job.error_code, job.error_reason) == ("invalid_audio", reason)
        assert await _asked(site, address, job_id) == (415, "invalid_audio", reason)
        assert await _attempts(site, job_id) == [1]
        await site.delivered(job_id)
        await site.audit(job_id)
    await site.ended(neighbour)
    await site.delivered(neighbour)
    await site.audit(neighbour, seconds=5)
    assert not list(site.folder.glob("ingest-*"))
    seen(f"failed late: {', '.join(jobs)}; the neighbour completed")


async def _asked(site: Site, address: str, job_id: str) -> tuple[int, str, str]:
    """What the text's address says."""
    headers = {"Authorization": f"Bearer {site.key}"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=30, trust_env=False) as http:
        answer = await http.get(f"/jobs/{job_id}/transcript")
    return answer.status_code, answer.json()["error"], answer.json()["reason"]


async def _attempts(site: Site, job_id: str) -> list[int]:
    """How often ingest was tried."""
    history = await site.history(job_workflow_id(job_id, 1))
    scheduled = {
        event.event_id
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "ingest"
    }
    started = [event.activity_task_started_event_attributes for event in history.events]
    return [one.attempt for one in started if one.scheduled_event_id in scheduled]
