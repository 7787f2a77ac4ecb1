"""Which words may name an object: ours only, so that no key can leave its store or meet the store's own files."""

from __future__ import annotations

import re

from tiro.model.errors import Permanent

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(rf"(?:{_SEGMENT}/)*(?:{_SEGMENT})?")
_LONGEST = 900
"""S3 takes 1,024 bytes, and the bucket's own prefix comes before."""


def checked_key(key: str) -> str:
    """The key itself; Permanent `invalid_blob_key` for anything else (`..`, a leading dot, an empty segment, foreign signs)."""
    if len(key) > _LONGEST or _KEY.fullmatch(key) is None:
        raise Permanent("invalid_blob_key", "This is not a key of the blob store.")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix itself, which may end within a segment or be empty; Permanent `invalid_blob_key` for anything else."""
    if len(prefix) > _LONGEST or _PREFIX.fullmatch(prefix) is None:
        raise Permanent("invalid_blob_key", "This is not a prefix of the blob store.")
    return prefix


def missing() -> Permanent:
    """The error of every store for an object that is not there."""
    return Permanent("blob_missing", "The store has no such object.")
