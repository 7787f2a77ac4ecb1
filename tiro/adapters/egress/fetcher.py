"""How does the recording behind an address come into the store? As a site's page, as a podcast, or as it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tiro.adapters.egress import podcast
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.http import HttpSource
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.sites import Sites
from tiro.model.errors import SourceRefused
from tiro.model.media import MediaLimits
from tiro.ports import BlobWriter, Fetched

DEADLINE_S = 3600.0


class WebFetcher:
    """The Fetcher port. Pages of sites that yt-dlp knows go to it; feeds and episode pages are resolved here; the rest is a GET."""

    def __init__(
        self, guard: Guard, sites: Sites | None, http: HttpSource | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        self._guard = guard
        self._sites = sites
        self._http = http or HttpSource(guard)
        self._deadline_s = deadline_s

    def check(self, url: str) -> None:
        """What can be said without a connection. Only plain http asks the resolver, since it must be allowed."""
        self._guard.check(url)

    def fetch(
        self, url: str, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], stop: threading.Event
    ) -> Fetched:
        """The recording into the store; `fetcher` is site, podcast or http."""
        patience = Patience(self._deadline_s, stop)
        patience.check()
        target = str(self._guard.parse(url))
        if self._sites is not None and self._sites.knows(target, patience):
            return Fetched(self._sites.fetch(target, limits, writer, patience), "site")
        with self._http.get(target, patience) as answer:
            kind, page = podcast.kind(answer), str(answer.url)
            if kind == "recording":
                return Fetched(answer.copy(limits.max_bytes, writer), "http")
            found = podcast.newest(podcast.read_feed(answer)) if kind == "feed" else podcast.feed_of(answer)
        enclosure = found if kind == "feed" else self._episode(found, {target, page}, patience)
        with self._http.get(self._reachable(enclosure), patience) as answer:
            if podcast.kind(answer) != "recording":
                raise SourceRefused("feed_without_recording")
            return Fetched(answer.copy(limits.max_bytes, writer), "podcast")

    def _episode(self, feed: str, page: set[str], patience: Patience) -> str:
        with self._http.get(self._reachable(feed), patience) as answer:
            if podcast.kind(answer) != "feed":
                raise SourceRefused("web_page")
            return podcast.episode_of(podcast.read_feed(answer), page)

    def _reachable(self, url: str) -> str:
        """Old feeds still say http where https answers: tried that way, since http is not allowed."""
        try:
            self._guard.check(url)
        except SourceRefused as refused:
            if refused.reason != "scheme" or not url.startswith("http://"):
                raise
            return "https" + url.removeprefix("http")
        return url
