"""What the HTTP side was told: addresses, secrets and the limits that hold before anything is known of who asks."""

from __future__ import annotations

import msgspec

KIB = 1 << 10
MIB = 1 << 20


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what a request may cost. A body must bring `window_bytes` in every `window_s` of waiting for it."""

    json_bytes: int = 256 * KIB
    json_depth: int = 32
    text_bytes: int = 64 * KIB
    parts: int = 1000
    window_s: float = 30.0
    window_bytes: int = 30 * KIB
    glance_bytes: int = 16 * MIB
    glance_s: float = 2.0
    tokens_per_key: int = 10
    """API keys exchanged per minute, by key."""
    tokens_per_peer: int = 30
    """And by network peer."""
    submissions_per_s: int | None = None
    """Jobs handed in per second, by account; None: as many as come."""
    wait_s: float = 110.0
    """For a transcript that is the answer; clients give up after 120. Then the answer is where the job stands."""
    waits: int = 200
    """Callers of one process who are waited with; whoever comes beyond is told at once where the job stands."""


class ApiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`token_key`: at least 32 bytes, the same in all API processes. `admin_token` None: there are no admin routes."""

    public_url: str
    token_key: bytes
    admin_token: str | None = None
    limits: RequestLimits = RequestLimits()
