"""Is a site's recording taken through the real yt-dlp, in its child, and through nothing but the guard?"""

from __future__ import annotations

import threading
import time

import pytest

from tests.servers.scripted_http import ScriptedHttp
from tiro.adapters.egress.fetcher import WebFetcher
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.patience import Patience
from tiro.adapters.egress.sites import Sites, extractor_count, js_runtime, version
from tiro.model.errors import MediaRefused, SourceRefused, TooLarge, Transient

OURS = ("tests.stubs.local_site:LocalSiteIE",)
SOUND = b"\x00\x00\x00\x1cftypM4A " + bytes(range(256)) * 100
MEDIA_LIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nseg1\n#EXTINF:2,\nseg2\n#EXT-X-ENDLIST\n"


def _scripts() -> dict:
    page = lambda visit: visit.answer(body=b"<html>a page</html>")  # noqa: E731
    names = (
        "best hls list live upcoming drm drm-said login login-said abroad gone changed long declared elsewhere metadata rtmp "
        "socket program hang die redirect big plain slow forbidden lost"
    ).split()
    return {
        **{f"/watch/{name}": page for name in names},
        "/any/page": page,
        "/media/best": lambda visit: visit.answer(body=SOUND),
        "/media/plain": lambda visit: visit.answer(body=SOUND),
        "/media/list.m3u8": lambda visit: visit.answer(body=MEDIA_LIST),
        "/media/seg1": lambda visit: visit.answer(body=b"first-"),
        "/media/seg2": lambda visit: visit.answer(body=b"second"),
        "/media/redirect": lambda visit: visit.answer(302, headers={"Location": "http://10.0.0.1/"}),
        "/media/big": lambda visit: visit.answer(body=b"x" * 1_000_001),
        "/media/slow": lambda visit: visit.drip(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10**6, 0.05
        ),
        "/media/forbidden": lambda visit: visit.answer(403),
        "/media/lost": lambda visit: visit.answer(503),
    }


@pytest.fixture
def site(serve) -> ScriptedHttp:
    return serve(_scripts())


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    yield folder
    assert not folder.exists() or not list(folder.iterdir())


@pytest.fixture
def take(guard, shelf, limits, stop, site, scratch):
    """Fetch `/watch/<what>`."""

    def run(what: str, *, by: Guard = guard, stop=stop, deadline_s: float = 60, host: str = "127.0.0.1"):
        fetcher = WebFetcher(by, Sites(by, scratch, OURS), deadline_s=deadline_s)
        return fetcher.fetch(site.url(f"/watch/{what}", host), limits, shelf.writer, stop)

    return run


def asked(site: ScriptedHttp) -> list[str]:
    return [visit.path for visit in site.visits]


def test_the_best_sound_alone_is_taken(take, site, shelf) -> None:
    fetched = take("best")
    assert (fetched.fetcher, shelf.content) == ("site", SOUND)
    assert asked(site) == ["/watch/best", "/media/best"]
    assert shelf.left_open == 0


def test_a_stream_in_pieces_is_put_together(take, shelf) -> None:
    take("hls")
    assert shelf.content == b"first-second"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("list", "playlist"),
        ("live", "live"),
        ("upcoming", "live"),
        ("drm", "drm"),
        ("drm-said", "drm"),
        ("login", "login_required"),
        ("login-said", "login_required"),
        ("abroad", "geo_restricted"),
        ("gone", "site_refused"),
        ("changed", "site_changed"),
        ("rtmp", "site_refused"),
        ("elsewhere", "site_changed"),
        ("metadata", "forbidden_address"),
        ("redirect", "forbidden_address"),
        ("socket", "site_changed"),
        ("program", "site_changed"),
    ],
)
@pytest.mark.promise("J42")
def test_what_will_not_be_taken_is_named(take, site, shelf, what: str, reason: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        take(what)
    assert (refused.value.code, refused.value.reason) == ("source_unavailable", reason)
    assert str(site.port) not in str(refused.value)
    assert asked(site)[0] == f"/watch/{what}"
    assert "/any/page" not in asked(site)
    assert shelf.content is None
    assert shelf.left_open == 0


def test_an_error_of_the_site_keeps_its_status(take) -> None:
    with pytest.raises(SourceRefused) as refused:
        take("forbidden")
    assert refused.value.extras == {"reason": "http_status", "upstream_status": 403}


def test_a_site_in_trouble_may_recover(take) -> None:
    with pytest.raises(Transient) as lost:
        take("lost")
    assert (lost.value.code, lost.value.extras["upstream_status"]) == ("source_unreachable", 503)


@pytest.mark.parametrize("what", ["big", "declared"])
def test_too_many_bytes_are_refused(take, shelf, what: str) -> None:
    with pytest.raises(TooLarge):
        take(what)
    assert shelf.content is None


@pytest.mark.promise("J19")
def test_too_many_seconds_are_refused_before_the_download(take, site) -> None:
    with pytest.raises(MediaRefused) as refused:
        take("long")
    assert refused.value.reason == "duration_exceeds_limit"
    assert asked(site) == ["/watch/long"]


@pytest.mark.parametrize("what", ["hang", "slow"])
def test_stop_ends_the_child_at_once(take, site, what: str) -> None:
    stop = threading.Event()

    def when_asked() -> None:
        while len(site.visits) < (2 if what == "slow" else 1):
            if stop.wait(0.02):
                return
        stop.set()

    threading.Thread(target=when_asked, daemon=True).start()
    with pytest.raises(Transient) as ended:
        take(what, stop=stop)
    assert ended.value.code == "stopped"


def test_the_deadline_ends_the_child(take) -> None:
    began = time.monotonic()
    with pytest.raises(Transient) as ended:
        take("hang", deadline_s=3)
    assert ended.value.code == "source_timeout"
    assert time.monotonic() - began < 15


def test_a_child_that_dies_is_tried_again(take) -> None:
    with pytest.raises(Transient) as died:
        take("die")
    assert died.value.code == "source_unreachable"


def test_names_are_resolved_by_the_guard_and_never_by_the_child(take, site, shelf) -> None:
    take("plain", by=Guard(["127.0.0.0/8"], lambda host, port: ["127.0.0.1"]), host="named.example")
    assert shelf.content == SOUND
    assert site.visits[0].headers["host"].startswith("named.example:")


def test_a_site_whose_name_turns_private_is_refused(take, site) -> None:
    answers = iter([["127.0.0.1"], *[["10.0.0.1"]] * 20])
    with pytest.raises(SourceRefused, match="forbidden_address"):
        take("plain", by=Guard(["127.0.0.0/8"], lambda host, port: next(answers)), host="named.example")
    assert asked(site) == ["/watch/plain"]


def test_only_addresses_of_known_sites_go_to_yt_dlp(guard) -> None:
    sites = Sites(guard)
    assert sites.knows("https://www.youtube.com/watch?v=BaW_jenozKc", Patience(60))
    assert sites.knows("https://vimeo.com/12345", Patience(60))
    assert not sites.knows("https://example.com/recording.mp3", Patience(60))
    assert not sites.knows("https://bucket.s3.amazonaws.com/key.wav?X-Amz-Signature=abc", Patience(60))
    assert not sites.knows("http://127.0.0.1:8080/watch/best", Patience(60))


def test_the_doctor_can_name_what_it_has() -> None:
    assert extractor_count() >= 1500
    assert version().count(".") >= 2
    assert js_runtime() is None or " " in str(js_runtime())
