"""Does the line work as separate processes that share nothing but PostgreSQL, S3 and Temporal?"""

from __future__ import annotations

import httpx2
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server


async def test_api_and_two_workers_run_a_job_over_postgresql_and_s3(
    make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In by HTTP at one process, through two others, and out by HTTP."""
    reached = s3_server.environ()
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    site = await make_site(TIRO_BLOBS=f"s3://{s3_bucket}/tiro", **reached)
    light, heavy = site.worker("control,media,deliver"), site.worker("speech,voices")
    _, address = await site.serving()
    await light.says("working on")
    await heavy.says("working on")
    job_id = await site.post(address, content=wav(numbered(130)))
    await site.ended(job_id)
    await site.delivered(job_id)
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        bearer = {"Authorization": f"Bearer {site.key}"}
        answer = await http.get(f"/jobs/{job_id}/transcript", params={"format": "txt"}, headers=bearer)
    assert answer.status_code == 200
    assert "w65 w66" in answer.text
    assert {call.pid for call in site.calls(job_id)} == {heavy.pid}
    await site.audit(job_id, seconds=130)
