"""A site for yt-dlp that lives on the test's own server: `/watch/<what>` names what its page is about."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError


def _sound(base: str, **other: Any) -> dict[str, Any]:
    return {"url": f"{base}/media/best", "ext": "m4a", "vcodec": "none", "acodec": "aac", "format_id": "sound", **other}


def _three(base: str) -> list[dict[str, Any]]:
    return [
        _sound(base, url=f"{base}/media/low", format_id="low", abr=32),
        _sound(base, url=f"{base}/media/video", format_id="video", ext="mp4", vcodec="h264", height=1080),
        _sound(base, format_id="high", abr=128),
    ]


_TITLE = "../../../../tmp/\u202e3pm.exe\n%(id)s $(id) \u0000"


def _one_more(base: str, n: int) -> dict[str, Any]:
    if n > 100:
        raise AssertionError("nobody reads lists")
    return {"_type": "url", "url": f"{base}/watch/best?n={n}"}


def _run_javascript() -> None:
    """What stands for a JavaScript runtime here says whether it got anywhere."""
    said = subprocess.run(["node", "-"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    if said.strip() == "cut off":
        _unavailable("The script was cut off")


def _unavailable(message: str) -> None:
    raise ExtractorError(message, expected=True)


PAGES: dict[str, Callable[[str], dict[str, Any]]] = {
    "best": lambda base: {"formats": _three(base)},
    "hls": lambda base: {"formats": [_sound(base, url=f"{base}/media/list.m3u8", protocol="m3u8_native")]},
    "live": lambda base: {"is_live": True},
    "upcoming": lambda base: {"live_status": "is_upcoming"},
    "drm": lambda base: {"formats": [_sound(base, has_drm=True)]},
    "long": lambda base: {"duration": 1_000_000},
    "declared": lambda base: {"formats": [_sound(base, filesize=10**12)]},
    "metadata": lambda base: {"formats": [_sound(base, url="https://169.254.169.254/latest")]},
    "rtmp": lambda base: {"formats": [_sound(base, url="rtmp://127.0.0.1/x", protocol="rtmp")]},
    "elsewhere": lambda base: {"_type": "url", "url": f"{base}/any/page"},
    "list": lambda base: {"_type": "playlist", "entries": [{"_type": "url", "url": f"{base}/watch/best"}] * 3},
    "inner": lambda base: {"formats": [_sound(base, url="http://10.0.0.1/a.m4a")]},
    "spelled": lambda base: {"formats": [_sound(base, url="https://0x7f000001/a.m4a")]},
    "pieces": lambda base: {"formats": [_sound(base, url=f"{base}/media/inner.m3u8", protocol="m3u8_native")]},
    "locked": lambda base: {"formats": [_sound(base, url=f"{base}/media/locked.m3u8", protocol="m3u8_native")]},
    "file": lambda base: {"formats": [_sound(base, url="file:///etc/passwd")]},
    "thousands": lambda base: {"_type": "playlist", "entries": (_one_more(base, n) for n in range(5000))},
    "private": lambda base: {"formats": [], "availability": "private"},
    "titled": lambda base: {"title": _TITLE, "id": "../../" + _TITLE, "ext": "../../sh", "formats": [_sound(base)]},
}
DEEDS: dict[str, Callable[[InfoExtractor, str], object]] = {
    "drm-said": lambda site, base: site.report_drm("drm-said"),
    "login": lambda site, base: site.raise_login_required(),
    "login-said": lambda site, base: _unavailable("Sign in to confirm your age"),
    "abroad": lambda site, base: site.raise_geo_restricted(countries=["FR"]),
    "gone": lambda site, base: _unavailable("This video was removed"),
    "changed": lambda site, base: site._search_regex(r"(no such thing)", "page", "thing"),
    "socket": lambda site, base: socket.create_connection(("127.0.0.1", urlsplit(base).port or 0)),
    "program": lambda site, base: subprocess.run(["true"]),
    "asks": lambda site, base: site._download_webpage("http://169.254.169.254/latest/", "asks"),
    "asks-name": lambda site, base: site._download_webpage("https://loop.world.example/", "asks-name"),
    "runtime": lambda site, base: _run_javascript(),
    "hang": lambda site, base: time.sleep(600),
    "die": lambda site, base: os._exit(7),
}


class LocalSiteIE(InfoExtractor):
    """Reads its page, then does or says what the page's path asks for."""

    IE_NAME = "local-site"
    _VALID_URL = r"(?P<base>https?://(?:127\.0\.0\.1|named\.example):\d+)/watch/(?P<id>[\w-]+)"

    def _real_extract(self, url: str) -> dict[str, Any]:
        match = re.match(self._VALID_URL, url)
        base, what = match["base"], match["id"]
        self._download_webpage(url, what)
        if what in DEEDS:
            DEEDS[what](self, base)
        page = {"id": what, "title": "../../" + what, "formats": [_sound(base, url=f"{base}/media/{what}")]}
        return {**page, **PAGES.get(what, lambda base: {})(base)}
