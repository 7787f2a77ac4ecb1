"""What does a batch lose whose workers are killed one after the other, and whose engine stumbles? Only what was broken when it came."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.service import RPCError

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.processes import Child
from tests.acceptance.site import Site, check_history
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server
from tests.servers.scripted_http import ScriptedHttp
from tiro.adapters.temporal import names
from tiro.adapters.temporal.devserver import free_port
from tiro.model.batch import pages_of
from tiro.model.wallet import Balance, cost_micros

FILES, SECONDS = 300, 2
BROKEN = (42, 137, 291)
KILLS = 4
CREDIT_MICROS = 5_000_000
_PUTS = 8


class Worker:
    """One that stops in the middle of every pack until its gate is open."""

    def __init__(self, gate: Path, child: Child) -> None:
        self.gate = gate
        self.child = child


class Batch:
    """The batch and its owner, on an installation over S3 whose engine fails one call in a hundred."""

    def __init__(self, site: Site, base: str) -> None:
        self.site = site
        self.job_id = ""
        self._http = httpx2.AsyncClient(
            base_url=base, headers={"Authorization": f"Bearer {site.key}"}, timeout=60, trust_env=False
        )
        self._slips = site.folder / "slips"
        self._slips.mkdir()
        self._gates = 0

    async def worker(self) -> Worker:
        self._gates += 1
        gate = self.site.folder / f"gate-{self._gates}"
        return Worker(gate, await self.site.working(hold=str(gate), slip=str(self._slips), delay="1"))

    async def hand_in(self, hook: str) -> None:
        """Every file by its own PUT to the store."""
        files = [{"reference_id": _reference(n), "size_bytes": len(_sound(n))} for n in range(FILES)]
        created = await self._said("POST", "/v1/jobs", {"type": "batch", "files": files, "webhook_url": hook})
        self.job_id = created["job_id"]
        asked = {"files": [{"reference_id": one["reference_id"]} for one in files]}
        told = await self._said("POST", f"/v1/jobs/{self.job_id}/upload-urls", asked)
        places = asyncio.Semaphore(_PUTS)

        async def put(number: int, upload: dict[str, Any]) -> None:
            async with places, httpx2.AsyncClient(trust_env=False, timeout=60) as store:
                answer = await store.put(upload["url"], content=_sound(number), headers=upload["headers"])
                assert answer.is_success, answer.text

        async with asyncio.TaskGroup() as group:
            for number, one in enumerate(told["uploads"]):
                group.create_task(put(number, one["upload"]))
        await self._said("POST", f"/v1/transcribe/{self.job_id}/upload-completed")

    async def seen(self) -> dict[str, Any]:
        return await self._said("GET", f"/v1/transcribe/{self.job_id}")

    async def document(self) -> dict[str, Any]:
        return await self._said("GET", (await self.seen())["result_url"])

    async def files_done(self) -> int:
        return (await self.site.job(self.job_id)).files_done

    async def packs_of(self, worker: Worker) -> int:
        """How many it is at."""
        at_it = 0
        for page in range(pages_of(FILES)):
            handle = self.site.client.get_workflow_handle(names.page_workflow_id(self.job_id, 1, page))
            try:
                described = await handle.describe()
            except RPCError:
                continue
            for one in described.raw_description.pending_activities:
                begun = one.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
                mine = one.last_worker_identity.startswith(f"{worker.child.pid}@")
                at_it += begun and mine and one.activity_type.name == "transcribe_pack"
        return at_it

    async def kill_between(self, victim: Worker, other: Worker) -> None:
        """While the victim is at some packs and the other has just brought others to their end."""
        done = await self.files_done()
        await self.site.until(lambda: self._at_work(victim), "the next victim is at a pack")
        other.gate.touch()
        await self.site.until(lambda: self._beyond(done), "the other worker makes progress")
        other.gate.unlink()
        victim.child.kill()

    async def close(self) -> None:
        await self._http.aclose()

    async def _at_work(self, worker: Worker) -> bool:
        return await self.packs_of(worker) > 0

    async def _beyond(self, files: int) -> bool:
        return await self.files_done() > files

    async def _said(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()


def _reference(number: int) -> str:
    return f"call/{number:03d} äöü"


def _sound(number: int) -> bytes:
    if number in BROKEN:
        return b"this is no recording" * 100
    return wav(numbered(SECONDS, first=number * SECONDS))


def _words(item: dict[str, Any]) -> list[str]:
    return [word.strip(".").lower() for word in item["text"].split()]


@pytest.fixture
async def batch(
    make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Batch]:
    reached = s3_server.environ()
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    base = f"http://127.0.0.1:{free_port()}"
    site = await make_site(TIRO_BLOBS=f"s3://{s3_bucket}/tiro", TIRO_PUBLIC_URL=base, **reached)
    await site.house.wallets.credit(site.account.account_id, CREDIT_MICROS, "for the test")
    await site.serving_at(base)
    batch = Batch(site, base)
    yield batch
    await batch.close()


@pytest.mark.timeout(480)
@pytest.mark.promise("T40", "T12")
async def test_a_batch_whose_workers_are_killed_by_turns_loses_only_what_was_broken(batch: Batch) -> None:
    """Exactly the broken files fail; every other transcript is there, once and right, and paid for once; its owner is told once."""
    site = batch.site
    victim, other = await batch.worker(), await batch.worker()
    with ScriptedHttp({"/hook": lambda visit: visit.answer(200)}) as receiver:
        await batch.hand_in(receiver.url("/hook"))
        for _ in range(KILLS):
            await batch.kill_between(victim, other)
            victim, other = other, await batch.worker()
        assert await batch.files_done() < FILES
        for worker in (victim, other):
            worker.gate.touch()
        await site.ended(batch.job_id)
        await site.delivered(batch.job_id)
        events = [json.loads(visit.body) for visit in receiver.visits]
    assert [(event["type"], event["status"]) for event in events] == [
        ("transcription.completed", "completed_with_errors")
    ]
    await _check_document(batch)
    await _check_money(batch)
    await _check_histories(batch)
    assert any(json.loads(line)["failed"] for line in (site.folder / "calls.jsonl").read_bytes().splitlines())


async def _check_document(batch: Batch) -> None:
    told = await batch.document()
    assert (told["total_files"], told["succeeded"], told["failed"]) == (FILES, FILES - len(BROKEN), len(BROKEN))
    assert [item["reference_id"] for item in told["results"]] == [_reference(n) for n in range(FILES)]
    codes = {number: item["code"] for number, item in enumerate(told["results"]) if "code" in item}
    assert codes == dict.fromkeys(BROKEN, "failed_unsupported_batch_format")
    for number, item in enumerate(told["results"]):
        if number not in BROKEN:
            assert _words(item) == [f"w{number * SECONDS + second}" for second in range(SECONDS)]


async def _check_money(batch: Batch) -> None:
    """Each second of each transcript once, and nothing is held."""
    job = await batch.site.job(batch.job_id)
    seconds = (FILES - len(BROKEN)) * SECONDS
    assert job.micros_per_hour is not None
    price = cost_micros(seconds, job.micros_per_hour)
    async with batch.site.house.records.begin() as tx:
        entries = [one for one in await tx.wallets.entries(job.account_id) if one.job_id == job.job_id]
        balance = await tx.wallets.balance(job.account_id)
    assert Counter(one.kind for one in entries) == {"hold": 1, "capture": 1, "release": 1}
    assert [(one.seconds, one.amount_micros) for one in entries if one.kind == "capture"] == [(seconds, price)]
    assert balance == Balance(CREDIT_MICROS - price, 0)
    seen = await batch.seen()
    assert (seen["billed_seconds"], seen["cost"]) == (seconds, price / 1_000_000)


async def _check_histories(batch: Batch) -> None:
    ids = [names.batch_workflow_id(batch.job_id, 1)]
    ids += [names.page_workflow_id(batch.job_id, 1, page) for page in range(pages_of(FILES))]
    for workflow_id in ids:
        await batch.site.closed(workflow_id)
        check_history(await batch.site.history(workflow_id))
