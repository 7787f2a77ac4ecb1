"""Are private networks open to strangers' addresses only where the operator says so, and is that said aloud?"""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from tests.servers.api import ApiMaker, make_api
from tiro.settings import read
from tiro.wiring import build_core

__all__ = ["make_api"]
ALLOW = "10.1.0.0/16, fd00:1::/32"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(url, expected, id=url, marks=pytest.mark.hostile_input(46, f"{url} where {ALLOW} is allowed", expected))
        for url, expected in {
            "http://10.1.2.3/a": "accepted",
            "https://0x0a010203/a": "accepted",
            "https://[fd00:1::5]/a": "accepted",
            "https://10.2.0.1/a": "forbidden_address",
            "https://127.0.0.1/a": "forbidden_address",
            "https://169.254.169.254/a": "forbidden_address",
            "https://[fd00:2::5]/a": "forbidden_address",
            "https://[::ffff:10.1.2.3]/a": "forbidden_address",
            "http://93.184.215.14/a": "scheme",
            "https://user:pass@10.1.2.3/a": "credentials",
        }.items()
    ],
)  # fmt: skip
async def test_only_the_allowed_networks_are_open(make_api: ApiMaker, url: str, expected: str, seen) -> None:
    api = await make_api(environ={"TIRO_EGRESS_ALLOW": ALLOW})
    source = await api.http.post("/jobs", json={"source_url": url})
    hook = await api.http.post("/jobs", json={"source_url": "https://93.184.215.14/a", "webhook_url": url})
    words = {answer.json().get("reason", "accepted") for answer in (source, hook)}
    seen(", ".join(sorted(words)))
    assert words == {expected}


@pytest.mark.parametrize("allow", ["", "10.1.0.0/16,fd00:1::/32"])
async def test_what_is_open_is_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture, allow: str) -> None:
    settings = read(
        {
            "TIRO_DATABASE_URL": f"sqlite:///{tmp_path / 'tiro.db'}",
            "TIRO_BLOBS": tmp_path.as_uri(),
            "TIRO_SECRET_KEY": base64.b64encode(b"s" * 32).decode(),
            "TIRO_ENGINES": "scripted",
            "TIRO_EGRESS_ALLOW": allow,
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
        }
    )
    with caplog.at_level(logging.WARNING):
        await (await build_core(settings)).close()
    said = [record.getMessage() for record in caplog.records if record.name == "tiro.wiring"]
    assert ["10.1.0.0/16, fd00:1::/32" in line for line in said] == ([True] if allow else [])
