"""From the core's structs to what an operator is shown."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from api.admin.wire import (
    AccountRow,
    AttemptRow,
    AuditRow,
    DeliveryRow,
    FindingRow,
    JobRow,
    KeyRow,
    LedgerRow,
    PlanRow,
    UsageRow,
    WalletRow,
)
from tiro.model.account import Account, ApiKey
from tiro.model.audit import Audited
from tiro.model.errors import Invalid
from tiro.model.hook import Attempt, Delivery
from tiro.model.ids import is_id
from tiro.model.job import Job
from tiro.model.ledger import Usage
from tiro.model.plans import Plan
from tiro.model.request import AwaitedSource, ManifestSource, UploadedSource, UrlSource
from tiro.model.wallet import Balance, WalletEntry
from tiro.services.jobs import Progress
from tiro.services.purses import terms_of

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


_SOURCES = {UploadedSource: "upload", UrlSource: "url", AwaitedSource: "awaited", ManifestSource: "manifest"}


def job_row(job: Job, progress: Progress) -> JobRow:
    blob = job.source.blob if isinstance(job.source, UploadedSource) else None
    shown = {
        "source": _SOURCES[type(job.source)],
        "size_bytes": None if blob is None else blob.size_bytes,
        "progress": progress.progress,
        "eta_s": progress.eta_s,
        "speed": progress.speed,
    }
    if not job.is_batch:
        shown |= {"files_done": None, "files_failed": None}
    return JobRow(**{**_same(job, JobRow), **shown})


def delivery_row(delivery: Delivery, attempts: Sequence[Attempt]) -> DeliveryRow:
    shown = {
        "host": delivery.url.host,
        "attempts": [AttemptRow(one.number, one.at, one.status, one.error, one.took_ms) for one in attempts],
    }
    return DeliveryRow(**{**_same(delivery, DeliveryRow), **shown})


def key_row(key: ApiKey) -> KeyRow:
    return KeyRow(**_same(key, KeyRow))


def account_row(account: Account) -> AccountRow:
    return AccountRow(**_same(account, AccountRow))


def plan_row(plan: Plan, accounts: int) -> PlanRow:
    return PlanRow(**msgspec.structs.asdict(plan), accounts=accounts)


def usage_row(account: Account, plan: Plan, usage: Usage, balance: Balance) -> UsageRow:
    quota_s = terms_of(plan, account, accept_overage=False).quota_s
    shown = _same(usage, UsageRow) | _same(balance, UsageRow)
    return UsageRow(account_id=account.account_id, quota_s=quota_s, **shown)


def wallet_row(account_id: str, balance: Balance) -> WalletRow:
    return WalletRow(account_id=account_id, **_same(balance, WalletRow))


def ledger_row(entry: WalletEntry) -> LedgerRow:
    return LedgerRow(**_same(entry, LedgerRow))


def audit_row(number: int, audited: Audited) -> AuditRow:
    """Once it is done."""
    return AuditRow(
        number=number,
        done=True,
        compared=audited.compared,
        findings=[FindingRow(one.kind, one.subject, one.there, one.should) for one in audited.findings],
        unchecked=audited.unchecked,
        notes=list(audited.notes),
    )


def cursor_of(job: Job) -> str:
    """Where the page after this job begins."""
    return urlsafe_b64encode(msgspec.json.encode((job.changed_at, job.job_id))).decode()


def after_of(cursor: str) -> tuple[datetime, str]:
    """Raises Invalid."""
    try:
        changed_at, job_id = msgspec.json.decode(urlsafe_b64decode(cursor), type=tuple[Moment, str])
        if not is_id("job", job_id):
            raise ValueError
        return changed_at.astimezone(UTC), job_id
    except (ValueError, OverflowError, msgspec.MsgspecError):
        raise Invalid("invalid_request", "The cursor is not one of ours.", param="cursor") from None


def since_of(text: str) -> datetime:
    """Raises Invalid."""
    try:
        return msgspec.convert(text, Moment, strict=False).astimezone(UTC)
    except (OverflowError, msgspec.ValidationError):
        raise Invalid("invalid_request", "since is a time with an offset.", param="since") from None


def _same(source: msgspec.Struct, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields that both have under one name."""
    names = {field.name for field in msgspec.structs.fields(shape)}
    return {name: value for name, value in msgspec.structs.asdict(source).items() if name in names}
