"""How does an error look in the `transcribe` dialect? A table from the core's codes to its own, and one flat shape for all."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from api.faces import Answer, json_answer
from tiro.model.errors import Permanent, TiroError
from tiro.model.job import Job
from tiro.model.media import MediaLimits
from tiro.render.documents import dollars

TRANSIENT_RETRY_S = 5
_REALM = 'Bearer realm="tiro"'


class Fault(msgspec.Struct, frozen=True):
    """`code` "": the core's own. `words` "": the core's own."""

    status: int
    code: str = ""
    words: str = ""


_FIELD = Fault(400, "invalid_request_options")
_NO_FILE = "Attach an audio file in the `file` field."

FAULTS: dict[str, Fault] = {
    "audio_too_long": Fault(400),
    "batch_too_large": Fault(400),
    "file_too_large": Fault(400),
    "invalid_file_metadata": Fault(400),
    "invalid_audio": Fault(400, "invalid_file_metadata", "This is no audio file that can be transcribed."),
    "invalid_form_data": Fault(400),
    "unsupported_media_type": Fault(400, "invalid_form_data", "Send multipart/form-data, or JSON to create a job."),
    "client_gone": Fault(400, "invalid_form_data", "The request ended early."),
    "invalid_job_request": Fault(400),
    "request_too_large": Fault(400, "invalid_job_request"),
    "invalid_json": Fault(400),
    "invalid_request": Fault(400),
    "invalid_request_options": Fault(400),
    "unsupported_language": _FIELD,
    "invalid_source_url": _FIELD,
    "invalid_webhook_url": _FIELD,
    "source_unavailable": Fault(400, "invalid_request_options", "The recording could not be fetched from its url."),
    "invalid_upload": Fault(400),
    "invalid_upload_page": Fault(400),
    "invalid_upload_type": Fault(400),
    "missing_file": Fault(400, words=_NO_FILE),
    "too_many_files": Fault(400),
    "missing_token": Fault(401, "missing_api_key", "Send Authorization: Bearer YOUR_API_KEY."),
    "invalid_token": Fault(401, "invalid_api_key", "The API key is not valid."),
    "invalid_api_key": Fault(401, words="The API key is not valid."),
    "insufficient_funds": Fault(402, "insufficient_credit", "The balance is too low for this recording."),
    "email_not_verified": Fault(403),
    "top_up_disabled": Fault(403),
    "job_not_found": Fault(404),
    "not_found": Fault(404),
    "method_not_allowed": Fault(405),
    "request_timeout": Fault(408),
    "idempotency_conflict": Fault(409),
    "invalid_job_status": Fault(409),
    "result_not_available": Fault(409),
    "rate_limited": Fault(429, "rate_limit_exceeded"),
    "too_many_uploads": Fault(429, "rate_limit_exceeded"),
    "internal_error": Fault(500, "internal_error", "Something went wrong on our side."),
    "transcription_failed": Fault(502, words="The transcription failed for the moment; send it again."),
    "transient_error": Fault(503, "internal_error", "Something that is needed is away for a moment."),
}
"""Core code -> what is said.

Something of ours being away is a 503 that calls itself `internal_error`: the status says to come again, the code is one that clients know,
and `transcription_failed` would be read as the end of the job that was asked about.
"""

_SHOWN = ("limits", "required_usd", "remaining_balance", "job_status", "param", "reason", "job_id")


def answer(error: TiroError) -> Answer:
    """`{"error", "code", ...extras}` with its status and headers; of what is wrong inside, nothing else."""
    known = _specific(error)
    fault = FAULTS["transient_error" if known.again else known.code if known.code in FAULTS else "internal_error"]
    said: dict[str, Any] = {"error": fault.words or known.message, "code": fault.code or known.code}
    if fault.code != "internal_error":
        extras = _dollars(known.extras)
        said |= {name: extras[name] for name in _SHOWN if extras.get(name) is not None}
    return json_answer(said, status=fault.status, headers=_headers(known, fault))


def fault_of(job: Job) -> TiroError:
    """Why a job that somebody waited for has no transcript."""
    extras: dict[str, Any] = {**job.error_extras, "reason": job.error_reason, "job_id": job.job_id}
    known = _specific(Permanent(job.error_code or "internal_error", **extras))
    if known.code == "audio_too_long" and job.limits is not None:
        return too_long(job.limits, job_id=job.job_id)
    if job.state == "failed" and known.code in _OF_THE_CALLER:
        return known
    return Permanent("transcription_failed", job_id=job.job_id)


def too_long(limits: MediaLimits, **extras: Any) -> TiroError:
    """Longer than these allow; what is allowed beyond whole seconds is for encoders."""
    told_s = int(limits.max_duration_s)
    words = f"The recording is longer than {told_s / 60:g} minutes. Use async jobs."
    return Permanent("audio_too_long", words, limits={"max_duration_seconds": told_s}, **extras)


_OF_THE_CALLER = frozenset(
    {
        "audio_too_long",
        "file_too_large",
        "insufficient_funds",
        "invalid_audio",
        "source_unavailable",
        "unsupported_language",
    }
)
"""What a job can fail of that its owner can change; everything else is told as a passing failure of ours."""


def _specific(error: TiroError) -> TiroError:
    """A code of the core that is two of ours, told apart by its extras."""
    match error.code, error.extras.get("reason"):
        case "invalid_audio", "duration_exceeds_limit":
            return Permanent("audio_too_long", "The recording is too long.", **_named(error))
        case "file_too_large", _ if "limit_bytes" in error.extras:
            limits = {"max_bytes": error.extras["limit_bytes"]}
            return Permanent("file_too_large", error.message, limits=limits, **_named(error))
        case "too_many_uploads", _:
            limits = {"awaiting_jobs": error.extras["limit"]}
            return Permanent(error.code, error.message, limits=limits, retry_after_s=error.extras["retry_after_s"])
        case _:
            return error


def _named(error: TiroError) -> dict[str, Any]:
    return {name: value for name, value in error.extras.items() if name == "job_id"}


_IN_DOLLARS = {"required_micros": "required_usd", "balance_micros": "remaining_balance"}


def _dollars(extras: dict[str, Any]) -> dict[str, Any]:
    told = {name: dollars(extras[key]) for key, name in _IN_DOLLARS.items() if isinstance(extras.get(key), int)}
    return {**extras, **told}


def _headers(error: TiroError, fault: Fault) -> dict[str, str]:
    headers: dict[str, str] = {}
    if fault.status == 401:
        headers["WWW-Authenticate"] = _REALM
    wait_s = error.extras.get("retry_after_s", TRANSIENT_RETRY_S if error.again else None)
    if isinstance(wait_s, int | float):
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if error.code == "method_not_allowed":
        headers["Allow"] = str(error.extras.get("allow", ""))
    if error.code == "request_timeout":
        headers["Connection"] = "close"
    return headers
