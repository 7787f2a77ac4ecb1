"""Time, names and secrets: what comes in from outside so that the core stays the same twice."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time comes in from outside."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back."""
        ...


class Ids(Protocol):
    """Names come in from outside."""

    def new(self, prefix: str) -> str:
        """`<prefix>_<ULID>`."""
        ...

    def secret(self, size_bytes: int = 32) -> bytes:
        """Random bytes fit for a secret."""
        ...


class Vault(Protocol):
    """Keeps at rest what cannot be hashed: source addresses, webhook secrets."""

    def seal(self, plain: bytes) -> bytes:
        """Encrypted and authenticated."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """The plain bytes; Permanent `unsealable` when the key is another or the bytes were changed."""
        ...
