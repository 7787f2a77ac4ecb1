"""Does a feed lead to its newest episode, an episode's page to that episode, and a hostile feed nowhere?"""

from __future__ import annotations

import pytest

from tests.servers.scripted_http import ScriptedHttp
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.model.errors import SourceRefused, TooLarge

SOUND = b"ID3\x04" + bytes(range(256)) * 10
RSS = "application/rss+xml; charset=utf-8"


def rss(*items: str, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<rss version="2.0"><channel><title>A show</title>'
        f"<link>https://show.example/</link>{''.join(items)}</channel></rss>"
    ).encode()


def item(path: str, date: str | None = None, page: str = "", media_type: str = "audio/mpeg", guid: str = "") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    return (
        f"<item><title>&lt;T&gt;</title><link>{page}</link><guid>{guid}</guid>{dated}"
        f'<enclosure url="{path}" length="1" type="{media_type}"/></item>'
    )


OLD, NEW = item("/old.mp3", "Mon, 05 Jan 2026 10:00:00 +0000"), item("/new.mp3", "Tue, 06 Jan 2026 10:00:00 -0500")


@pytest.fixture
def show(serve) -> ScriptedHttp:
    """Serves its sounds by name; feeds and pages are put in by the tests."""
    sounds = ("old", "new", "third", "inner/new")
    return serve({f"/{name}.mp3": lambda visit, name=name: visit.answer(body=SOUND + name.encode()) for name in sounds})


@pytest.fixture
def hear(guard, shelf, limits, stop, show):
    """Fetch `/feed`, served with this body; the name of the recording that came."""

    def run(body: bytes, media_type: str = RSS, path: str = "/feed") -> str:
        show.scripts[path] = lambda visit: visit.answer(body=body, headers={"Content-Type": media_type})
        fetched = WebFetcher(guard, None).fetch(show.url(path), limits, shelf.writer, stop)
        assert fetched.fetcher == "podcast"
        assert shelf.content is not None
        return shelf.content.removeprefix(SOUND).decode()

    return run


def refused(call, *args: object) -> str:
    with pytest.raises(SourceRefused) as raised:
        call(*args)
    return raised.value.reason


@pytest.mark.parametrize("order", [[OLD, NEW], [NEW, OLD]])
@pytest.mark.promise("J8")
def test_a_feed_stands_for_its_newest_episode(hear, order: list[str]) -> None:
    assert hear(rss(*order)) == "new"


@pytest.mark.parametrize(
    "media_type", ["text/xml", "application/xml", "text/plain", "text/html", "application/octet-stream", ""]
)
def test_a_feed_is_known_by_its_first_bytes(hear, media_type: str) -> None:
    assert hear(b"\xef\xbb\xbf\n " + rss(OLD, NEW), media_type) == "new"


def test_a_feed_in_utf16_is_known_by_its_type(hear) -> None:
    text = rss(OLD, NEW).decode().replace("UTF-8", "UTF-16")
    assert hear(text.encode("utf-16")) == "new"


def test_of_undated_episodes_the_first_is_the_newest(hear) -> None:
    assert hear(rss(item("/third.mp3"), item("/old.mp3"))) == "third"


def test_what_is_not_a_recording_is_passed_over(hear) -> None:
    picture = item("/cover.jpg", "Fri, 09 Jan 2026 10:00:00 +0000", media_type="image/jpeg")
    text_only = "<item><pubDate>Sat, 10 Jan 2026 10:00:00 +0000</pubDate></item>"
    assert hear(rss(picture, text_only, OLD, NEW)) == "new"


def test_an_atom_feed_is_read_too(hear) -> None:
    def entry(path: str, date: str) -> str:
        return (
            f'<entry><id>x</id><link href="https://show.example/1"/><link rel="enclosure" type="audio/mpeg" href="{path}"/>'
            f"<updated>{date}</updated></entry>"
        )

    entries = entry("/old.mp3", "2026-01-05T10:00:00Z") + entry("/new.mp3", "2026-01-06T10:00:00Z")
    assert hear(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode(), "application/atom+xml") == "new"


def test_dates_that_cannot_be_read_count_as_old(hear) -> None:
    assert hear(rss(item("/third.mp3", "yesterday"), item("/old.mp3", "\x31" * 400), OLD, NEW)) == "new"


def test_enclosures_are_relative_to_the_feed(hear) -> None:
    assert hear(rss(item("inner/new.mp3"))) == "inner/new"


@pytest.mark.promise("J8")
def test_an_episodes_page_stands_for_that_episode(hear, show) -> None:
    feed = rss(NEW, item("/third.mp3", "Mon, 05 Jan 2025 10:00:00 +0000", page=show.url("/episodes/3/")))
    show.scripts["/podcast.xml"] = lambda visit: visit.answer(body=feed, headers={"Content-Type": RSS})
    page = b'<!DOCTYPE html><html><head><link rel="alternate" type="application/rss+xml" href="/podcast.xml"></head>'
    assert hear(page, "text/html", "/episodes/3") == "third"


def test_a_page_that_is_not_in_its_feed_is_refused(hear, show) -> None:
    show.scripts["/podcast.xml"] = lambda visit: visit.answer(body=rss(NEW), headers={"Content-Type": RSS})
    page = b'<html><head><link rel="alternate" type="application/rss+xml" href="/podcast.xml"></head>'
    assert refused(hear, page, "text/html", "/about") == "web_page"


def test_a_page_without_a_feed_is_refused(hear) -> None:
    assert refused(hear, b"<!doctype html><title>Log in</title>", "text/html") == "web_page"


def test_a_recording_served_as_a_page_is_a_recording(guard, shelf, limits, stop, show) -> None:
    show.scripts["/a"] = lambda visit: visit.answer(body=SOUND, headers={"Content-Type": "text/html"})
    assert WebFetcher(guard, None).fetch(show.url("/a"), limits, shelf.writer, stop).fetcher == "http"
    assert shelf.content == SOUND


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE rss>",
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss SYSTEM "http://127.0.0.1/evil.dtd">',
        '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>',
    ],
)
@pytest.mark.promise("J8")
def test_a_feed_with_a_dtd_is_refused(hear, head: str) -> None:
    assert refused(hear, rss(NEW, head=head)) == "feed_malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"<?xml version='1.0'?>",
        b"<rss><channel><item>",
        b"<rss>\x00</rss>",
        b"<rss>&x;</rss>",
        b"<?xml encoding='no'?>",
    ],
)
def test_a_feed_that_is_not_xml_is_refused(hear, body: bytes) -> None:
    assert refused(hear, body) == "feed_malformed"


def test_a_feed_without_recordings_is_refused(hear) -> None:
    assert refused(hear, rss("<item><title>only words</title></item>")) == "feed_without_recording"


@pytest.mark.promise("J8")
def test_a_feed_larger_than_five_megabytes_is_refused(hear) -> None:
    assert refused(hear, rss("<item>" + "x" * 5 * 1024 * 1024 + "</item>")) == "feed_too_large"


def test_a_deep_feed_is_read_in_flat_memory(hear) -> None:
    depth = 200_000
    assert hear(rss(NEW, "<item>" + "<a>" * depth + "</a>" * depth + "</item>")) == "new"


@pytest.mark.promise("J8")
def test_an_enclosure_that_points_inside_is_refused(hear) -> None:
    assert refused(hear, rss(item("https://169.254.169.254/latest"))) == "forbidden_address"
    assert refused(hear, rss(item("file:///etc/passwd"))) == "scheme"


def test_an_enclosure_that_is_a_feed_again_is_refused(hear, show) -> None:
    assert refused(hear, rss(item("/feed"))) == "feed_without_recording"


def test_the_limit_holds_for_the_episode(hear, show, shelf) -> None:
    show.scripts["/new.mp3"] = lambda visit: visit.answer(body=b"x" * 1_000_001)
    with pytest.raises(TooLarge):
        hear(rss(NEW))
    assert shelf.left_open == 0
