"""What went wrong, as a stable code, and whether trying again can help.

TiroError
├── Permanent            the same input will fail again
│   ├── MediaRefused     `invalid_audio` with a `reason`
│   ├── SourceRefused    the address or site cannot be used; `reason` says why
│   ├── QuotaExceeded    the minutes (ours or an upstream engine's) are spent
│   └── Conflict         the job's state does not allow it
└── Transient            the same input may succeed later
"""

from __future__ import annotations

import traceback
from typing import Any, Literal

MediaReason = Literal["unsupported_format", "decode_failed", "duration_exceeds_limit", "empty_audio"]
"""Why a recording is refused, in the words of the API."""


class TiroError(Exception):
    """An error of the core. `code` is stable and public; `message` is fixed text, safe to show; `extras` are safe to show."""

    code: str = "internal_error"
    again: bool = False

    def __init__(self, code: str | None = None, message: str = "", **extras: Any) -> None:
        self.code = code or type(self).code
        self.message = message or self.code
        self.extras = extras
        super().__init__(self.message)


class Permanent(TiroError):
    """The same input will fail again; nothing is retried."""


class Transient(TiroError):
    """The same input may succeed later; the station is tried again."""

    code = "transient_error"
    again = True


class MediaRefused(Permanent):
    """The recording cannot be transcribed; `reason` is one of `MediaReason`."""

    code = "invalid_audio"

    def __init__(self, reason: MediaReason, message: str = "", **extras: Any) -> None:
        super().__init__(None, message or reason, reason=reason, **extras)
        self.reason: MediaReason = reason


SOURCE_GONE = frozenset({403, 404, 410})
"""`upstream_status` by which a source's server says that there is nothing to be had at an address."""


class SourceRefused(Permanent):
    """The source address cannot be used. `reason`: forbidden_address, http_status, playlist, live, drm, login_required, ..."""

    code = "source_unavailable"

    def __init__(self, reason: str, message: str = "", code: str | None = None, **extras: Any) -> None:
        super().__init__(code, message or reason, reason=reason, **extras)
        self.reason = reason


class TooLarge(Permanent):
    """More bytes than the plan allows; `limit_bytes` in extras."""

    code = "file_too_large"

    def __init__(self, limit_bytes: int, message: str = "") -> None:
        super().__init__(None, message or f"The file is larger than {limit_bytes} bytes.", limit_bytes=limit_bytes)


class QuotaExceeded(Permanent):
    """The minutes of the month are spent (or an upstream engine refuses for money)."""

    code = "quota_exceeded"


class NotFound(Permanent):
    """No such thing for this account. Another account's thing answers exactly the same."""

    code = "not_found"


class Conflict(Permanent):
    """The thing exists, but its state does not allow this.

    Codes: not_ready, job_ended, job_cancelled, source_deleted, idempotency_conflict.
    """

    code = "conflict"


class Invalid(Permanent):
    """The request cannot be understood; `param` in extras names the field."""

    code = "invalid_request"


class RateLimited(Permanent):
    """Too much at once; `retry_after_s` in extras."""

    code = "rate_limited"


class Unauthenticated(Permanent):
    """Who asks is not known. Codes: missing_token, invalid_token, token_expired, invalid_api_key, invalid_refresh_token."""

    code = "invalid_token"


def frames_of(error: BaseException) -> str:
    """For the log: where it was raised, without its words, which may be a stranger's."""
    return "".join(traceback.format_tb(error.__traceback__))
