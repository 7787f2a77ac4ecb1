"""What does it cost when a process is killed inside the very transaction that counts? What was delivered, once; else nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx2
import pytest

from tests.acceptance.books import closed_books
from tests.acceptance.gate import BEGUN, ENDED, PREPARED, TAKEN, Gate
from tests.acceptance.midway import midway
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.adapters.temporal.names import job_workflow_id
from tiro.model.errors import Conflict

SECONDS = 10
SHORT_BY_S = 0.3
"""Less than whole seconds are decoded: what is charged is rounded up."""
KEPT_OR_LOST = pytest.mark.parametrize("kept", [True, False], ids=["kept", "lost"])


@KEPT_OR_LOST
@pytest.mark.promise("J21")
async def test_workers_killed_as_a_run_is_claimed_held_and_ended_charge_it_once(site: Site, kept: bool) -> None:
    """Three workers, each killed inside the next transaction of the same run; a fourth brings it to its end."""
    gates = [_gate(site, moment, kept=kept) for moment in (BEGUN, PREPARED, ENDED)]
    async with site.relay():
        job_id = await site.submit(SECONDS, short_by_s=SHORT_BY_S)
        for gate in gates:
            worker = await site.working()
            await site.until(gate.reached, "the worker stands at the gate")
            worker.kill()
            killed_at = datetime.now(UTC)
            gate.open()
        await site.working()
        job = await site.ended(job_id)
        await site.delivered(job_id)
    assert job.ended_at is not None
    assert (job.ended_at < killed_at) == kept
    assert await closed_books(site, site.account.account_id) == {job_id: SECONDS}
    await site.audit(job_id, seconds=SECONDS)


@KEPT_OR_LOST
@pytest.mark.promise("J5", "J21")
async def test_an_owner_cancels_while_a_worker_that_is_killed_ends_the_job(site: Site, kept: bool) -> None:
    """Whichever of the two came to its end counts: the owner is told so, and the job is charged once."""
    gate = _gate(site, ENDED, kept=kept)
    worker = await site.working()
    _, address = await site.serving()
    job_id = await site.post(address, content=wav(numbered(SECONDS)))
    await site.until(gate.reached, "the worker ends the job")
    cancelling = asyncio.create_task(_cancel(site, address, job_id))
    await site.until(lambda: gate.reached(2), "the owner's cancel waits for it")
    worker.kill()
    gate.open()
    answer = await cancelling
    await site.working()
    assert answer.status_code == (409 if kept else 200)
    await site.ended(job_id, "completed" if kept else "cancelled")
    await site.closed(job_workflow_id(job_id, 1))
    await site.delivered(job_id)
    assert await closed_books(site, site.account.account_id) == {job_id: SECONDS}
    await site.audit(job_id)


@KEPT_OR_LOST
@pytest.mark.promise("J5", "J21")
async def test_an_api_that_is_killed_as_it_cancels_leaves_a_job_that_is_cancelled_or_can_be(
    site: Site, kept: bool
) -> None:
    """The owner asks the next API again; what was heard is charged, once, and the workflow is told."""
    api, address = await site.serving()
    job_id, _, _ = await midway(site, 30 * SECONDS)
    gate = _gate(site, ENDED, kept=kept)
    cancelling = asyncio.create_task(_cancel(site, address, job_id))
    await site.until(gate.reached, "the API cancels")
    api.kill()
    killed_at = datetime.now(UTC)
    gate.open()
    with pytest.raises(httpx2.TransportError):
        await cancelling
    _, address = await site.serving()
    assert (await _cancel(site, address, job_id)).status_code == 200
    await site.closed(job_workflow_id(job_id, 1))
    await site.delivered(job_id)
    job = await site.job(job_id)
    assert job.spans_total is not None
    assert job.ended_at is not None
    assert (job.ended_at < killed_at) == kept
    assert await closed_books(site, job.account_id) == {job_id: 30 * SECONDS * job.spans_done // job.spans_total}
    await site.audit(job_id)


@KEPT_OR_LOST
@pytest.mark.promise("J21")
async def test_a_failed_job_that_is_retried_is_charged_for_the_run_that_was_delivered(site: Site, kept: bool) -> None:
    """The hold of the first run is released, the second has its own; its worker is killed as it ends."""
    async with site.relay():
        failing = await site.working(refuse="engine_refused*1")
        job_id = await site.submit(SECONDS, short_by_s=SHORT_BY_S)
        await site.ended(job_id, "failed")
        await site.delivered(job_id)
        assert await closed_books(site, site.account.account_id) == {}
        gate = _gate(site, ENDED, kept=kept)
        await site.house.jobs.retry(job_id)
        with pytest.raises(Conflict):
            await site.house.jobs.retry(job_id)
        await site.until(gate.reached, "the second run ends")
        failing.kill()
        killed_at = datetime.now(UTC)
        gate.open()
        await site.working()
        job = await site.ended(job_id)
        await site.until(lambda: _both_told(site, job_id), "the owner was told of both runs")
    assert job.ended_at is not None
    assert (job.ended_at < killed_at) == kept
    held = ("hold", SECONDS)
    assert await site.charges(job_id) == [held, ("release", SECONDS), held, ("capture", SECONDS)]
    assert await closed_books(site, site.account.account_id) == {job_id: SECONDS}
    assert await site.words(job) == [f"w{n}" for n in range(SECONDS)]


@KEPT_OR_LOST
@pytest.mark.promise("J21", "J48")
async def test_a_request_is_repeated_after_the_api_was_killed_before_it_could_answer(site: Site, kept: bool) -> None:
    """With its Idempotency-Key it is one job, held and charged once, whether the first had been kept or was lost."""
    gate = _gate(site, TAKEN, kept=kept)
    api, address = await site.serving()
    posting = asyncio.create_task(_post_once(site, address))
    await site.until(gate.reached, "the API accepts the job")
    api.kill()
    gate.open()
    with pytest.raises(httpx2.TransportError):
        await posting
    _, address = await site.serving()
    answer = await _post_once(site, address)
    again = await _post_once(site, address)
    assert [one.headers.get("Idempotent-Replayed") == "true" for one in (answer, again)] == [kept, True]
    assert answer.content == again.content
    job_id = str(answer.json()["job_id"])
    assert [job.job_id for job in await site.house.jobs.page(site.account.account_id)] == [job_id]
    await site.working()
    await site.ended(job_id)
    await site.delivered(job_id)
    assert await closed_books(site, site.account.account_id) == {job_id: SECONDS}
    await site.audit(job_id, seconds=SECONDS)


def _gate(site: Site, moment: str, *, kept: bool) -> Gate:
    return Gate(site.environ["TIRO_DATABASE_URL"], moment, kept=kept)


async def _cancel(site: Site, address: str, job_id: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False) as http:
        return await http.post(f"/jobs/{job_id}/cancel", headers={"Authorization": f"Bearer {site.key}"})


async def _post_once(site: Site, address: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False) as http:
        answer = await http.post(
            "/jobs",
            headers={"Authorization": f"Bearer {site.key}", "Idempotency-Key": "once"},
            files={"file": ("recording.wav", wav(numbered(SECONDS)))},
            data={"language": "en", "webhook_url": site.sink.url},
        )
    assert answer.status_code == 202, answer.text
    return answer


async def _both_told(site: Site, job_id: str) -> bool:
    """One event for each run, each delivered."""
    told = [(one.event, one.state) for one, _ in await site.house.jobs.deliveries(job_id)]
    return told == [("job.failed", "delivered"), ("job.completed", "delivered")]
