"""Time, names and secrets from the machine itself."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from tiro.model.ids import ulid
from tiro.ports import Clock


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()


class SystemIds:
    """Names that nobody can guess and that sort by age, to the millisecond."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def new(self, prefix: str) -> str:
        """`<prefix>_<ULID>`."""
        return f"{prefix}_{ulid(int(self._clock.now().timestamp() * 1000), secrets.token_bytes(10))}"

    def secret(self, size_bytes: int = 32) -> bytes:
        """Random bytes fit for a secret."""
        return secrets.token_bytes(size_bytes)
