"""Does who submitted an address, and who runs the server, learn what the address answered?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from commands.client import JobsClient
from tests.servers.api import Api
from tests.unit.commands.shell import Shell


@pytest.mark.parametrize(
    ("code", "reason", "extras", "why"),
    [
        ("source_unavailable", "http_status", {"upstream_status": 404}, "(http_status 404)"),
        ("transient_error", "source_unreachable", {"upstream_status": 503}, "(source_unreachable 503)"),
        ("transient_error", "source_unreachable", {}, "(source_unreachable)"),
    ],
)
async def test_transcribe_says_what_the_address_answered(
    api: Api, code: str, reason: str, extras: dict[str, int], why: str
) -> None:
    """In the words of the command line; the job's own answer keeps its shape."""
    job_id = await api.submit()
    await api.fail(job_id, code, reason, **extras)
    client = JobsClient(api.url, api.key, local=True)
    job = await client.job(job_id)
    refused = await client.failure_of(job)
    await client.close()
    assert why in str(refused)
    assert (refused.code, refused.reason) == (code, reason)


async def test_an_operator_sees_what_the_address_answered(api: Api, tmp_path: Path) -> None:
    """`tiro jobs show`."""
    job_id = await api.submit()
    await api.fail(job_id, "source_unavailable", "http_status", upstream_status=404)
    shown = (await asyncio.to_thread(Shell.beside_api(tmp_path).run, "jobs", "show", job_id)).stdout
    assert "upstream_status=404" in shown
