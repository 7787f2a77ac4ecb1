"""Does yt-dlp reach nothing but what the guard lets it reach, and take nothing but one recording?"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.hostile.egress.network import Network
from tests.hostile.egress.table import Case, Outcomes, parameters
from tests.hostile.egress.ways import download, sites
from tests.hostile.egress.world import PLAIN_SITE
from tiro.adapters.egress.guard import Guard

PAGES = {
    "thousands": ("a playlist of 5,000", "playlist"),
    "live": ("a live stream", "live"),
    "upcoming": ("a stream to come", "live"),
    "login-said": ("an age-gated video", "login_required"),
    "login": ("a page behind a login", "login_required"),
    "private": ("a private video", "login_required"),
    "drm": ("a video with DRM", "drm"),
    "long": ("a video of 277 hours", "duration_exceeds_limit"),
    "declared": ("a video that says it is a terabyte", "file_too_large"),
    "big": ("a video larger than the plan's limit", "file_too_large"),
    "titled": ("a title with ../, U+202E, NUL and a line break", "recording"),
    "moved": ("a page that redirects to 169.254.169.254", "forbidden_address"),
    "asks": ("an extractor that asks 169.254.169.254", "forbidden_address"),
    "asks-name": ("an extractor that asks a name for 127.0.0.1", "forbidden_address"),
    "inner": ("a recording at http://10.0.0.1/", "forbidden_address"),
    "metadata": ("a recording at https://169.254.169.254/", "forbidden_address"),
    "spelled": ("a recording at https://0x7f000001/", "forbidden_address"),
    "pieces": ("a stream whose pieces are at 10.0.0.1", "forbidden_address"),
    "locked": ("a stream whose key is at 169.254.169.254", "forbidden_address"),
    "redirect": ("a recording redirected to 127.0.0.1", "forbidden_address"),
    "file": ("a recording at file:///etc/passwd", "site_refused"),
    "elsewhere": ("a page for the generic extractor", "site_changed"),
    "socket": ("an extractor with a socket of its own", "site_changed"),
    "program": ("an extractor that starts a program", "site_changed"),
    "runtime": ("a JavaScript runtime that connects by itself", "site_refused"),
}


def _page(name: str, what: str, expected: str) -> Case:
    def act(network: Network) -> str:
        with tempfile.TemporaryDirectory() as folder:
            guard = Guard([f"{PLAIN_SITE}/32"])
            try:
                return download(network, f"http://named.example:8080/watch/{name}", guard, sites(guard, Path(folder)))
            finally:
                assert not list(Path(folder).iterdir()), "something was left"

    return Case(50, what, expected, act)


CASES = [_page(name, what, expected) for name, (what, expected) in PAGES.items()]


@pytest.mark.parametrize(("name", "expected"), parameters(CASES))
def test_a_site_gives_one_recording_or_nothing(name: str, expected: str, inside: Outcomes, seen) -> None:
    seen(inside[name].saw)
    assert inside[name].saw == expected
    assert inside[name].met
    assert not inside[name].astray
