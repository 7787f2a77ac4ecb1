"""What every upload desk promises: our own links over a folder and memory, presigned addresses of a real S3 server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from tests.servers.api import PUBLIC_URL, Api, ApiMaker, api_database, make_api
from tests.servers.s3 import S3Server, s3_bucket, s3_server
from tiro.adapters.storage import open_desk
from tiro.adapters.storage.desk_s3 import S3Desk
from tiro.adapters.storage.s3 import S3Blobs
from tiro.model.blob import source_key
from tiro.model.errors import Invalid, Permanent
from tiro.model.job import Job
from tiro.model.request import AwaitedSource, JobOptions, JobRequest
from tiro.model.upload import LEAST_PART_BYTES, MOST_BYTES
from tiro.ports import UploadDesk

__all__ = ["api_database", "make_api", "s3_bucket", "s3_server"]
PARTS = {1: b"a" * LEAST_PART_BYTES, 2: b"b" * 7}


class Shop:
    """A desk, the store that it belongs to, and a client without a key."""

    def __init__(self, api: Api, desk: UploadDesk, job: Job) -> None:
        self.api, self.desk, self.blobs = api, desk, api.house.blobs
        self.key = source_key(job.job_id)
        self.http = httpx2.Client(timeout=30, trust_env=False, verify=False)
        self.ends = api.house.clock.now() + timedelta(hours=1)

    async def put(self, url: str, data: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        reached = url.replace(PUBLIC_URL, self.api.url)
        return await asyncio.to_thread(self.http.put, reached, content=data, headers=headers or {})

    async def etag(self, upload_id: str, number: int, data: bytes) -> str:
        """Bring a part."""
        url = self.desk.part(self.key, upload_id, number, at_most_bytes=MOST_BYTES, until=self.ends)
        answer = await self.put(url, data)
        assert answer.status_code == 200, answer.text
        return answer.headers["ETag"].strip('"')

    async def brought(self) -> tuple[str, dict[int, str]]:
        """An open upload with both parts."""
        upload_id = await asyncio.to_thread(self.desk.begin, self.key)
        return upload_id, {number: await self.etag(upload_id, number, data) for number, data in PARTS.items()}

    def whole(self, size_bytes: int | None = None, media_type: str | None = None) -> tuple[str, dict[str, str]]:
        address = self.desk.put(
            self.key, size_bytes=size_bytes, media_type=media_type, at_most_bytes=MOST_BYTES, until=self.ends
        )
        return address.url, address.headers

    async def complete(self, upload_id: str, etags: dict[int, str]) -> None:
        await asyncio.to_thread(self.desk.complete, self.key, upload_id, etags)

    async def abort(self, upload_id: str) -> None:
        await asyncio.to_thread(self.desk.abort, self.key, upload_id)

    def stored(self) -> bytes | None:
        return None if self.blobs.head(self.key) is None else self.blobs.get(self.key)


@pytest.fixture(params=["folder", "memory", "s3", "s3-prefix"])
async def shop(
    request: pytest.FixtureRequest, tmp_path: Path, make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    url = {"folder": (tmp_path / "store").as_uri(), "memory": "memory://"}.get(request.param, "")
    if not url:
        server: S3Server = request.getfixturevalue("s3_server")
        url = f"s3://{request.getfixturevalue('s3_bucket')}{'/deep/below' if request.param == 's3-prefix' else ''}"
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
    api = await make_api(environ={"TIRO_BLOBS": url})
    house = api.house
    wish = JobRequest(
        job_id=house.intake.new_job_id(),
        account_id=api.account.account_id,
        dialect="jobs",
        options=JobOptions(),
        source=AwaitedSource(),
    )
    job, _ = await house.uploads.open_single(wish)
    desk = open_desk(url, house.blobs, house.passes, house.clock)
    shop = Shop(api, desk, job)
    yield shop
    shop.http.close()
    for one in (desk, house.blobs):
        if isinstance(one, S3Desk | S3Blobs):
            one.close()


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "audio/wav"}, {"Connection": "close"}])
async def test_what_is_brought_in_one_piece_is_there(shop: Shop, headers: dict[str, str]) -> None:
    """A type is neither demanded nor forbidden where none was given."""
    url, told = shop.whole()
    answer = await shop.put(url, b"sound", headers)
    assert (told, answer.status_code, shop.stored()) == ({}, 200, b"sound")
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.promise("T2")
async def test_a_declared_size_is_the_size(shop: Shop) -> None:
    """Shorter or longer is refused, and nothing is stored."""
    url, told = shop.whole(size_bytes=5)
    for other in (b"soun", b"sounds", b""):
        assert 400 <= (await shop.put(url, other)).status_code < 500
        assert shop.stored() is None
    assert told == {}
    assert (await shop.put(url, b"sound")).status_code == 200
    assert shop.stored() == b"sound"


@pytest.mark.promise("T2")
async def test_a_given_type_is_told_and_demanded(shop: Shop) -> None:
    """The client is told which header to send."""
    url, told = shop.whole(media_type="audio/mpeg")
    for other in ({}, {"Content-Type": "audio/wav"}):
        assert 400 <= (await shop.put(url, b"sound", other)).status_code < 500
        assert shop.stored() is None
    assert told == {"Content-Type": "audio/mpeg"}
    assert (await shop.put(url, b"sound", told)).status_code == 200


async def test_an_address_ends_with_its_time(shop: Shop) -> None:
    """For the whole and for a part."""
    upload_id = await asyncio.to_thread(shop.desk.begin, shop.key)
    shop.ends = shop.api.house.clock.now() + timedelta(seconds=1)
    part = shop.desk.part(shop.key, upload_id, 1, at_most_bytes=MOST_BYTES, until=shop.ends)
    for url in (shop.whole()[0], part):
        async with asyncio.timeout(20):
            while (answer := await shop.put(url, b"sound")).status_code == 200:
                await asyncio.sleep(0.1)
        assert answer.status_code == 403
    assert (await shop.put(part, b"sound")).status_code == 403


async def test_an_address_that_was_changed_opens_nothing(shop: Shop) -> None:
    """Whatever of it is another."""
    upload_id = await asyncio.to_thread(shop.desk.begin, shop.key)
    part = shop.desk.part(shop.key, upload_id, 1, at_most_bytes=MOST_BYTES, until=shop.ends)
    for url in (shop.whole()[0], part):
        for at in (-2, -30):
            other = url[:at] + ("0" if url[at] != "0" else "1") + url[at + 1 :]
            assert (await shop.put(other, b"sound")).status_code in {400, 403}
    assert shop.stored() is None
    assert shop.desk.present(shop.key, upload_id) == {}


async def test_parts_become_one_object_when_they_are_completed_and_not_before(shop: Shop) -> None:
    """In the order of their numbers, whatever the order in which they came."""
    upload_id = await asyncio.to_thread(shop.desk.begin, shop.key)
    etags = {number: await shop.etag(upload_id, number, PARTS[number]) for number in (2, 1)}
    assert shop.stored() is None
    present = shop.desk.present(shop.key, upload_id)
    assert {number: (part.size_bytes, part.etag) for number, part in present.items()} == {
        number: (len(data), etags[number]) for number, data in PARTS.items()
    }
    await shop.complete(upload_id, etags)
    assert shop.stored() == PARTS[1] + PARTS[2]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "audio/wav"}])
async def test_a_part_is_bound_to_no_type(shop: Shop, headers: dict[str, str]) -> None:
    """Clients send what they like, or nothing."""
    upload_id = await asyncio.to_thread(shop.desk.begin, shop.key)
    url = shop.desk.part(shop.key, upload_id, 1, at_most_bytes=MOST_BYTES, until=shop.ends)
    assert (await shop.put(url, b"any", headers)).status_code == 200
    assert shop.desk.present(shop.key, upload_id)[1].size_bytes == 3


async def test_a_part_that_comes_again_takes_the_place_of_the_one_before(shop: Shop) -> None:
    """The one before cannot be meant any more."""
    upload_id, etags = await shop.brought()
    again = etags | {2: await shop.etag(upload_id, 2, b"other")}
    with pytest.raises(Invalid):
        await shop.complete(upload_id, etags)
    assert shop.stored() is None
    await shop.complete(upload_id, again)
    assert shop.stored() == PARTS[1] + b"other"


async def test_completing_twice_is_completing_once(shop: Shop) -> None:
    """A client whose answer was lost asks again."""
    upload_id, etags = await shop.brought()
    await shop.complete(upload_id, etags)
    await shop.complete(upload_id, etags)
    assert shop.stored() == PARTS[1] + PARTS[2]


async def test_two_that_complete_at_once_both_succeed(shop: Shop) -> None:
    """Whoever takes the parts first."""
    upload_id, etags = await shop.brought()
    await asyncio.gather(*(shop.complete(upload_id, etags) for _ in range(4)))
    assert shop.stored() == PARTS[1] + PARTS[2]


@pytest.mark.parametrize(
    "wrong", [{}, {1: "0" * 32}, {3: "0" * 32}], ids=["none", "another tag", "a part that never came"]
)
async def test_parts_that_are_not_there_are_refused(shop: Shop, wrong: dict[int, str]) -> None:
    """The upload stays open: what is there can still be completed."""
    upload_id, etags = await shop.brought()
    with pytest.raises(Invalid) as refused:
        await shop.complete(upload_id, etags | wrong if wrong else {})
    assert (refused.value.code, shop.stored()) == ("invalid_upload", None)
    await shop.complete(upload_id, etags)


async def test_an_aborted_upload_is_gone(shop: Shop) -> None:
    """However often, and no part comes to it any more."""
    upload_id, etags = await shop.brought()
    await shop.abort(upload_id)
    await shop.abort(upload_id)
    for gone in (
        lambda: shop.desk.present(shop.key, upload_id),
        lambda: shop.desk.complete(shop.key, upload_id, etags),
    ):
        with pytest.raises(Permanent) as missing:
            await asyncio.to_thread(gone)
        assert missing.value.code == "upload_missing"
    url = shop.desk.part(shop.key, upload_id, 1, at_most_bytes=MOST_BYTES, until=shop.ends)
    assert (await shop.put(url, b"late")).status_code == 404
    assert list(shop.blobs.list("")) == []


async def test_aborting_after_the_end_takes_nothing_away(shop: Shop) -> None:
    """The object is complete."""
    upload_id, etags = await shop.brought()
    await shop.complete(upload_id, etags)
    await shop.abort(upload_id)
    assert shop.stored() == PARTS[1] + PARTS[2]


async def test_completing_leaves_nothing_but_the_object(shop: Shop) -> None:
    """No part costs space twice."""
    upload_id, etags = await shop.brought()
    await shop.complete(upload_id, etags)
    assert [info.key for info in shop.blobs.list("")] == [shop.key]


async def test_emptying_a_job_ends_its_uploads(shop: Shop) -> None:
    """By the prefix of what was to be brought."""
    upload_id, _ = await shop.brought()
    await asyncio.to_thread(shop.blobs.delete_prefix, shop.key)
    with pytest.raises(Permanent) as missing:
        shop.desk.present(shop.key, upload_id)
    assert missing.value.code == "upload_missing"


@pytest.mark.parametrize(
    "upload_id",
    ["", "x", "../../etc", "0" * 32, "\u00e9?&=", "y" * 5000],
    ids=["nothing", "a letter", "a path", "zeros", "odd signs", "5,000 letters"],
)
async def test_an_upload_that_never_was_is_not_there(shop: Shop, upload_id: str) -> None:
    """Ids come from strangers."""
    with pytest.raises(Permanent) as missing:
        await asyncio.to_thread(shop.desk.present, shop.key, upload_id)
    assert missing.value.code == "upload_missing"
