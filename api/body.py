"""What does the body say? Read with patience that ends, decoded with limits, and taken field by field."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from api.config import KIB, RequestLimits
from api.faces import HttpRequest
from tiro.model.errors import Invalid, Permanent

T = TypeVar("T", bound=msgspec.Struct)
Understood = TypeVar("Understood")
LONG_BYTES = 64 * KIB
"""From here on a body is decoded by a thread, while others are answered: a shorter one is done before a thread has begun."""
LONG_AT_ONCE = 2
"""Bodies that are decoded at the same time: in memory each may be many times as large as it came."""
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""One that does not end takes all that follows, so that nothing is looked at twice."""


class ClientGone(Permanent):
    """The client went away before its request was complete; nobody reads the answer."""

    code = "client_gone"


def media_type(request: HttpRequest) -> str:
    """The content type without its parameters, in lower case. Raises Invalid `unsupported_media_type` for an encoded body."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Invalid("unsupported_media_type", "Send the body without a Content-Encoding.")
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def announced_bytes(request: HttpRequest) -> int | None:
    """Content-Length; None for a chunked body. Raises Invalid."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Invalid("invalid_request", "The Content-Length is not a number.")
    return int(text)


async def chunks(request: HttpRequest, limits: RequestLimits) -> AsyncIterator[bytes]:
    """The body as it arrives. Only waiting counts against the client: time that we take to write does not.

    Raises Invalid `request_timeout` when less than `window_bytes` came within `window_s`; ClientGone when the connection ended early.
    """
    loop = asyncio.get_running_loop()
    patience_s, got = limits.window_s, 0
    more = True
    while more:
        began = loop.time()
        try:
            async with asyncio.timeout(patience_s):
                message = await request.receive()
        except TimeoutError:
            raise Invalid("request_timeout", "The body came too slowly.") from None
        if message["type"] != "http.request":
            raise ClientGone
        patience_s -= loop.time() - began
        data, more = message.get("body", b""), message.get("more_body", False)
        got += len(data)
        if got >= limits.window_bytes:
            patience_s, got = limits.window_s, 0
        if data:
            yield data


async def left(request: HttpRequest) -> None:
    """Returns when the client has gone away. Its body has been read to the end: nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_json(request: HttpRequest, limits: RequestLimits) -> dict[str, Any]:
    """The JSON object of the body; of a key that comes twice the last one. Raises Invalid `invalid_json` and the like."""
    return decode_object(await _json_body(request, limits), limits.json_depth)


class LongJson:
    """Bodies that may be long, of `at_most` values; a few of them are decoded at once, however many come."""

    def __init__(self, limits: RequestLimits, at_most: int) -> None:
        self._limits = limits
        self._at_most = at_most
        self._places = asyncio.Semaphore(LONG_AT_ONCE)

    async def read(self, request: HttpRequest, understand: Callable[[dict[str, Any]], Understood]) -> Understood:
        """What `understand` makes of the object, which is not kept. Raises as `read_json`, and what `understand` raises."""
        body = await _json_body(request, self._limits)
        if len(body) < LONG_BYTES:
            return self._understood(body, understand)
        async with self._places:
            return await asyncio.to_thread(self._understood, body, understand)

    def _understood(self, body: bytearray, understand: Callable[[dict[str, Any]], Understood]) -> Understood:
        return understand(_decode_long(body, self._limits.json_depth, self._at_most))


async def _json_body(request: HttpRequest, limits: RequestLimits) -> bytearray:
    if media_type(request) != "application/json":
        raise Invalid("unsupported_media_type", "Send application/json.")
    if (announced_bytes(request) or 0) > limits.json_bytes:
        raise _too_large(limits)
    body = bytearray()
    async for chunk in chunks(request, limits):
        body += chunk
        if len(body) > limits.json_bytes:
            raise _too_large(limits)
    return body


def _decode_long(body: bytearray, depth: int, at_most: int) -> dict[str, Any]:
    """Two bytes of JSON can become a hundred in memory: what separates values is counted first, and no text is three values long."""
    bare = _STRINGS.sub(b"", body) if body.count(b'"') <= 4 * at_most else b"," * (at_most + 1)
    if sum(bare.count(mark) for mark in (b",", b"[", b"{")) > at_most:
        raise Invalid("request_too_large", f"The body holds more than {at_most} values.")
    return decode_object(body, depth)


def decode_object(body: bytes | bytearray, depth: int) -> dict[str, Any]:
    """Raises Invalid `invalid_json` for what is no JSON object, too deep, not UTF-8, or holds NUL or a number out of range."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("invalid_json", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Invalid("invalid_json", "The body must be a JSON object.")
    _refuse_odd(value, depth)
    return value


def take(values: Mapping[str, object], shape: type[T], *, strict: bool = True) -> T:
    """The fields of `shape` out of `values`; others are ignored, null counts as absent. `strict` False: values are texts of a form.

    Raises Invalid `invalid_request` with `param`.
    """
    taken = {}
    for field in _fields(shape):
        if values.get(field.encode_name) is None:
            if field.required:
                raise Invalid("invalid_request", f"{field.encode_name} is missing.", param=field.encode_name)
            continue
        try:
            taken[field.name] = msgspec.convert(values[field.encode_name], field.type, strict=strict)
        except (msgspec.ValidationError, ValueError):
            raise Invalid(
                "invalid_request", f"{field.encode_name} has a wrong type or value.", param=field.encode_name
            ) from None
    return shape(**taken)


_fields = functools.cache(msgspec.structs.fields)
"""Of a struct; asked for each of ten thousand files."""


def _refuse_odd(value: object, depth: int) -> None:
    """NUL and depth; iterative, since the depth is a stranger's."""
    todo: list[tuple[object, int]] = [(value, 1)]
    while todo:
        item, level = todo.pop()
        if isinstance(item, str) and "\x00" in item:
            raise Invalid("invalid_json", "A text contains NUL.")
        if isinstance(item, dict | list):
            if level > depth:
                raise Invalid("invalid_json", f"The JSON is nested deeper than {depth}.")
            inner = [*item, *item.values()] if isinstance(item, dict) else item
            todo += ((one, level + 1) for one in inner)


def _too_large(limits: RequestLimits) -> Invalid:
    return Invalid("request_too_large", f"The body is larger than {limits.json_bytes} bytes.")
