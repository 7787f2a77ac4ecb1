"""What an owner is told of jobs that do not end well, and what ending one does to its webhook."""

from __future__ import annotations

import msgspec
import pytest

from tests.servers.api import Api, ApiMaker
from tiro.model.errors import Transient
from tiro.model.ledger import month_of
from tiro.services.house import House

HOOK = "https://93.184.215.14/hook"


async def _events(api: Api, job_id: str) -> list[tuple[str, str]]:
    return [(delivery.event, delivery.state) for delivery, _ in await api.house.jobs.deliveries(job_id)]


@pytest.mark.promise("J5")
@pytest.mark.parametrize("how", ["delete", "cancel"])
async def test_a_job_is_stopped_once_however_often_it_is_asked(api: Api, how: str) -> None:
    """One event `job.cancelled`, and cancelling goes on answering with the same job."""
    job_id = await api.submit(webhook_url=HOOK)
    await api.run_until(job_id)
    stopped = await (api.http.delete(f"/jobs/{job_id}") if how == "delete" else api.http.post(f"/jobs/{job_id}/cancel"))
    again = await api.http.post(f"/jobs/{job_id}/cancel")
    assert (stopped.status_code, again.status_code) == (202 if how == "delete" else 200, 200)
    assert stopped.json() == again.json()
    assert await _events(api, job_id) == [("job.cancelled", "pending")]


@pytest.mark.promise("J5")
@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_a_removed_job_calls_nobody(api: Api, state: str) -> None:
    """204, and an event that was still to be sent is not sent any more."""
    job_id = await api.submit(webhook_url=HOOK)
    await (api.complete(job_id) if state == "completed" else api.fail(job_id, "transient_error"))
    assert await _events(api, job_id) == [(f"job.{state}", "pending")]
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 204
    async with api.house.records.begin() as tx:
        (delivery,) = await tx.hooks.of_job(job_id)
    assert (await api.house.hooks.attempt(delivery.event_id, 1, 10.0)).state == "stopped"
    async with api.house.records.begin() as tx:
        assert await tx.hooks.attempts(delivery.event_id) == []
    assert (await api.http.post(f"/jobs/{job_id}/cancel")).status_code == 404


@pytest.mark.promise("J23")
async def test_a_providers_refusal_for_money_is_a_402_that_costs_nothing(make_api: ApiMaker) -> None:
    """The job is shown as failed; its transcript is the 402 that a submit would be, and says that overage does not help."""
    api = await make_api(unmetered=False)
    job_id = await api.submit()
    await api.fail(job_id, "quota_exceeded")
    shown = await api.http.get(f"/jobs/{job_id}")
    assert (shown.status_code, shown.json()["status"]) == (200, "failed")
    assert (shown.json()["error"], shown.json()["reason"]) == ("quota_exceeded", "engine_quota")
    refused = await api.http.get(f"/jobs/{job_id}/transcript")
    assert (refused.status_code, refused.json()["error"], refused.json()["overage_allowed"]) == (
        402,
        "quota_exceeded",
        False,
    )
    assert shown.json()["message"] == refused.json()["message"]
    assert "minutes" not in refused.json()["message"]
    async with api.house.records.begin() as tx:
        usage = await tx.ledger.usage(api.account.account_id, month_of(api.house.clock.now()))
    assert (usage.used_s, usage.held_s, shown.json()["billed_seconds"]) == (0, 0, 0)


@pytest.mark.promise("J23", "J31")
async def test_a_late_402_says_what_an_early_one_says(make_api: ApiMaker) -> None:
    """All that was told when the real length was found not to fit, number by number."""
    told = {
        "overage_allowed": True,
        "minutes_remaining": 0.5,
        "minutes_required": 60.2,
        "resets_at": "2026-12-01T00:00:00Z",
    }
    api = await make_api(unmetered=False)
    job_id = await api.submit()
    await api.fail(job_id, "quota_exceeded", **told)
    body = (await api.http.get(f"/jobs/{job_id}/transcript")).json()
    assert {name: body[name] for name in body if name != "message"} == {"error": "quota_exceeded", **told}


@pytest.mark.promise("J24")
async def test_a_job_whose_engines_all_failed_can_be_retried_and_removed(api: Api) -> None:
    """It failed of a `transient_error`: the operator orders the next run; what fails again can be deleted."""
    job_id = await api.submit()
    await api.fail(job_id, "transient_error", "engine_error")
    assert (await api.http.get(f"/jobs/{job_id}/transcript")).status_code == 503
    async with api.admin() as admin:
        assert (await admin.post(f"/jobs/{job_id}/retry")).status_code == 200
    again = (await api.http.get(f"/jobs/{job_id}")).json()
    assert (again["status"], again["error"], again["completed_at"]) == ("queued", None, None)
    await api.house.dispatch.once()
    assert (job_id, 2) in api.orchestrator.launched
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 202
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 204


class Comes:
    """A port as long as it is there; afterwards none of what `gone` names."""

    def __init__(self, port: object, gone: list[str]) -> None:
        self._port, self._gone = port, gone

    def __getattr__(self, name: str) -> object:
        if name in self._gone:
            raise Transient("store_unavailable", "at 10.0.0.7")
        return getattr(self._port, name)


@pytest.mark.promise("J24")
@pytest.mark.parametrize("what", ["begin", "writer"])
async def test_what_is_away_while_a_file_is_handed_in_is_a_503(make_api: ApiMaker, what: str) -> None:
    """Database or store: transient_error with Retry-After, no name of either, and no half of a job when it is back."""
    gone: list[str] = []

    def change(house: House) -> House:
        house.intake._records = Comes(house.records, gone)  # type: ignore[assignment]
        return msgspec.structs.replace(house, blobs=Comes(house.blobs, gone))

    api = await make_api(change=change)
    gone.append(what)
    refused = await api.http.post("/jobs", files={"file": ("a.wav", b"RIFF")})
    assert (refused.status_code, refused.json()["error"]) == (503, "transient_error")
    assert refused.headers["retry-after"] == "5"
    assert "store" not in refused.text
    assert "10.0.0.7" not in refused.text
    gone.clear()
    assert (await api.http.get("/jobs")).json()["jobs"] == []
    await api.submit()
