"""Somebody waits for a transcript, and the server that was asked dies: the job goes on, and another server has the answer."""

from __future__ import annotations

import asyncio
import signal

import httpx2
import pytest

from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.model.job import Job

WORDS = " ".join(f"w{number}" for number in range(10))


async def _called(site: Site, address: str, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=address, timeout=130, trust_env=False) as http:
        return await http.post(
            "/v1/transcribe",
            headers={"Authorization": f"Bearer {site.key}"},
            files={"file": ("recording.wav", wav(numbered(10)))},
            data={"language": "en", **fields},
        )


async def _at_work(site: Site) -> Job:
    """The job, once it is being transcribed."""

    async def heard() -> bool:
        found = await site.house.jobs.page(None, reference="meeting 7")
        return bool(found) and found[0].stage == "transcribing"

    await site.until(heard, "the job is being transcribed")
    (job,) = await site.house.jobs.page(None, reference="meeting 7")
    return job


@pytest.mark.promise("T36")
async def test_a_caller_whose_server_is_stopped_is_told_the_job(site: Site) -> None:
    """Instead of being cut off when the time for stopping is over; the job goes on."""
    await site.house.wallets.credit(site.account.account_id, 1_000_000, "for the test")
    gate = site.folder / "gate"
    await site.working(hold=str(gate))
    server, address = await site.serving()
    calling = asyncio.create_task(_called(site, address, reference_id="meeting 7"))
    job = await _at_work(site)
    server.signal(signal.SIGTERM)
    answer = await calling
    assert (answer.status_code, answer.json()["job_id"], answer.json()["status"]) == (200, job.job_id, "queued")
    gate.touch()
    await site.ended(job.job_id)


@pytest.mark.promise("T36", "T11")
async def test_a_caller_whose_server_is_killed_gets_the_same_job_from_another(site: Site) -> None:
    """Found by its reference, joined by the same request, charged once."""
    await site.house.wallets.credit(site.account.account_id, 1_000_000, "for the test")
    gate = site.folder / "gate"
    await site.working(hold=str(gate))
    first, address = await site.serving()
    _, other = await site.serving()
    calling = asyncio.create_task(_called(site, address, reference_id="meeting 7"))
    job = await _at_work(site)
    first.kill()
    with pytest.raises(httpx2.TransportError):
        await calling
    again = asyncio.create_task(_called(site, other, reference_id="meeting 7"))
    gate.touch()
    answer = await again
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["job_id"], told["text"], told["billed_seconds"]) == (job.job_id, WORDS, 10)
    assert [one.job_id for one in await site.house.jobs.page(None)] == [job.job_id]
    balance = await site.house.wallets.balance(site.account.account_id)
    assert (balance.balance_micros, balance.held_micros) == (1_000_000 - 417, 0)
    assert told["remaining_balance"] == 0.999583
