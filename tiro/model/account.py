"""Who asks: accounts and their keys."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One customer. `unmetered`: minutes are not counted against the plan (the first account of an embedded server).

    `keep_audio`: recordings outlive the day. `engines`: those that may hear it, () the whole chain. `rotate_refresh`: each use of a
    refresh token gives a new one. `self_topup`: it may credit its own wallet.
    """

    account_id: str
    name: str
    plan: str
    created_at: datetime
    email: str | None = None
    verified: bool = False
    suspended: bool = False
    unmetered: bool = False
    overage: bool = False
    queueing: bool = True
    keep_audio: bool = False
    engines: tuple[str, ...] = ()
    rotate_refresh: bool = False
    self_topup: bool = False
    running: int = 0


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: only its sha256 (hex). `hint` is its last four characters, to tell keys apart."""

    key_id: str
    account_id: str
    name: str
    sha256: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
