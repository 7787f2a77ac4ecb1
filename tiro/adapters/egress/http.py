"""What lies behind one address? One GET through the guard: redirects looked at one by one, bytes counted, time bounded."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2

from tiro.adapters.egress.clients import authorities, guarded_client
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import Patience
from tiro.model.blob import BlobRef
from tiro.model.errors import SourceRefused, TooLarge, Transient
from tiro.ports import BlobWriter

MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_CHUNK_BYTES = 256 * 1024


class Pace:
    """How slow a server may be: `connect_s` for an answer's headers, `idle_s` of silence, `min_bytes_s` on average per `window_s`."""

    def __init__(
        self, connect_s: float = 30.0, idle_s: float = 30.0, min_bytes_s: float = 1024.0, window_s: float = 20.0
    ) -> None:
        self.connect_s = connect_s
        self.idle_s = idle_s
        self.min_bytes_s = min_bytes_s
        self.window_s = window_s


class Download:
    """An answer with status 200 whose body is still to be read, once."""

    def __init__(self, response: httpx2.Response, patience: Patience, pace: Pace) -> None:
        self.url = response.url
        self.media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("content-encoding", "").strip().lower()
        self._claims_bytes = _number(response.headers.get("content-length")) if encoding in {"", "identity"} else None
        self._patience = patience
        self._pace = pace
        self._chunks = _decoded(self._paced(response), encoding)
        self._head = b""

    def head(self, size_bytes: int) -> bytes:
        """The first bytes, less when there are no more; they stay part of the body."""
        while len(self._head) < size_bytes:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._head += chunk
        return self._head[:size_bytes]

    def chunks(self, limit_bytes: int) -> Iterator[bytes]:
        """The body. Raises TooLarge before more than the limit is given out."""
        if self._claims_bytes is not None and self._claims_bytes > limit_bytes:
            raise TooLarge(limit_bytes)
        total = 0
        for chunk in self._body():
            total += len(chunk)
            if total > limit_bytes:
                raise TooLarge(limit_bytes)
            yield chunk

    def copy(self, limit_bytes: int, writer: Callable[[int | None], BlobWriter]) -> BlobRef:
        """The body into the store; whatever goes wrong, no object is left."""
        into = writer(self._claims_bytes)
        try:
            for chunk in self.chunks(limit_bytes):
                into.write(chunk)
            return into.commit()
        except BaseException:
            into.abort()
            raise

    def _body(self) -> Iterator[bytes]:
        head, self._head = self._head, b""
        if head:
            yield head
        yield from self._chunks

    def _paced(self, response: httpx2.Response) -> Iterator[bytes]:
        """Bytes as they come. Raises Transient `source_timeout` when they come too slowly."""
        began, taken = time.monotonic(), 0
        with _told():
            for chunk in response.iter_raw():
                self._patience.check()
                taken += len(chunk)
                yield chunk
                spent_s = time.monotonic() - began
                if spent_s >= self._pace.window_s:
                    if taken < self._pace.min_bytes_s * spent_s:
                        raise Transient("source_timeout", "The address sends too slowly.")
                    began, taken = time.monotonic(), 0


class HttpSource:
    """Asks addresses for their bytes, with GET alone: a signed URL is signed for nothing else."""

    def __init__(self, guard: Guard, pace: Pace | None = None, verify: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._pace = pace or Pace()
        self._verify: ssl.SSLContext = verify or authorities()

    @contextmanager
    def get(self, url: str, patience: Patience) -> Iterator[Download]:
        """The answer after at most five redirects, each checked.

        Raises SourceRefused (reason http_status with `upstream_status`, too_many_redirects, certificate, content_encoding, and
        the guard's), Transient `source_timeout`, `source_unreachable`, `stopped`.
        """
        timeout = httpx2.Timeout(self._pace.idle_s, connect=self._pace.connect_s)
        with guarded_client(
            self._guard, timeout=timeout, patience=patience, verify=self._verify, headers=_HEADERS
        ) as client:
            with _told():
                response = self._final(client, url, patience)
            try:
                yield Download(response, patience, self._pace)
            finally:
                response.close()

    def _final(self, client: httpx2.Client, url: str, patience: Patience) -> httpx2.Response:
        target = self._guard.parse(url)
        for _ in range(MAX_REDIRECTS + 1):
            with patience.within(self._pace.connect_s):
                response = client.send(client.build_request("GET", target), stream=True)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or location is None:
                return _good(response)
            response.close()
            target = self._guard.parse(str(target.join(location)))
        raise SourceRefused("too_many_redirects")


@contextmanager
def _told() -> Iterator[None]:
    """httpx2's errors in our words, without their causes: those name the URL."""
    try:
        yield
    except httpx2.TimeoutException:
        raise Transient("source_timeout", "The address took too long.") from None
    except httpx2.InvalidURL:
        raise SourceRefused("malformed_url") from None
    except httpx2.TransportError as wrong:
        if _caused_by(wrong, ssl.SSLCertVerificationError):
            raise SourceRefused("certificate", "The server's certificate is not valid.") from None
        raise Transient("source_unreachable", "The address could not be read.") from None


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _good(response: httpx2.Response) -> httpx2.Response:
    status = response.status_code
    if status == httpx2.codes.OK:
        return response
    response.close()
    if status in _LATER or status >= 500:
        raise Transient("source_unreachable", "The address answered with an error.", upstream_status=status)
    raise SourceRefused("http_status", "The address refused.", upstream_status=status)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The identity was asked for; a server that compresses all the same is unpacked in small steps, so that a bomb is counted."""
    if encoding in {"", "identity"}:
        return chunks
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return _inflated(chunks)
    raise SourceRefused("content_encoding")


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    for chunk in chunks:
        data = chunk
        while data:
            try:
                out = unpack.decompress(data, _CHUNK_BYTES)
            except zlib.error:
                raise SourceRefused("content_encoding") from None
            if out:
                yield out
            data = unpack.unconsumed_tail
            if unpack.eof:
                data = unpack.unused_data
                if data:
                    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    while not unpack.eof:
        out = unpack.decompress(unpack.unconsumed_tail, _CHUNK_BYTES)
        if not out:
            raise SourceRefused("content_encoding")
        yield out
