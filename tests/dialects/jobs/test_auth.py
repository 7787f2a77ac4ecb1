"""/auth/token, /auth/refresh, and who may come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import msgspec
import pytest

from api.dialects.jobs.wire import FORMATS
from tests.dialects.jobs.tokens import refresh, status, tokens
from tests.servers.api import Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock
from tiro.model.ledger import HoldTerms, month_of
from tiro.model.plans import DEFAULT_PLANS


@pytest.mark.promise("J12")
async def test_a_key_becomes_two_tokens(api: Api) -> None:
    told = await tokens(api)
    assert set(told) == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in"}
    assert (told["token_type"], told["expires_in"], told["refresh_expires_in"]) == ("Bearer", 3600, 2592000)
    assert (await status(api, told["access_token"]))[0] == 200


@pytest.mark.promise("J15")
async def test_the_key_itself_is_a_credential(api: Api) -> None:
    """Either works."""
    assert (await status(api, api.key))[0] == 200


@pytest.mark.promise("J12")
async def test_an_access_token_lives_an_hour_and_a_minute(make_api: ApiMaker) -> None:
    """60:59 is in time, 61:00 is not; the refresh token gives another, which lives as long."""
    clock = SetClock(SystemClock().now())
    api = await make_api(clock=clock)
    told = await tokens(api)
    for access in (told["access_token"], (await refresh(api, told["refresh_token"]))["access_token"]):
        assert (await status(api, access))[0] == 200
    clock.advance(3659)
    assert (await status(api, told["access_token"]))[0] == 200
    again = await refresh(api, told["refresh_token"])
    assert (again["token_type"], again["expires_in"], again["refresh_expires_in"]) == ("Bearer", 3600, 2592000 - 3659)
    clock.advance(1)
    assert await status(api, told["access_token"]) == (401, "token_expired")
    clock.advance(3658)
    assert (await status(api, again["access_token"]))[0] == 200
    clock.advance(1)
    assert await status(api, again["access_token"]) == (401, "token_expired")


@pytest.mark.promise("J12", "J13")
async def test_each_of_the_five_codes_stands_in_the_body_and_in_www_authenticate(make_api: ApiMaker) -> None:
    """On any route; with a sentence, and without the credential. Who sent none is told the scheme alone (RFC 6750)."""
    clock = SetClock(SystemClock().now())
    api = await make_api(clock=clock)
    told = await tokens(api)
    clock.advance(31 * 86_400)
    del api.http.headers["Authorization"]
    answers = {
        "missing_token": await api.http.post("/jobs/x/cancel"),
        "invalid_token": await api.http.delete("/jobs/x", headers=api.bearer("a.b.c")),
        "token_expired": await api.http.get("/jobs/x", headers=api.bearer(told["access_token"])),
        "invalid_api_key": await api.http.post("/auth/token", json={"api_key": "tsk_live_unknown"}),
        "invalid_refresh_token": await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]}),
    }
    for code, answer in answers.items():
        assert (answer.status_code, answer.json()["error"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert (f'error="{code}"' in answer.headers["www-authenticate"]) == (code != "missing_token")
        assert answer.json()["message"].endswith(".")
        assert told["access_token"] not in answer.text


@pytest.mark.promise("J15")
async def test_revoking_a_key_ends_its_tokens(api: Api) -> None:
    """At once, access and refresh alike."""
    told = await tokens(api)
    key = (await api.house.accounts.keys(api.account.account_id))[0]
    await api.house.accounts.revoke_key(key.key_id)
    assert await status(api, told["access_token"]) == (401, "invalid_token")
    assert await status(api, api.key) == (401, "invalid_api_key")
    late = await api.http.post("/auth/refresh", json={"refresh_token": told["refresh_token"]})
    assert (late.status_code, late.json()["error"]) == (401, "invalid_refresh_token")


@pytest.mark.promise("J15", "J20")
@pytest.mark.parametrize("plan", [plan.name for plan in DEFAULT_PLANS])
async def test_every_plan_has_the_same_surface(make_api: ApiMaker, plan: str) -> None:
    """Each route, each format, voices, addresses, webhooks; with a token, from the key to the deleted job."""
    api = await make_api(plan=plan, unmetered=plan == "payg")  # which has no minutes to spend here
    told = await tokens(api)
    api.http.headers.update(api.bearer((await refresh(api, told["refresh_token"]))["access_token"]))
    hook = "https://93.184.215.14/h"
    by_file = await api.submit(diarize="true", language="en", webhook_url=hook)
    fields = {"source_url": "https://93.184.215.14/a", "diarize": True, "language": "auto", "webhook_url": hook}
    by_address = (await api.http.post("/jobs?accept_overage=true", json=fields)).json()["job_id"]
    await api.complete(by_file)
    statuses = {
        *[(await api.http.get(f"/jobs/{by_file}/transcript", params={"format": one})).status_code for one in FORMATS],
        (await api.http.get(f"/jobs/{by_file}")).status_code,
        (await api.http.get("/jobs", params={"status": "completed", "since": "0", "limit": "1"})).status_code,
        (await api.http.post(f"/jobs/{by_address}/cancel")).status_code,
    }
    assert statuses == {200}
    assert {(await api.http.delete(f"/jobs/{one}")).status_code for one in (by_file, by_address)} == {204}


@pytest.mark.promise("J15")
async def test_a_plan_is_read_at_each_request_and_stands_in_no_token(make_api: ApiMaker) -> None:
    """The same token before and after the account has moved."""
    api = await make_api(plan="free", unmetered=False)
    told = await tokens(api)
    for token in (told["access_token"], told["refresh_token"]):
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims.keys() == {"iss", "aud", "account", "key", "typ", "iat", "nbf", "exp"}
    api.http.headers.update(api.bearer(told["access_token"]))
    now, nothing = api.house.clock.now(), HoldTerms(quota_s=None, overage_micros_per_minute=None)
    async with api.house.records.begin() as tx:
        await tx.ledger.hold(api.account.account_id, "job_before", 1, 3600, month_of(now), nothing, now)
    source = {"source_url": "https://93.184.215.14/a"}
    assert (await api.http.post("/jobs", json=source)).status_code == 402
    async with api.admin() as admin:
        await admin.patch(f"/accounts/{api.account.account_id}", json={"plan": "pro"})
    assert (await api.http.post("/jobs", json=source)).status_code == 202


@pytest.mark.promise("J20")
async def test_a_plan_that_the_settings_lost_meanwhile_is_a_503_and_no_500(api: Api) -> None:
    """Another process may have given the plan; what needs no plan goes on."""
    lost = msgspec.structs.replace(api.account, plan="gone")
    async with api.house.records.begin() as tx:
        await tx.accounts.save(lost)
    for sent in ({"json": {"source_url": "https://93.184.215.14/a"}}, {"files": {"file": ("a.wav", b"RIFF")}}):
        refused = await api.http.post("/jobs", **sent)
        assert (refused.status_code, refused.json()["error"]) == (503, "transient_error")
    assert (await api.http.get("/jobs")).status_code == 200


async def test_the_scheme_may_be_written_small(api: Api) -> None:
    """`bearer` is Bearer."""
    answer = await api.http.get("/jobs", headers={"Authorization": f"bearer  {api.key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("path", "body"), [("token", {}), ("token", {"api_key": 1}), ("refresh", {"x": 1})])
async def test_a_missing_field_is_named(api: Api, path: str, body: dict[str, object]) -> None:
    """400 with `param`."""
    answer = await api.http.post(f"/auth/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["param"] in {"api_key", "refresh_token"}


async def test_the_last_use_of_a_key_is_noted_by_the_minute(make_api: ApiMaker) -> None:
    """And no oftener: a rush of requests would stand in line to write it."""
    clock = SetClock(datetime(2026, 3, 31, 23, 59, 58, 123456, tzinfo=UTC))
    api = await make_api(clock=clock)
    noted = []
    for later_s in (0, 1, 60):
        clock.advance(later_s)
        assert (await status(api, api.key))[0] == 200
        noted.append((await api.house.accounts.keys(api.account.account_id))[0].last_used_at)
    first = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    assert noted == [first, first, first + timedelta(minutes=1)]
