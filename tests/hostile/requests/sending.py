"""How a client sends what no library would: heads as they are, and bodies that come as they come."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.hostile.requests.bodies import FORM


def request_head(
    key: str, path: str = "/jobs", *, length: int | None = None, content_type: str = FORM, more: tuple[str, ...] = ()
) -> bytes:
    """A POST; without a length its body comes in chunks."""
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {key}",
        f"Content-Type: {content_type}",
        size,
        "Connection: close",
        *more,
    )
    return "\r\n".join([*lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    """Of what came back on a socket."""
    return int(answer.split(b" ", 2)[1])


def posted(
    url: str,
    key: str,
    body: bytes | Iterator[bytes],
    length: int | None = None,
    content_type: str = FORM,
    path: str = "/jobs",
) -> tuple[int, bytes]:
    """As a plain blocking client: all of the body, then the answer. An iterator without `length` goes in chunks."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    if length is not None:
        headers["Content-Length"] = str(length)
    chunked = length is None and not isinstance(body, bytes)
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        connection.request("POST", path, body=body, headers=headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.read()


async def dripped(port: int, first: bytes, drip: bytes, within_s: float) -> bytes:
    """Send, then drip until the server closes; what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    got = b""
    async with asyncio.timeout(within_s):
        while True:
            writer.write(drip)
            try:
                chunk = await asyncio.wait_for(reader.read(65536), 0.05)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not chunk:
                break
            got += chunk
    writer.close()
    return got
