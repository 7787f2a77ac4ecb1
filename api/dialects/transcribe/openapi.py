"""The `transcribe` dialect as an OpenAPI document: a table of its operations, made into one at each request."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from api import openapi
from api.dialects.transcribe.faults import FAULTS
from api.dialects.transcribe.wire import Problem, SyncAnswer, TopUp, TopUpAnswer
from api.openapi import Operation

_KNOWN: dict[int, type | None] = dict.fromkeys((400, 401, 403, 500, 503))
_AUTH = '-H "Authorization: Bearer $KEY"'

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/v1/transcribe",
        summary="Transcribe a recording of up to 10 minutes and 30 MB, and wait for it. JSON creates a job instead.",
        bodies={"multipart/form-data": {"type": "object"}},
        answers={200: SyncAnswer, **_KNOWN, **dict.fromkeys((402, 408, 429, 502))},
        example=f"curl -s {_AUTH} $API/v1/transcribe -F file=@interview.mp3 -F language=en",
    ),
    Operation(
        method="POST",
        path="/v1/add-funds",
        summary="Credit the account's own balance, where the operator allows that.",
        bodies={"application/json": TopUp},
        answers={200: TopUpAnswer, **_KNOWN},
        example=f"curl -s {_AUTH} $API/v1/add-funds -H 'Content-Type: application/json' -d '{{\"amount\":5}}'",
    ),
)


def document(public_url: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code, fault in FAULTS.items():
        by_status[fault.status].append(fault.code or code)
    codes = {status: ", ".join(dict.fromkeys(names)) for status, names in by_status.items()}
    about = "A recording becomes its transcript at once; large ones and many become jobs."
    return openapi.document("Transcribe API", about, public_url, OPERATIONS, Problem, codes)
