"""The server's own signing keys: receivers of webhooks check signatures against their published halves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

SigningState = Literal["next", "active", "retired"]


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An Ed25519 key (RFC 8032). `sealed`: the private 32 bytes (`Vault`); `public`: the other 32.

    `next` is published before it signs, one is `active`; `retired_at`: until then one that no longer signs is published along.
    """

    key_id: str
    sealed: bytes
    public: bytes
    state: SigningState
    created_at: datetime
    retired_at: datetime | None = None
