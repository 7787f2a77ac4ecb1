"""The database: accounts, jobs, the ledger, webhooks, in one transaction at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from tiro.model.account import Account, ApiKey
from tiro.model.family import Family
from tiro.model.hook import Attempt, Delivery, DeliveryState, WebhookSecrets
from tiro.model.job import Ending, Job, JobPatch, JobState, Order
from tiro.model.ledger import Charge, Entry, HoldTerms, Usage
from tiro.model.pace import Hearing
from tiro.model.replay import Replay
from tiro.model.request import Source
from tiro.ports.batches import Batches
from tiro.ports.books import Books
from tiro.ports.signing import SigningKeys
from tiro.ports.wallets import Wallets


class Accounts(Protocol):
    """Accounts, keys and webhook secrets."""

    async def add(self, account: Account) -> None: ...
    async def get(self, account_id: str) -> Account | None: ...
    async def lock(self, account_id: str) -> None:
        """Until this transaction is over, whoever counts something of this account does so alone. After the locks of jobs and wallets."""
        ...

    async def all(self) -> list[Account]: ...
    async def plans(self) -> dict[str, int]:
        """The plans that accounts are on, and how many are."""
        ...

    async def save(self, account: Account) -> None:
        """Everything but `running`, which only admission and `finish` change."""
        ...

    async def add_key(self, key: ApiKey) -> None: ...
    async def key(self, key_id: str) -> ApiKey | None: ...
    async def holder(self, sha256: str) -> tuple[ApiKey, Account] | None:
        """The key of this digest and whose it is, revoked or suspended or not."""
        ...

    async def holder_by_id(self, key_id: str) -> tuple[ApiKey, Account] | None:
        """The same by the key's id."""
        ...

    async def keys(self, account_id: str | None = None) -> list[ApiKey]: ...
    async def touch_key(self, key_id: str, at: datetime) -> None: ...
    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        """False when there is none or it was revoked before."""
        ...

    async def webhook_secrets(self, account_id: str) -> WebhookSecrets | None: ...
    async def save_webhook_secrets(self, account_id: str, secrets: WebhookSecrets) -> None: ...


class Jobs(Protocol):
    """Job rows and the orders that Temporal must be given. Every change of state is conditional on the state before."""

    async def add(self, job: Job, *, brought: bool = True) -> None:
        """A new row, `queued`, or a file of a batch. Unless it is `awaiting`, all has come in: its upload ends.

        `brought` False: no upload was begun for it.
        """
        ...

    async def get(self, job_id: str, account_id: str | None = None) -> Job | None:
        """None when there is none, or it is another account's, or (with `account_id`) it is deleted."""
        ...

    async def lock(self, job_id: str) -> Job | None:
        """The job as it stands: until this transaction has ended, nobody else changes it, nor its files if it is a batch."""
        ...

    async def arrive(self, job_id: str, source: Source, now: datetime) -> Job | None:
        """No longer `awaiting`, with what came in, ending its upload; None when it awaits nothing (any more)."""
        ...

    async def page(
        self,
        account_id: str | None,
        *,
        dialect: str | None = None,
        reference: str | None = None,
        state: JobState | None = None,
        changed_since: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest change first (`changed_at`, then id); `after` is the last seen (changed_at, job_id).

        Deleted ones and files of batches are left out.
        """
        ...

    async def count_open(self, account_id: str) -> int:
        """Queued and processing."""
        ...

    async def count_awaiting(self, account_id: str) -> int:
        """Queued, and their bytes are still to be brought."""
        ...

    async def admit(self, now: datetime, caps: Mapping[str, int], limit: int = 100) -> list[Order]:
        """Give free slots to queued jobs, oldest first per account, while `running < caps[plan]`; one transaction writes slot and order."""
        ...

    async def order_fetches(self, caps: Mapping[str, int], limit: int = 100) -> list[Order]:
        """Order recordings to be fetched before their jobs have a slot, of accounts that run `caps[plan]` and in the order of their lines.

        Each once a run, and as many as may run: the store stays bounded.
        """
        ...

    async def orders(self, limit: int = 100) -> list[Order]:
        """What Temporal has not been told yet, oldest first."""
        ...

    async def add_order(self, order: Order) -> None:
        """Write an order; the same one twice is one."""
        ...

    async def drop_order(self, order: Order) -> None:
        """It is known to have begun."""
        ...

    async def claim(self, job_id: str, run: int, claim: str, now: datetime) -> Job | None:
        """queued -> processing for this run, removing its order; the same claim again gets the job again; otherwise None."""
        ...

    async def patch(self, job_id: str, run: int, patch: JobPatch, now: datetime) -> bool:
        """Change a job that runs (state processing, this run); False when it no longer does. `changed_at` stays: it is the state's."""
        ...

    async def span_done(
        self, job_id: str, run: int, plan: str, index: int, now: datetime, hearing: Hearing | None = None
    ) -> int | None:
        """Count a span once, however often it is reported; the number done so far, None when this run is over.

        One whose hearing is told is part of the run's pace; without, it was found done.
        """
        ...

    async def finish(self, job_id: str, run: int, ending: Ending, now: datetime, purge_after: datetime) -> Job | None:
        """Into an ended state once, giving the slot back and dropping its start order; None when it had ended."""
        ...

    async def begin_upload(self, job_id: str, account_id: str, now: datetime) -> None:
        """Bytes are about to arrive below this job's prefix, or still do; what makes the job stop `awaiting` ends it."""
        ...

    async def drop_upload(self, job_id: str) -> None:
        """The upload was given up and its bytes are gone."""
        ...

    async def stale_uploads(self, before: datetime, limit: int = 100, *, oldest: datetime | None = None) -> list[str]:
        """Ids of jobs whose upload was last heard of before that moment, and never was queued; and of those older than `oldest`."""
        ...

    async def uploads_since(self, moment: datetime) -> set[str]:
        """Ids of jobs whose upload was heard of at that moment or later."""
        ...

    async def retry(self, job_id: str, now: datetime) -> Job | None:
        """Ended otherwise than completed without fault -> queued as the next run, errors and billing cleared.

        None when its state does not allow it.
        """
        ...

    async def open_file(self, file: Job, now: datetime) -> Job:
        """A file of a batch is to be done in this run: the new row, or that of an earlier run as its next; one of this run as it stands."""
        ...

    async def expired(self, now: datetime, limit: int = 100) -> list[str]:
        """Ids of ended jobs whose `expires_at` has passed and which are not deleted."""
        ...

    async def mark_deleted(self, job_id: str, now: datetime) -> None:
        """The tombstone, of a batch for its files too. Kept when set before."""
        ...

    async def is_deleted(self, job_id: str) -> bool:
        """Whether the tombstone stands (or the row is gone)."""
        ...

    async def purgeable(self, now: datetime, limit: int = 100) -> list[Job]:
        """Ended jobs whose `purge_after` has passed and whose source is not yet marked deleted, and deleted jobs not yet swept.

        Without the trimmed ones of accounts that keep their audio, as long as they do.
        """
        ...

    async def mark_trimmed(self, job_id: str, now: datetime) -> None:
        """Its source is kept for its account; what was made of it is gone."""
        ...

    async def mark_source_deleted(self, job_id: str, now: datetime) -> None:
        """The listing of its source and spans, of a batch those of its files too, came back empty."""
        ...

    async def count_failure(self, job_id: str, run: int, station: str, index: int, code: str) -> int:
        """Raise and return how often this station of this run failed with this code."""
        ...

    async def forget_failures(self, job_id: str, run: int, station: str, index: int, code: str) -> None:
        """Begin to count anew."""
        ...

    async def running_since(self, before: datetime, limit: int = 1000) -> list[Job]:
        """What Temporal should know since before that moment: processing jobs, and admitted ones whose start was ordered and told.

        And files that never began, of batches that have ended.
        """
        ...


class Ledger(Protocol):
    """Minutes and overage. A balance is guarded by one conditional update; every call may be repeated."""

    async def hold(
        self, account_id: str, job_id: str, run: int, seconds: int, month: str, terms: HoldTerms, now: datetime
    ) -> Entry:
        """Hold seconds (or return the hold that stands). Raises QuotaExceeded with `minutes_remaining`, `minutes_required`."""
        ...

    async def extend(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Entry:
        """Bring the hold to `seconds` in all (never less), in the hold's month. Raises QuotaExceeded."""
        ...

    async def capture(self, job_id: str, run: int, seconds: int, terms: HoldTerms, now: datetime) -> Charge:
        """Charge at most what is held, once, and release the rest; repeated: the same charge. No hold: a charge of 0."""
        ...

    async def release(self, job_id: str, run: int, now: datetime) -> None:
        """Give the hold back; nothing happens without an open hold."""
        ...

    async def usage(self, account_id: str, month: str) -> Usage: ...
    async def entries(self, account_id: str, month: str | None = None) -> list[Entry]: ...


class Hooks(Protocol):
    """Deliveries and their attempts."""

    async def add(self, delivery: Delivery) -> None:
        """The same event twice is one."""
        ...

    async def get(self, event_id: str) -> Delivery | None: ...
    async def of_job(self, job_id: str) -> list[Delivery]: ...
    async def of_jobs(self, job_ids: Sequence[str]) -> dict[str, list[Delivery]]:
        """Asked once for all of them: job -> its deliveries, oldest first; jobs without any are left out."""
        ...

    async def record(self, attempt: Attempt, state: DeliveryState, next_attempt_at: datetime | None) -> Delivery | None:
        """Write an attempt (numbered; the same number twice is one) and the delivery's state; None when there is none."""
        ...

    async def set_state(self, event_id: str, state: DeliveryState) -> None: ...
    async def attempts(self, event_id: str) -> list[Attempt]: ...


class Replays(Protocol):
    """Answers that are given again; those of `since` and before count as gone."""

    async def get(self, name: str, since: datetime) -> Replay | None: ...
    async def add(self, replay: Replay, since: datetime) -> bool:
        """False when one stands under that name; waits for another transaction that is adding one."""
        ...

    async def forget(self, since: datetime) -> int:
        """Remove what is gone; how many."""
        ...


class Limits(Protocol):
    """How often something may come, counted for all processes together."""

    async def take(self, name: str, at_most: int, within: timedelta, now: datetime) -> timedelta | None:
        """Count one under a name of fixed length. None: counted. Else there were `at_most` `within` so long, and so long is to wait."""
        ...

    async def may_be_lost(self) -> None:
        """This transaction does nothing but count: those who stand in line behind it need not wait for the disk, too."""
        ...

    async def forget(self, now: datetime) -> int:
        """Remove names under which nothing counts any more; how many."""
        ...


class Families(Protocol):
    """Families of refresh tokens."""

    async def get(self, family_id: str) -> Family | None: ...
    async def lock(self, fresh: Family) -> Family:
        """The family as it stands, else `fresh`, written; nobody else gets it before this transaction has ended."""
        ...

    async def save(self, family: Family) -> None: ...
    async def forget(self, now: datetime) -> int:
        """Remove those whose last token has expired; how many."""
        ...


class Transaction(Protocol):
    """One unit of work: everything done through it is committed together or not at all."""

    accounts: Accounts
    jobs: Jobs
    ledger: Ledger
    hooks: Hooks
    replays: Replays
    limits: Limits
    families: Families
    wallets: Wallets
    batches: Batches
    signing_keys: SigningKeys
    books: Books


class Records(Protocol):
    """The database."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits when left normally, rolls back on any exception. Raises Transient `database_unavailable`."""
        ...

    def look(self) -> AbstractAsyncContextManager[Transaction]:
        """For questions alone, each by itself: nothing that is changed in it is one with anything else. Raises as `begin`."""
        ...

    async def now(self) -> datetime:
        """The database's own clock (for measuring skew)."""
        ...

    async def close(self) -> None: ...
