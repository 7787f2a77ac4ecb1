"""Recordings: decoding them, fetching them, and posting what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from tiro.model.blob import BlobRef
from tiro.model.errors import TiroError
from tiro.model.media import Layout, MediaLimits, MediaProbe, Span
from tiro.ports.audio import Samples
from tiro.ports.content import BlobWriter


class PreparedSpan(msgspec.Struct, frozen=True):
    """A span that is final, with its audio."""

    span: Span
    samples: Samples


class PreparedEnd(msgspec.Struct, frozen=True):
    """The recording has ended: what was decoded in all."""

    decoded_s: float
    layout: Layout
    damaged_packets: int
    warnings: tuple[str, ...]


class PreparedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A short recording as a whole: its spans and its end, or why there are none. `number`: which of those that were asked for."""

    number: int
    probe: MediaProbe | None = None
    spans: tuple[PreparedSpan, ...] = ()
    end: PreparedEnd | None = None
    error: TiroError | None = None


class Growing(Protocol):
    """A recording that still comes in, as a file that grows from its beginning on."""

    @property
    def path(self) -> Path:
        """Where what is there can be read."""
        ...

    @property
    def size_bytes(self) -> int | None:
        """How large it will be, where that is known."""
        ...

    def told(self) -> AbstractContextManager[int]:
        """A pipe's end to read from: eight bytes, little endian, say how much is there; its end, that all is. While the block runs."""
        ...

    def is_whole(self) -> bool:
        """Whether all of it is there. Raises what broke it off."""
        ...


class Preparer(Protocol):
    """Decodes a recording once, streaming, finds speech and cuts spans. Strangers' bytes are read in a child process. Blocking."""

    @property
    def version(self) -> str:
        """Changes whenever the same recording might be cut otherwise (decoder, VAD, cutter and their settings)."""
        ...

    def probe(self, source: Path, limits: MediaLimits, stop: threading.Event) -> MediaProbe:
        """Container, codec and claims. Raises MediaRefused, Transient `decoder_unavailable`."""
        ...

    def glance(self, source: Path, limits: MediaLimits, stop: threading.Event) -> MediaProbe:
        """As `probe`, and MediaRefused for what the first half minute shows already: no sound, undecodable."""
        ...

    def close(self) -> None:
        """End children. Harmless when repeated."""
        ...

    def prepare(
        self, source: Path | Growing, limits: MediaLimits, split_channels: bool, stop: threading.Event
    ) -> Iterator[MediaProbe | PreparedSpan | PreparedEnd]:
        """One MediaProbe, then spans as they become final, then one PreparedEnd. Memory is bounded by the span.

        One that still comes in is decoded as far as it is there, to the same spans as when it is whole; a container that is read from
        its end waits for that.

        Raises MediaRefused (also when the decoded seconds pass the limit). Closing the iterator, or `stop`, ends the child.
        """
        ...

    def prepare_each(
        self, sources: Sequence[Path], limits: MediaLimits, stop: threading.Event
    ) -> Iterator[PreparedFile]:
        """As `prepare` without telling channels apart, for several short recordings: one after the other, each whole, each by itself.

        MediaRefused and TooLarge are answers; raises Transient. Memory is bounded by one recording of the limit.
        """
        ...

    def encode(self, samples: Samples) -> bytes:
        """FLAC, 16 kHz mono. The same samples give the same bytes."""
        ...

    def read(self, flac: bytes) -> Samples:
        """What `encode` wrote."""
        ...


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch left in the store."""

    blob: BlobRef
    fetcher: str


class Fetcher(Protocol):
    """Brings the recording behind an address into a writer, through the egress guard. Blocking."""

    def fetch(
        self, url: str, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], stop: threading.Event
    ) -> Fetched:
        """`writer` is asked when the recording begins to come, with its size where that is known.

        Raises SourceRefused, TooLarge, Transient `source_timeout` and the like. A failed fetch leaves no object.
        """
        ...

    def check(self, url: str) -> None:
        """What can be said without a connection (scheme, credentials, forbidden addresses): SourceRefused or nothing."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """What a webhook's receiver said. `status` None: nothing; `error` is then a code."""

    status: int | None
    error: str | None
    took_ms: int


class Courier(Protocol):
    """Posts webhook bodies through the egress guard; never follows a redirect, reads at most a few KiB of the answer."""

    def check(self, url: str) -> None:
        """Whether the address may be called at all: https (or allow-listed), public, no credentials, <= 2,048 characters. SourceRefused."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """One attempt; never raises for what the receiver or the network does."""
        ...
