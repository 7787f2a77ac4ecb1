"""The server's own signing keys in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from tiro.model.signing import SigningKey


class SigningKeys(Protocol):
    """At most one is `active` and at most one is `next`, whoever changes them."""

    async def all(self) -> list[SigningKey]:
        """Oldest first."""
        ...

    async def add(self, key: SigningKey) -> bool:
        """False when one stands under that id, or in that state."""
        ...

    async def activate(self, key_id: str, now: datetime, retired_at: datetime) -> bool:
        """`next` becomes `active`, and the active one `retired`, published until `retired_at`; False when it is not `next`."""
        ...

    async def forget(self, now: datetime) -> int:
        """Remove retired ones that are published no more; how many."""
        ...
