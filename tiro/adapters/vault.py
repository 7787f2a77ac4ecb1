"""How what cannot be hashed is kept at rest: AES-GCM under a key that is derived from the server's secret."""

from __future__ import annotations

import base64
import binascii
import secrets
from itertools import pairwise

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tiro.model.errors import Invalid, Permanent

_FORM = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


def derive(secret_key: str, purpose: str) -> bytes:
    """32 bytes for one purpose (`sealing`, `tokens`, `links`) from the base64 secret key, by HKDF-SHA256 (RFC 5869).

    Raises Invalid `invalid_setting` when the secret key is not the base64 of at least 32 bytes.
    """
    secret = _bytes_of(secret_key)
    if len(secret) < _KEY_BYTES:
        raise Invalid("invalid_setting", "TIRO_SECRET_KEY must be base64 of 32 random bytes.", param="TIRO_SECRET_KEY")
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=f"tiro/{purpose}".encode()).derive(secret)


def guessable(secret_key: str) -> bool:
    """Whether a secret key is no random number: it repeats itself, counts, or is text.

    32 random bytes do so less than once in 10^13 times.
    """
    secret = _bytes_of(secret_key)
    steps = {(after - before) % 256 for before, after in pairwise(secret)}
    return len(set(secret)) < 16 or len(steps) < 8 or all(32 <= byte < 127 for byte in secret)


def _bytes_of(secret_key: str) -> bytes:
    """In either spelling of base64; none where it is neither."""
    try:
        return base64.b64decode(secret_key.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        return b""


class SealedVault:
    """Seals under its own key: form (1 byte), nonce (12), ciphertext and tag. The same plain bytes never look the same twice."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(derive(secret_key, "sealing"))

    def seal(self, plain: bytes) -> bytes:
        """Encrypted and authenticated."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, plain, _FORM)

    def open(self, sealed: bytes) -> bytes:
        """The plain bytes; Permanent `unsealable` when the key is another or the bytes were changed."""
        nonce, secret = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORM or len(nonce) < _NONCE_BYTES:
            raise _unsealable()
        try:
            return self._cipher.decrypt(nonce, secret, _FORM)
        except InvalidTag:
            raise _unsealable() from None


def _unsealable() -> Permanent:
    return Permanent("unsealable", "What was sealed cannot be opened with this TIRO_SECRET_KEY.")
