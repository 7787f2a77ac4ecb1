"""The published clients against an installation of parts: PostgreSQL, S3, an API and a worker that know each other only through them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.sdks import CURRENT, node, python, wide_wav
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server
from tiro.adapters.temporal.devserver import free_port

pytestmark = pytest.mark.timeout(280)

PYTHON = """
client = TranscribeAPI(apiKey=given["key"], baseUrl=given["base"], uploadConcurrency=4, polling={"interval": 10, "timeout": 120})
tell(client.createBatchJob(files=given["files"]).createResponse if given.get("look") else client.transcribeMany(files=given["files"]))
"""
NODE = """
const client = new TranscribeAPI({ apiKey: given.key, baseUrl: given.base, polling: { interval: 10, timeout: 120 } });
const blob = new File([await readFile(given.file)], "talk.wav", { type: "audio/wav" });
tell(await client.transcribe({ files: [{ reference_id: "blob", file: blob }, { reference_id: "path", file: given.file }] }));
"""


class Scale:
    """Its API, and what a client must know of it."""

    def __init__(self, site: Site, s3_server: S3Server, base: str) -> None:
        self.site = site
        self.store = s3_server.endpoint
        self.given = {"key": site.key, "base": f"{base}/v1"}

    async def python(self, **given: Any) -> Any:
        return await asyncio.to_thread(python, CURRENT, PYTHON, **self.given, **given)

    async def node(self, **given: Any) -> Any:
        return await asyncio.to_thread(node, NODE, **self.given, **given)

    async def result(self, job: dict[str, Any]) -> Any:
        async with httpx2.AsyncClient(trust_env=False) as http:
            return (await http.get(job["result_url"])).json()


@pytest.fixture
async def scale(make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Scale:
    reached = s3_server.environ()
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    base = f"http://127.0.0.1:{free_port()}"
    site = await make_site(**reached, TIRO_BLOBS=f"s3://{s3_bucket}", TIRO_PUBLIC_URL=base)
    await site.house.wallets.credit(site.account.account_id, 10_000_000, "for the test")
    await site.working()
    await site.serving_at(base)
    return Scale(site, s3_server, base)


@pytest.mark.promise("T2", "T18")
async def test_a_large_file_goes_to_the_store_in_parts_and_past_the_api(scale: Scale, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(wide_wav(45))
    looked = await scale.python(files=[{"file": str(large)}], look=True)
    upload = looked["uploads"][0]["upload"]
    assert upload["type"] == "multipart"
    assert all(part["url"].startswith(scale.store) for part in upload["parts"])
    job = await scale.python(files=[{"file": str(large)}])
    assert (job["job_status"], job["billed_seconds"]) == ("completed", 45)
    assert (await scale.result(job))["text"].lower().split()[-1].strip(".") == "w44"


@pytest.mark.promise("T2", "T20")
async def test_small_files_go_to_the_store_whatever_type_a_client_adds(scale: Scale, tmp_path: Path) -> None:
    """Node sends a blob's type with it, and none with a path's."""
    talk = tmp_path / "talk.wav"
    talk.write_bytes(wav(numbered(4)))
    job = await scale.node(file=talk)
    assert job["status"] == "completed"
    said = {one["reference_id"]: one["text"].lower().strip(".") for one in (await scale.result(job))["results"]}
    assert said == dict.fromkeys(("blob", "path"), "w0 w1 w2 w3")
