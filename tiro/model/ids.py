"""How things are named: a prefix and a ULID (48 bits of milliseconds, 80 random bits, Crockford base 32), so names sort by age."""

from __future__ import annotations

import re

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def ulid(time_ms: int, randomness: bytes) -> str:
    """26 characters. `time_ms`: unix milliseconds (48 bits); `randomness`: 10 bytes. Source: the ULID specification."""
    if len(randomness) != 10:
        raise ValueError("a ULID takes 10 random bytes")
    number = (time_ms & (1 << 48) - 1) << 80 | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` is `<prefix>_<ULID>`; anything else cannot name a thing of ours."""
    return text.startswith(f"{prefix}_") and _ULID.fullmatch(text[len(prefix) + 1 :]) is not None
