"""What does a job cost where the wallet pays? Held when its length is known, charged once at its end, the rest given back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.desk import CHAIN, PLANS, PUBLIC, Desk
from tiro.adapters.egress.courier import WebCourier
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.sites import Sites
from tiro.adapters.fakes import CountedIds
from tiro.model.account import Account
from tiro.model.batch import BatchFile
from tiro.model.blob import BlobRef, file_id, transcript_key
from tiro.model.job import Job
from tiro.model.request import JobOptions, JobRequest, ManifestSource
from tiro.model.wallet import Balance, FundsShort
from tiro.ports import Transaction
from tiro.services.billing import Billing
from tiro.services.ending import Fault
from tiro.services.intake import Intake

HOUR = 150_000
MONEY: dict[str, Any] = {"dialect": "transcribe", "micros_per_hour": HOUR}


@pytest.fixture
def intake(desk: Desk, tmp_path: Path) -> Intake:
    guard = Guard((), ours=PUBLIC)
    fetcher, courier = WebFetcher(guard, Sites(guard, tmp_path)), WebCourier(guard)
    return Intake(desk.records, desk.vault, desk.clock, CountedIds(), fetcher, courier, PLANS, CHAIN, lambda: None)


async def _account(desk: Desk, micros: int) -> Account:
    account = await desk.account()
    if micros:
        await desk.wallets.credit(account.account_id, micros, "")
    return account


async def _asked(desk: Desk, intake: Intake, account: Account, known_s: float | None = None, **fields: Any) -> Job:
    job_id = intake.new_job_id()
    request = JobRequest(
        job_id=job_id,
        account_id=account.account_id,
        dialect=fields.pop("dialect", "transcribe"),
        options=JobOptions(language="en"),
        source=intake.seal_url("https://example.com/a.wav"),
        known_duration_s=known_s,
        **fields,
    )
    job = await intake.submit(request)
    assert isinstance(job, Job)
    return job


async def _running(desk: Desk, account: Account, decoded_s: float, **fields: Any) -> Job:
    desk.blobs.put(transcript_key("job_1"), b"{}")
    return await desk.running(account, decoded_s=decoded_s, **(MONEY | fields))


async def _balance(desk: Desk, account: Account) -> Balance:
    return await desk.wallets.balance(account.account_id)


@pytest.mark.promise("T3")
@pytest.mark.parametrize("known_s", [None, 60.0])
async def test_an_empty_wallet_is_told_at_once_and_makes_no_job(
    desk: Desk, intake: Intake, known_s: float | None
) -> None:
    account = await _account(desk, 0)
    with pytest.raises(FundsShort) as refused:
        await _asked(desk, intake, account, known_s)
    assert refused.value.extras == {"required_micros": 42, "balance_micros": 0}
    assert await desk.jobs.page(account.account_id) == []


@pytest.mark.promise("T3")
async def test_an_unknown_length_holds_nothing_and_a_known_one_its_price(desk: Desk, intake: Intake) -> None:
    account = await _account(desk, HOUR)
    await _asked(desk, intake, account)
    assert await _balance(desk, account) == Balance(HOUR, 0)
    await _asked(desk, intake, account, 599.2)
    assert await _balance(desk, account) == Balance(HOUR, 25_000)


@pytest.mark.promise("T3")
async def test_fifty_at_once_on_a_balance_of_one_are_one_job(desk: Desk, intake: Intake) -> None:
    """What is known is held when it is asked for: they cannot spend the same money."""
    account = await _account(desk, 25_000)
    ends = await asyncio.gather(
        *(_asked(desk, intake, account, 600.0, priority=1) for _ in range(50)), return_exceptions=True
    )
    assert len([end for end in ends if isinstance(end, Job)]) == 1
    assert len([end for end in ends if isinstance(end, FundsShort)]) == 49
    assert await _balance(desk, account) == Balance(25_000, 25_000)
    assert len(await desk.jobs.page(account.account_id)) == 1


@pytest.mark.promise("T44")
async def test_the_price_is_that_of_the_plan_when_it_was_asked_for(desk: Desk, intake: Intake) -> None:
    """Another dialect's minutes have none."""
    account = await _account(desk, HOUR)
    assert (await _asked(desk, intake, account)).micros_per_hour == HOUR
    assert (await _asked(desk, intake, account, dialect="jobs")).micros_per_hour is None


@pytest.mark.promise("T12", "T44")
@pytest.mark.parametrize(
    ("decoded_s", "billed_s", "micros"),
    [(708.2, 709, 29_542), (600.0, 600, 25_000), (600.001, 601, 25_042), (3600.0, 3600, 150_000)],
)
async def test_a_completed_job_costs_its_seconds_rounded_up(
    desk: Desk, decoded_s: float, billed_s: int, micros: int
) -> None:
    """No minutes of the plan; it tells what was left then, and lives for 30 days."""
    account = await _account(desk, HOUR)
    await _running(desk, account, decoded_s)
    assert await _balance(desk, account) == Balance(HOUR, micros)
    job = (await desk.endings.end("job_1", 1, "completed")).job
    assert (job.billed_s, job.cost_micros, job.balance_micros) == (billed_s, micros, HOUR - micros)
    assert job.ended_at is not None
    assert job.expires_at == job.ended_at + timedelta(days=30)
    assert await _balance(desk, account) == Balance(HOUR - micros, 0)
    assert (await desk.usage(account)).used_s == 0


@pytest.mark.promise("T12")
async def test_the_balance_after_a_charge_counts_what_others_hold(desk: Desk, intake: Intake) -> None:
    account = await _account(desk, HOUR)
    await _running(desk, account, 600.0)
    await _asked(desk, intake, account, 1200.0)
    job = (await desk.endings.end("job_1", 1, "completed")).job
    assert job.balance_micros == HOUR - 25_000
    assert await _balance(desk, account) == Balance(HOUR - 25_000, 50_000)


@pytest.mark.promise("T3")
async def test_a_failed_job_costs_nothing(desk: Desk) -> None:
    account = await _account(desk, HOUR)
    await _running(desk, account, 600.0)
    job = (await desk.endings.end("job_1", 1, "failed", Fault("invalid_audio", "decode_failed"))).job
    assert (job.billed_s, job.cost_micros, job.balance_micros) == (0, 0, HOUR)
    assert await _balance(desk, account) == Balance(HOUR, 0)


@pytest.mark.promise("T8")
async def test_a_cancelled_job_costs_the_share_that_was_heard(desk: Desk) -> None:
    account = await _account(desk, HOUR)
    job = await _running(desk, account, 600.0)
    await desk.line.span_done("job_1", 1, "plan", 0, desk.line.hearing(job))
    job = await desk.jobs.cancel("job_1")
    assert (job.billed_s, job.cost_micros) == (150, 6_250)
    assert await _balance(desk, account) == Balance(HOUR - 6_250, 0)


@pytest.mark.promise("T3")
async def test_a_length_beyond_the_balance_is_refused_when_it_is_known(desk: Desk) -> None:
    """The job may then end with that word, which its owner understands."""
    account = await _account(desk, 25_000)
    with pytest.raises(FundsShort) as refused:
        await _running(desk, account, 601.0)
    assert refused.value.extras == {"required_micros": 25_042, "balance_micros": 25_000}
    job = (await desk.endings.end("job_1", 1, "failed", Fault("insufficient_funds", None, refused.value.extras))).job
    assert (job.error_code, job.error_extras["required_micros"]) == ("insufficient_funds", 25_042)
    assert await _balance(desk, account) == Balance(25_000, 0)


async def test_a_job_that_is_ended_twice_and_prepared_late_is_charged_once(desk: Desk) -> None:
    """As where a worker dies after its commit, and its task comes again."""
    account = await _account(desk, HOUR)
    await _running(desk, account, 600.0)
    for outcome in ("completed", "completed", "cancelled"):
        ended = await desk.endings.end("job_1", 1, outcome)  # type: ignore[arg-type]  # three of the outcomes
        assert ended.job.state == "completed"
    job = await desk.job()
    async with desk.records.begin() as tx:
        await Billing(PLANS).hold(tx, account, job, 1200, desk.clock.now())
    assert await _balance(desk, account) == Balance(HOUR - 25_000, 0)


async def test_a_retried_job_is_paid_by_its_second_run_alone(desk: Desk) -> None:
    account = await _account(desk, HOUR)
    await _running(desk, account, 600.0)
    await desk.endings.end("job_1", 1, "failed", Fault("transient_error"))
    await desk.jobs.retry("job_1")
    await desk.begun("job_1", 2, decoded_s=600.0)
    job = (await desk.endings.end("job_1", 2, "completed")).job
    assert (job.cost_micros, job.micros_per_hour) == (25_000, HOUR)
    assert await _balance(desk, account) == Balance(HOUR - 25_000, 0)


async def _batch(desk: Desk, account: Account) -> Job:
    """Under way, of three files."""
    await desk.queued(account, files_total=3, **MONEY)
    async with desk.records.begin() as tx:
        await tx.jobs.admit(desk.clock.now(), {"pro": 5})
        batch = await tx.jobs.claim("job_1", 1, "claim", desk.clock.now())
    assert batch is not None
    return batch


async def _within(desk: Desk, work: Any) -> Any:
    async with desk.records.begin() as tx:
        return await work(tx, Billing(PLANS))


def _settled(index: int, seconds: int, state: Any = "completed") -> BatchFile:
    return BatchFile(job_id="job_1", index=index, run=1, state=state, seconds=seconds, pack="p")


@pytest.mark.promise("T12")
async def test_a_batch_holds_for_the_files_that_are_prepared_and_pays_those_that_are_heard(desk: Desk) -> None:
    """Each told twice; one of three failed, and costs nothing. Nothing is charged before the end."""
    account, now = await _account(desk, HOUR), desk.clock.now()
    await _batch(desk, account)
    for _ in range(2):
        await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {0: 600, 1: 709}, now))
    assert await _balance(desk, account) == Balance(HOUR, 54_542)
    for _ in range(2):
        await _within(desk, lambda tx, _: tx.batches.settle([_settled(0, 600), _settled(1, 0, "failed")]))
    assert await _balance(desk, account) == Balance(HOUR, 54_542)
    job = (await desk.endings.end("job_1", 1, "completed")).job
    assert (job.billed_s, job.cost_micros, job.balance_micros) == (600, 25_000, HOUR - 25_000)
    assert await _balance(desk, account) == Balance(HOUR - 25_000, 0)


@pytest.mark.promise("T8")
@pytest.mark.parametrize(("outcome", "seconds", "cost"), [("failed", 0, 0), ("cancelled", 600, 25_000)])
async def test_a_batch_that_ends_early_pays_its_finished_files_when_it_was_cancelled(
    desk: Desk, outcome: Any, seconds: int, cost: int
) -> None:
    """What fails costs nothing. What is told after that changes nothing."""
    account, now = await _account(desk, HOUR), desk.clock.now()
    await _batch(desk, account)
    await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {0: 600, 1: 600}, now))
    await _within(desk, lambda tx, _: tx.batches.settle([_settled(0, 600)]))
    job = (await desk.endings.end("job_1", 1, outcome)).job
    assert (job.billed_s, job.cost_micros) == (seconds, cost)
    await _within(desk, lambda tx, _: tx.batches.settle([_settled(1, 600)]))
    await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {2: 600}, now))
    assert await _balance(desk, account) == Balance(HOUR - cost, 0)


async def test_a_batch_without_a_file_that_can_be_heard_leaves_no_line(desk: Desk) -> None:
    account = await _account(desk, HOUR)
    await _batch(desk, account)
    await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {}, desk.clock.now()))
    job = (await desk.endings.end("job_1", 1, "failed", Fault("no_usable_file"))).job
    assert (job.billed_s, job.cost_micros) == (0, 0)
    assert [entry.kind for entry in await desk.wallets.entries(account.account_id)] == ["credit"]


async def test_files_that_the_wallet_does_not_pay_are_not_prepared(desk: Desk) -> None:
    """The transaction leaves nothing; those before stand."""
    account, now = await _account(desk, 30_000), desk.clock.now()
    await _batch(desk, account)
    await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {0: 600}, now))
    with pytest.raises(FundsShort):
        await _within(desk, lambda tx, bill: bill.prepare_files(tx, "job_1", 1, {1: 600}, now))
    async with desk.records.begin() as tx:
        assert (await tx.batches.tally("job_1", 1)).prepared_s == 600
    assert await _balance(desk, account) == Balance(30_000, 25_000)


async def test_a_file_with_a_job_of_its_own_is_paid_by_its_batch(desk: Desk) -> None:
    """Its end charges nothing and gives nothing back, and it goes when its batch does."""
    account = await _account(desk, HOUR)
    batch, name = await _batch(desk, account), file_id("job_1", 2)
    source = ManifestSource(BlobRef("k", 1, "00" * 32), 3)
    file = Job(
        job_id=name,
        account_id=account.account_id,
        dialect="transcribe",
        options=JobOptions(language="en"),
        source=source,
        created_at=batch.created_at,
        changed_at=batch.created_at,
        batch_id="job_1",
    )

    async def held(tx: Transaction, bill: Billing) -> None:
        await tx.jobs.add(file)
        await bill.hold(tx, account, file, 709, desk.clock.now())

    await _within(desk, held)
    assert await _balance(desk, account) == Balance(HOUR, 29_542)
    desk.blobs.put(transcript_key(name), b"{}")
    ended = (await desk.endings.end(name, 1, "completed")).job
    assert (ended.billed_s, ended.cost_micros, ended.expires_at) == (0, None, None)
    assert await _balance(desk, account) == Balance(HOUR, 29_542)
    await _within(desk, lambda tx, _: tx.batches.settle([_settled(2, 709)]))
    assert (await desk.endings.end("job_1", 1, "completed")).job.cost_micros == 29_542
    assert await _balance(desk, account) == Balance(HOUR - 29_542, 0)
