"""Do receivers who follow the documentation accept what we sign, and nothing else?"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiro.sign import SCHEMES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
jobs = SCHEMES["jobs"]


def accepted(secret: str, raw_body: bytes, headers: dict[str, str], name: str = "X-Transcription-Signature") -> bool:
    """The receiver's code as the documentation of the API gives it."""
    expected = hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers[name])


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.binary())
def test_the_documented_receiver_accepts_ours(secret: str, body: bytes) -> None:
    assert accepted(secret, body, jobs(secret, body, NOW, None))


@given(st.binary(min_size=1), st.data())
def test_a_changed_body_is_refused(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    headers = jobs("whsec_a", body, NOW, None)
    assert not accepted("whsec_a", changed, headers)
    assert not accepted("whsec_a", body + b"\n", headers)


def test_another_secret_is_refused() -> None:
    assert not accepted("whsec_b", b"{}", jobs("whsec_a", b"{}", NOW, None))


@pytest.mark.promise("J2")
def test_the_header_is_one_bare_lowercase_hex() -> None:
    headers = jobs("key", b"The quick brown fox jumps over the lazy dog", NOW, None)
    known = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert headers == {"X-Transcription-Signature": known}


@pytest.mark.promise("J2")
def test_while_the_previous_secret_is_valid_its_signature_goes_along() -> None:
    headers = jobs("whsec_new", b"{}", NOW, "whsec_old")
    assert accepted("whsec_new", b"{}", headers)
    assert accepted("whsec_old", b"{}", headers, "X-Transcription-Signature-Previous")
    assert "," not in headers["X-Transcription-Signature"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_arguments_give_the_same_headers(scheme: str) -> None:
    sign = SCHEMES[scheme]
    assert sign("a", b"{}", NOW, "b") == sign("a", b"{}", NOW, "b")
