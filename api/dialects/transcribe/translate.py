"""From a form to the core's words, and back to answers that are given at once: pure functions. Async jobs have their own."""

from __future__ import annotations

from collections.abc import Mapping

from api.body import take
from api.dialects.transcribe.options import reference_of
from api.dialects.transcribe.wire import SyncFields, Taken, TopUp, TopUpAnswer
from tiro.model.errors import Invalid
from tiro.model.job import Job
from tiro.model.wallet import Balance
from tiro.render.documents import dollars

_BAD = "invalid_request_options"


def sync_fields_of(values: Mapping[str, str]) -> SyncFields:
    """A field that is sent empty was not sent. Raises Invalid `invalid_request_options` with `param`."""
    sent = {name: text for name, text in values.items() if text}
    try:
        fields = take(sent, SyncFields, strict=False)
    except Invalid as wrong:
        raise Invalid(_BAD, wrong.message, **wrong.extras) from None
    reference_of(fields.reference_id, _BAD)
    return fields


def taken(job: Job) -> Taken:
    """Whatever has become of it meanwhile: its webhook tells."""
    return Taken(job.job_id, "queued", "queued")


def top_up_of(values: Mapping[str, object]) -> TopUp:
    """Raises Invalid `invalid_request_options` with `param`."""
    try:
        return take(values, TopUp)
    except Invalid as wrong:
        raise Invalid(_BAD, wrong.message, **wrong.extras) from None


def topped_up(balance: Balance) -> TopUpAnswer:
    """What can be spent."""
    return TopUpAnswer(ok=True, remaining_balance=dollars(balance.free_micros))
