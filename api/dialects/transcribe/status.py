"""Where does a job stand, in the words of this dialect? The raw `status`, and the collapsed `job_status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tiro.model.hook import Delivery
from tiro.model.job import Job
from tiro.model.request import ManifestSource, Source, UrlSource
from tiro.render.outcomes import SENTENCES, outcome

FirstAttempt = Literal["none", "ahead", "taken", "refused"]
"""How the webhook's first attempt went: there is no webhook, it is not over yet, the receiver took it, or it did not."""

FAILED_WORDS: frozenset[str] = frozenset(SENTENCES)
SUCCEEDED: frozenset[str] = frozenset(
    {"completed", "completed_with_errors", "result_available", "result_available_with_errors"}
)
TERMINAL = SUCCEEDED | FAILED_WORDS
STATUSES = TERMINAL | {"uploading", "verifying", "queued"}

_AT_WORK: dict[tuple[bool, str], str] = {
    (True, "queued"): "verifying",
    (True, "fetching"): "verifying",
    (False, "fetching"): "verifying",
    (True, "preparing"): "verifying",
    (False, "preparing"): "verifying",
}
"""Of a job that is not awaited and has not ended: (all of it is fetched, stage); everything else is `queued`."""

_SUCCESS: dict[tuple[str, FirstAttempt], str] = {
    ("completed", "none"): "completed",
    ("completed", "ahead"): "queued",
    ("completed", "taken"): "completed",
    ("completed", "refused"): "result_available",
    ("completed_with_errors", "none"): "completed_with_errors",
    ("completed_with_errors", "ahead"): "queued",
    ("completed_with_errors", "taken"): "completed_with_errors",
    ("completed_with_errors", "refused"): "result_available_with_errors",
}
"""Of a job with a result: its end and how the first attempt went. A failed one is `failed_*` at once, whatever its webhook does."""

_COLLAPSED: dict[str, str] = {
    **dict.fromkeys(SUCCEEDED, "completed"),
    **dict.fromkeys(FAILED_WORDS, "failed"),
    "failed_insufficient_credits": "insufficient_funds",
}
"""Published clients poll until they read completed, failed or insufficient_funds, and know no other end."""


def status_of(job: Job, first: FirstAttempt) -> str:
    """The raw status."""
    if job.state == "completed":
        return _SUCCESS[outcome(job), first]
    if job.ended:
        return outcome(job)
    if job.awaiting:
        return "uploading"
    return _AT_WORK.get((_is_fetched(job.source), job.stage), "queued")


def job_status_of(status: str) -> str:
    """What a poller goes by."""
    return _COLLAPSED.get(status, status)


def delivery_of(job: Job, deliveries: Sequence[Delivery]) -> Delivery | None:
    """The event of the run that ended; a run before has told of its own end."""
    return next((one for one in reversed(deliveries) if one.created_at == job.ended_at), None)


def first_attempt(job: Job, deliveries: Sequence[Delivery]) -> FirstAttempt:
    """`deliveries`: all events of the job. None follows an attempt that was taken, so one that was taken late follows a refusal."""
    if job.webhook_url is None:
        return "none"
    told = delivery_of(job, deliveries)
    if told is None or told.state == "stopped":
        return "refused"
    if told.attempts == 0:
        return "ahead"
    return "taken" if told.state == "delivered" and told.attempts == 1 else "refused"


def _is_fetched(source: Source) -> bool:
    """Whether nobody brings anything: all is behind addresses."""
    return isinstance(source, UrlSource) or (isinstance(source, ManifestSource) and source.uploads == 0)
