"""What happens when everybody comes at once? Two APIs and two workers serve a crowd, and nothing is lost, doubled or overdrawn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

import httpx2
import msgspec
import psycopg
import pytest

from tests.acceptance.books import closed_books
from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tests.servers.s3 import S3Server
from tests.servers.scripted_http import Script, ScriptedHttp
from tiro.adapters.storage.s3 import connect
from tiro.model.job import Job

POSTS = {"free": 12, "pro": 60, "business": 78}
SLOTS = {"free": 2, "pro": 20, "business": 50}
REPEATED = 50
"""Beside these: one request of the business account, again and again, at both APIs."""
LENGTHS_S = (2, 3, 4, 5)
_SLOTS = """
    SELECT account_id, running, count(*) FILTER (WHERE admitted), count(*) FILTER (WHERE state = 'processing')
    FROM accounts JOIN jobs USING (account_id) GROUP BY account_id, running
"""
_OWN = ("source", "spans/", "parts/", "turns/", "transcript.json", "results/", "events/")


class Post(msgspec.Struct, frozen=True):
    """One request of the crowd: a form with the recording, or JSON with its address."""

    key: str
    seconds: int
    form: bool
    idempotency_key: str | None = None


class Door:
    """Both APIs, and a shop that has the recordings."""

    def __init__(self, site: Site, addresses: Sequence[str], shop: ScriptedHttp) -> None:
        self._hook = site.sink.url
        self._shop = shop
        self._recordings = {seconds: wav(numbered(seconds)) for seconds in LENGTHS_S}
        limits = httpx2.Limits(max_connections=None)
        self._apis = [
            httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False, limits=limits) for address in addresses
        ]

    async def all_at_once(self, posts: Sequence[Post]) -> list[httpx2.Response]:
        """Their answers; every one is a 202."""
        turns = zip(posts, itertools.cycle(self._apis), strict=False)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._post(api, post)) for post, api in turns]
        return [task.result() for task in tasks]

    async def completed_since(self, moment: datetime, key: str) -> list[str]:
        """The list, page by page, each from the other API."""
        asked = {"status": "completed", "since": moment.isoformat(), "limit": "7"}
        found: list[str] = []
        for api in itertools.cycle(self._apis):
            page = (await api.get("/jobs", params=asked, headers={"Authorization": f"Bearer {key}"})).json()
            found += [str(job["job_id"]) for job in page["jobs"]]
            if page["next_cursor"] is None:
                break
            asked["cursor"] = page["next_cursor"]
        return found

    async def close(self) -> None:
        for api in self._apis:
            await api.aclose()

    async def _post(self, api: httpx2.AsyncClient, post: Post) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {post.key}"}
        if post.idempotency_key is not None:
            headers["Idempotency-Key"] = post.idempotency_key
        fields: dict[str, str | bool] = {"language": "en", "webhook_url": self._hook}
        if post.form:
            files = {"file": ("recording.wav", self._recordings[post.seconds])}
            answer = await api.post("/jobs", headers=headers, data=fields, files=files)
        else:
            fields["diarize"] = False
            fields["source_url"] = self._shop.url(f"/{post.seconds}.wav")
            answer = await api.post("/jobs", headers=headers, json=fields)
        assert answer.status_code == 202, answer.text
        return answer


@pytest.mark.timeout(480)
@pytest.mark.promise("J4", "J38", "J39", "J48")
async def test_a_crowd_of_three_plans_is_served_once_each_and_within_its_slots(
    make_site: SiteMaker, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 requests at once through two APIs; then the slots, the books, the events, the store and the list are looked through."""
    reached = s3_server.environ()
    for name, value in reached.items():
        monkeypatch.setenv(name, value)
    site = await make_site(TIRO_BLOBS=f"s3://{s3_bucket}/tiro", **reached)
    members = {plan: await site.member(plan) for plan in POSTS}
    caps = {account.account_id: site.house.plans.named(plan).max_jobs for plan, (account, _) in members.items()}
    posts = _crowd({plan: key for plan, (_, key) in members.items()})
    addresses = await _started(site)
    with _shop() as shop:
        async with _watched(site, caps):
            door, opened_at = Door(site, addresses, shop), datetime.now(UTC)
            answers = await door.all_at_once(posts)
            await site.until(lambda: _none(site, "jobs", "state IN ('queued', 'processing')"), "all have ended", 240)
            await site.until(lambda: _none(site, "deliveries", "state = 'pending'"), "all events are delivered")
    lengths = {str(answer.json()["job_id"]): post.seconds for answer, post in zip(answers, posts, strict=True)}
    assert len({answer.content for answer in answers}) == len(lengths) == sum(POSTS.values()) + 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count("true") == REPEATED - 1
    jobs = [await site.job(job_id) for job_id in lengths]
    charged: dict[str, int] = {}
    for account_id, cap in caps.items():
        assert 1 < _most_at_once([job for job in jobs if job.account_id == account_id]) <= cap
        charged |= await closed_books(site, account_id)
    assert charged == lengths
    for job_id, seconds in lengths.items():
        await site.audit(job_id, seconds=seconds)
        assert [sent.status for sent in site.sink.of_job(job_id)] == [200]
    await _check_store(site, s3_server, s3_bucket, set(lengths))
    listed = [job_id for _, key in members.values() for job_id in await door.completed_since(opened_at, key)]
    assert sorted(listed) == sorted(lengths)
    await door.close()


def _crowd(keys: Mapping[str, str]) -> list[Post]:
    """All mixed, as they would come."""
    lengths = itertools.cycle(LENGTHS_S)
    posts = [Post(keys[plan], next(lengths), n % 3 > 0) for plan, count in POSTS.items() for n in range(count)]
    posts += [Post(keys["business"], LENGTHS_S[0], form=True, idempotency_key="once")] * REPEATED
    return [post for first in range(17) for post in posts[first::17]]


async def _started(site: Site) -> list[str]:
    workers = [site.worker(flight="4") for _ in range(2)]
    addresses = [address for _, address in [await site.serving(), await site.serving()]]
    for worker in workers:
        await worker.says("working on")
    return addresses


def _shop() -> ScriptedHttp:
    """Sells the same recordings that others bring along."""

    def selling(seconds: int) -> Script:
        body = wav(numbered(seconds))
        return lambda visit: visit.answer(200, body, {"Content-Type": "audio/wav"})

    return ScriptedHttp({f"/{seconds}.wav": selling(seconds) for seconds in LENGTHS_S})


@contextlib.asynccontextmanager
async def _watched(site: Site, caps: Mapping[str, int]) -> AsyncIterator[None]:
    """At no look into the database does an account have more slots, or more jobs under way, than its plan."""
    looks = 0

    async def look() -> None:
        nonlocal looks
        address = site.environ["TIRO_DATABASE_URL"]
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as records:
            while True:
                for account_id, running, admitted, processing in await (await records.execute(_SLOTS)).fetchall():
                    assert processing <= admitted == running <= caps[account_id]
                looks += 1
                await asyncio.sleep(0.05)

    watching = asyncio.create_task(look())
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert looks > len(caps)


async def _none(site: Site, table: str, condition: str) -> bool:
    with psycopg.connect(site.environ["TIRO_DATABASE_URL"]) as records:
        return records.execute(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1").fetchone() is None  # type: ignore[arg-type]


def _most_at_once(jobs: Sequence[Job]) -> int:
    """By their own times: how many of these were under way together."""
    steps = [(job.started_at, 1) for job in jobs] + [(job.ended_at, -1) for job in jobs]
    steps.sort(key=lambda step: (step[0], step[1]))
    return max(itertools.accumulate(step for _, step in steps))


async def _check_store(site: Site, server: S3Server, bucket: str, job_ids: set[str]) -> None:
    """Only what belongs to these jobs: no upload that was not needed, and none that stands open."""
    for info in site.house.blobs.list(""):
        _, job_id, name = info.key.split("/", 2)
        assert job_id in job_ids
        assert name.startswith(_OWN)
    assert await _none(site, "uploads", "true")
    client = connect(server.options)
    try:
        assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    finally:
        client.close()
