"""Does `tiro audit` find what was changed behind everybody's back, on real servers, and each thing once?"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psycopg
import pytest
from temporalio.client import Client

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import Site
from tests.acceptance.up import ROOT, Up, environ, run, tiro
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server
from tiro.adapters.temporal.devserver import free_port
from tiro.adapters.temporal.names import job_workflow_id
from tiro.model.blob import transcript_key
from tiro.model.job import Ending, Job
from tiro.model.request import JobOptions

pytestmark = pytest.mark.timeout(240)
FOREIGN = "jobs/job_01KZZZZZZZZZZZZZZZZZZZZZZZ/source"


class Told(msgspec.Struct, frozen=True):
    """What the command says for a pipe."""

    findings: list[dict[str, str]]
    compared: dict[str, int]
    unchecked: dict[str, str]
    notes: list[str]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(one["kind"], one["subject"]) for one in self.findings]


async def _audited(site: Site, expect: int, **changes: str) -> Told:
    """As an operator at scale asks."""

    def asked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            tiro("audit", "--json"), env={**site.environ, **changes}, cwd=ROOT, capture_output=True, text=True
        )

    done = await asyncio.to_thread(asked)
    assert done.returncode == expect, done.stdout + done.stderr
    return msgspec.json.decode(done.stdout, type=Told)


def _by_hand(site: Site, statement: str) -> None:
    with psycopg.connect(site.environ["TIRO_DATABASE_URL"]) as records:
        assert records.execute(statement).rowcount == 1  # type: ignore[arg-type]


@pytest.fixture
async def apart(
    make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Site, str]]:
    """PostgreSQL, S3 and Temporal, and a job that was completed: so far all agrees."""
    reached = s3_server.environ()
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    site = await make_site(TIRO_BLOBS=f"s3://{s3_bucket}/tiro", **reached)
    async with site.relay():
        await site.working()
        job_id = await site.submit(5)
        await site.ended(job_id)
        await site.delivered(job_id)
        await site.check_agrees()
        yield site, job_id
        site.spoiled = True


async def test_a_transcript_that_was_removed(apart: tuple[Site, str]) -> None:
    site, job_id = apart
    await asyncio.to_thread(site.house.blobs.delete, transcript_key(job_id))
    assert (await _audited(site, 1)).kinds == [("result_missing", job_id)]


async def test_an_object_of_nobodys(apart: tuple[Site, str]) -> None:
    site, _ = apart
    await asyncio.to_thread(site.house.blobs.put, FOREIGN, b"recording")
    assert (await _audited(site, 1)).kinds == [("object_unknown", FOREIGN.split("/")[1])]


async def test_a_balance_that_was_changed_by_hand(apart: tuple[Site, str]) -> None:
    site, _ = apart
    _by_hand(site, "UPDATE month_balances SET used_s = used_s + 60")
    (found,) = (await _audited(site, 1)).findings
    assert (found["kind"], found["there"], found["should"]) == ("minutes", "used_s 65", "used_s 5")
    assert found["subject"].startswith(site.account.account_id)


async def test_a_slot_that_nobody_has(apart: tuple[Site, str]) -> None:
    site, _ = apart
    _by_hand(site, "UPDATE accounts SET running = running + 1")
    assert (await _audited(site, 1)).kinds == [("slots", site.account.account_id)]


async def test_a_wallet_that_still_holds_for_a_job_that_has_ended(apart: tuple[Site, str]) -> None:
    """Ended by the old code of somebody, without the release."""
    site, ended = apart
    now = site.house.clock.now()
    job = msgspec.structs.replace(
        await site.job(ended), job_id="job_1", dialect="transcribe", state="queued", run=1, micros_per_hour=3600,
        options=JobOptions(), webhook_url=None, ended_at=None, transcript=None, billed_s=None,
    )  # fmt: skip
    async with site.house.records.begin() as tx:
        await tx.jobs.add(job)
        await tx.wallets.credit(job.account_id, 1000, name="start", note="", now=now)
        await tx.wallets.hold(job.account_id, job.job_id, 1, 100, 3600, now)
        await tx.jobs.finish(job.job_id, 1, Ending(outcome="failed"), now, now)
    (found,) = (await _audited(site, 1)).findings
    assert found == {"kind": "wallet_held", "subject": "job_1", "there": "held_micros 100", "should": "held_micros 0"}


async def test_a_workflow_that_was_terminated(site: Site) -> None:
    """Its job says that it runs; without Temporal nobody can tell, and that is said."""
    async with site.relay():
        await site.working(hold=str(site.folder / "never"))
        job_id = await site.submit(5)
        await site.until(_processing(site, job_id), "the job runs")
        await site.check_agrees()
        await site.client.get_workflow_handle(job_workflow_id(job_id, 1)).terminate()
        assert (await _audited(site, 1)).kinds == [("run_lost", f"{job_id}/1")]
        silent = await _audited(site, 2, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    assert (silent.findings, silent.unchecked.keys()) == ([], {"temporal"})
    site.spoiled = True


def _processing(site: Site, job_id: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        job: Job = await site.job(job_id)
        return job.state == "processing"

    return holds


def test_a_folder_with_its_server_and_without(tmp_path: Path) -> None:
    """SQLite and files: all of it is found beside the running server; stopped, all but what only Temporal knows."""
    data, gate = tmp_path / "data", tmp_path / "gate"
    up = Up(data, environ(data, TIRO_ENGINES=f"scripted:hold={gate}"))
    try:
        ready = up.ready()
        gate.touch()
        done = _post(ready)
        _reaches(data, done, "completed")
        gate.unlink()
        held = _post(ready)
        _reaches(data, held, "processing")
        assert _folder_audit(data, 0).compared["jobs"] == 2
        _spoil(data, done)
        asyncio.run(_terminate(ready["temporal_address"], held))
        planted = [
            ("minutes", f"{ready['account']} {_month(data)}"),
            ("object_unknown", FOREIGN.split("/")[1]),
            ("result_missing", done),
            ("slots", ready["account"]),
        ]
        assert sorted(_folder_audit(data, 1).kinds) == sorted([*planted, ("run_lost", f"{held}/1")])
        assert up.stop() == 0
        alone = _folder_audit(data, 1)
        assert (sorted(alone.kinds), alone.notes) == (sorted(planted), ["No server runs: Temporal was not asked."])
        assert "4 findings" in run(data, "audit", expect=1).stderr
    finally:
        up.end()


def test_a_folder_that_was_never_started_cannot_be_audited(tmp_path: Path) -> None:
    assert "no records" in run(tmp_path / "data", "audit", expect=2).stderr


def _folder_audit(data: Path, expect: int) -> Told:
    return msgspec.json.decode(run(data, "audit", "--json", expect=expect).stdout, type=Told)


def _post(ready: dict[str, Any]) -> str:
    with httpx2.Client(base_url=ready["api"], trust_env=False, timeout=30) as http:
        headers = {"Authorization": f"Bearer {ready['key']}"}
        answer = http.post("/jobs", files={"file": ("a.wav", wav(numbered(4)))}, headers=headers)
    return str(answer.json()["job_id"])


def _reaches(data: Path, job_id: str, state: str) -> None:
    while json.loads(run(data, "jobs", "show", job_id, "--json").stdout)["job"]["state"] != state:
        pass


def _spoil(data: Path, job_id: str) -> None:
    """A transcript less, an object more, a balance and a slot by hand."""
    (data / "blobs" / transcript_key(job_id)).unlink()
    foreign = data / "blobs" / FOREIGN
    foreign.parent.mkdir()
    foreign.write_bytes(b"recording")
    with sqlite3.connect(data / "tiro.db", timeout=30) as records:
        records.execute("UPDATE month_balances SET held_s = held_s + 1")
        records.execute("UPDATE accounts SET running = running + 1")
    records.close()


def _month(data: Path) -> str:
    records = sqlite3.connect(data / "tiro.db", timeout=30)
    ((month,),) = records.execute("SELECT month FROM month_balances").fetchall()
    records.close()
    return str(month)


async def _terminate(address: str, job_id: str) -> None:
    client = await Client.connect(address)
    await client.get_workflow_handle(job_workflow_id(job_id, 1)).terminate()
