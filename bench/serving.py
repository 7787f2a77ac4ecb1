"""A `tiro up` of its own for a benchmark, and whoever hands in work: single files by `/jobs`, many by `/v1/jobs`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

ROOT = Path(__file__).parents[1]
_UPLOADS = 8
_PAGE = 500
_LOOK_S = 0.1
_LOOK_AT_BATCH_S = 0.25


@contextlib.contextmanager
def server(folder: Path, **changes: str) -> Iterator[tuple[dict[str, Any], int]]:
    """What a `tiro up` says when it is ready, and its process id. Without `changes` its engine does not listen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIRO_", "TEMPORAL_"))}
    usual = {"TIRO_ENGINES": "scripted:says=so", "TIRO_DIARIZER": "scripted", "TIRO_LOG": "warning"}
    cli = os.environ.get("TEMPORAL_CLI")
    environ = {**kept, **usual, **({"TEMPORAL_CLI": cli} if cli else {}), **changes}
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--data", str(folder / "data"), "--port", "0", "--json"],
            env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert up.stdout is not None
        line = up.stdout.readline()
        if not line:
            raise SystemExit((folder / "up.log").read_text()[-3000:])
        yield json.loads(line), up.pid
    finally:
        up.terminate()
        up.wait(60)


def with_whisper(model: Path) -> dict[str, str]:
    """Changes that make a server hear with this model; voices are not asked for."""
    return {"TIRO_ENGINES": "faster_whisper", "TIRO_WHISPER_MODEL": str(model), "TIRO_DIARIZER": "acoustic"}


@contextlib.asynccontextmanager
async def hearing_up(folder: Path, model: Path) -> AsyncIterator[tuple[Owner, int]]:
    """A `tiro up` that hears with this model, its owner and its process id. What it is to be told besides stands in BENCH_SET."""
    told = dict(piece.split("=", 1) for piece in os.environ.get("BENCH_SET", "").split())
    with server(folder, **{**with_whisper(model), **told}) as (said, pid):
        async with Owner(said["api"], said["key"]) as owner:
            yield owner, pid


def another(folder: Path, api: str) -> Owner:
    """The owner of a second account on the server of `folder`: of the same plan, and with money."""
    account = _told(folder, "accounts", "create", "another", "--plan", "business", "--unmetered")["account_id"]
    _told(folder, "accounts", "credit", account, "1000")
    return Owner(api, _told(folder, "keys", "create", "--account", account)["text"])


def _told(folder: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", *words, "--data", str(folder / "data"), "--json"]
    said: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    return said


class Owner:
    """An account's owner, over HTTP. Seconds are those of the owner's own clock."""

    def __init__(self, api: str, key: str) -> None:
        self.api = api
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx2.AsyncClient(base_url=api, headers=headers, timeout=600, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    # --- one file -------------------------------------------------------------------------------------------------

    async def submitted(self, recording: Path, **fields: str) -> str:
        """A job of the `jobs` dialect, accepted."""
        asked = {"language": "en", "diarize": "false", **fields}
        with recording.open("rb") as file:
            answer = await self._http.post("/jobs", files={"file": (recording.name, file)}, data=asked)
        return str(_answered(answer)["job_id"])

    async def words(self, job_id: str) -> list[str]:
        """What was heard, once it has been."""
        job = await self._ended(f"/jobs/{job_id}", "status")
        if job["status"] != "completed":
            raise SystemExit(f"the job ended {job}")
        transcript = _answered(await self._http.get(f"/jobs/{job_id}/transcript", params={"format": "json"}))
        return [word["word"] for segment in transcript["segments"] for word in segment["words"]]

    # --- many files -----------------------------------------------------------------------------------------------

    async def uploaded(self, sounds: Sequence[bytes], **options: object) -> str:
        """A batch whose files have all been brought."""
        names = [f"file_{number:06d}" for number in range(len(sounds))]
        files = [{"reference_id": name, "size_bytes": len(sound)} for name, sound in zip(names, sounds, strict=True)]
        job = _answered(await self._http.post("/v1/jobs", json={"type": "batch", "files": files, **options}))
        for first in range(0, len(sounds), _PAGE):
            page = range(first, min(first + _PAGE, len(sounds)))
            await self._bring(job["job_id"], {names[number]: sounds[number] for number in page})
        return str(job["job_id"])

    async def _bring(self, job_id: str, page: dict[str, bytes]) -> None:
        wanted = {"files": [{"reference_id": name} for name in page]}
        told = _answered(await self._http.post(f"/v1/jobs/{job_id}/upload-urls", json=wanted))
        places = asyncio.Semaphore(_UPLOADS)

        async def put(one: dict[str, Any]) -> None:
            async with places:
                upload, sound = one["upload"], page[one["reference_id"]]
                answer = await self._http.put(upload["url"], content=sound, headers=upload.get("headers") or {})
                answer.raise_for_status()

        await asyncio.gather(*(put(one) for one in told["uploads"]))

    async def begun(self, job_id: str) -> None:
        """The last word about the uploads of a batch: it is accepted."""
        _answered(await self._http.post(f"/v1/transcribe/{job_id}/upload-completed"))

    async def transcribed(self, job_id: str) -> float:
        """Seconds from the last word about uploads to the result."""
        began = time.perf_counter()
        await self.begun(job_id)
        job = await self._ended(f"/v1/transcribe/{job_id}", "job_status", _LOOK_AT_BATCH_S)
        if job["status"] != "completed":
            raise SystemExit(f"the batch ended {job}")
        return time.perf_counter() - began

    async def batch(self, job_id: str) -> dict[str, Any]:
        """How a batch fares."""
        return _answered(await self._http.get(f"/v1/transcribe/{job_id}"))

    async def results(self, job_id: str) -> list[dict[str, Any]]:
        """The transcripts of a batch, in the order of its files."""
        answer = await self._http.get((await self.batch(job_id))["result_url"])
        found = [one for one in _answered(answer)["results"] if "text" in one]
        return sorted(found, key=lambda one: str(one["reference_id"]))

    async def _ended(self, path: str, field: str, look_s: float = _LOOK_S) -> dict[str, Any]:
        while True:
            job = _answered(await self._http.get(path))
            if job[field] in {"completed", "failed", "cancelled", "insufficient_funds"}:
                return job
            await asyncio.sleep(look_s)


def _answered(answer: httpx2.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    said: dict[str, Any] = answer.json()
    return said
