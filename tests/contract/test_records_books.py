"""Does an audit's arithmetic find what was changed behind the back of those who keep it, and nothing else?"""

from __future__ import annotations

from datetime import timedelta

import msgspec
from sqlalchemy import create_engine, text

from tests.contract.records_nouns import CAPS, DONE, account, delivery, given, job, within
from tests.servers.databases import START
from tiro.adapters.database.connect import parse
from tiro.adapters.database.records import SqlRecords
from tiro.model.audit import Difference
from tiro.model.batch import BatchFile
from tiro.model.hook import SealedUrl
from tiro.model.job import Ending, Order
from tiro.model.ledger import HoldTerms
from tiro.ports import Transaction

TERMS = HoldTerms(quota_s=1000, overage_micros_per_minute=60)
HOOK = SealedUrl(b"sealed", "example.com")
LATER = START + timedelta(hours=1)


def _by_hand(database_url: str, statement: str) -> None:
    """As somebody with a database shell does."""
    engine = create_engine(parse(database_url))
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount == 1
    engine.dispose()


async def _found(records: SqlRecords) -> list[Difference]:
    """All that is asked of one statement."""

    async def asked(tx: Transaction) -> list[Difference]:
        books = tx.books
        return [
            *await books.slots(),
            *await books.months(),
            *await books.minutes_held(),
            *await books.minutes_charged(["jobs"]),
            *await books.wallets(),
            *await books.money_held(),
            *await books.money_charged(["transcribe"]),
            *await books.batches(LATER),
            *await books.events(),
        ]

    return await within(records, asked)


async def _lived(records: SqlRecords) -> None:
    """A job that failed, was retried, and completed beyond its minutes; one that runs; one that waits."""
    await given(
        records,
        account("acct_1", "pro"),
        job("job_1", webhook_url=HOOK),
        job("job_2", webhook_url=HOOK),
        job("job_3"),
    )
    async with records.begin() as tx:
        await tx.jobs.admit(START, {"pro": 2})
        for job_id in ("job_1", "job_2"):
            await tx.jobs.claim(job_id, 1, "flow", START)
            await tx.ledger.hold("acct_1", job_id, 1, 900, "2026-03", TERMS, START)
        await tx.ledger.release("job_1", 1, START)
        await tx.jobs.finish("job_1", 1, Ending(outcome="failed"), START, START)
        await tx.hooks.add(delivery("evt_1", "job_1"))
        await tx.jobs.retry("job_1", START)
        await tx.ledger.hold("acct_1", "job_1", 2, 900, "2026-03", TERMS, START)
        charge = await tx.ledger.capture("job_1", 2, 600, TERMS, START)
        ending = Ending(outcome="completed", billed_s=charge.billed_s, overage_s=charge.overage_s)
        await tx.jobs.finish("job_1", 2, ending, START, START)
        await tx.hooks.add(delivery("evt_2", "job_1"))


async def _paid(records: SqlRecords) -> None:
    """A batch of two runs, one file of which failed, and a single job: both from a wallet."""
    batch = job("job_4", dialect="transcribe", files_total=2, micros_per_hour=3600)
    await given(records, account("acct_1", "pro"), batch, job("job_5", dialect="transcribe", micros_per_hour=3600))
    one = BatchFile(job_id="job_4", index=0, run=1, state="completed", seconds=100)
    two = BatchFile(job_id="job_4", index=1, run=1, state="failed", error_code="invalid_audio")
    async with records.begin() as tx:
        await tx.wallets.credit("acct_1", 10_000, name="start", note="", now=START)
        await tx.jobs.claim("job_4", 1, "flow", START)
        await tx.wallets.hold("acct_1", "job_4", 1, 100, 3600, START)
        await tx.batches.settle([one, two])
        await tx.wallets.capture("job_4", 1, 100, START)
        await tx.wallets.release("job_4", 1, START)
        await tx.jobs.finish("job_4", 1, Ending(outcome="completed", billed_s=100, cost_micros=100), START, START)
        await tx.jobs.retry("job_4", START)
        await tx.batches.begin_again("job_4", 2, unpaid=False)
        await tx.jobs.claim("job_4", 2, "flow", START)
        await tx.wallets.hold("acct_1", "job_4", 2, 50, 3600, START)
        await tx.batches.settle([msgspec.structs.replace(two, run=2, state="completed", seconds=50, error_code=None)])
        await tx.wallets.capture("job_4", 2, 50, START)
        await tx.wallets.release("job_4", 2, START)
        await tx.jobs.finish("job_4", 2, Ending(outcome="completed", billed_s=150, cost_micros=150), START, START)
        await tx.jobs.claim("job_5", 1, "flow", START)
        await tx.wallets.hold("acct_1", "job_5", 1, 70, 3600, START)


async def test_what_was_kept_by_the_rules_agrees(records: SqlRecords) -> None:
    await _lived(records)
    assert await _found(records) == []


async def test_what_wallets_paid_by_the_rules_agrees(records: SqlRecords) -> None:
    await _paid(records)
    assert await _found(records) == []


async def test_a_slot_too_many_is_found(records: SqlRecords, database_url: str) -> None:
    await _lived(records)
    _by_hand(database_url, "UPDATE accounts SET running = running + 1")
    assert await _found(records) == [Difference("acct_1", "running", 2, 1)]


async def test_minutes_that_nobody_used_or_held_are_found_by_account_and_month(
    records: SqlRecords, database_url: str
) -> None:
    await _lived(records)
    _by_hand(database_url, "UPDATE month_balances SET used_s = used_s + 7, overage_held_s = overage_held_s + 1")
    found = [(one.subject, one.what, one.there - one.should) for one in await _found(records)]
    assert found == [("acct_1 2026-03", "used_s", 7), ("acct_1 2026-03", "overage_held_s", 1)]


async def test_a_month_whose_balance_is_gone_is_found(records: SqlRecords, database_url: str) -> None:
    await _lived(records)
    _by_hand(database_url, "DELETE FROM month_balances")
    assert {one.what for one in await _found(records)} >= {"used_s", "held_s"}


async def test_minutes_of_a_run_that_has_ended_are_not_held_any_more(records: SqlRecords) -> None:
    await _lived(records)
    await within(records, lambda tx: tx.jobs.finish("job_2", 1, Ending(outcome="failed"), START, START))
    found = await _found(records)
    assert Difference("job_2", "held_s", 900, 0) in found
    assert Difference("job_2", "events", 0, 1) in found


async def test_a_bill_that_is_not_what_was_captured_is_found(records: SqlRecords, database_url: str) -> None:
    await _lived(records)
    _by_hand(database_url, "UPDATE jobs SET billed_s = 599 WHERE job_id = 'job_1'")
    assert await _found(records) == [Difference("job_1", "billed_s", 599, 600)]


async def test_an_event_too_many_and_one_too_few_are_found(records: SqlRecords) -> None:
    await _lived(records)
    await given(records, delivery("evt_3", "job_1"), delivery("evt_4", "job_2"))
    found = sorted(await _found(records), key=lambda one: one.subject)
    assert found == [Difference("job_1", "events", 3, 2), Difference("job_2", "events", 1, 0)]


async def test_a_wallet_that_was_changed_by_hand_is_found(records: SqlRecords, database_url: str) -> None:
    await _paid(records)
    _by_hand(database_url, "UPDATE wallets SET balance_micros = balance_micros + 5, held_micros = held_micros - 1")
    found = [(one.subject, one.what, one.there - one.should) for one in await _found(records)]
    assert found == [("acct_1", "balance_micros", 5), ("acct_1", "held_micros", -1)]


async def test_money_of_a_run_that_has_ended_is_not_held_any_more(records: SqlRecords) -> None:
    await _paid(records)
    await within(records, lambda tx: tx.jobs.finish("job_5", 1, Ending(outcome="failed"), START, START))
    assert await _found(records) == [Difference("job_5", "held_micros", 70, 0)]


async def test_a_price_that_is_not_what_was_captured_is_found(records: SqlRecords, database_url: str) -> None:
    await _paid(records)
    _by_hand(database_url, "UPDATE jobs SET cost_micros = 149 WHERE job_id = 'job_4'")
    assert await _found(records) == [Difference("job_4", "cost_micros", 149, 150)]


async def test_a_file_that_was_completed_twice_or_is_missing_is_found(records: SqlRecords, database_url: str) -> None:
    await _paid(records)
    _by_hand(database_url, """DELETE FROM batch_files WHERE "index" = 1""")
    assert await _found(records) == [
        Difference("job_4", "files_done", 2, 1),
        Difference("job_4", "files_ended", 1, 2),
        Difference("job_4 2", "charged_s", 50, 0),
    ]


async def test_a_file_that_stands_open_behind_its_batch_is_found_after_a_while(records: SqlRecords) -> None:
    await _paid(records)
    await given(records, job("job_4.00001", dialect="transcribe", batch_id="job_4"))
    assert await within(records, lambda tx: tx.books.batches(START)) == []
    assert await _found(records) == [Difference("job_4", "open_files", 1, 0)]


async def test_jobs_come_in_the_order_of_their_ids_without_files_of_batches(records: SqlRecords) -> None:
    await _lived(records)
    await given(records, job("job_4", files_total=1), job("job_4.00000", batch_id="job_4"))
    pages = [await within(records, lambda tx, a=after: tx.books.lines(a, 2)) for after in ("", "job_2", "job_4")]
    assert [[line.job_id for line in page] for page in pages] == [["job_1", "job_2"], ["job_3", "job_4"], []]
    named = await within(records, lambda tx: tx.books.lines_of(["job_9", "job_4.00000"]))
    assert {job_id: line.batch_id for job_id, line in named.items()} == {"job_4.00000": "job_4"}


async def test_temporal_should_know_what_runs_and_what_was_told_to_run(records: SqlRecords) -> None:
    await given(records, account("acct_1", "pro"), job("job_1"), job("job_2"), job("job_3"))
    async with records.begin() as tx:
        await tx.jobs.admit(START, CAPS)
        await tx.jobs.claim("job_1", 1, "flow", START)
        await tx.jobs.drop_order(Order("transcription", "job_2", 1))
    lines = await within(records, lambda tx: tx.books.under_way("", 10))
    assert [line.job_id for line in lines] == ["job_1", "job_2"]
    assert [line.job_id for line in await within(records, lambda tx: tx.books.under_way("job_1", 10))] == ["job_2"]
    await within(records, lambda tx: tx.jobs.finish("job_1", 1, DONE, START, START))
    assert [line.job_id for line in await within(records, lambda tx: tx.books.under_way("", 10))] == ["job_2"]


async def test_events_are_late_when_their_time_has_passed_and_no_order_stands(records: SqlRecords) -> None:
    await given(records, account("acct_1"), *(delivery(f"evt_{n}", next_attempt_at=START) for n in range(3)))
    await within(records, lambda tx: tx.jobs.add_order(Order("delivery", "job_1", 1, "evt_1")))
    await within(records, lambda tx: tx.hooks.set_state("evt_2", "delivered"))
    assert await within(records, lambda tx: tx.books.late_events(LATER, "", 10)) == ["evt_0"]
    assert await within(records, lambda tx: tx.books.late_events(LATER, "evt_0", 10)) == []
    assert await within(records, lambda tx: tx.books.late_events(START, "", 10)) == []


async def test_an_open_upload_is_somebodys(records: SqlRecords) -> None:
    await given(records, account("acct_1"))
    await within(records, lambda tx: tx.jobs.begin_upload("job_1", "acct_1", START))
    assert await within(records, lambda tx: tx.books.uploads(["job_1", "job_2"])) == {"job_1"}


async def test_everything_that_is_compared_is_counted(records: SqlRecords) -> None:
    await _lived(records)
    assert await within(records, lambda tx: tx.books.totals()) == {
        "accounts": 1, "jobs": 3, "batch_files": 0, "minute_entries": 5, "wallet_entries": 0, "events": 2, "orders": 0
    }  # fmt: skip
