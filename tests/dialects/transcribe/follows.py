"""What may a poller see next, of one run? What is terminal stays as it is; only an operator's retry begins anew."""

from __future__ import annotations

from api.dialects.transcribe.status import FAILED_WORDS, SUCCEEDED, TERMINAL

FOLLOWS: dict[str, frozenset[str]] = {
    "uploading": frozenset({"verifying", "queued"}) | FAILED_WORDS,
    "verifying": frozenset({"queued"}) | SUCCEEDED | FAILED_WORDS,
    "queued": frozenset({"verifying"}) | SUCCEEDED | FAILED_WORDS,
    **dict.fromkeys(TERMINAL, frozenset[str]()),
}
