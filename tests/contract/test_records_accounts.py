"""Do accounts, keys and secrets come back as they went in?"""

from __future__ import annotations

import asyncio
from datetime import timedelta, timezone

import msgspec
import pytest

from tests.contract.records_nouns import CAPS, account, given, job, somebody_waits, two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords
from tiro.model.account import ApiKey
from tiro.model.errors import Conflict, Invalid
from tiro.model.hook import WebhookSecrets
from tiro.ports import Transaction

KEY = ApiKey(key_id="key_1", account_id="acct_1", name="laptop", sha256="ab" * 32, hint="wxyz", created_at=START)


async def test_an_account_comes_back_as_it_went_in(records: SqlRecords) -> None:
    full = account(
        email="jo@example.com", verified=True, suspended=True, unmetered=True, overage=True, queueing=False,
        keep_audio=True, engines=("faster_whisper", "openai"), rotate_refresh=True,
    )  # fmt: skip
    await given(records, full)
    assert await within(records, lambda tx: tx.accounts.get("acct_1")) == full
    assert await within(records, lambda tx: tx.accounts.get("acct_2")) is None


async def test_accounts_are_listed_by_age(records: SqlRecords) -> None:
    young = msgspec.structs.replace(account("acct_0"), created_at=START + timedelta(days=1))
    await given(records, young, account("acct_1"))
    assert [each.account_id for each in await within(records, lambda tx: tx.accounts.all())] == ["acct_1", "acct_0"]


async def test_saving_an_account_leaves_its_running_jobs_counted(records: SqlRecords, clock: SteppedClock) -> None:
    await given(records, account(), job())
    await within(records, lambda tx: tx.jobs.admit(clock.now(), CAPS))
    await within(records, lambda tx: tx.accounts.save(account(plan="pro", running=0, overage=True)))
    kept = await within(records, lambda tx: tx.accounts.get("acct_1"))
    assert kept == account(plan="pro", running=1, overage=True)


async def test_accounts_are_counted_by_plan(records: SqlRecords) -> None:
    assert await within(records, lambda tx: tx.accounts.plans()) == {}
    await given(records, account("acct_1", "pro"), account("acct_2"), account("acct_3", "pro"))
    assert await within(records, lambda tx: tx.accounts.plans()) == {"free": 1, "pro": 2}


async def test_of_two_who_count_for_an_account_the_second_sees_what_the_first_added(
    postgres_url: str, clock: SteppedClock
) -> None:
    """So a cap is a cap; jobs of the account are taken in meanwhile."""

    async def add_if_there_is_none(tx: Transaction) -> bool:
        await tx.accounts.lock("acct_1")
        if await tx.accounts.keys("acct_1"):
            return False
        await tx.accounts.add_key(KEY)
        return True

    async with two_processes(postgres_url, clock) as (one, other):
        await given(one, account())
        async with one.begin() as tx:
            assert await add_if_there_is_none(tx)
            await given(other, job())
            late = asyncio.create_task(within(other, add_if_there_is_none))
            await somebody_waits(postgres_url)
        assert await late is False


async def test_the_same_account_twice_is_a_conflict(records: SqlRecords) -> None:
    await given(records, account())
    with pytest.raises(Conflict):
        await given(records, account())


async def test_a_key_is_found_with_its_account_by_its_digest_and_its_id(records: SqlRecords) -> None:
    await given(records, account(), account("acct_2"))
    other = msgspec.structs.replace(KEY, key_id="key_2", account_id="acct_2", sha256="cd" * 32)
    await within(records, lambda tx: tx.accounts.add_key(KEY))
    await within(records, lambda tx: tx.accounts.add_key(other))
    async with records.begin() as tx:
        assert await tx.accounts.holder("ab" * 32) == (KEY, account())
        assert await tx.accounts.holder("ef" * 32) is None
        assert await tx.accounts.holder_by_id("key_2") == (other, account("acct_2"))
        assert await tx.accounts.holder_by_id("key_9") is None
        assert await tx.accounts.key("key_2") == other
        assert await tx.accounts.keys("acct_2") == [other]
        assert await tx.accounts.keys() == [KEY, other]


async def test_two_keys_of_one_digest_are_a_conflict(records: SqlRecords) -> None:
    await given(records, account())
    await within(records, lambda tx: tx.accounts.add_key(KEY))
    with pytest.raises(Conflict) as refused:
        await within(records, lambda tx: tx.accounts.add_key(msgspec.structs.replace(KEY, key_id="key_2")))
    assert "ab" * 32 not in str(refused.value)


async def test_the_last_use_of_a_key_never_steps_back(records: SqlRecords) -> None:
    await given(records, account())
    await within(records, lambda tx: tx.accounts.add_key(KEY))
    later = START + timedelta(seconds=5)
    for moment in (later, START):
        await within(records, lambda tx, at=moment: tx.accounts.touch_key("key_1", at))
    assert await within(records, lambda tx: tx.accounts.key("key_1")) == msgspec.structs.replace(
        KEY, last_used_at=later
    )


async def test_a_key_is_revoked_once(records: SqlRecords) -> None:
    await given(records, account())
    await within(records, lambda tx: tx.accounts.add_key(KEY))
    assert await within(records, lambda tx: tx.accounts.revoke_key("key_1", START)) is True
    assert await within(records, lambda tx: tx.accounts.revoke_key("key_1", START + timedelta(1))) is False
    assert await within(records, lambda tx: tx.accounts.revoke_key("key_9", START)) is False
    assert await within(records, lambda tx: tx.accounts.key("key_1")) == msgspec.structs.replace(KEY, revoked_at=START)


async def test_webhook_secrets_are_written_and_replaced_whole(records: SqlRecords) -> None:
    await given(records, account())
    assert await within(records, lambda tx: tx.accounts.webhook_secrets("acct_1")) is None
    for secrets in (WebhookSecrets(b"\0\xff", b"n", b"p", START), WebhookSecrets(b"a")):
        await within(records, lambda tx, s=secrets: tx.accounts.save_webhook_secrets("acct_1", s))
        assert await within(records, lambda tx: tx.accounts.webhook_secrets("acct_1")) == secrets


async def test_moments_keep_their_microseconds_and_come_back_in_utc(records: SqlRecords) -> None:
    there = START.replace(microsecond=7).astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    await given(records, msgspec.structs.replace(account(), created_at=there))
    kept = await within(records, lambda tx: tx.accounts.get("acct_1"))
    assert kept is not None
    assert kept.created_at == there
    assert kept.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["nul\0", "half \ud83d"], ids=["NUL", "surrogate"])
async def test_text_that_cannot_be_stored_is_invalid(records: SqlRecords, text: str) -> None:
    for noun in (account(text), msgspec.structs.replace(account(), name=text)):
        with pytest.raises(Invalid):
            await given(records, noun)
    with pytest.raises(Invalid):
        await within(records, lambda tx: tx.accounts.holder(text))
    await given(records, account())


async def test_a_number_that_does_not_fit_is_invalid(records: SqlRecords) -> None:
    with pytest.raises(Invalid):
        await given(records, account(running=2**63))
