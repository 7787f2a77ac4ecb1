"""What does a link do? It brings bytes, puts parts together, forgets them, or fetches a result; whoever has it may do that and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from litestar import Response, route
from litestar.enums import HttpMethod
from litestar.params import FromPath
from litestar.response import Stream

from api.body import announced_bytes, chunks
from api.config import RequestLimits
from api.faces import Answer, Cors, Face, HttpRequest
from api.files import bodies, faults
from api.inflow import Inflow
from tiro.model.blob import BlobRef, job_of
from tiro.model.errors import Invalid, Permanent, TooLarge
from tiro.ports import BlobWriter
from tiro.services.house import House
from tiro.services.results import Result
from tiro.sign.passes import PREFIX, Pass

_METHODS = {"put": "PUT", "part": "PUT", "complete": "POST", "abort": "DELETE", "read": "GET"}
_READ_BYTES = 256 << 10
_COMPLETED = b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUploadResult/>'
_CORS = Cors(
    sent=("Content-Type", "Range", "If-Range"),
    read=("ETag", "X-Request-Id", "Retry-After", "Content-Disposition", "Content-Range", "Accept-Ranges"),
)


def face(house: House, limits: RequestLimits) -> Face:
    """No key is asked for here: the link is the key."""
    links = Links(house, limits)
    methods = [HttpMethod.GET, HttpMethod.PUT, HttpMethod.POST, HttpMethod.DELETE]
    return Face(
        prefixes=(PREFIX,),
        routes=(route(f"{PREFIX}/{{token:str}}", http_method=methods)(links.follow),),
        answer=faults.answer,
        cors=_CORS,
    )


class Links:
    """Reads the pass of a link, and does what it allows."""

    def __init__(self, house: House, limits: RequestLimits) -> None:
        self._house = house
        self._limits = limits

    async def follow(self, request: HttpRequest, token: FromPath[str]) -> Response[bytes] | Stream:
        allowed = self._house.passes.read(token, self._house.clock.now())
        method = _METHODS[allowed.deed]
        if request.method != method:
            raise Permanent("method_not_allowed", "This link does not answer this method.", allow=method)
        match allowed.deed:
            case "put" | "part":
                return await self._bring(request, allowed)
            case "complete":
                etags = await asyncio.to_thread(bodies.etags_of, await self._xml(request))
                await self._house.uploads.complete(allowed, etags)
                return Answer(_COMPLETED, status_code=200, headers={"content-type": "application/xml"})
            case "abort":
                await self._house.uploads.abort(allowed)
                return Answer(b"", status_code=204)
            case "read":
                return self._sent(request, await self._house.results.find(allowed.subject))

    async def _bring(self, request: HttpRequest, allowed: Pass) -> Answer:
        """Nothing is seen of it before it is whole."""
        _check(request, allowed)
        uploads = self._house.uploads
        await uploads.heard_of(job_of(allowed.subject))
        if allowed.deed == "part":
            part = await asyncio.to_thread(uploads.part_writer, allowed)
            await self._receive(request, allowed, part)
            etag = part.etag
        else:
            whole = await asyncio.to_thread(uploads.writer, allowed)
            etag = (await self._receive(request, allowed, whole)).sha256 or ""
        return Answer(b"", status_code=200, headers={"ETag": f'"{etag}"'})

    async def _receive(self, request: HttpRequest, allowed: Pass, writer: BlobWriter) -> BlobRef:
        inflow = Inflow(writer, _most(allowed))
        try:
            async for chunk in chunks(request, self._limits):
                await inflow.take(chunk)
            if allowed.size_bytes not in {None, inflow.taken_bytes}:
                raise _other_size(allowed)
            # what came too late must not take the place of what is being heard already
            await self._house.uploads.heard_of(job_of(allowed.subject))
            return await inflow.commit()
        except BaseException:
            await inflow.abort()
            raise

    async def _xml(self, request: HttpRequest) -> bytes:
        body = bytearray()
        async for chunk in chunks(request, self._limits):
            body += chunk
            if len(body) > bodies.XML_BYTES:
                raise Invalid("request_too_large", f"The body is larger than {bodies.XML_BYTES} bytes.")
        return bytes(body)

    def _sent(self, request: HttpRequest, result: Result) -> Stream:
        etag = f'"{result.etag}"'
        asked = bodies.range_of(request.headers, etag, result.size_bytes)
        start, end = asked or (0, result.size_bytes)
        headers = {
            "content-type": result.media_type,
            "content-length": str(end - start),
            "accept-ranges": "bytes",
            "cache-control": "private",
            "content-disposition": f'attachment; filename="{result.name}"',
            "etag": etag,
        }
        if asked is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{result.size_bytes}"
        return Stream(_read(result, start, end), status_code=200 if asked is None else 206, headers=headers)


async def _read(result: Result, start: int, end: int) -> AsyncIterator[bytes]:
    stream = await asyncio.to_thread(result.open, start, end)
    try:
        while data := await asyncio.to_thread(stream.read, _READ_BYTES):
            yield data
    finally:
        stream.close()


def _check(request: HttpRequest, allowed: Pass) -> None:
    """What its headers say already. Raises TooLarge, Invalid."""
    announced = announced_bytes(request)
    if announced is not None and announced > _most(allowed):
        raise TooLarge(_most(allowed))
    if announced is not None and allowed.size_bytes not in {None, announced}:
        raise _other_size(allowed)
    if allowed.media_type is not None and request.headers.get("content-type", "").strip() != allowed.media_type:
        raise Invalid("upload_type_mismatch", "Send exactly the Content-Type that came with the link.")


def _most(allowed: Pass) -> int:
    return allowed.at_most_bytes if allowed.size_bytes is None else allowed.size_bytes


def _other_size(allowed: Pass) -> Invalid:
    return Invalid("upload_size_mismatch", f"This link is for exactly {allowed.size_bytes} bytes.")
