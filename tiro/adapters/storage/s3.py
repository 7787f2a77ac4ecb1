"""The blob store as a bucket of any S3 server. boto3 is an extra (`s3`), loaded when the first store is opened."""

from __future__ import annotations

import functools
import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from tiro.adapters.storage.keys import checked_key, checked_prefix, missing
from tiro.adapters.storage.s3_faults import code_of, faults
from tiro.adapters.storage.s3_writer import S3Writer, md5
from tiro.adapters.storage.streams import Pulled, buffered
from tiro.model.blob import BlobInfo, BlobRef
from tiro.model.errors import Permanent, Transient
from tiro.ports import BlobWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

    _Batch = list[ObjectIdentifierTypeDef]

_DELETE_AT_ONCE = 1000


class S3Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is reached. None: boto3 looks where it always does (the AWS variables, its files, the machine's role)."""

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    region: str | None = None
    attempts: int = 4


def connect(options: S3Options) -> S3Client:
    """A client, safe to share between threads. Raises Permanent `store_unusable` without boto3 or with settings it refuses."""
    try:
        import botocore.session
        from boto3.session import Session
        from botocore.config import Config
    except ImportError:
        raise Permanent("store_unusable", "An s3:// store needs boto3: install tiro[s3].") from None
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
    )
    with faults():
        core = botocore.session.get_session()
        core.register_component("data_loader", _models())
        session = Session(
            botocore_session=core,
            aws_access_key_id=options.access_key,
            aws_secret_access_key=options.secret_key,
            region_name=options.region,
        )
        region = session.region_name or "us-east-1"
        return session.client("s3", region_name=region, endpoint_url=options.endpoint, config=config)


@functools.cache
def _models() -> Any:
    """What boto3 knows of the services that it speaks to: megabytes, read once a process and not for each client."""
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")


class S3Blobs:
    """Objects below `prefix` of one bucket. Large ones go up in parts, so memory stays at one part per writer."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{checked_key(prefix.strip('/'))}/" if prefix.strip("/") else ""

    def writer(self, key: str, media_type: str = "application/octet-stream") -> S3Writer:
        """Begin an object."""
        return S3Writer(self._client, self._bucket, self._prefix + checked_key(key), key, media_type)

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """A small object at once."""
        with faults():
            self._client.put_object(
                Bucket=self._bucket, Key=self._at(key), Body=data, ContentType=media_type, ContentMD5=md5(data)
            )
        return BlobRef(key, len(data), hashlib.sha256(data).hexdigest(), media_type)

    def put_if_absent(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> bool:
        """Write unless the key exists.

        Of several at once exactly one gets True where the server knows conditional writes; where it does not, the look
        before leaves a short moment in which two may.
        """
        from botocore.exceptions import ClientError

        if self.head(key) is not None:
            return False
        with faults():
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._at(key),
                    Body=data,
                    ContentType=media_type,
                    ContentMD5=md5(data),
                    IfNoneMatch="*",
                )
                return True
            except ClientError as error:
                if code_of(error) in {"PreconditionFailed", "412"}:
                    return False
                if code_of(error) not in {"NotImplemented", "501"}:
                    raise
        self.put(key, data, media_type)
        return True

    def get(self, key: str) -> bytes:
        """The whole object; Transient `store_unavailable` when the answer breaks off."""
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A stream of bytes [start, end). Reading raises Transient `store_unavailable` when the answer breaks off."""
        if end is not None and end <= start:
            return self._nothing(key)
        whole = start == 0 and end is None
        span = "" if whole else f"bytes={start}-{'' if end is None else end - 1}"
        try:
            with faults():
                if whole:
                    answer = self._client.get_object(Bucket=self._bucket, Key=self._at(key))
                else:
                    answer = self._client.get_object(Bucket=self._bucket, Key=self._at(key), Range=span)
        except Transient as error:
            if error.extras.get("upstream") in {"InvalidRange", "416"}:
                return self._nothing(key)
            raise
        body, left = answer["Body"], answer["ContentLength"]

        def read(size_bytes: int) -> bytes:
            nonlocal left
            with faults():
                data = body.read(min(size_bytes, left)) if left else b""
            if left and not data:
                raise Transient("store_unavailable", "The blob store broke off in the middle of an object.")
            left -= len(data)
            return data

        return buffered(Pulled(read, body.close))

    def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None."""
        try:
            with faults():
                answer = self._client.head_object(Bucket=self._bucket, Key=self._at(key))
        except Permanent as error:
            if error.code == "blob_missing":
                return None
            raise
        return BlobInfo(key, answer["ContentLength"], answer["LastModified"])

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Objects whose key begins with `prefix`, in key order."""
        below = self._prefix + checked_prefix(prefix)
        with faults():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):
                        yield BlobInfo(item["Key"][len(self._prefix) :], item["Size"], item["LastModified"])

    def delete(self, key: str) -> None:
        """Remove the object."""
        with faults():
            self._client.delete_object(Bucket=self._bucket, Key=self._at(key))

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below `prefix`, and open uploads there; how many objects were removed."""
        self._abort_uploads(checked_prefix(prefix), None)
        removed = 0
        batch: _Batch = []
        for info in self.list(prefix):
            batch.append({"Key": self._prefix + info.key})
            if len(batch) == _DELETE_AT_ONCE:
                removed += self._delete_batch(batch)
                batch = []
        return removed + (self._delete_batch(batch) if batch else 0)

    def abort_stale(self, older_than: datetime, spared: Callable[[str], bool] | None = None) -> int:
        """Abort uploads that were begun before that moment; how many."""
        return self._abort_uploads("", older_than, spared)

    def local_path(self, key: str) -> Path | None:
        """Nothing lies in a file of this machine."""
        checked_key(key)
        return None

    def begun_path(self, writer: BlobWriter) -> Path | None:
        """Nor does what is on its way."""
        return None

    def check(self) -> tuple[str, ...]:
        """Write, read and remove a small object. `bucket_keeps_versions`: what is deleted here stays readable there.

        Raises Permanent `bucket_missing`, and what the store raises.
        """
        key = f"check/{secrets.token_hex(8)}"
        try:
            with faults():
                self._client.head_bucket(Bucket=self._bucket)
        except Permanent as error:
            raise Permanent("bucket_missing", "The bucket of TIRO_BLOBS does not exist.") from error
        self.put(key, b"tiro")
        self.get(key)
        self.delete(key)
        return ("bucket_keeps_versions",) if self._versioned() else ()

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _at(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _nothing(self, key: str) -> BinaryIO:
        if self.head(key) is None:
            raise missing()
        return io.BytesIO()

    def _versioned(self) -> bool:
        try:
            with faults():
                return self._client.get_bucket_versioning(Bucket=self._bucket).get("Status") == "Enabled"
        except (Permanent, Transient):
            return False  # a server without versions, or a key that may not ask

    def _delete_batch(self, batch: _Batch) -> int:
        with faults():
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            raise Transient("store_unavailable", "The blob store kept objects that it was told to remove.")
        return len(batch)

    def _abort_uploads(
        self, prefix: str, older_than: datetime | None, spared: Callable[[str], bool] | None = None
    ) -> int:
        aborted = 0
        with faults():
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for upload in page.get("Uploads", ()):
                    is_spared = spared is not None and spared(upload["Key"].removeprefix(self._prefix))
                    if (older_than is None or upload["Initiated"] < older_than) and not is_spared:
                        self._abort_upload(upload["Key"], upload["UploadId"])
                        aborted += 1
        return aborted

    def _abort_upload(self, key: str, upload_id: str) -> None:
        try:
            with faults():
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        except Permanent as error:
            if error.code != "blob_missing":
                raise
