"""Addresses for bytes that go to an S3 server without touching us: presigned, for a whole object or for its parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tiro.adapters.storage.keys import checked_key
from tiro.adapters.storage.s3_faults import faults
from tiro.model.errors import Invalid, Permanent, TiroError
from tiro.model.upload import StoredPart
from tiro.ports import Clock, PutAddress

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_THESE = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "InvalidRequest", "InvalidArgument"}
_LONGEST_ID = 1024


class S3Desk:
    """The `UploadDesk` of a bucket. `public`: a client whose endpoint is the one that clients reach; it only signs."""

    def __init__(self, client: S3Client, public: S3Client, bucket: str, prefix: str, clock: Clock) -> None:
        self._client = client
        self._public = public
        self._bucket = bucket
        self._prefix = f"{checked_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._clock = clock

    def put(
        self, key: str, *, size_bytes: int | None, media_type: str | None, at_most_bytes: int, until: datetime
    ) -> PutAddress:
        """What is given is among the signed headers; nothing else is."""
        bound: dict[str, Any] = {}
        if size_bytes is not None:
            bound["ContentLength"] = size_bytes
        if media_type is not None:
            bound["ContentType"] = media_type
        headers = {} if media_type is None else {"Content-Type": media_type}
        return PutAddress(self._signed("put_object", until, Key=self._at(key), **bound), headers)

    def begin(self, key: str) -> str:
        """The server's own id."""
        with faults():
            return self._client.create_multipart_upload(Bucket=self._bucket, Key=self._at(key))["UploadId"]

    def part(self, key: str, upload_id: str, number: int, *, at_most_bytes: int, until: datetime) -> str:
        """Bound to neither size nor type."""
        return self._signed("upload_part", until, Key=self._at(key), UploadId=upload_id, PartNumber=number)

    def present(self, key: str, upload_id: str) -> dict[int, StoredPart]:
        """As the server lists them."""
        if not 0 < len(upload_id) <= _LONGEST_ID:
            raise _missing()
        found: dict[int, StoredPart] = {}
        try:
            with faults():
                pages = self._client.get_paginator("list_parts")
                for page in pages.paginate(Bucket=self._bucket, Key=self._at(key), UploadId=upload_id):
                    for part in page.get("Parts", ()):
                        found[part["PartNumber"]] = StoredPart(part["Size"], part["ETag"].strip('"'))
        except Permanent as gone:
            raise _missing() from gone
        return found

    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> None:
        """An upload that is not open any more, with its object there, was completed before."""
        if not etags:
            raise _not_these()
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in sorted(etags.items())]
        try:
            with faults():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._at(key),
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]  # a list of exactly these two
                )
        except TiroError as error:
            if error.code == "blob_missing":
                self._done_before(key)
            elif error.extras.get("upstream") in _NOT_THESE:
                raise _not_these() from error
            else:
                raise

    def abort(self, key: str, upload_id: str) -> None:
        """One that is not open is aborted."""
        try:
            with faults():
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._at(key), UploadId=upload_id)
        except Permanent as error:
            if error.code != "blob_missing":
                raise

    def close(self) -> None:
        """End the connections."""
        self._client.close()
        self._public.close()

    def _done_before(self, key: str) -> None:
        try:
            with faults():
                self._client.head_object(Bucket=self._bucket, Key=self._at(key))
        except Permanent as gone:
            raise _missing() from gone

    def _signed(self, deed: Literal["put_object", "upload_part"], until: datetime, **said: Any) -> str:
        """For the seconds that are left; the server's clock decides, and it is not ours."""
        left_s = max(1, round((until - self._clock.now()).total_seconds()))
        with faults():
            return self._public.generate_presigned_url(
                deed, Params={"Bucket": self._bucket, **said}, ExpiresIn=left_s, HttpMethod="PUT"
            )

    def _at(self, key: str) -> str:
        return self._prefix + checked_key(key)


def _missing() -> Permanent:
    return Permanent("upload_missing", "No such upload is open.")


def _not_these() -> Invalid:
    return Invalid("invalid_upload", "A part is not there, or another came in its place.", param="parts")
