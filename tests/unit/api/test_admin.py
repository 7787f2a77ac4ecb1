"""The admin corner: who may come in, and that each route calls its service."""

from __future__ import annotations

import httpx2
import msgspec
import pytest
from litestar import Litestar

from api.admin import wire
from api.admin.routes import face as admin_face
from api.config import RequestLimits
from tests.servers.api import Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock
from tiro.services.ending import SOURCE_KEPT_FOR, Fault

PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("asking", [{}, PREFLIGHT], ids=["plainly", "as a page"])
@pytest.mark.asyncio(loop_scope="module")
async def test_without_the_admin_token_there_is_nothing(lasting_api: Api, method: str, asking: dict[str, str]) -> None:
    """No account's key opens it, and no answer differs from an unknown address's: a proxy of strangers may be a loopback peer."""

    async def told(path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        answer = await lasting_api.http.request(method, path, headers=headers)
        return answer.status_code, answer.content, {**answer.headers, "x-request-id": "", "date": ""}

    for headers in ({"Authorization": ""}, lasting_api.bearer(lasting_api.key), lasting_api.bearer("x")):
        for path in ("/_admin/accounts", "/_admin/jobs/job_x/cancel", "/_admin", "/_admin/nothing"):
            assert await told(path, headers | asking) == await told("/unknown", headers | asking)


@pytest.mark.parametrize(
    "path",
    [
        "//_admin/accounts",
        "///_admin/accounts",
        "/_admin//accounts",
        "/%2f_admin/accounts",
        "/%5fadmin/accounts",
        "/./_admin/accounts",
        "/jobs/../_admin/accounts",
        "_admin/accounts",
        "_admin//accounts",
        "%5fadmin/accounts",
        "http://x/_admin/accounts",
        "http:///_admin/accounts",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.asyncio(loop_scope="module")
async def test_no_spelling_of_an_address_leads_around_the_token(lasting_api: Api, method: str, path: str) -> None:
    """The router skips empty segments; who judges an address by its beginning must not be led astray by it."""

    async def told(target: str) -> list[bytes]:
        request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        lines = (await lasting_api.raw(request.encode())).splitlines()
        return [line for line in lines if not line.lower().startswith((b"x-request-id:", b"date:"))]

    assert await told(path) == await told("/unknown")
    assert (await told("/unknown"))[0] == b"HTTP/1.1 404 Not Found"


async def test_each_route_asks_for_the_token_itself(api: Api) -> None:
    """Even if the way to it were open."""
    face = admin_face(api.house, "token", RequestLimits())
    bare = Litestar(
        list(face.routes),
        openapi_config=None,
        logging_config=None,
        exception_handlers={Exception: lambda _, error: face.answer(error)},
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(bare), base_url="http://x") as http:
        for route in face.routes:
            for method in route.http_methods - {"OPTIONS"}:
                path = next(iter(route.paths)).replace("{", "").replace(":str}", "")
                assert (await http.request(method, path)).status_code == 404, path
        entered = await http.get("/_admin/accounts", headers={"Authorization": "Bearer token"})
        assert entered.status_code == 200


async def test_accounts_are_made_changed_and_shown(api: Api) -> None:
    """create, list, show, plan, overage, queueing, usage."""
    async with api.admin() as admin:
        made = await admin.post("/accounts", json={"name": "ACME", "plan": "pro"})
        account = msgspec.json.decode(made.content, type=wire.AccountRow)
        changed = await admin.patch(f"/accounts/{account.account_id}", json={"plan": "business", "overage": True})
        row = msgspec.json.decode(changed.content, type=wire.AccountRow)
        assert (made.status_code, row.plan, row.overage, row.queueing) == (201, "business", True, True)
        everyone = msgspec.json.decode((await admin.get("/accounts")).content, type=wire.AccountRows).accounts
        assert row in everyone
        shown = await admin.get(f"/accounts/{account.account_id}")
        assert msgspec.json.decode(shown.content, type=wire.AccountRow) == row
        usage = await admin.get(f"/accounts/{account.account_id}/usage")
        told = msgspec.json.decode(usage.content, type=wire.UsageRow)
        assert (told.quota_s, told.used_s, told.overage_micros) == (6000 * 60, 0, 0)
        assert (await admin.post("/accounts", json={"name": "x", "plan": "gold"})).status_code == 400
        assert (await admin.get("/accounts/acct_x")).status_code == 404


async def test_keys_are_shown_once(api: Api) -> None:
    """create, list, revoke; a list has no text and no digest."""
    async with api.admin() as admin:
        made = await admin.post("/keys", json={"account_id": api.account.account_id, "name": "ci"})
        new = msgspec.json.decode(made.content, type=wire.NewKeyRow)
        assert (await api.http.get("/jobs", headers=api.bearer(new.text))).status_code == 200
        listed = await admin.get(f"/keys?account={api.account.account_id}")
        assert new.text not in listed.text
        assert "sha256" not in listed.text
        assert new.key.key_id in {key.key_id for key in msgspec.json.decode(listed.content, type=wire.KeyRows).keys}
        assert (await admin.delete(f"/keys/{new.key.key_id}")).status_code == 204
        assert (await api.http.get("/jobs", headers=api.bearer(new.text))).status_code == 401
        assert (await admin.delete(f"/keys/{new.key.key_id}")).status_code == 404


@pytest.mark.promise("J2", "J37")
async def test_a_webhook_secret_is_changed_in_two_steps(api: Api) -> None:
    """Next is made and shown, then activated."""
    path = f"/accounts/{api.account.account_id}/webhook-secret"

    def secret(content: bytes) -> str:
        return msgspec.json.decode(content, type=wire.Secret).secret

    async with api.admin() as admin:
        first = secret((await admin.get(path)).content)
        assert (await admin.post(f"{path}/activate")).status_code == 409
        following = secret((await admin.post(f"{path}/next")).content)
        assert secret((await admin.get(path)).content) == first
        assert secret((await admin.post(f"{path}/activate")).content) == following != first


async def test_jobs_of_all_accounts_are_listed_and_shown(api: Api) -> None:
    """list (with pages), show with deliveries; no address, no text."""
    ids = [await api.submit(webhook_url="https://93.184.215.14/hook?token=sesame") for _ in range(3)]
    await api.complete(ids[0])
    async with api.admin() as admin:
        first = msgspec.json.decode((await admin.get("/jobs?limit=2")).content, type=wire.JobRows)
        rest = msgspec.json.decode((await admin.get(f"/jobs?limit=2&cursor={first.cursor}")).content, type=wire.JobRows)
        assert [job.job_id for job in (*first.jobs, *rest.jobs)] == [ids[0], ids[2], ids[1]]
        assert rest.cursor is None
        shown = await admin.get(f"/jobs/{ids[0]}")
        details = msgspec.json.decode(shown.content, type=wire.JobDetails)
        assert (details.job.state, details.job.billed_s, details.live) == ("completed", 2, None)
        assert [(one.event, one.host) for one in details.deliveries] == [("job.completed", "93.184.215.14")]
        assert "sesame" not in shown.text
        for bad in ("limit=x", "status=done", "since=soon", "cursor=x"):
            assert (await admin.get(f"/jobs?{bad}")).status_code == 400


async def test_a_batch_is_told_by_its_files(api: Api) -> None:
    """And a job that its client still brings is no other than that; a recording alone has no files to count."""
    files = [{"reference_id": name, "size_bytes": 100} for name in ("one", "two", "three")]
    async with api.admin() as admin:
        await admin.post(f"/accounts/{api.account.account_id}/credit", json={"amount_micros": 1_000_000})
        made = await api.http.post("/v1/jobs", json={"type": "batch", "files": files})
        single = await api.submit()
        listed = msgspec.json.decode((await admin.get("/jobs")).content, type=wire.JobRows).jobs
    rows = {one.job_id: one for one in listed}
    batch, recording = rows[made.json()["job_id"]], rows[single]
    assert (batch.standing, batch.awaiting, batch.source) == ("uploading", True, "manifest")
    assert (batch.parts_done, batch.parts_total, batch.files_failed) == (0, 3, 0)
    assert (recording.standing, recording.awaiting) == ("queued", False)
    assert (recording.files_total, recording.files_done, recording.files_failed) == (None, None, None)
    assert (recording.parts_done, recording.parts_total) == (recording.spans_done, recording.spans_total)


async def test_jobs_are_steered(api: Api) -> None:
    """cancel, retry, pause, resume, reprioritize, delete."""
    running, failed = await api.submit(), await api.submit()
    await api.run_until(running)
    await api.fail(failed, "transient_error")
    async with api.admin() as admin:
        assert (await admin.post(f"/jobs/{failed}/retry")).json()["run"] == 2
        assert (await admin.post(f"/jobs/{running}/retry")).status_code == 409
        for action in ("pause", "resume"):
            assert (await admin.post(f"/jobs/{running}/{action}")).status_code == 200
        assert (await admin.post(f"/jobs/{running}/reprioritize", json={"priority": 1})).status_code == 200
        assert (await admin.post(f"/jobs/{running}/reprioritize", json={"priority": 9})).status_code == 400
        assert [(update, args) for _, _, update, args in api.orchestrator.steered] == [
            ("pause", ()),
            ("resume", ()),
            ("reprioritize", (1,)),
        ]
        assert (await admin.post(f"/jobs/{running}/cancel")).json()["state"] == "cancelled"
        assert (await admin.delete(f"/jobs/{running}")).status_code == 204
        assert (await admin.get(f"/jobs/{running}")).status_code == 404


@pytest.mark.parametrize("path", ["/jobs/job_x", "/nothing"])
async def test_what_is_not_there_is_a_404(api: Api, path: str) -> None:
    async with api.admin() as admin:
        answer = await admin.get(path)
        assert answer.status_code == 404
        assert msgspec.json.decode(answer.content, type=wire.Trouble).message


@pytest.mark.promise("J38")
async def test_an_event_under_way_is_not_replayed(api: Api) -> None:
    """409 while it is pending; an unknown one is a 404."""
    job_id = await api.submit(webhook_url="https://93.184.215.14/hook")
    await api.complete(job_id)
    async with api.admin() as admin:
        event_id = (await admin.get(f"/jobs/{job_id}")).json()["deliveries"][0]["event_id"]
        assert (await admin.post(f"/hooks/{event_id}/replay")).status_code == 409
        assert (await admin.post("/hooks/evt_x/replay")).status_code == 404


@pytest.mark.promise("J9")
async def test_a_retry_after_the_purge_says_that_the_recording_is_gone(make_api: ApiMaker) -> None:
    """409 source_deleted, from its hour on, swept or not; kept, it goes on as soon as it was swept."""
    clock = SetClock(SystemClock().now())
    api = await make_api(clock=clock)
    failed = await api.submit()
    await api.fail(failed, "transient_error")
    clock.advance(SOURCE_KEPT_FOR.total_seconds())
    account = f"/accounts/{api.account.account_id}"
    async with api.admin() as admin:
        refused = await admin.post(f"/jobs/{failed}/retry")
        assert (refused.status_code, refused.json()["error"]) == (409, "source_deleted")
        assert (await admin.patch(account, json={"keep_audio": True})).json()["keep_audio"] is True
        assert (await admin.post(f"/jobs/{failed}/retry")).status_code == 503
        await api.house.upkeep.sweep()
        assert (await api.http.get(f"/jobs/{failed}")).json()["source_deleted_at"] is None
        assert (await admin.post(f"/jobs/{failed}/retry")).json()["run"] == 2
        await api.house.endings.end(failed, 2, "failed", Fault("transient_error"))
        assert (await admin.patch(account, json={"keep_audio": False})).json()["keep_audio"] is False
        clock.advance(SOURCE_KEPT_FOR.total_seconds())
        await api.house.upkeep.sweep()
        refused = await admin.post(f"/jobs/{failed}/retry")
        assert (refused.status_code, refused.json()["error"]) == (409, "source_deleted")
        assert (await api.http.get(f"/jobs/{failed}")).json()["source_deleted_at"] is not None


async def test_engines_and_plans_that_are_not_there_are_a_400(api: Api) -> None:
    """With what there is instead."""
    async with api.admin() as admin:
        path = f"/accounts/{api.account.account_id}"
        chosen = await admin.patch(path, json={"engines": ["scripted"]})
        assert msgspec.json.decode(chosen.content, type=wire.AccountRow).engines == ("scripted",)
        refused = await admin.patch(path, json={"engines": ["scripted", "gramophone"]})
        trouble = msgspec.json.decode(refused.content, type=wire.Trouble)
        assert (refused.status_code, trouble.error, trouble.extras) == (400, "unknown_engine", {"param": "engines"})
        assert "scripted" in trouble.message
        plans = msgspec.json.decode((await admin.get("/plans")).content, type=wire.PlanRows).plans
        assert [(plan.name, plan.accounts) for plan in plans] == [
            ("free", 0), ("payg", 0), ("pro", 0), ("business", 1),
        ]  # fmt: skip


async def test_a_wallet_is_credited_and_its_ledger_shown(api: Api) -> None:
    """With what there is to say against an amount."""
    async with api.admin() as admin:
        path = f"/accounts/{api.account.account_id}"
        told = await admin.post(f"{path}/credit", json={"amount_micros": 5_000_000, "note": "sorry"})
        row = msgspec.json.decode(told.content, type=wire.WalletRow)
        assert (told.status_code, row.balance_micros, row.held_micros) == (200, 5_000_000, 0)
        usage = msgspec.json.decode((await admin.get(f"{path}/usage")).content, type=wire.UsageRow)
        assert usage.balance_micros == 5_000_000
        lines = msgspec.json.decode((await admin.get(f"{path}/ledger")).content, type=wire.LedgerRows).entries
        assert [(line.kind, line.amount_micros, line.note) for line in lines] == [("credit", 5_000_000, "sorry")]
        for wish in ({"amount_micros": 0}, {"amount_micros": 10**13}, {"amount_micros": 1.5}, {}):
            assert (await admin.post(f"{path}/credit", json=wish)).status_code == 400
        assert (await admin.get(f"{path}/ledger?limit=0")).status_code == 400
        assert (await admin.get("/accounts/acct_x/ledger")).status_code == 404


async def test_an_audit_is_begun_once_and_looked_at_until_it_is_done(api: Api) -> None:
    """Who asks meanwhile is told of the one that is under way; the next has another number."""
    await api.submit()
    async with api.admin() as admin:
        begun, joined = await admin.post("/audits"), await admin.post("/audits")
        assert (begun.status_code, begun.content) == (202, joined.content)
        number = msgspec.json.decode(begun.content, type=wire.AuditRow).number
        row = await _audited(admin, number)
        assert (row.findings, row.unchecked, row.compared["jobs"]) == ([], {}, 1)
        again = msgspec.json.decode((await admin.post("/audits")).content, type=wire.AuditRow)
        assert again.number == number + 1
        assert (await admin.get(f"/audits/{number}")).status_code == 404
        await _audited(admin, again.number)


async def _audited(admin: httpx2.AsyncClient, number: int) -> wire.AuditRow:
    while True:
        row = msgspec.json.decode((await admin.get(f"/audits/{number}")).content, type=wire.AuditRow)
        if row.done:
            return row
