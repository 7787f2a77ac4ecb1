"""Refresh tokens: the same one for 30 days, or where the account says so a new one at each use, and what a reuse does."""

from __future__ import annotations

import asyncio
import logging

import jwt
import pytest

from tests.dialects.jobs.tokens import refresh, refused_refresh, status, tokens
from tests.servers.api import Api, ApiMaker
from tiro.adapters.fakes import SetClock
from tiro.adapters.system import SystemClock

pytestmark = pytest.mark.promise("J1")

DAY_S = 86_400
LONG_AFTER_S = 3_600


@pytest.fixture
def clock() -> SetClock:
    return SetClock(SystemClock().now())


async def _rotating(make_api: ApiMaker, clock: SetClock) -> Api:
    api = await make_api(clock=clock)
    await _rotate(api, on=True)
    return api


async def _rotate(api: Api, *, on: bool) -> None:
    async with api.admin() as admin:
        changed = await admin.patch(f"/accounts/{api.account.account_id}", json={"rotate_refresh": on})
    assert (changed.status_code, changed.json()["rotate_refresh"]) == (200, on)


async def test_off_a_token_is_used_for_its_thirty_days_and_its_answer_repeats_it(
    make_api: ApiMaker, clock: SetClock
) -> None:
    """That is how it is unless the account says otherwise; 30 days and the minute of leeway, to the second."""
    api = await make_api(clock=clock)
    assert not api.account.rotate_refresh
    first = await tokens(api)
    for _ in range(3):
        again = await refresh(api, first["refresh_token"])
        assert again["refresh_token"] == first["refresh_token"]
        assert (await status(api, again["access_token"]))[0] == 200
        clock.advance(9 * DAY_S)
    clock.advance(3 * DAY_S + 59)
    assert (await refresh(api, first["refresh_token"]))["refresh_expires_in"] == 0
    clock.advance(1)
    await refused_refresh(api, first["refresh_token"])


async def test_on_each_answer_brings_the_next_token_of_the_family_with_thirty_days_of_its_own(
    make_api: ApiMaker, clock: SetClock
) -> None:
    api = await _rotating(make_api, clock)
    told = await tokens(api)
    seen, families = {told["refresh_token"]}, set()
    for generation in range(1, 5):
        clock.advance(29 * DAY_S)
        told = await refresh(api, told["refresh_token"])
        claims = jwt.decode(told["refresh_token"], options={"verify_signature": False})
        families.add(claims["family"])
        assert (claims["generation"], told["refresh_expires_in"]) == (generation, 30 * DAY_S)
        assert told["refresh_token"] not in seen
        seen.add(told["refresh_token"])
        assert (await status(api, told["access_token"]))[0] == 200
    assert len(families) == 1


async def test_whose_answer_was_lost_gets_the_same_token_again_for_a_minute(
    make_api: ApiMaker, clock: SetClock
) -> None:
    """Also after the successor was used."""
    api = await _rotating(make_api, clock)
    first = await tokens(api)
    lost = await refresh(api, first["refresh_token"])
    clock.advance(30)
    assert (await refresh(api, first["refresh_token"]))["refresh_token"] == lost["refresh_token"]
    following = await refresh(api, lost["refresh_token"])
    clock.advance(30)
    assert (await refresh(api, first["refresh_token"]))["refresh_token"] == lost["refresh_token"]
    assert (await refresh(api, lost["refresh_token"]))["refresh_token"] == following["refresh_token"]


async def test_a_reuse_after_the_grace_ends_every_token_of_the_family_and_of_no_other(
    make_api: ApiMaker, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Access tokens too; the key stands. The log says it once, and holds no token."""
    api = await _rotating(make_api, clock)
    stolen, bystander = await tokens(api), await tokens(api)
    current = await refresh(api, stolen["refresh_token"])
    clock.advance(61)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            await refused_refresh(api, stolen["refresh_token"])
        await refused_refresh(api, current["refresh_token"])
    for told in (stolen, current):
        assert await status(api, told["access_token"]) == (401, "invalid_token")
    assert (await status(api, bystander["access_token"]))[0] == 200
    assert (await refresh(api, bystander["refresh_token"]))["refresh_token"] != bystander["refresh_token"]
    assert (await status(api, api.key))[0] == 200
    said = [record.getMessage() for record in caplog.records if record.name == "tiro.families"]
    assert len(said) == 1
    assert not [word for word in (*stolen.values(), *current.values(), api.key) if str(word) in said[0]]


async def test_two_that_use_one_token_at_once_get_one_successor(make_api: ApiMaker, clock: SetClock) -> None:
    api = await _rotating(make_api, clock)
    told = await tokens(api)
    answers = await asyncio.gather(*(refresh(api, told["refresh_token"]) for _ in range(8)))
    assert len({answer["refresh_token"] for answer in answers}) == 1


async def test_turning_it_on_locks_nobody_out(make_api: ApiMaker, clock: SetClock) -> None:
    """What was given out before stays good for its 30 days, however often it is used; its successors rotate."""
    api = await make_api(clock=clock)
    before = await tokens(api)
    await _rotate(api, on=True)
    assert (await status(api, before["access_token"]))[0] == 200
    successors = []
    for _ in range(3):
        successors.append(await refresh(api, before["refresh_token"]))
        clock.advance(LONG_AFTER_S)
    for told in successors:
        assert (await refresh(api, told["refresh_token"]))["refresh_token"] != told["refresh_token"]
    clock.advance(LONG_AFTER_S)
    await refused_refresh(api, successors[0]["refresh_token"])
    assert (await refresh(api, before["refresh_token"]))["token_type"] == "Bearer"


async def test_turning_it_off_again_lets_the_present_token_stay_but_nothing_that_was_revoked(
    make_api: ApiMaker, clock: SetClock
) -> None:
    api = await _rotating(make_api, clock)
    present, stolen = await tokens(api), await tokens(api)
    present = await refresh(api, present["refresh_token"])
    await refresh(api, stolen["refresh_token"])
    clock.advance(61)
    await refused_refresh(api, stolen["refresh_token"])
    await _rotate(api, on=False)
    for _ in range(2):
        assert (await refresh(api, present["refresh_token"]))["refresh_token"] == present["refresh_token"]
    await refused_refresh(api, stolen["refresh_token"])
    await _rotate(api, on=True)
    assert (await refresh(api, present["refresh_token"]))["refresh_token"] != present["refresh_token"]


@pytest.mark.promise("J15")
async def test_a_revoked_key_ends_a_family_at_once(make_api: ApiMaker, clock: SetClock) -> None:
    api = await _rotating(make_api, clock)
    told = await refresh(api, (await tokens(api))["refresh_token"])
    (key,) = await api.house.accounts.keys(api.account.account_id)
    await api.house.accounts.revoke_key(key.key_id)
    assert await status(api, told["access_token"]) == (401, "invalid_token")
    await refused_refresh(api, told["refresh_token"])


@pytest.mark.promise("J15")
async def test_two_servers_with_one_secret_take_each_others_tokens(make_api: ApiMaker, postgres_url: str) -> None:
    """Access and refresh, and a token that one has rotated; a server with another secret takes none."""
    shared = {"TIRO_DATABASE_URL": postgres_url}
    one, other = [await make_api(environ=shared) for _ in range(2)]
    stranger = await make_api(environ=shared, token_key=b"x" * 64)
    await _rotate(one, on=True)
    told = await tokens(one)
    assert (await status(other, told["access_token"]))[0] == 200
    here, there = await refresh(one, told["refresh_token"]), await refresh(other, told["refresh_token"])
    assert here["refresh_token"] == there["refresh_token"]
    assert (await status(one, there["access_token"]))[0] == 200
    assert await status(stranger, here["access_token"]) == (401, "invalid_token")
    await refused_refresh(stranger, here["refresh_token"])
