"""Which jobs are refused, and by which code? Whatever is sent, it is told in this dialect, and nothing is left behind."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.dialects.transcribe.asking import HOOK, URL, big_file, coded, refused
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api

GIB = 1 << 30
JOB, FILE = (400, "invalid_job_request"), (400, "invalid_file_metadata")
BIG: dict[str, Any] = {"type": "big_file", "size_bytes": 1000}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def paid(lasting_api: Api) -> Api:
    return await funded(lasting_api)


def batch(*files: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "batch", "files": list(files), **fields}


def at(url: str) -> dict[str, Any]:
    return {"type": "big_file", "source": {"type": "url", "url": url}}


@pytest.mark.promise("T18")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "small_file", "size_bytes": 5},
        {"type": ["big_file"], "size_bytes": 5},
        {"type": {"a": 1}},
        {"size_bytes": 5},
        {"type": "big_file", "files": [{}]},
        BIG | {"size_bytes": 0},
        BIG | {"size_bytes": -1},
        BIG | {"size_bytes": 1.5},
        BIG | {"size_bytes": "1000"},
        BIG | {"size_bytes": True},
        BIG | {"size_bytes": 10**30, "content_type": 5},
        BIG | {"content_type": "video/mp4"},
        BIG | {"filename": "film.mp4"},
        BIG | {"filename": "notes.txt"},
        BIG | {"filename": f"{'n' * 1025}.mp3"},
        BIG | {"reference_id": "r" * 129},
        BIG | {"reference_id": ["a"]},
        BIG | {"language": "xx"},
        BIG | {"language": "en-US"},
        BIG | {"language": "EN"},
        BIG | {"task": "sing"},
        BIG | {"model": "gpt-9"},
        BIG | {"vad_filter": "true"},
        BIG | {"vtt_granularity": "page"},
        BIG | {"exclude": "text,secrets"},
        BIG | {"initial_prompt": "p" * 5000},
        BIG | {"webhook_url": "http://example.com/hook"},
        BIG | {"webhook_url": "https://127.0.0.1/hook"},
        BIG | {"webhook_url": "https://user:secret@example.com/hook"},
        BIG | {"webhook_url": 7},
        {"type": "batch"},
        {"type": "batch", "files": []},
        {"type": "batch", "files": {"0": {}}},
        {"files": []},
        {"files": "all of them"},
        batch({}, file_count=-1),
        batch({}, total_size_bytes=-1),
        batch({"language": "xx"}),
        batch({}, language="xx"),
    ],
)
async def test_a_job_that_is_none(paid: Api, body: dict[str, Any]) -> None:
    assert await refused(paid, body) == JOB


@pytest.mark.promise("T39")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "audio.mp3",
        "http://example.com/a.mp3",
        "ftp://example.com/a.mp3",
        "file:///etc/passwd",
        "https://user:secret@example.com/a.mp3",
        "https://127.0.0.1/a.mp3",
        "https://10.0.0.8/a.mp3",
        "https://169.254.169.254/latest",
        "https://[::1]/a.mp3",
        "https://localhost/a.mp3",
        "https://example.com:0/a.mp3",
        f"https://example.com/{'a' * 10_000}",
    ],
    ids=lambda url: url[:40],
)
async def test_an_address_that_cannot_be_used_is_refused_and_never_repeated(paid: Api, url: str) -> None:
    """Alone, in a batch, and in a list without a type."""
    for body in (at(url), batch({"url": URL}, {"url": url}), {"files": [{"url": url}]}):
        answer = await paid.http.post("/v1/jobs", json=body)
        assert coded(answer) == JOB
        assert not url or url not in answer.text
        assert "secret" not in answer.text


@pytest.mark.parametrize(
    "source", [5, [], "https://example.com", {}, {"type": "s3", "url": URL}, {"type": "url", "url": 5}]
)
async def test_a_source_is_an_address(paid: Api, source: Any) -> None:
    assert await refused(paid, {"type": "big_file", "source": source}) == JOB


@pytest.mark.promise("T20")
@pytest.mark.parametrize(
    "files",
    [
        [5],
        [None],
        [{"reference_id": "a"}, {"reference_id": "a"}],
        [{"file_id": "a"}, {"reference_id": "a"}],
        [{}, {"reference_id": "file_000001"}],
        [{"reference_id": "r" * 129}],
        [{"reference_id": 5}],
        [{"size_bytes": 0}],
        [{"size_bytes": -5}],
        [{"size_bytes": "5"}],
        [{"content_type": "video/mp4"}],
        [{"content_type": "audio/flac"}],
        [{"filename": "film.mp4"}],
        [{"filename": "song.flac"}],
        [{"url": 5}],
    ],
)
async def test_what_is_wrong_with_a_file_is_its_metadata(paid: Api, files: list[Any]) -> None:
    assert await refused(paid, batch(*files)) == FILE


@pytest.mark.promise("T20")
@pytest.mark.parametrize(
    "said",
    [
        {"filename": "a.MP3"},
        {"filename": "a.mpga"},
        {"filename": "interview"},
        {"filename": "a.webm", "content_type": "audio/webm;codecs=opus"},
        {"filename": "recording.mp4", "content_type": "audio/mp4"},
        {"content_type": "audio/x-wav"},
        {"content_type": "application/octet-stream", "filename": "a.m4a"},
        {"content_type": "video/webm"},
    ],
)
async def test_a_format_is_told_by_its_type_else_by_its_name(paid: Api, said: dict[str, str]) -> None:
    answer = await paid.http.post("/v1/jobs", json=batch(said, {}))
    assert answer.status_code == 200, answer.text


@pytest.mark.promise("T38")
@pytest.mark.parametrize(
    "body",
    [
        BIG | {"size_bytes": 10 * GIB + 1},
        BIG | {"size_bytes": 10**30},
        batch({"size_bytes": 6 * GIB}, {"size_bytes": 5 * GIB}),
        batch({"size_bytes": 6 * GIB, "url": URL}, {"size_bytes": 5 * GIB, "url": URL}),
        batch({}, total_size_bytes=10 * GIB + 1),
    ],
)
async def test_more_than_ten_gigabytes_are_refused_with_the_limit(paid: Api, body: dict[str, Any]) -> None:
    answer = await paid.http.post("/v1/jobs", json=body)
    assert coded(answer) == (400, "batch_too_large")
    assert answer.json()["limits"] == {"max_bytes": 10 * GIB}


@pytest.mark.promise("T33")
async def test_more_than_ten_thousand_files_are_refused_with_the_limit(paid: Api) -> None:
    answer = await paid.http.post("/v1/jobs", json=batch(*({} for _ in range(10_001))))
    assert coded(answer) == (400, "too_many_files")
    assert answer.json()["limits"] == {"max_files": 10_000}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"type": "big_file", "size_bytes": 5, "reference_id": "a\\u0000b"}', "invalid_json"),
        (b'{"files": [{"reference_id": "\\ud800"}]}', "invalid_json"),
        (b'{"files": [{"reference_id": "\xff"}]}', "invalid_json"),
        (b'{"type": "big_file", "size_bytes": 1e999}', "invalid_json"),
        (b'{"files": ' + b"[" * 5000 + b"]" * 5000 + b"}", "invalid_json"),
        (b'{"type": "batch", "type": "big_file", "size_bytes": 5, "size_bytes": "5"}', "invalid_job_request"),
        (b'{"files": [' + b"[]," * 400_000 + b"[]]}", "invalid_job_request"),
        (b'{"files": ["' + b'","' * 900_000 + b'"]}', "invalid_job_request"),
        (b'{"files": ["' + b"x" * (8 << 20) + b'"]}', "invalid_job_request"),
        (b'{"files": "' + b'\\"' * 3_000_000, "invalid_job_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:24]),
)
async def test_json_that_is_none_or_too_much(paid: Api, body: bytes, code: str) -> None:
    for path in ("/v1/jobs", "/v1/transcribe"):
        answer = await paid.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert coded(answer) == (400, code)


@pytest.mark.promise("T34")
async def test_a_job_is_json(paid: Api) -> None:
    form = await paid.http.post("/v1/jobs", data={"type": "big_file", "size_bytes": "5"})
    untyped = await paid.http.post("/v1/jobs", content=b"{}")
    assert coded(form) == coded(untyped) == (400, "invalid_json")


async def test_a_refused_job_leaves_nothing_behind(paid: Api) -> None:
    before = len(await paid.house.jobs.page(None, limit=1000)), list(paid.house.blobs.list("jobs/"))
    for body in (
        BIG | {"language": "xx"},
        batch({"url": "https://10.0.0.8/a"}),
        batch({}, webhook_url="http://x.example"),
    ):
        assert (await refused(paid, body))[0] == 400
    assert (len(await paid.house.jobs.page(None, limit=1000)), list(paid.house.blobs.list("jobs/"))) == before


@pytest.mark.promise("T32", "T33")
async def test_who_may_not_come_in_hears_it_on_every_route(paid: Api) -> None:
    job_id = (await big_file(paid))["job_id"]
    _, unverified = await paid.account_with_key(email="new@example.com")
    routes = [
        ("POST", "/v1/jobs"),
        ("POST", f"/v1/jobs/{job_id}/upload-urls"),
        ("POST", f"/v1/jobs/{job_id}/resume-upload"),
        ("POST", f"/v1/transcribe/{job_id}/upload-completed"),
        ("GET", f"/v1/transcribe/{job_id}"),
        ("GET", f"/v1/transcribe/{job_id}/result"),
        ("DELETE", f"/v1/transcribe/{job_id}"),
    ]
    async with httpx2.AsyncClient(base_url=paid.url, trust_env=False) as http:
        for method, path in routes:
            assert coded(await http.request(method, path)) == (401, "missing_api_key")
            wrong = await http.request(method, path, headers=paid.bearer("tsk_live_wrong"))
            assert coded(wrong) == (401, "invalid_api_key")
            early = await http.request(method, path, headers=paid.bearer(unverified))
            assert coded(early) == (403, "email_not_verified")


@pytest.mark.promise("T29")
async def test_only_creating_counts_against_the_rate(paid: Api) -> None:
    """Ten a minute on the free plan; whoever has been refused can still ask about the jobs that there are."""
    account, key = await paid.account_with_key(plan="free")
    mine = paid.bearer(key)
    await paid.house.wallets.credit(account.account_id, 1_000_000, "for the test")
    answers = [await paid.http.post("/v1/jobs", json=BIG | {"webhook_url": HOOK}, headers=mine) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert coded(answers[-1]) == (429, "rate_limit_exceeded")
    job_id = answers[0].json()["job_id"]
    for method, path, status in (
        ("GET", f"/v1/transcribe/{job_id}", 200),
        ("POST", f"/v1/jobs/{job_id}/upload-urls", 400),
        ("POST", f"/v1/transcribe/{job_id}/upload-completed", 200),
    ):
        assert (await paid.http.request(method, path, headers=mine)).status_code == status
