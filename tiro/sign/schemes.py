"""Which headers prove to a receiver that a body is ours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

Scheme = Callable[[str, bytes, datetime, str | None], dict[str, str]]
"""(secret, the exact bytes that are sent, now, the previous secret while it is valid) -> headers."""


def jobs(secret: str, body: bytes, _now: datetime, previous: str | None) -> dict[str, str]:
    """HMAC-SHA256 (RFC 2104) of the raw body in lowercase hex, bare, so that a plain comparison verifies it. No time in it."""
    headers = {"X-Transcription-Signature": _hex(secret, body)}
    if previous is not None:
        headers["X-Transcription-Signature-Previous"] = _hex(previous, body)
    return headers


def _hex(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


SCHEMES: dict[str, Scheme] = {"jobs": jobs}
"""By the name that a delivery carries."""
