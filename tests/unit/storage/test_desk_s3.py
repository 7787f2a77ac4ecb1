"""Do presigned addresses lead to the server as clients reach it, and say no more than they must?"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.databases import SteppedClock, clock
from tiro.adapters.storage import S3Options, open_desk
from tiro.adapters.storage.desk_s3 import S3Desk
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.errors import Invalid, Transient
from tiro.settings import read
from tiro.sign import Passes

__all__ = ["clock"]
INSIDE = S3Options(endpoint="http://127.0.0.1:9", access_key="key-id", secret_key="not-a-secret", attempts=1)


def opened(clock: SteppedClock, public: str | None) -> S3Desk:
    passes = Passes(b"k" * 32, "https://tiro.example")
    desk = open_desk("s3://bucket/below", MemoryBlobs(clock), passes, clock, INSIDE, public)
    assert isinstance(desk, S3Desk)
    return desk


@pytest.mark.parametrize("public", [None, "https://s3.tiro.example"])
def test_clients_get_the_address_that_they_can_reach(clock: SteppedClock, public: str | None) -> None:
    """And the server goes on by its own."""
    desk, until = opened(clock, public), clock.now() + timedelta(hours=1)
    part = desk.part("jobs/a/source", "id", 7, at_most_bytes=9, until=until)
    whole = desk.put("jobs/a/source", size_bytes=5, media_type="audio/mpeg", at_most_bytes=9, until=until).url
    for url in (part, whole):
        assert url.startswith(f"{public or INSIDE.endpoint}/bucket/below/jobs/a/source?")
    with pytest.raises(Transient):
        desk.begin("jobs/a/source")
    desk.close()


def test_only_what_is_bound_is_signed(clock: SteppedClock) -> None:
    """For an hour; a checksum that a library adds by itself no client could send."""
    desk, until = opened(clock, None), clock.now() + timedelta(hours=1)

    def signed(url: str) -> tuple[str, str]:
        query = parse_qs(urlsplit(url).query)
        assert not [name for name in query if "checksum" in name.lower()]
        return query["X-Amz-SignedHeaders"][0], query["X-Amz-Expires"][0]

    def put(size_bytes: int | None, media_type: str | None) -> str:
        return desk.put("a/source", size_bytes=size_bytes, media_type=media_type, at_most_bytes=9, until=until).url

    assert signed(put(None, None)) == ("host", "3600")
    assert signed(put(5, None)) == ("content-length;host", "3600")
    assert signed(put(None, "audio/wav")) == ("content-type;host", "3600")
    assert signed(desk.part("a/source", "id", 1, at_most_bytes=9, until=until)) == ("host", "3600")
    desk.close()


def test_the_public_address_must_be_one() -> None:
    """Said before anything is served."""
    told = {"TIRO_DATABASE_URL": "sqlite:///x", "TIRO_BLOBS": "s3://bucket", "TIRO_SECRET_KEY": "x"}
    assert read(told | {"TIRO_S3_PUBLIC_URL": "https://s3.tiro.example"}).s3_public_url == "https://s3.tiro.example"
    assert read(told | {"TIRO_S3_PUBLIC_URL": ""}).s3_public_url is None
    with pytest.raises(Invalid, match="TIRO_S3_PUBLIC_URL"):
        read(told | {"TIRO_S3_PUBLIC_URL": "ftp://s3.tiro.example"})
