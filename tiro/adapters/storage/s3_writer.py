"""How an object goes to S3 while its length is not known: in parts of 8 MiB, or at once when it is smaller than one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import TYPE_CHECKING

from tiro.adapters.storage.s3_faults import faults
from tiro.model.blob import BlobRef
from tiro.model.errors import Permanent, TiroError, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""S3 asks for 5 MiB at least; 10,000 parts of this are 78 GiB."""


def md5(data: bytes | bytearray) -> str:
    """What the server compares the body with on arrival (base64)."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class S3Writer:
    """An object on its way into a bucket. `at` is its place there, `key` its name in the store."""

    def __init__(self, client: S3Client, bucket: str, at: str, key: str, media_type: str) -> None:
        self._client = client
        self._bucket = bucket
        self._at = at
        self._key = key
        self._media_type = media_type
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._size_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes; every full part is sent before this returns."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._size_bytes += len(view)
        while view:
            taken = view[: PART_BYTES - len(self._buffer)]
            self._buffer += taken
            view = view[len(taken) :]
            if len(self._buffer) == PART_BYTES:
                self._send_part()

    def commit(self) -> BlobRef:
        """Make the object visible."""
        if self._upload is None:
            with faults():
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._at,
                    Body=self._buffer,  # type: ignore[arg-type]  # boto3 takes it, its stubs do not say so
                    ContentType=self._media_type,
                    ContentMD5=md5(self._buffer),
                )
        else:
            if self._buffer:
                self._send_part()
            self._complete(self._upload)
            self._upload = None
        return BlobRef(self._key, self._size_bytes, self._hash.hexdigest(), self._media_type)

    def abort(self) -> None:
        """Forget the bytes. What cannot be aborted now is found by `abort_stale`."""
        upload, self._upload = self._upload, None
        self._buffer = bytearray()
        if upload is not None:
            with contextlib.suppress(TiroError), faults():
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._at, UploadId=upload)

    def _send_part(self) -> None:
        number = len(self._parts) + 1
        with faults():
            if self._upload is None:
                begun = self._client.create_multipart_upload(
                    Bucket=self._bucket, Key=self._at, ContentType=self._media_type
                )
                self._upload = begun["UploadId"]
        try:
            with faults():
                answer = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=self._at,
                    UploadId=self._upload,
                    PartNumber=number,
                    Body=self._buffer,  # type: ignore[arg-type]  # boto3 takes it, its stubs do not say so
                    ContentMD5=md5(self._buffer),
                )
        except Permanent as gone:
            raise Transient("store_unavailable", "The object was removed while it was being written.") from gone
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._buffer = bytearray()

    def _complete(self, upload: str) -> None:
        try:
            with faults():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=self._at, UploadId=upload, MultipartUpload={"Parts": self._parts}
                )
        except Permanent as gone:
            # a completion whose answer was lost is sent again by boto3, and then its upload is no more
            if not self._is_there():
                raise Transient("store_unavailable", "The object was removed while it was being written.") from gone

    def _is_there(self) -> bool:
        """Whether the object has the tag that S3 gives to exactly these parts."""
        try:
            with faults():
                answer = self._client.head_object(Bucket=self._bucket, Key=self._at)
        except Permanent:
            return False
        with contextlib.suppress(ValueError):
            parts = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in self._parts)
            tag = f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{len(self._parts)}"
            return answer["ETag"].strip('"') == tag
        return False
