"""One line per record on stderr, without secrets: whatever a library logs, keys, tokens and queries of URLs do not get through."""

from __future__ import annotations

import logging
import re
import sys

_SECRETS = (
    (re.compile(r"(tsk_live_|whsec_)[A-Za-z0-9_\-]+"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|token)(\s+|=)[A-Za-z0-9._\-]{16,}"), r"\1 …"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+"), "…"),
    (re.compile(r"(https?://)[^\s/@]+@"), r"\1…@"),
    (re.compile(r"(https?://[^\s?#\"']+)\?[^\s\"']*"), r"\1?…"),
)
_NOISY = (
    "aiosqlite",
    "alembic",
    "temporalio",
    "httpx2",
    "httpcore2",
    "botocore",
    "boto3",
    "urllib3",
    "yt_dlp",
    "uvicorn",
)


class Redacted(logging.Formatter):
    """Formats, then takes out what looks like a secret: also from tracebacks and from libraries that never heard of us."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        return redacted(super().format(record))


def redacted(text: str) -> str:
    """`text` without keys, tokens, credentials and queries of URLs."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def set_up_logging(level: str) -> None:
    """Our records at `level`, those of chatty libraries from `warning` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacted("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
