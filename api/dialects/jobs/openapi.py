"""The `jobs` dialect as an OpenAPI document: a table of its operations, made into one at each request."""

from __future__ import annotations

from typing import Any, get_args

from api import openapi
from api.dialects.jobs.faults import FAULTS
from api.dialects.jobs.wire import (
    FORMATS,
    RENDERED,
    Accepted,
    JobAnswer,
    JobFields,
    JobsPage,
    Problem,
    RefreshRequest,
    TokenAnswer,
    TokenRequest,
    TranscriptAnswer,
)
from api.openapi import BYTES, JOB_ID, ONCE, TEXT, Operation
from tiro.model.job import JobState
from tiro.render import FORMATS as FILES

_FILES = tuple(FILES[name].media_type for name in RENDERED)
_FORM = {
    "type": "object",
    "properties": {
        "file": BYTES,
        "source_url": TEXT,
        "diarize": {"type": "boolean", "default": True},
        "language": {"type": "string", "default": "auto"},
        "webhook_url": TEXT,
    },
}
_KNOWN: dict[int, type | None] = dict.fromkeys((400, 401, 500, 503))
_BODY: dict[int, type | None] = dict.fromkeys((408, 413, 415))
_ONE_JOB: dict[int, type | None] = {**_KNOWN, 404: None}
_AUTH = '-H "Authorization: Bearer $TOKEN"'


def _query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


OPERATIONS = (
    Operation(
        method="POST",
        path="/auth/token",
        summary="Exchange an API key for an access token (1 hour) and a refresh token (30 days).",
        bodies={"application/json": TokenRequest},
        answers={200: TokenAnswer, **_KNOWN, **_BODY, 429: None},
        open=True,
        example="curl -s $API/auth/token -H 'Content-Type: application/json' -d '{\"api_key\":\"'$KEY'\"}'",
    ),
    Operation(
        method="POST",
        path="/auth/refresh",
        summary="A new access token. The refresh token stays the same for its 30 days; where the account rotates them, a new one follows.",
        bodies={"application/json": RefreshRequest},
        answers={200: TokenAnswer, **_KNOWN, **_BODY},
        open=True,
        example="curl -s $API/auth/refresh -H 'Content-Type: application/json' -d '{\"refresh_token\":\"'$REFRESH'\"}'",
    ),
    Operation(
        method="POST",
        path="/jobs",
        summary="Hand in a recording: a file as multipart/form-data, or an address as JSON.",
        bodies={"multipart/form-data": _FORM, "application/json": JobFields},
        parameters=(_query("accept_overage", type="boolean", default=False), ONCE),
        answers={202: Accepted, **_KNOWN, **_BODY, **dict.fromkeys((402, 409, 429))},
        example=f"curl -s {_AUTH} $API/jobs -F file=@interview.mp3 -F diarize=true -F language=auto",
    ),
    Operation(
        method="GET",
        path="/jobs",
        summary="Jobs by their last change of status, newest first.",
        parameters=(
            _query("status", type="string", enum=list(get_args(JobState))),
            _query("since", type="string"),
            _query("limit", type="integer", minimum=1, maximum=200, default=50),
            _query("cursor", type="string"),
        ),
        answers={200: JobsPage, **_KNOWN},
        example=f'curl -s {_AUTH} "$API/jobs?status=completed&limit=10"',
    ),
    Operation(
        method="GET",
        path="/jobs/{job_id}",
        summary="Where a job stands. Retry-After says when to look again.",
        parameters=(JOB_ID,),
        answers={200: JobAnswer, **_ONE_JOB},
        example=f"curl -s {_AUTH} $API/jobs/$JOB",
    ),
    Operation(
        method="GET",
        path="/jobs/{job_id}/transcript",
        summary="The transcript of a completed job.",
        parameters=(JOB_ID, _query("format", type="string", enum=list(FORMATS), default="json")),
        files=_FILES,
        answers={200: TranscriptAnswer, **_ONE_JOB, **dict.fromkeys((402, 409, 413, 415, 422))},
        example=f'curl -s {_AUTH} "$API/jobs/$JOB/transcript?format=json"',
    ),
    Operation(
        method="POST",
        path="/jobs/{job_id}/cancel",
        summary="Stop a job. Doing it twice is the same as once.",
        parameters=(JOB_ID,),
        answers={200: JobAnswer, **_ONE_JOB, 409: None},
        example=f"curl -s -X POST {_AUTH} $API/jobs/$JOB/cancel",
    ),
    Operation(
        method="DELETE",
        path="/jobs/{job_id}",
        summary="Remove an ended job with all its content (204), or cancel one that runs (202).",
        parameters=(JOB_ID,),
        answers={202: JobAnswer, 204: None, **_ONE_JOB},
        example=f"curl -s -X DELETE {_AUTH} $API/jobs/$JOB",
    ),
)


def document(public_url: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    codes = openapi.codes_of((fault.status, code) for code, fault in FAULTS.items())
    about = "A key becomes a token, a recording becomes a job, and a job becomes a transcript."
    return openapi.document("Transcription API", about, public_url, OPERATIONS, Problem, codes)
