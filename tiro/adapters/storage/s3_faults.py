"""What an S3 server's or boto3's error means: gone for good, or to be tried again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiro.adapters.storage.keys import missing
from tiro.model.errors import Transient

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound", "404"}
_FULL = {"QuotaExceeded", "EntityTooLarge", "InsufficientStorage", "XMinioStorageFull", "507"}


def code_of(error: ClientError) -> str:
    """The server's own code, `NoSuchKey` and the like, or the status where an answer has no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))[:64]


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Permanent `blob_missing`, Transient `store_full`, else Transient `store_unavailable` with the server's code as `upstream`.

    Refused credentials are Transient too: they are the operator's to mend, and no job should die of them.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _MISSING:
            raise missing() from error
        if code in _FULL:
            raise Transient("store_full", "The blob store is full.", upstream=code) from error
        raise Transient("store_unavailable", "The blob store refused.", upstream=code) from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise Transient(
            "store_unavailable", "The blob store cannot be reached.", upstream=type(error).__name__
        ) from error
