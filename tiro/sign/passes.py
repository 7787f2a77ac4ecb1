"""What does a link of ours allow, and until when? It says so itself, under a signature: who has the link needs nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from tiro.model.errors import Permanent

PREFIX = "/files"
"""Of every address that takes a pass."""
RESULTS_LIVE = timedelta(days=7)
_MAC_BYTES = 32
_LONGEST = 3000


class Pass(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One deed on one thing. `subject`: the key of an upload, or (`read`) the job whose result it is.

    `size_bytes`, `media_type` None: bound to none. `at_most_bytes` holds where no size is declared, and for parts.
    """

    deed: Literal["put", "part", "complete", "abort", "read"]
    subject: str
    until: int
    """Unix seconds."""
    upload_id: str = ""
    number: int = 0
    size_bytes: int | None = None
    media_type: str | None = None
    at_most_bytes: int = 0


class Passes:
    """Issues and reads them, under a key that all processes share. HMAC-SHA256 (RFC 2104) over the pass itself."""

    def __init__(self, key: bytes, public_url: str) -> None:
        self._key = key
        self._base = public_url.rstrip("/") + PREFIX

    def url(self, allowed: Pass) -> str:
        """The address that carries it."""
        body = msgspec.msgpack.encode(allowed)
        return f"{self._base}/{base64.urlsafe_b64encode(self._mac(body) + body).rstrip(b'=').decode()}"

    def result_url(self, job_id: str, now: datetime) -> str:
        """Where the result of a job can be had for seven days. The same moment gives the same address."""
        return self.url(Pass(deed="read", subject=job_id, until=moment(now + RESULTS_LIVE)))

    def read(self, token: str, now: datetime) -> Pass:
        """Raises Permanent `invalid_link`, `link_expired`."""
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if len(token) > _LONGEST or not hmac.compare_digest(mac, self._mac(body)):
            raise _invalid()
        try:
            allowed = msgspec.msgpack.decode(body, type=Pass)
        except msgspec.DecodeError:
            # of a release whose passes looked otherwise
            raise _invalid() from None
        if now.timestamp() >= allowed.until:
            raise Permanent("link_expired", "This link has expired; ask for a new one.")
        return allowed

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)


def moment(until: datetime) -> int:
    """As a pass says it; never earlier than meant."""
    return math.ceil(until.timestamp())


def _invalid() -> Permanent:
    return Permanent("invalid_link", "This link is not valid.")
