"""How does the command line talk to a server? The public API of the `jobs` dialect, with patience where the server asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import msgspec

from api.dialects.jobs.wire import Accepted, JobAnswer
from commands.recordings import Recording

T = TypeVar("T", bound=msgspec.Struct)
_TIMEOUT = httpx2.Timeout(60, connect=10, read=600, write=120)
_TRIES = 6
_PATIENCE_S = 15.0

_ADVICE = {
    "missing_token": "Give a key with --key or TIRO_KEY.",
    "invalid_api_key": "Check --key or TIRO_KEY; `tiro keys create` makes a new one on the server's machine.",
    "invalid_token": "Check --key or TIRO_KEY; `tiro keys create` makes a new one on the server's machine.",
    "quota_exceeded": "`tiro accounts usage` shows the month; `tiro accounts plan` or `set --overage` let it go on.",
    "file_too_large": "A larger plan takes larger files: `tiro accounts plan`.",
    "invalid_language": "Name it by its code, as in --language de, or leave it out to have it found.",
    "unsupported_language": "None of the server's engines knows it: see TIRO_ENGINES, and `tiro doctor`.",
    "unsupported_format": "Is it a recording at all? Audio and video of the usual kinds are taken.",
    "decode_failed": "The file is damaged: try to play it, or make it anew.",
    "empty_audio": "There is no sound in it.",
    "duration_exceeds_limit": "A larger plan takes longer recordings: `tiro accounts plan`.",
    "forbidden_address": "Private addresses are refused unless the server's TIRO_EGRESS_ALLOW names their network.",
    "playlist": "Name one recording of the list.",
    "source_unreachable": "Its server did not answer, or with an error; try again when it does.",
    "source_timeout": "Its server was too slow; try again when it is faster.",
    "login_required": "Download it yourself and hand in the file.",
    "drm": "Protected recordings cannot be fetched.",
    "engine_unavailable": "`tiro doctor` says what the engines need.",
    "transient_error": "Try again in a moment; `tiro doctor` says what is away.",
}


class Refusal(Exception):
    """The server said no. `str()` is what to tell a person: what happened and what to do."""

    def __init__(self, code: str, message: str, reason: str | None = None, upstream_status: int | None = None) -> None:
        self.code = code
        self.reason = reason
        hint = _ADVICE.get(reason or "") or _ADVICE.get(code, "")
        said = f" {upstream_status}" if upstream_status else ""
        why = f" ({reason}{said})" if reason else ""
        super().__init__(f"{message.rstrip('.')}{why}. {hint}".strip())


class JobsClient:
    """One account's view of one server. Raises Refusal."""

    def __init__(self, url: str, key: str, *, local: bool) -> None:
        self.local = local
        self._http = httpx2.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            trust_env=not local,
        )

    async def close(self) -> None:
        """End its connections."""
        await self._http.aclose()

    async def submit(self, recording: Recording, language: str, *, diarize: bool) -> str:
        """The id of the new job. A file is streamed from the disk, again when the server asks for another try."""
        fields = {"language": language, "diarize": "true" if diarize else "false"}
        if recording.file is None:
            body = {"source_url": recording.url, "language": language, "diarize": diarize}
            return _read(await self._patiently(lambda: self._send("POST", "/jobs", json=body)), Accepted).job_id
        file = recording.file

        async def upload() -> httpx2.Response:
            # the file keeps its name to itself: only its kind may help
            with file.open("rb") as data:
                files = {"file": (f"recording{file.suffix}", data, "application/octet-stream")}
                return await self._send("POST", "/jobs", data=fields, files=files)

        return _read(await self._patiently(upload), Accepted).job_id

    async def job(self, job_id: str) -> JobAnswer:
        """Where it stands."""
        return _read(await self._patiently(lambda: self._send("GET", f"/jobs/{job_id}")), JobAnswer)

    async def cancel(self, job_id: str) -> None:
        """Cancelled, or over already."""
        await self._send("POST", f"/jobs/{job_id}/cancel")

    async def transcript(self, job_id: str, form: str) -> bytes:
        """A file of the transcript."""
        answer = await self._send("GET", f"/jobs/{job_id}/transcript", params={"format": form})
        if answer.is_error:
            raise _refusal(answer)
        return answer.content

    async def failure_of(self, job: JobAnswer) -> Refusal:
        """What became of a job that failed or was cancelled. What the source's server answered, only its transcript's refusal says."""
        if job.status == "cancelled":
            return Refusal("job_cancelled", "It was cancelled.")
        upstream_status = None
        with contextlib.suppress(Refusal):
            refused = _said(await self._send("GET", f"/jobs/{job.job_id}/transcript"))
            upstream_status = refused.get("upstream_status")
        return Refusal(job.error or "internal_error", job.message or "It failed.", job.reason, upstream_status)

    async def _patiently(self, call: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Call again while the server asks for it, a few times."""
        answer = await call()
        for _ in range(_TRIES):
            if answer.status_code not in {429, 503}:
                break
            asked = answer.headers.get("retry-after", "")
            await asyncio.sleep(min(_PATIENCE_S, float(asked) if asked.isdigit() else 2.0))
            answer = await call()
        return answer

    async def _send(self, verb: str, path: str, **more: Any) -> httpx2.Response:
        try:
            return await self._http.request(verb, path, **more)
        except httpx2.TransportError as wrong:
            where = self._http.base_url
            raise Refusal(
                "no_answer",
                f"{where} does not answer ({type(wrong).__name__}). Is the server running? `tiro up` starts one.",
            ) from None


def _read(answer: httpx2.Response, shape: type[T]) -> T:
    if answer.is_error:
        raise _refusal(answer)
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.MsgspecError:
        raise Refusal("not_tiro", "What answers there is not a Tiro server.") from None


def _refusal(answer: httpx2.Response) -> Refusal:
    said = _said(answer)
    message = str(said.get("message", f"The server answered {answer.status_code}."))
    return Refusal(str(said.get("error", "internal_error")), message, said.get("reason"))


def _said(answer: httpx2.Response) -> dict[str, Any]:
    """The object in it; empty where there is none."""
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
