"""Is there one signing key at a time and one next, whoever changes them, on both databases?"""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.records_nouns import two_processes, within
from tests.servers.databases import START, SteppedClock
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.adapters.system import SystemIds
from tiro.adapters.vault import SealedVault
from tiro.model.signing import SigningKey
from tiro.services.signing import OVERLAP, PUBLISHED_FIRST, Signing

TOMORROW = START + timedelta(days=1)


def key(key_id: str = "v1", **fields: Any) -> SigningKey:
    values: dict[str, Any] = {"state": "active", "created_at": START}
    return SigningKey(key_id=key_id, sealed=b"sealed", public=key_id.encode().ljust(32), **values | fields)


async def _add(records: SqlRecords, made: SigningKey) -> bool:
    return await within(records, lambda tx: tx.signing_keys.add(made))


async def _all(records: SqlRecords) -> list[SigningKey]:
    return await within(records, lambda tx: tx.signing_keys.all())


async def test_keys_come_back_as_they_went_in_oldest_first(records: SqlRecords) -> None:
    later = key("v2", state="next", created_at=START + timedelta(seconds=1))
    assert await _add(records, later)
    assert await _add(records, key())
    assert await _all(records) == [key(), later]


@pytest.mark.parametrize("second", [key(state="next"), key("v2"), key()], ids=["its id", "its state", "both"])
async def test_one_of_each_id_and_each_state(records: SqlRecords, second: SigningKey) -> None:
    assert await _add(records, key())
    assert not await _add(records, second)
    assert await _all(records) == [key()]


async def test_any_number_may_be_retired(records: SqlRecords) -> None:
    old = [key(f"v{number}", state="retired", retired_at=TOMORROW) for number in (1, 2)]
    assert [await _add(records, one) for one in old] == [True, True]


async def test_the_next_becomes_active_and_the_one_before_retired(records: SqlRecords) -> None:
    await _add(records, key())
    await _add(records, key("v2", state="next"))
    assert await within(records, lambda tx: tx.signing_keys.activate("v2", START, TOMORROW))
    assert await _all(records) == [key(state="retired", retired_at=TOMORROW), key("v2")]


@pytest.mark.parametrize("key_id", ["v1", "v9"])
async def test_what_is_not_next_is_not_activated(records: SqlRecords, key_id: str) -> None:
    await _add(records, key())
    assert not await within(records, lambda tx: tx.signing_keys.activate(key_id, START, TOMORROW))
    assert await _all(records) == [key()]


async def test_retired_keys_are_forgotten_when_they_are_published_no_more(records: SqlRecords) -> None:
    await _add(records, key(state="retired", retired_at=START))
    await _add(records, key("v2", state="retired", retired_at=TOMORROW))
    await _add(records, key("v3"))
    assert await within(records, lambda tx: tx.signing_keys.forget(START)) == 1
    assert [one.key_id for one in await _all(records)] == ["v2", "v3"]


# ---- the service, where many come at once


def _signing(records: SqlRecords, clock: SteppedClock) -> Signing:
    return Signing(records, SealedVault(base64.b64encode(b"k" * 32).decode()), clock, SystemIds())


@pytest.mark.promise("T28")
async def test_twenty_first_uses_at_once_make_one_key(records: SqlRecords, clock: SteppedClock) -> None:
    signing = _signing(records, clock)
    signers = await asyncio.gather(*(signing.signer() for _ in range(20)))
    assert len(set(signers)) == 1
    assert [(one.key_id, one.state) for one in await _all(records)] == [("v1", "active")]


@pytest.mark.promise("T28")
async def test_two_processes_that_come_first_have_one_key(postgres_url: str, clock: SteppedClock) -> None:
    async with two_processes(postgres_url, clock) as both:
        asking = [_signing(records, clock).signer() for records in both for _ in range(10)]
        assert len(set(await asyncio.gather(*asking))) == 1


async def test_two_that_prepare_and_activate_at_once_do_it_once(records: SqlRecords, clock: SteppedClock) -> None:
    signing = _signing(records, clock)
    prepared = await asyncio.gather(*(signing.prepare() for _ in range(6)))
    assert {one.key_id for one in prepared} == {"v2"}
    clock.step(PUBLISHED_FIRST.total_seconds())
    tried = await asyncio.gather(*(signing.activate() for _ in range(6)), return_exceptions=True)
    assert len([one for one in tried if isinstance(one, SigningKey)]) == 1
    assert {getattr(one, "code", "no_next_key") for one in tried} == {"no_next_key"}
    assert [(one.key_id, one.state) for one in await _all(records)] == [("v1", "retired"), ("v2", "active")]


async def test_numbers_are_never_used_again(records: SqlRecords, clock: SteppedClock) -> None:
    signing = _signing(records, clock)
    for _ in range(3):
        await signing.prepare()
        clock.step((PUBLISHED_FIRST + OVERLAP).total_seconds())
        await signing.activate()
    clock.step(OVERLAP.total_seconds())
    assert (await signing.prepare()).key_id == "v5"
    assert [one.key_id for one in await _all(records)] == ["v4", "v5"]


async def test_a_private_half_never_lies_in_clear(sqlite_url: str, clock: SteppedClock) -> None:
    """Not in the row, not in the file behind it."""
    records = open_records(sqlite_url, clock)
    _, private = await _signing(records, clock).signer()
    (row,) = await _all(records)
    await records.close()
    assert private not in row.sealed
    assert private not in await asyncio.to_thread(Path(sqlite_url.removeprefix("sqlite:///")).read_bytes)
