"""What does a job cost, and whom? Its dialect's purse pays; here stands what is held when, and what an end is charged.

Everything works inside the caller's transaction. Locks are taken in one order, so that two transactions never wait for each other
crosswise: the job, its hold, the balance, the account.
The files of a batch are paid by the batch: one hold, which grows as files are prepared, and one capture, when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tiro.model.account import Account
from tiro.model.batch import Tally
from tiro.model.blob import file_index
from tiro.model.customs import CUSTOMS
from tiro.model.job import Job, Outcome
from tiro.model.ledger import billable_seconds
from tiro.model.plans import Plans
from tiro.model.wallet import Charged, cost_micros
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
        # locked: a run that has ended may never have held anything, and must not begin to
        batch = await tx.jobs.lock(batch_id)
        account = await tx.accounts.get(batch.account_id) if batch else None
        tally = await tx.batches.prepare(batch_id, run, seconds)
        under_way = batch is not None and batch.run == run and not batch.ended
        if batch is not None and account is not None and under_way and tally.prepared_s:
            await self._payer(batch).hold(tx, account, batch, tally.prepared_s, now)
        return tally

    async def charge_of(self, tx: Transaction, batch: Job) -> Charged:
        """What this batch will have been charged, its runs before it included, when this run ends as it stands."""
        before = await tx.wallets.charged(batch.job_id)
        seconds = (await tx.batches.tally(batch.job_id, batch.run)).completed_s
        amount_micros = cost_micros(seconds, batch.micros_per_hour or 0)
        return Charged(before.seconds + seconds, before.amount_micros + amount_micros)

    async def close(self, tx: Transaction, job: Job, outcome: Outcome, now: datetime) -> Bill:
        """The run is ending: charge what it came to, and release the rest. The job must be locked."""
        if job.batch_id is not None:
            return Bill()
        account = await tx.accounts.get(job.account_id)
        assert account is not None
        if job.is_batch:
            return await self._close_batch(tx, account, job, outcome, now)
        return await self._payer(job).close(tx, account, job, billed_seconds(job, outcome), now)

    async def _close_batch(self, tx: Transaction, account: Account, job: Job, outcome: Outcome, now: datetime) -> Bill:
        """Completed files are charged now; where the batch fails, nobody gets them. The bill is that of all its runs."""
        seconds = 0 if outcome == "failed" else (await tx.batches.tally(job.job_id, job.run)).completed_s
        bill = await self._payer(job).close(tx, account, job, seconds, now)
        charged = await tx.wallets.charged(job.job_id)
        return msgspec.structs.replace(bill, billed_s=charged.seconds, cost_micros=charged.amount_micros)

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
