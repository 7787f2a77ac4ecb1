"""What does a job cost, and whom? Its dialect's purse pays; here stands what is held when, and what an end is charged.

Everything works inside the caller's transaction. Locks are taken in one order, so that two transactions never wait for each other
crosswise: the job, its hold, the balance, the account.
The files of a batch are paid by the batch: one hold, which grows as files are prepared, and one capture, which grows as they are heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tiro.model.account import Account
from tiro.model.batch import BatchFile, Tally
from tiro.model.blob import file_index
from tiro.model.customs import CUSTOMS
from tiro.model.job import Job, Outcome
from tiro.model.ledger import billable_seconds
from tiro.model.plans import Plans
from tiro.ports import Transaction
from tiro.services.purses import Bill, Payer, payers


class Billing:
    """Holds, captures and releases for jobs."""

    def __init__(self, plans: Plans) -> None:
        self._payers = payers(plans)

    def price(self, account: Account, dialect: str) -> int | None:
        """Micro-dollars an hour that a job of now is taken in for; None: minutes pay."""
        return self._payers[CUSTOMS[dialect].purse].price(account)

    async def admit(self, tx: Transaction, account: Account, job: Job, *, known_s: float | None) -> None:
        """At intake. Raises QuotaExceeded or FundsShort, with extras for the API."""
        await self._payer(job).admit(tx, account, job, known_s)

    async def hold(self, tx: Transaction, account: Account, job: Job, seconds: int, now: datetime) -> None:
        """The real length is known. Raises QuotaExceeded or FundsShort; then the transaction must not be committed."""
        if job.batch_id is not None:
            await self.prepare_files(tx, job.batch_id, job.run, {file_index(job.job_id): seconds}, now)
        else:
            await self._payer(job).hold(tx, account, job, seconds, now)

    async def prepare_files(
        self, tx: Transaction, batch_id: str, run: int, seconds: Mapping[int, int], now: datetime
    ) -> Tally:
        """These files (index -> billable seconds) can be heard, and are paid for. Raises as `hold`."""
        batch = await tx.jobs.get(batch_id)
        account = await tx.accounts.get(batch.account_id) if batch else None
        tally = await tx.batches.prepare(batch_id, run, seconds)
        if batch is not None and account is not None and batch.run == run and tally.prepared_s:
            await self._payer(batch).hold(tx, account, batch, tally.prepared_s, now)
        return tally

    async def settle_files(self, tx: Transaction, files: Sequence[BatchFile], now: datetime) -> Tally:
        """These files of one run have an end; those that are completed are charged."""
        tally = await tx.batches.settle(files)
        if tally.completed_s:
            await tx.wallets.capture(files[0].job_id, files[0].run, tally.completed_s, now)
        return tally

    async def close(self, tx: Transaction, job: Job, outcome: Outcome, now: datetime) -> Bill:
        """The run is ending: charge what it came to, and release the rest. The job must be locked."""
        if job.batch_id is not None:
            return Bill()
        if job.is_batch:
            return await self._close_batch(tx, job, now)
        account = await tx.accounts.get(job.account_id)
        assert account is not None
        return await self._payer(job).close(tx, account, job, billed_seconds(job, outcome), now)

    async def _close_batch(self, tx: Transaction, job: Job, now: datetime) -> Bill:
        """Its files were charged as they were heard, in this run and those before."""
        await self._payer(job).release(tx, job, now)
        charged = await tx.wallets.charged(job.job_id)
        balance = await tx.wallets.balance(job.account_id)
        return Bill(billed_s=charged.seconds, cost_micros=charged.amount_micros, balance_micros=balance.balance_micros)

    def _payer(self, job: Job) -> Payer:
        return self._payers[CUSTOMS[job.dialect].purse]


def billed_seconds(job: Job, outcome: Outcome) -> int:
    """Completed: decoded seconds, rounded up. Cancelled: the share that was transcribed, rounded down. Failed: nothing."""
    if job.decoded_s is None or outcome == "failed":
        return 0
    if outcome == "completed":
        return billable_seconds(job.decoded_s)
    if not job.spans_total:
        return 0
    return int(job.decoded_s * min(1.0, job.spans_done / job.spans_total))
