"""How does an error look to whoever has a link? `{"error", "code"}`, flat, whatever dialect gave the link."""

from __future__ import annotations

import math

from api.faces import Answer, json_answer
from tiro.model.errors import TiroError

TRANSIENT_RETRY_S = 5

STATUSES: dict[str, int] = {
    "invalid_link": 403,
    "link_expired": 403,
    "not_found": 404,
    "upload_missing": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "invalid_job_status": 409,
    "file_too_large": 413,
    "request_too_large": 413,
    "range_not_satisfiable": 416,
    "invalid_upload": 400,
    "upload_size_mismatch": 400,
    "upload_type_mismatch": 400,
    "invalid_request": 400,
    "client_gone": 400,
    "internal_error": 500,
}


def answer(error: TiroError) -> Answer:
    """A status, a sentence, and the code that programs go by."""
    if error.again:
        headers = {"Retry-After": str(max(1, math.ceil(error.extras.get("retry_after_s", TRANSIENT_RETRY_S))))}
        return json_answer(
            {"error": "Something that is needed is away for a moment.", "code": "transient_error"}, 503, headers
        )
    if error.code not in STATUSES:
        return json_answer({"error": "Something went wrong on our side.", "code": "internal_error"}, 500)
    return json_answer({"error": error.message, "code": error.code}, STATUSES[error.code], _headers(error))


def _headers(error: TiroError) -> dict[str, str]:
    match error.code:
        case "method_not_allowed":
            return {"Allow": str(error.extras["allow"])}
        case "range_not_satisfiable":
            return {"Content-Range": f"bytes */{error.extras['size_bytes']}"}
        case "request_timeout":
            return {"Connection": "close"}
        case _:
            return {}
