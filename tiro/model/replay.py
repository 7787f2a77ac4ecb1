"""What is answered again to a request that comes again?"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Replay(msgspec.Struct, frozen=True):
    """An answer that was given. `name` says whose and to what, `fingerprint` what was asked: both digests, nothing in clear."""

    name: str
    fingerprint: str
    answer: bytes
    created_at: datetime
