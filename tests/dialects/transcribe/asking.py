"""A caller of the job routes: creates, brings the bytes, and looks at the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2

from tests.servers.api import PUBLIC_URL, Api
from tiro.model.job import Job
from tiro.ports import Answer

URL = "https://storage.example.com/audio.mp3?signature=s"
HOOK = "https://93.184.215.14/transcribe-webhook"


class Receiver:
    """Takes a webhook, or does not; `meanwhile` happens before it answers."""

    def __init__(self) -> None:
        self.takes = True
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def check(self, url: str) -> None: ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        if self.meanwhile is not None:
            await self.meanwhile()
        return Answer(200 if self.takes else 500, None, 1)


async def created(api: Api, body: dict[str, Any], path: str = "/v1/jobs") -> dict[str, Any]:
    """The answer to a job that is taken."""
    answer = await api.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def refused(api: Api, body: Any, path: str = "/v1/jobs") -> tuple[int, str]:
    """Status and code of one that is not."""
    return coded(await api.http.post(path, json=body))


def coded(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code; the shape is flat."""
    said = answer.json()
    assert isinstance(said.get("error"), str), said
    return answer.status_code, said["code"]


async def big_file(api: Api, **fields: Any) -> dict[str, Any]:
    """A job that awaits its bytes."""
    return await created(api, {"type": "big_file", "size_bytes": 1000, "content_type": "audio/mpeg"} | fields)


async def looked(api: Api, job_id: str) -> dict[str, Any]:
    """As GET tells it."""
    answer = await api.http.get(f"/v1/transcribe/{job_id}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def completed(api: Api, job_id: str) -> httpx2.Response:
    """All has been brought, says its client: with no body and no type."""
    return await api.http.post(f"/v1/transcribe/{job_id}/upload-completed")


async def put(api: Api, url: str, data: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
    """The bytes, to an address that is its own proof: no key comes along."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False, verify=False) as http:
        return await http.put(url.replace(PUBLIC_URL, api.url), content=data, headers=headers)


async def job_of(api: Api, job_id: str) -> Job:
    """The row."""
    return await api.house.jobs.get(job_id)
