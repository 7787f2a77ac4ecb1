"""Records on stderr, without secrets: whatever a library logs, keys, tokens and queries of URLs do not get through.

A line that begins at the margin is a record of ours, whatever strangers put into their names and headers: further lines of
a record are indented, and control characters are written out.
"""

from __future__ import annotations

import logging
import re
import sys

_SECRETS = (
    (re.compile(r"(tsk_live_|whsec_)[A-Za-z0-9_\-]+"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+|=)[A-Za-z0-9._~+/\-]{16,}=*"), r"\1 …"),
    (
        re.compile(
            r"(?i)\b(authorization|x-transcription-signature[a-z-]{0,9}|idempotency-key)(['\"]?\s*[:=,]\s*(?:b(?=['\"]))?['\"]?)"
            r"(?:(?:bearer|basic|token)\s+)?[^\s'\",)]+"
        ),
        r"\1\2…",
    ),
    (
        re.compile(
            r"(?i)(?<![a-z_-])([a-z_-]*(?:signature|credential|secret|password|api_?key)[a-z_-]{0,20}=)[^\s&'\",)]+"
        ),
        r"\1…",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+"), "…"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]{1,20}://)[^\s/@]+@"), r"\1…@"),
    (re.compile(r"(https?://[^\s?#\"']+)\?[^\s\"']*"), r"\1?…"),
    (re.compile(r"(/files/)[A-Za-z0-9_\-]{16,}"), r"\1…"),
)
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOISY = (
    "aiosqlite",
    "alembic",
    "temporalio",
    "httpx2",
    "httpcore2",
    "botocore",
    "boto3",
    "s3transfer",
    "urllib3",
    "yt_dlp",
    "uvicorn",
)


class Redacted(logging.Formatter):
    """Formats, then takes out what looks like a secret: also from tracebacks and from libraries that never heard of us."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, without secrets, on lines of its own."""
        plain = _CONTROLS.sub(_written_out, super().format(record))
        return redacted(plain).replace("\n", "\n    ")


def redacted(text: str) -> str:
    """`text` without keys, tokens, credentials and queries of URLs."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _written_out(sign: re.Match[str]) -> str:
    return sign[0].encode("unicode_escape").decode()


def set_up_logging(level: str) -> None:
    """Our records at `level`, those of chatty libraries from `warning` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacted("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
