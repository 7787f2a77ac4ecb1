"""How the server signs with a key of its own, and what receivers need to check it (Ed25519, RFC 8032)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KeyScheme = Callable[[str, bytes, bytes, datetime], dict[str, str]]
"""(key id, its private 32 bytes, the exact bytes that are sent, now) -> headers."""


def transcribe(key_id: str, private: bytes, body: bytes, now: datetime) -> dict[str, str]:
    """Over `<unix seconds>.<raw body>`; the signature in standard base64."""
    stamp = str(int(now.timestamp()))
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(stamp.encode() + b"." + body)
    return {
        "X-TranscribeAPI-Timestamp": stamp,
        "X-TranscribeAPI-Signature": base64.b64encode(signature).decode(),
        "X-TranscribeAPI-Key-Id": key_id,
    }


def public_half(private: bytes) -> bytes:
    """32 bytes of 32."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def public_pem(public: bytes) -> str:
    """SubjectPublicKeyInfo, as tools read it."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY_SCHEMES: dict[str, KeyScheme] = {"transcribe": transcribe}
"""By the name that a delivery carries."""
