"""The `transcribe` dialect as an OpenAPI document: a table of its operations, made into one at each request."""

from __future__ import annotations

from typing import Any, get_args

from api import openapi
from api.dialects.transcribe.faults import FAULTS
from api.dialects.transcribe.jobs_wire import (
    Created,
    JobAnswer,
    Resumed,
    UploadCompleted,
    UploadPage,
    UploadUrls,
)
from api.dialects.transcribe.options import DEFAULT_MODEL, PROMPT_BYTES, REFERENCE_CHARS
from api.dialects.transcribe.webhook_keys import PATH as KEYS_PATH
from api.dialects.transcribe.webhook_keys import WebhookKeys
from api.dialects.transcribe.wire import Problem, SyncAnswer, Taken, TopUp, TopUpAnswer
from api.openapi import BYTES, JOB_ID, ONCE, TEXT, Kind, Operation
from tiro.model.batch import MAX_FILES
from tiro.model.request import CueSize
from tiro.model.speech import Task
from tiro.render.documents import OMISSIBLE

_CHOICES: dict[str, Any] = {
    "model": {**TEXT, "default": DEFAULT_MODEL},
    "language": {**TEXT, "description": "A code such as en; left out, it is detected."},
    "task": {**TEXT, "enum": list(get_args(Task)), "default": "transcribe"},
    "vad_filter": {"type": "boolean", "default": False},
    "initial_prompt": {**TEXT, "description": f"At most {PROMPT_BYTES} bytes."},
    "vtt_granularity": {**TEXT, "enum": list(get_args(CueSize)), "default": "sentence"},
    "exclude": {**TEXT, "description": f"Of {', '.join(OMISSIBLE)}, with commas between them."},
    "reference_id": {**TEXT, "maxLength": REFERENCE_CHARS},
    "webhook_url": TEXT,
}
_FORM = {
    "type": "object",
    "properties": {
        "file": BYTES,
        "url": {**TEXT, "description": "Instead of a file: where it lies."},
        **_CHOICES,
    },
}


def _or_null(properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """In JSON, null is a field that is not there."""
    return {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in properties.items()}


_FILE = {
    "type": "object",
    "properties": _or_null(
        {
            "reference_id": _CHOICES["reference_id"],
            **dict.fromkeys(("url", "filename", "content_type", "language"), TEXT),
            "size_bytes": {"type": "integer", "minimum": 1},
        }
    ),
}
_FILES = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": MAX_FILES}
_SUMS = {name: {"type": "integer", "minimum": 0} for name in ("file_count", "total_size_bytes")}
_MANY = {"type": "object", "required": ["files"], "properties": {"files": _FILES, **_or_null({**_SUMS, **_CHOICES})}}
_SOURCE = {
    "type": "object",
    "properties": {"type": {"const": "url"}, "url": TEXT},
    "description": "Of a big_file that is fetched.",
}
_JOB = {
    "type": "object",
    "properties": {
        "type": {"enum": ["big_file", "batch", None], "description": "May be left out where there are `files`."},
        "files": {**_FILES, "description": "Of a batch."},
        **_or_null(
            {
                "size_bytes": {"type": "integer", "minimum": 1, "description": "Of a big_file that is uploaded."},
                "source": _SOURCE,
                **dict.fromkeys(("content_type", "filename"), TEXT),
                **_SUMS,
                **_CHOICES,
            }
        ),
    },
}
_RESUME = {
    "type": "object",
    "required": ["upload"],
    "properties": {
        "upload": {
            "type": "object",
            "required": ["type", "key"],
            "properties": {"type": {"enum": ["multipart", "put"]}, "key": TEXT, "upload_id": TEXT},
        }
    },
}
_KNOWN: dict[int, Kind] = dict.fromkeys((400, 401, 403, 500, 503))
_ONE_JOB: dict[int, Kind] = {**_KNOWN, 404: None}
_CREATES: dict[int, Kind] = {**_KNOWN, **dict.fromkeys((402, 408, 429))}
_AUTH = '-H "Authorization: Bearer $KEY"'


def _posting(path: str, body: str) -> str:
    return f"curl -s {_AUTH} $API{path} -H 'Content-Type: application/json' -d '{body}'"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/v1/transcribe",
        summary="Transcribe a recording of up to 10 minutes and 30 MB while the caller waits. As JSON: create a job.",
        bodies={"multipart/form-data": _FORM, "application/json": _MANY},
        answers={200: (SyncAnswer, Taken, Created, JobAnswer, str, list), **_CREATES, 502: None},
        example=f"curl -s {_AUTH} $API/v1/transcribe -F file=@interview.mp3 -F language=en",
    ),
    Operation(
        method="POST",
        path="/v1/jobs",
        summary="Create a job: one recording of up to 10 GB, or a batch of up to 10,000.",
        bodies={"application/json": _JOB},
        parameters=(ONCE,),
        answers={200: Created, **_CREATES, 409: None},
        example=_posting("/v1/jobs", '{"type":"big_file","size_bytes":157286400,"content_type":"audio/mpeg"}'),
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{job_id}/upload-urls",
        summary="Upload addresses of 1 to 500 files of a batch.",
        bodies={"application/json": UploadPage},
        parameters=(JOB_ID,),
        answers={200: UploadUrls, **_ONE_JOB, 408: None, 409: None},
        example=_posting("/v1/jobs/$JOB/upload-urls", '{"files":[{"file_id":"episode_1"}]}'),
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{job_id}/resume-upload",
        summary="Fresh upload addresses for what is still missing.",
        bodies={"application/json": _RESUME},
        parameters=(JOB_ID,),
        answers={200: Resumed, **_ONE_JOB, 408: None, 409: None},
        example=_posting("/v1/jobs/$JOB/resume-upload", '{"upload":{"type":"put","key":"\'$UPLOAD\'"}}'),
    ),
    Operation(
        method="POST",
        path="/v1/transcribe/{job_id}/upload-completed",
        summary="All has been uploaded: the job begins. Doing it twice is the same as once.",
        parameters=(JOB_ID,),
        answers={200: UploadCompleted, **_ONE_JOB, 409: None},
        example=f"curl -s -X POST {_AUTH} $API/v1/transcribe/$JOB/upload-completed",
    ),
    Operation(
        method="GET",
        path="/v1/transcribe/{job_id}",
        summary="Where a job stands, and where its result is.",
        parameters=(JOB_ID,),
        answers={200: JobAnswer, **_ONE_JOB},
        example=f"curl -s {_AUTH} $API/v1/transcribe/$JOB",
    ),
    Operation(
        method="GET",
        path="/v1/transcribe/{job_id}/result",
        summary="To the result of a job.",
        parameters=(JOB_ID,),
        answers={302: None, **_ONE_JOB, 409: None},
        example=f"curl -s {_AUTH} $API/v1/transcribe/$JOB/result",
    ),
    Operation(
        method="DELETE",
        path="/v1/transcribe/{job_id}",
        summary="Cancel a job that is under way, or remove one that has ended with all its content (204).",
        parameters=(JOB_ID,),
        answers={200: JobAnswer, 204: None, **_ONE_JOB},
        example=f"curl -s -X DELETE {_AUTH} $API/v1/transcribe/$JOB",
    ),
    Operation(
        method="GET",
        path=KEYS_PATH,
        summary="The public keys that webhooks are signed with.",
        answers={200: WebhookKeys, 500: None, 503: None},
        open=True,
        example=f"curl -s $API{KEYS_PATH}",
    ),
    Operation(
        method="POST",
        path="/v1/add-funds",
        summary="Credit the account's own balance, where the operator allows that.",
        bodies={"application/json": TopUp},
        answers={200: TopUpAnswer, **_KNOWN, 408: None},
        example=_posting("/v1/add-funds", '{"amount":5}'),
    ),
)


def document(public_url: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    codes = openapi.codes_of((fault.status, fault.code or code) for code, fault in FAULTS.items())
    about = "A recording becomes its transcript while the caller waits; large ones, and many, become jobs."
    return openapi.document("Transcribe API", about, public_url, OPERATIONS, Problem, codes)
