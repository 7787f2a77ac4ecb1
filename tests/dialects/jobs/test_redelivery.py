"""What does an operator see of a webhook, and how is it sent once more? `tiro jobs show` and `redeliver`, over a real receiver."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from tests.servers.api import ApiMaker
from tests.servers.scripted_http import ScriptedHttp, Visit
from tests.unit.commands.shell import Shell
from tiro.services.ending import SOURCE_KEPT_FOR


@pytest.mark.promise("J37", "J38")
async def test_the_delivery_log_lists_every_attempt_and_an_event_is_sent_once_more(
    make_api: ApiMaker, tmp_path: Path
) -> None:
    """The same id and the same bytes, under the secret that is active now; nothing of the address but its host is shown."""
    api = await make_api(environ={"TIRO_EGRESS_ALLOW": "127.0.0.0/8"})
    statuses = iter((500, 503, 204))

    def take(visit: Visit) -> None:
        visit.answer(next(statuses))

    with ScriptedHttp({"/hook": take}) as receiver:
        job_id = await api.submit(webhook_url=f"http://127.0.0.1:{receiver.port}/hook?token=sesame")
        await api.complete(job_id)
        ((delivery, _),) = await api.house.jobs.deliveries(job_id)
        await api.house.hooks.attempt(delivery.event_id, 1, 10.0)
        await api.house.hooks.attempt(delivery.event_id, 2, None)
        shell = Shell.beside_api(tmp_path)
        shown = (await asyncio.to_thread(shell.run, "jobs", "show", job_id)).stdout
        assert f"webhook {delivery.event_id} (job.completed to 127.0.0.1): exhausted; tries: 500, 503" in shown
        assert "sesame" not in shown
        await asyncio.to_thread(shell.run, "accounts", "webhook-secret", "next", api.account.account_id)
        active = await asyncio.to_thread(shell.run, "accounts", "webhook-secret", "activate", api.account.account_id)
        sent = await asyncio.to_thread(shell.told, "jobs", "redeliver", delivery.event_id)
        assert sent == {"event_id": delivery.event_id, "state": "delivered", "status": 204}
        log = (await asyncio.to_thread(shell.told, "jobs", "show", job_id))["deliveries"]
    assert [attempt["status"] for attempt in log[0]["attempts"]] == [500, 503, 204]
    assert len({visit.body for visit in receiver.visits}) == 1
    body, secret = receiver.visits[-1].body, active.stdout.splitlines()[0]
    assert json.loads(body)["id"] == delivery.event_id
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert receiver.visits[-1].headers["x-transcription-signature"] == expected
    assert receiver.visits[0].headers["x-transcription-signature"] != expected


@pytest.mark.promise("J9")
async def test_the_command_says_that_the_recording_of_a_failed_job_is_gone(make_api: ApiMaker, tmp_path: Path) -> None:
    """`tiro jobs retry`, once its day is over."""
    api = await make_api()
    job_id = await api.submit()
    await api.fail(job_id, "transient_error")
    async with api.house.records.begin() as tx:
        (due,) = await tx.jobs.purgeable(api.house.clock.now() + SOURCE_KEPT_FOR)
        await tx.jobs.mark_source_deleted(due.job_id, api.house.clock.now())
    said = await asyncio.to_thread(Shell.beside_api(tmp_path).run, "jobs", "retry", job_id, expect=1)
    assert f"{job_id}: The recording of this job has been deleted." in said.output
