"""What no published client does, though the hosted service's page speaks of it: an upload that broke off is gone on with, or given up."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.sdks import Customer, Service, service, wide_wav

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("sdk-broken-off")]

CLIENT = """\
import http.client, json, sys
from urllib.parse import urlsplit
upload, file = json.load(open(sys.argv[1])), open(sys.argv[2], "rb")
for part in upload["parts"]:
    data = file.read(upload["part_size"])
    url = urlsplit(part["url"])
    connection = http.client.HTTPConnection(url.netloc)
    connection.putrequest("PUT", url.path)
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders()
    if part["part_number"] == 4:
        connection.send(data[: len(data) // 2])
        print("half", flush=True)
        sys.stdin.read()
    connection.send(data)
    print(connection.getresponse().headers["ETag"], flush=True)
"""
"""Brings three parts and a half of the fourth, and then waits to be killed."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("served")) as serving:
        yield serving


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("large") / "large.wav"
    file.write_bytes(wide_wav(45))
    return file


class Uploader:
    """A customer with one large job, over HTTP as the page describes it."""

    def __init__(self, served: Service, customer: Customer, large: Path) -> None:
        self._served = served
        bearer = {"Authorization": f"Bearer {customer.key}"}
        self.http = httpx2.Client(base_url=served.url, headers=bearer, trust_env=False, timeout=60)
        wish = {"type": "big_file", "size_bytes": large.stat().st_size, "content_type": "audio/wav"}
        self.job = self._said(self.http.post("/v1/jobs", json=wish))
        self.job_id = str(self.job["job_id"])
        self.upload: dict[str, Any] = self.job["uploads"][0]["upload"]

    def resume(self) -> httpx2.Response:
        named = {name: self.upload[name] for name in ("type", "key", "upload_id")}
        return self.http.post(f"/v1/jobs/{self.job_id}/resume-upload", json={"upload": named})

    def bring(self, file: Path, parts: list[dict[str, Any]]) -> dict[int, str]:
        etags = {}
        with file.open("rb") as data:
            for part in parts:
                data.seek((part["part_number"] - 1) * self.upload["part_size"])
                answer = httpx2.put(
                    part["url"], content=data.read(self.upload["part_size"]), trust_env=False, timeout=60
                )
                etags[part["part_number"]] = self._ok(answer).headers["ETag"]
        return etags

    def assemble(self, url: str, etags: dict[int, str]) -> httpx2.Response:
        rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etags[n]}</ETag></Part>" for n in sorted(etags))
        document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"
        return httpx2.post(
            url, content=document, headers={"Content-Type": "application/xml"}, trust_env=False, timeout=60
        )

    def completed(self) -> httpx2.Response:
        return self.http.post(f"/v1/transcribe/{self.job_id}/upload-completed")

    def look(self) -> dict[str, Any]:
        return self._said(self.http.get(f"/v1/transcribe/{self.job_id}"))

    def stored(self) -> list[Path]:
        """Files of this job in the server's folder."""
        return [
            file for file in (self._served.data / "blobs").rglob("*") if file.is_file() and self.job_id in str(file)
        ]

    def _said(self, answer: httpx2.Response) -> dict[str, Any]:
        said: dict[str, Any] = self._ok(answer).json()
        return said

    def _ok(self, answer: httpx2.Response) -> httpx2.Response:
        assert answer.is_success, answer.text
        return answer


@pytest.fixture
def uploader(served: Service, large: Path) -> Iterator[Uploader]:
    one = Uploader(served, served.customer(), large)
    yield one
    one.http.close()


@pytest.mark.promise("T22")
def test_a_client_that_was_killed_in_a_part_is_gone_on_with_and_every_byte_is_there(
    uploader: Uploader, large: Path, tmp_path: Path
) -> None:
    instructions = tmp_path / "upload.json"
    instructions.write_text(json.dumps(uploader.upload))
    command = [sys.executable, "-c", CLIENT, str(instructions), str(large)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        lines = [client.stdout.readline().strip() for _ in range(4)]
        assert lines.pop() == "half"
        client.kill()
    etags = dict(enumerate(lines, 1))
    resumed = uploader.resume().json()
    assert resumed["job_id"] == uploader.job_id
    missing = resumed["upload"]["parts"]
    assert [part["part_number"] for part in missing] == list(range(4, len(uploader.upload["parts"]) + 1))
    etags |= uploader.bring(large, missing)
    assert uploader.assemble(resumed["upload"]["complete_url"], etags).is_success
    (source,) = [file for file in uploader.stored() if file.name == "source"]
    assert hashlib.sha256(source.read_bytes()).digest() == hashlib.sha256(large.read_bytes()).digest()
    assert uploader.completed().json()["total_files"] == 1
    until_over(uploader)
    assert uploader.look()["billed_seconds"] == 45


@pytest.mark.promise("T22", "T26")
def test_an_upload_that_is_given_up_leaves_nothing_and_is_not_gone_on_with(uploader: Uploader, large: Path) -> None:
    etags = uploader.bring(large, uploader.upload["parts"][:2])
    assert httpx2.delete(uploader.upload["abort_url"], trust_env=False).status_code == 204
    assert httpx2.delete(uploader.upload["abort_url"], trust_env=False).status_code == 204
    assert uploader.stored() == []
    assert uploader.resume().json()["code"] == "invalid_upload"
    assert uploader.assemble(uploader.upload["complete_url"], etags).is_client_error
    early = uploader.http.get(f"/v1/transcribe/{uploader.job_id}/result")
    assert (early.status_code, early.json()["code"]) == (409, "result_not_available")


def until_over(uploader: Uploader) -> None:
    """The test's own time limit ends it."""
    while not uploader.look()["status"].startswith(("completed", "failed", "result")):
        time.sleep(0.1)
