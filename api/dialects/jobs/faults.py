"""How does an error look in the `jobs` dialect? A table from the core's codes to a status and, where the core's words do not fit, ours."""

from __future__ import annotations

import math

import msgspec

from api.faces import Answer, json_answer
from tiro.model.errors import TiroError
from tiro.model.job import Job

REALM = 'Bearer realm="tiro"'
TRANSIENT_RETRY_S = 5


class Fault(msgspec.Struct, frozen=True):
    """`words` None: the core's message is shown."""

    status: int
    words: str | None = None


_MEDIA = "The recording cannot be transcribed; the file is the problem, so do not send it again."

FAULTS: dict[str, Fault] = {
    "missing_token": Fault(401),
    "invalid_token": Fault(401, "The token is not valid."),
    "token_expired": Fault(401),
    "invalid_api_key": Fault(401),
    "invalid_refresh_token": Fault(401, "The refresh token is not valid; exchange the API key again."),
    "quota_exceeded": Fault(402, "Not enough minutes are left in this month."),
    "not_found": Fault(404),
    "method_not_allowed": Fault(405),
    "request_timeout": Fault(408),
    "client_gone": Fault(400, "The request ended early."),
    "not_ready": Fault(409),
    "job_ended": Fault(409),
    "job_cancelled": Fault(409),
    "source_deleted": Fault(409),
    "idempotency_conflict": Fault(409),
    "file_too_large": Fault(413, "The file is larger than the plan allows."),
    "request_too_large": Fault(413),
    "invalid_audio": Fault(415, _MEDIA),
    "unsupported_media_type": Fault(415),
    "invalid_request": Fault(400),
    "invalid_json": Fault(400),
    "invalid_format": Fault(400),
    "invalid_language": Fault(400),
    "unsupported_language": Fault(400, "No engine here can do this language."),
    "invalid_source_url": Fault(400),
    "invalid_webhook_url": Fault(400),
    "source_unavailable": Fault(422, "The recording could not be fetched from its address."),
    "rate_limited": Fault(429),
    "transient_error": Fault(503, "Something that is needed is away for a moment."),
    "internal_error": Fault(500, "Something went wrong on our side."),
}

_AGAIN = Fault(503, FAULTS["transient_error"].words)
"""Every Transient error is told as `transient_error`: what exactly is away is the operator's business."""
_LATE = "The job failed."
_ENGINE_QUOTA = "The recognition service refuses for want of quota; its operator must see to it."


def answer(error: TiroError) -> Answer:
    """`{"error", "message", ...extras}` with its status and headers."""
    extras = {name: value for name, value in error.extras.items() if value is not None or name in _NULLABLE}
    headers = _headers(error, extras)
    code = "transient_error" if error.again else error.code if error.code in FAULTS else "internal_error"
    fault = _AGAIN if error.again else FAULTS[code]
    if code == "internal_error" or error.again:
        extras = {}
    return json_answer(
        {"error": code, "message": _words(code, error.extras.get("reason")) or error.message, **extras},
        status=fault.status,
        headers=headers,
    )


_NULLABLE = {"minutes_required"}
"""Extras that are shown as null where they are not known."""


def message_of(job: Job) -> str | None:
    """The sentence of a failed job; None for others."""
    if job.state != "failed":
        return None
    return _words(job.error_code or "", job.error_reason) or _LATE


def _words(code: str, reason: object) -> str | None:
    """The dialect's own sentence; None where the core's is as good."""
    if reason == "engine_quota":
        return _ENGINE_QUOTA
    return FAULTS[code].words if code in FAULTS else None


def _headers(error: TiroError, extras: dict[str, object]) -> dict[str, str]:
    """Takes out of the extras what is said by headers."""
    headers: dict[str, str] = {}
    if (fault := FAULTS.get(error.code)) and fault.status == 401:
        named = "" if error.code == "missing_token" else f', error="{error.code}"'
        headers["WWW-Authenticate"] = REALM + named
    retry_after_s = extras.pop("retry_after_s", TRANSIENT_RETRY_S if error.again else None)
    if isinstance(retry_after_s, int | float):
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    if error.code == "method_not_allowed":
        headers["Allow"] = str(extras.pop("allow", ""))
    if error.code == "request_timeout":
        headers["Connection"] = "close"
    return headers
