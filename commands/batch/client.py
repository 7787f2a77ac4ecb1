"""How does `tiro batch` talk to a server? The public API of the `transcribe` dialect, with patience where waiting can help."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx2
import msgspec

from api.dialects.transcribe.jobs_wire import Created, FileUpload, JobAnswer, UploadCompleted, UploadUrls
from commands.batch.manifest import Entry
from commands.server import Server

T = TypeVar("T", bound=msgspec.Struct)
_TIMEOUT = httpx2.Timeout(60, connect=10, read=120, write=120)
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_UNCLEAR = _AGAIN - {429}
"""Answers that a proxy may have given in the place of a server that took the request."""
_WAITS_S = (0.5, 1, 2, 4, 8, 15)
_PATIENCE_S = 300.0
"""So long a server may be away while its batch is watched: a restart costs nobody anything."""
_ADVICE = {
    "missing_api_key": "Give a key with --key or TIRO_KEY.",
    "invalid_api_key": "Check --key or TIRO_KEY; `tiro keys create` makes a new one on the server's machine.",
    "insufficient_credit": "`tiro accounts` on the server's machine puts money into the wallet.",
    "email_not_verified": "`tiro accounts` on the server's machine verifies it.",
    "idempotency_conflict": "The list was changed while it was handed over: use it as it was, or name another folder with --out.",
    "not_found": "Is that a Tiro server, of a version that knows batches?",
}


class Refused(click.ClickException):
    """The server said no, or nothing at all. `str()` is what to tell a person. `sent`: it may have got the request."""

    exit_code = 2

    def __init__(self, code: str, message: str, status: int | None = None, *, sent: bool = True) -> None:
        self.code = code
        self.status = status
        self.sent = sent
        hint = _ADVICE.get(code, "")
        super().__init__(f"{message.rstrip('.')}. {hint}".strip())


class BatchClient:
    """One account's view of one server. Raises Refused."""

    def __init__(self, server: Server) -> None:
        self._there = server.url.rstrip("/")
        trust = not server.local
        authorization = {"Authorization": f"Bearer {server.key}"}
        self._api = httpx2.AsyncClient(headers=authorization, timeout=_TIMEOUT, trust_env=trust)
        # upload and result addresses are their own proof, and may be another's: the key is not shown there
        self._bare = httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=trust)
        self._perhaps: set[str] = set()

    async def close(self) -> None:
        """End its connections."""
        await self._api.aclose()
        await self._bare.aclose()

    async def create(self, ask: str, entries: Sequence[Entry], language: str | None) -> str:
        """The id of the batch. The same `ask` is the same batch."""
        uploads = [entry.size_bytes for entry in entries if entry.file is not None]
        body = {
            "type": "batch",
            "files": [_described(entry) for entry in entries],
            "file_count": len(entries),
            "total_size_bytes": sum(uploads),
            **({"language": language} if language else {}),
        }
        url, headers = f"{self._there}/v1/jobs", {"Idempotency-Key": ask}

        async def tried() -> httpx2.Response:
            perhaps = True
            try:
                answer = await self._send(self._api, "POST", url, json=body, headers=headers)
                perhaps = answer.is_success or answer.status_code in _UNCLEAR
                return answer
            except Refused as silent:
                perhaps = silent.sent
                raise
            finally:
                if perhaps:
                    self._perhaps.add(ask)

        return _read(await self._patiently(tried), Created).job_id

    def perhaps_taken(self, ask: str) -> bool:
        """Whether one of the tries of `create` may have made the batch, whatever was answered."""
        return ask in self._perhaps

    async def upload_urls(self, job_id: str, references: Sequence[str]) -> list[FileUpload]:
        """How to bring these."""
        body = {"files": [{"reference_id": reference} for reference in references]}
        return (await self._call("POST", f"/v1/jobs/{job_id}/upload-urls", UploadUrls, json=body)).uploads

    async def complete(self, job_id: str) -> None:
        """All that can be brought is there."""
        await self._call("POST", f"/v1/transcribe/{job_id}/upload-completed", UploadCompleted)

    async def look(self, job_id: str) -> JobAnswer:
        """Where it stands. Waits for a server that is away for a while."""
        return await self._call("GET", f"/v1/transcribe/{job_id}", JobAnswer, patience_s=_PATIENCE_S)

    async def cancel(self, job_id: str) -> None:
        """It is not worked on any more; what is done is charged."""
        await self._send(self._api, "DELETE", f"{self._there}/v1/transcribe/{job_id}")

    async def put(self, url: str, headers: dict[str, str], size_bytes: int, body: Callable[[], Any]) -> str:
        """Bring bytes; the ETag. `body` makes the content anew for each try."""
        answer = await self._patiently(
            lambda: self._send(
                self._bare, "PUT", url, content=body(), headers={**headers, "Content-Length": str(size_bytes)}
            )
        )
        return str(answer.headers.get("etag", ""))

    async def assemble(self, url: str, etags: dict[int, str]) -> None:
        """Put the parts together."""
        rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etags[n]}</ETag></Part>" for n in sorted(etags))
        document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"
        headers = {"Content-Type": "application/xml"}
        await self._patiently(lambda: self._send(self._bare, "POST", url, content=document, headers=headers))

    async def fetch(self, url: str, file: Path) -> None:
        """A result document, onto the disk, whole; what broke off goes on where it was."""
        part = file.with_suffix(".part")
        await asyncio.to_thread(part.unlink, missing_ok=True)

        async def rest() -> httpx2.Response:
            try:
                return await self._rest(url, part)
            except httpx2.TransportError as wrong:
                raise _silent(url, wrong) from None

        await self._patiently(rest)
        await asyncio.to_thread(part.replace, file)

    async def _rest(self, url: str, part: Path) -> httpx2.Response:
        has = await asyncio.to_thread(lambda: part.stat().st_size if part.exists() else 0)
        headers = {"Range": f"bytes={has}-"} if has else {}
        async with self._bare.stream("GET", url, headers=headers) as answer:
            if answer.is_success:
                with part.open("ab" if answer.status_code == 206 else "wb") as out:
                    async for piece in answer.aiter_bytes():
                        await asyncio.to_thread(out.write, piece)
            else:
                await answer.aread()
            return answer

    async def _call(self, verb: str, path: str, shape: type[T], *, patience_s: float = 0, **more: Any) -> T:
        url = f"{self._there}{path}"
        return _read(await self._patiently(lambda: self._send(self._api, verb, url, **more), patience_s), shape)

    async def _patiently(self, call: Callable[[], Any], patience_s: float = 0) -> httpx2.Response:
        """Again while that can help: a few times, or for so long."""
        until = time.monotonic() + patience_s
        tries = 0
        while True:
            wait_s: float = _WAITS_S[min(tries, len(_WAITS_S) - 1)]
            tries += 1
            last = tries > len(_WAITS_S) and time.monotonic() > until
            try:
                answer: httpx2.Response = await call()
            except Refused:
                if last:
                    raise
            else:
                if answer.is_success:
                    return answer
                if answer.status_code not in _AGAIN or last:
                    raise _refusal(answer)
                asked = answer.headers.get("retry-after", "")
                wait_s = min(60.0, float(asked)) if asked.isdigit() else wait_s
            await asyncio.sleep(wait_s)

    async def _send(self, http: httpx2.AsyncClient, verb: str, url: str, **more: Any) -> httpx2.Response:
        try:
            return await http.request(verb, url, **more)
        except httpx2.TransportError as wrong:
            raise _silent(url, wrong) from None


async def slice_of(file: Path, start: int, size_bytes: int) -> AsyncIterator[bytes]:
    """So many bytes of the file from there on, in pieces; OSError when it has fewer by now."""
    with await asyncio.to_thread(file.open, "rb") as data:
        data.seek(start)
        while size_bytes:
            piece = await asyncio.to_thread(data.read, min(1 << 20, size_bytes))
            if not piece:
                raise OSError(0, "it has become shorter")
            size_bytes -= len(piece)
            yield piece


def _described(entry: Entry) -> dict[str, object]:
    """A file keeps its name to itself."""
    told: dict[str, object] = {"reference_id": entry.reference}
    if entry.language:
        told["language"] = entry.language
    if entry.file is None:
        return {**told, "url": entry.url}
    return {**told, "size_bytes": entry.size_bytes}


def _read(answer: httpx2.Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.MsgspecError:
        raise Refused("not_tiro", "What answers there is not a Tiro server.") from None


def _refusal(answer: httpx2.Response) -> Refused:
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {}
    message = str(said.get("error", f"{answer.url.host} answered {answer.status_code}."))
    return Refused(str(said.get("code", "unknown")), message, answer.status_code)


def _silent(url: str, wrong: Exception) -> Refused:
    where = httpx2.URL(url)
    text = f"{where.scheme}://{where.netloc.decode()} does not answer ({type(wrong).__name__})"
    sent = not isinstance(wrong, (httpx2.ConnectError, httpx2.ConnectTimeout))
    return Refused("no_answer", f"{text}; is the server running? `tiro up` starts one here", sent=sent)
