"""Nothing that looks like a secret gets through a log."""

from __future__ import annotations

import logging
import sys

import pytest

from commands.logs import Redacted, redacted, set_up_logging


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key tsk_live_AbCdEf-_0123456789", "AbCdEf"),
        ("secret whsec_AbCdEf0123456789", "AbCdEf"),
        ("Authorization: Bearer abcdefghij.klmnopqrst", "abcdefghij"),
        ("token=abcdefghijklmnopqrstuvwxyz", "abcdefghij"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ0aXJvIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("GET https://bucket.example/key?X-Signature=abc&X-Date=1 failed", "X-Signature"),
        ("connect to https://user:hunter2@db.example/x", "hunter2"),
        ("postgresql+psycopg://tiro:hunter2@db/tiro", "hunter2"),
        ("Authorization: Basic dXNlcg==", "dXNlcg"),
        ("[(b'authorization', b'Bearer short')]", "short"),
        ("X-Transcription-Signature-Previous: 5f0c", "5f0c"),
        ("Idempotency-Key: interview-1", "interview-1"),
        ("PUT /key?X-Amz-Signature=abc&X-Amz-Credential=AKIA", "abc"),
        ("PUT /key?X-Amz-Signature=abc&X-Amz-Credential=AKIA", "AKIA"),
        ("TIRO_SECRET_KEY=c2VjcmV0", "c2VjcmV0"),
        ("PUT https://tiro.example/files/HMKabcdefghij-klm_nop 200", "abcdefghij"),
        ("Failed: https://h.example/a#frag and https://h.example/b?sig=1", "sig=1"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "job job_01ABC failed: source_timeout",
        "GET https://h.example/feed.xml 200",
        "bearer of good news",
        "the Authorization header",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_secrets_in_tracebacks_are_taken_out_too() -> None:
    try:
        raise ValueError("https://h.example/a?signature=canary")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it broke", (), sys.exc_info())
    line = Redacted("%(message)s").format(record)
    assert "ValueError" in line
    assert "canary" not in line


def test_libraries_that_chat_are_quiet_below_warning() -> None:
    set_up_logging("info")
    for name in ("alembic.runtime.migration", "temporalio.worker", "httpx2", "yt_dlp"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger("api.relay").isEnabledFor(logging.INFO)
