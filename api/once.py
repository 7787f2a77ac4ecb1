"""Is this request to be carried out once, however often it comes? The Idempotency-Key, for every dialect."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from api.faces import HttpRequest
from tiro.model.account import Account
from tiro.model.errors import Invalid
from tiro.model.replay import Replay
from tiro.services.replays import name_of

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST = 128


def once_name(request: HttpRequest, account: Account, operation: str) -> str | None:
    """Under what the answer is kept; None without a key. Raises Invalid for two keys, and for what is no key."""
    sent = request.headers.getall(HEADER, [])
    if not sent:
        return None
    key = sent[0]
    if len(sent) > 1 or not 1 <= len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
        raise Invalid(
            "invalid_request", f"Send one {HEADER} of 1 to {LONGEST} printable ASCII characters.", param=HEADER
        )
    return name_of(account.account_id, operation, key)


def fingerprint(asked: object) -> str:
    """All that is asked, in one digest. Fields that have their default are left out where the struct says so."""
    return sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()


def replay_headers(taken: object) -> dict[str, str]:
    """What tells an answer that was given before."""
    return {REPLAYED: "true"} if isinstance(taken, Replay) else {}
