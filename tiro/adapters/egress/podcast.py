"""Where is the recording of a podcast? A feed stands for its newest episode; an episode's page stands for that episode.

Feeds are strangers' XML: no DTD, no entities, 5 MB, and never a tree in memory.
"""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Literal

import httpx2
import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from tiro.adapters.egress.http import Download
from tiro.model.errors import SourceRefused, TooLarge

MAX_FEED_BYTES = 5 * 1024 * 1024
MAX_PAGE_BYTES = 512 * 1024
_HEAD_BYTES = 1024
_BOM = b"\xef\xbb\xbf"
_MAX_ITEMS = 20_000
_MAX_TEXT = 4096
_FEED_TYPES = {"application/rss+xml", "application/atom+xml", "application/rdf+xml"}
_XML_STARTS = (b"<?xml", b"<rss", b"<feed", b"<rdf:rdf")
_HTML_STARTS = (b"<!doctype html", b"<html")
_NOT_SOUND = ("image/", "text/", "application/pdf")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Kind = Literal["feed", "page", "recording"]


class Episode(msgspec.Struct, frozen=True):
    """One item of a feed that has a recording. `names`: the addresses it goes by."""

    enclosure: str
    published_at: datetime
    names: frozenset[str]


def kind(download: Download) -> Kind:
    """What an answer is, by its first bytes, and by its declared type where these say nothing."""
    start = download.head(_HEAD_BYTES).removeprefix(_BOM).lstrip().lower()
    if start.startswith(_XML_STARTS) or (download.media_type in _FEED_TYPES and start[:1] not in {b"", b"{"}):
        return "page" if b"<html" in start else "feed"
    if start.startswith(_HTML_STARTS) or (download.media_type == "text/html" and start.startswith(b"<")):
        return "page"
    return "recording"


def read_feed(download: Download) -> list[Episode]:
    """The episodes with a recording, as the feed orders them. Raises SourceRefused feed_too_large, feed_malformed."""
    items = _Items(str(download.url))
    parser = DefusedXMLParser(target=items, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        begun = False
        for chunk in download.chunks(MAX_FEED_BYTES):
            # feeds often begin with a line break, which XML does not allow
            data = chunk if begun else chunk.removeprefix(_BOM).lstrip()
            begun = begun or bool(data)
            parser.feed(data)
        parser.close()
    except TooLarge:
        raise SourceRefused("feed_too_large") from None
    except (ET.ParseError, DefusedXmlException, ValueError, LookupError):
        raise SourceRefused("feed_malformed") from None
    return items.episodes


def newest(episodes: list[Episode]) -> str:
    """The enclosure of the latest episode; of equal or missing dates, the first in the feed. Raises SourceRefused."""
    if not episodes:
        raise SourceRefused("feed_without_recording")
    return max(episodes, key=lambda episode: episode.published_at).enclosure


def episode_of(episodes: list[Episode], page: set[str]) -> str:
    """The enclosure of the episode that goes by one of the page's addresses. Raises SourceRefused `web_page`."""
    wanted = {_bare(address) for address in page}
    for episode in episodes:
        if wanted & episode.names:
            return episode.enclosure
    raise SourceRefused("web_page")


def feed_of(download: Download) -> str:
    """The feed that a page names in its head. Raises SourceRefused `web_page`."""
    reader = _Links()
    # so the library says that it does not know a declaration; what stood before it counts
    with contextlib.suppress(AssertionError):
        reader.feed(download.head(MAX_PAGE_BYTES).decode("utf-8", "replace"))
    if reader.feed_url is None:
        raise SourceRefused("web_page")
    return _joined(download.url, reader.feed_url)


def _joined(base: httpx2.URL, reference: str) -> str:
    try:
        return str(base.join(reference))
    except (httpx2.InvalidURL, ValueError):
        raise SourceRefused("malformed_url") from None


def _bare(url: str) -> str:
    """An address without what does not change what it names."""
    return url.strip().partition("#")[0].partition("://")[2].removesuffix("/")


def _date(text: str) -> datetime:
    for read in _DATES:
        try:
            moment = read(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _LONG_AGO


_DATES: tuple[Callable[[str], datetime], ...] = (parsedate_to_datetime, datetime.fromisoformat)


class _Items:
    """Takes a feed event by event and keeps only its episodes: memory does not grow with depth or junk."""

    def __init__(self, base: str) -> None:
        self.episodes: list[Episode] = []
        self._base = httpx2.URL(base)
        self._inside = False
        self._field = ""
        self._text: list[str] = []
        self._enclosure: str | None = None
        self._date = _LONG_AGO
        self._names: set[str] = set()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element opens."""
        name = tag.rpartition("}")[2].lower()
        if name in {"item", "entry"}:
            self._inside, self._enclosure, self._date, self._names = True, None, _LONG_AGO, set()
        if not self._inside:
            return
        self._field, self._text = name, []
        rel = attributes.get("rel", "alternate")
        if name == "enclosure":
            self._take(attributes.get("url"), attributes.get("type", ""))
        elif name == "link" and rel == "enclosure":
            self._take(attributes.get("href"), attributes.get("type", ""))
        elif name == "link" and rel == "alternate" and "href" in attributes:
            self._names.add(_bare(attributes["href"]))

    def data(self, text: str) -> None:
        """Some text of the innermost element."""
        if self._inside and sum(map(len, self._text)) < _MAX_TEXT:
            self._text.append(text)

    def end(self, tag: str) -> None:
        """An element closes."""
        name = tag.rpartition("}")[2].lower()
        if name in {"item", "entry"}:
            self._finish()
        if not self._inside or name != self._field:
            return
        text = "".join(self._text)
        if name in {"link", "guid", "id"} and "://" in text:
            self._names.add(_bare(text))
        elif name in {"pubdate", "published", "date"} or (name == "updated" and self._date == _LONG_AGO):
            self._date = _date(text)
        self._field, self._text = "", []

    def close(self) -> None:
        """The feed has ended."""

    def _take(self, url: str | None, media_type: str) -> None:
        if url and self._enclosure is None and not media_type.lower().startswith(_NOT_SOUND):
            self._enclosure = url.strip()

    def _finish(self) -> None:
        self._inside = False
        if self._enclosure is None or len(self.episodes) >= _MAX_ITEMS:
            return
        try:
            enclosure = str(self._base.join(self._enclosure))
        except (httpx2.InvalidURL, ValueError):
            return
        self.episodes.append(Episode(enclosure, self._date, frozenset(self._names)))


class _Links(HTMLParser):
    """Looks for `<link rel="alternate" type="application/rss+xml" href=...>`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed_url: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        kinds = found.get("rel", "").lower().split()
        if (
            tag == "link"
            and "alternate" in kinds
            and found.get("type", "").lower() in _FEED_TYPES
            and found.get("href")
        ):
            self.feed_url = self.feed_url or found["href"]
