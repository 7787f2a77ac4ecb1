"""What others answer: engines behind somebody's API, podcasts' feeds and pages. Read, or refused in the core's words."""

from __future__ import annotations

import asyncio
import json
import math
import unicodedata
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile.fuzz.effort import effort
from tests.media_builder import numbered
from tiro.adapters.egress import podcast
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.http import Download, Pace
from tiro.adapters.egress.patience import Patience
from tiro.adapters.engines.abilities import ENGLISH, Abilities
from tiro.adapters.engines.assemblyai import AssemblyAiEngine
from tiro.adapters.engines.hosted import HostedEngine
from tiro.adapters.engines.openai import OpenAiEngine
from tiro.model.errors import SourceRefused, TiroError
from tiro.model.heard import believed
from tiro.model.speech import EngineOptions, Heard
from tiro.ports import Urgency

WINDOW_S = 2
ABILITIES = Abilities("openai", "whisper_1", ENGLISH, frozenset({"transcribe"}), max_window_s=300.0)

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.one_of(st.floats(-1, 3), st.integers(-1, 3), st.floats(), st.integers(), st.just(10**400))
TEXTS = st.one_of(st.sampled_from(["a", " b", "c.", "", " ", "\x00", "\ud800", "\u2028"]), st.text(max_size=12))
LANGUAGES = st.one_of(st.none(), st.sampled_from(["en", "english", "en_us", "", "xx"]), st.text(max_size=5))


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """As it should be, now and then anything."""
    return st.integers(0, 19).flatmap(lambda luck: ANYTHING if luck == 19 else strategy)


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with these fields, mostly."""
    return mostly(st.fixed_dictionaries({name: mostly(values) for name, values in known.items()}))


WORDS = st.lists(fields(word=TEXTS, start=NUMBERS, end=NUMBERS, probability=NUMBERS), max_size=4)
SEGMENTS = fields(
    start=NUMBERS, end=NUMBERS, text=TEXTS, avg_logprob=NUMBERS, no_speech_prob=NUMBERS, words=st.none() | WORDS
)
VERBOSE = fields(
    text=TEXTS, language=LANGUAGES, segments=st.none() | st.lists(SEGMENTS, max_size=4), words=st.none() | WORDS
)
MILLISECONDS = st.one_of(st.integers(-1000, 3000), NUMBERS)
TRANSCRIPT = fields(
    id=st.sampled_from(["t", "", "../..", "a b", "\n", "x" * 70_000, "?", "@x", "\ud800"]),
    status=st.sampled_from(["completed", "completed", "completed", "error"]),
    words=st.none()
    | st.lists(fields(text=TEXTS, start=MILLISECONDS, end=MILLISECONDS, confidence=NUMBERS), max_size=4),
    language_code=LANGUAGES,
    language_confidence=NUMBERS,
    error=st.none() | TEXTS,
)
STATUSES = st.sampled_from([200, 200, 200, 200, 200, 201, 204, 301, 400, 402, 403, 429, 500])
HEADERS = st.sampled_from(
    [{}, {}, {"Retry-After": "nan"}, {"Retry-After": "-1"}, {"Retry-After": "1e999"}, {"Location": "//x"}]
)


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


BROKEN = st.one_of(st.binary(max_size=50), st.integers(1, 100_000).map(lambda deep: b"[" * deep))


def answers(value: st.SearchStrategy[Any]) -> st.SearchStrategy[httpx2.Response]:
    body = st.integers(0, 9).flatmap(lambda luck: BROKEN if luck == 9 else value.map(as_bytes))
    return st.builds(
        lambda status, headers, content: httpx2.Response(status, headers=headers, content=content),
        STATUSES,
        HEADERS,
        body,
    )


async def heard_by(make: Callable[[Any], HostedEngine]) -> list[Heard]:
    """What the engine makes of it, as the activity takes it. Raises TiroError."""
    engine = make(None)
    await engine.start()
    try:
        heard = await engine.transcribe([numbered(WINDOW_S)], EngineOptions(), Urgency("job_1"))  # type: ignore[attr-defined]
    finally:
        await engine.stop()
    return believed(heard, [(0.0, float(WINDOW_S))])


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> Callable[[], httpx2.AsyncClient]:
    return lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


def sane(make: Callable[[Any], HostedEngine]) -> str:
    """Either words with numbers in range and text that any file can carry, or a word of the core's for why not."""
    try:
        (heard,) = asyncio.run(heard_by(make))
    except TiroError as refused:
        return refused.code
    for segment in heard.segments:
        for one in (segment, *segment.words):
            assert 0 <= one.start_s <= one.end_s <= WINDOW_S
            assert 0 <= one.confidence <= 1
            assert not {unicodedata.category(sign) for sign in one.text} & {"Cc", "Cs", "Zl", "Zp"}
    assert heard.language_probability is None or math.isfinite(heard.language_probability)
    return "heard"


@effort(150)
@given(answers(VERBOSE))
def test_any_answer_of_an_openai_server_is_words_or_an_error_of_the_core(answer: httpx2.Response) -> None:
    sane(lambda _: OpenAiEngine("http://x/v1", "k", "whisper-1", ABILITIES, client(lambda _: answer)))


@effort(150)
@given(answers(TRANSCRIPT), answers(TRANSCRIPT), answers(fields(upload_url=TEXTS)))
def test_any_answer_of_assemblyai_is_words_or_an_error_of_the_core(
    ordered: httpx2.Response, polled: httpx2.Response, uploaded: httpx2.Response
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return uploaded if request.url.path.endswith("/upload") else ordered if request.method == "POST" else polled

    sane(lambda _: AssemblyAiEngine("http://x", "k", "", client(answer), poll_scale=0.0))


URLS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["/a.mp3", "https://[", "http://x:99999/", "//", "\x00", "data:,", "https://ä.example/ä"]),
)
DATES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["Mon, 05 Jan 0001 00:00:00 +2359", "9999-12-31T23:59:59-23:59", "Tue, 06 Jan 2026 10:00:00 -0500"]
    ),
)
TAGS = st.sampled_from(
    [
        "<rss>", "</rss>", "<channel>", "<item>", "</item>", "<entry>", "</entry>", "<pubDate>", "</pubDate>", "<link>",
        "<guid>", "</guid>", "<!DOCTYPE x>", "<![CDATA[", "]]>", "<!--", "<![x", "<!ENTITY a 'b'>", "&a;", "&#0;", "<?xml", "?>",
        "<html>", "<head>", "<link rel=alternate type=application/rss+xml href='https://['>", "<script>", "<a b='", "<x:y>", "\xff",
    ]
)  # fmt: skip


@st.composite
def items(draw: st.DrawFn) -> str:
    return f'<item><link>{draw(URLS)}</link><pubDate>{draw(DATES)}</pubDate><enclosure url="{draw(URLS)}"/></item>'


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A feed, mostly; or pieces of feeds and pages in any order."""
    if draw(st.booleans()):
        inner = "".join(draw(st.lists(items(), max_size=3)))
        return f"<?xml version='1.0'?><rss><channel>{inner}</channel></rss>".encode("utf-8", "replace")
    pieces = draw(st.lists(st.one_of(TAGS, TAGS, DATES, URLS), max_size=12))
    start = draw(st.sampled_from(["<html>", "<!doctype html>", "<rss>", "<?xml version='1.0' encoding='utf-7'?>", ""]))
    return (start + "".join(pieces)).encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1"])), "replace")


def download(body: bytes, media_type: str) -> Download:
    answer = httpx2.Response(
        200,
        headers={"Content-Type": media_type},
        stream=httpx2.ByteStream(body),
        request=httpx2.Request("GET", "https://x.example/f"),
    )
    return Download(answer, Patience(60), Pace())


def followed(body: bytes, media_type: str) -> str:
    """Where it leads, or the reason why nowhere."""
    try:
        match podcast.kind(download(body, media_type)):
            case "feed":
                episodes = podcast.read_feed(download(body, media_type))
                return podcast.newest(episodes)
            case "page":
                return podcast.feed_of(download(body, media_type))
    except SourceRefused as refused:
        return refused.reason
    return "recording"


@effort(300)
@given(documents(), st.sampled_from(["text/html", "application/rss+xml", ""]))
@example(b"<html><![x<rss>", "")
@example(b"<html><![if x]>", "")
@example(b"<rss>" + b"<a>" * 200_000, "")
def test_any_feed_or_page_leads_somewhere_or_is_refused(body: bytes, media_type: str) -> None:
    assert isinstance(followed(body, media_type), str)


ADDRESSES = st.one_of(
    URLS,
    st.text(max_size=60),
    st.text(max_size=40).map("https://{}".format),
    st.text(max_size=40).map("https://x.example/{}".format),
)


@pytest.mark.hostile_input(47, "addresses made of anything", "one canonical spelling, or refused")
def test_any_address_is_read_in_one_way_or_refused(seen: Callable[[str], None]) -> None:
    """What is taken is taken again, unchanged."""
    guard = Guard(resolver=lambda host, port: [])

    @effort(300)
    @given(ADDRESSES)
    def any_address(text: str) -> None:
        try:
            once = str(guard.parse(text))
        except SourceRefused as refused:
            reason = refused.reason
        else:
            reason = "" if str(guard.parse(once)) == once else "read otherwise"
        assert reason in {"", "malformed_url", "scheme", "credentials", "forbidden_address"}

    any_address()
    seen("one canonical spelling, or refused")
