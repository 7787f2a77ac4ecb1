"""What strangers write into the JSON of jobs: names, numbers, addresses and keys that are none, or somebody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.dialects.transcribe.asking import big_file, coded, created
from tests.dialects.transcribe.calling import funded
from tests.hostile.egress.test_submit import CLOSED, NAMED, ODD
from tests.hostile.requests.test_ids import IDS
from tests.servers.api import PUBLIC_URL, Api, apis
from tests.servers.postgres import PostgresServer
from tiro.model.batch import ManifestEntry
from tiro.model.upload import PUT_BELOW_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

Note = Callable[[str], None]
JOB = (400, "invalid_job_request")
HUGE = 10**30


def hostile(number: int, what: str, *values: object, expected: str) -> Any:
    return pytest.param(*values, marks=pytest.mark.hostile_input(number, f"jobs: {what}", expected), id=what)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(
    tmp_path_factory: pytest.TempPathFactory,
    api_database: Path,
    postgres_server: PostgresServer,
    postgres_template: str,
) -> AsyncIterator[Api]:
    """Over PostgreSQL, which takes neither NUL in a text nor any number that SQLite would."""
    name = postgres_server.create(postgres_template)
    folder = tmp_path_factory.mktemp("strict")
    plans = folder / "plans.toml"
    plans.write_text("[plans.business]\nrequests_minute = 100000\nmax_awaiting = 100000\n")
    async with apis(folder, api_database) as make:
        environ = {"TIRO_DATABASE_URL": postgres_server.url(name), "TIRO_PLANS": str(plans)}
        api = await funded(await make(environ=environ))
        await api.house.accounts.change(api.account.account_id, self_topup=True)
        yield api
    postgres_server.drop(name)


NAMES = {
    "a formula": '=HYPERLINK("https://evil.example";"pay")',
    "a formula by another sign": "@SUM(1+1)*cmd|' /C calc'!A0",
    "a tab before a formula": "\t=1+1",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a terminal's order": "\x1b]0;owned\x07\x1b[2J",
    "line feeds": "a\r\nSet-Cookie: x=y\r\n\r\nHTTP/1.1 200",
    "from right to left": "\u202egpj.exe",
    "line separators": "a\u2028b\u2029c",
    "nothing to be seen": "\u200b\ufeff\u2060",
    "a way out": "../../../../etc/passwd",
    "a way out of Windows": "..\\..\\C:\\con",
    "SQL": "x'; DROP TABLE jobs; --",
    "a template": "{{7*7}}${7*7}%s%n{0}",
    "JSON": '{"$ref": "#/x"}',
    "128 of four bytes": "\U0001f600" * 128,
    "128 that combine": "e" + "\u0301" * 127,
    "the last sign there is": "\U0010ffff",
    "a space": " ",
    "a number of another file": "file_000002",
}


@pytest.mark.parametrize("text", [hostile(42, f"named: {what}", text, expected="kept") for what, text in NAMES.items()])
async def test_a_name_is_kept_as_it_is_and_means_nothing(strict: Api, seen: Note, text: str) -> None:
    """As reference of the job and of a file, and as a file's name: told again as it came, and part of no key, link or header."""
    file = {"reference_id": text, "filename": f"{text}.mp3"}
    told = await created(strict, {"files": [file, {"reference_id": "other"}], "reference_id": text})
    first = told["uploads"][0]
    assert (told["reference_id"], first["reference_id"], first["filename"]) == (text, text, f"{text}.mp3")
    assert first["key"] == f"jobs/{told['job_id']}/files/00000/source"
    assert first["upload"]["url"].startswith(f"{PUBLIC_URL}/files/")
    answer = await strict.http.get(f"/v1/transcribe/{told['job_id']}")
    assert answer.json()["reference_id"] == text
    assert "set-cookie" not in answer.headers
    page = await strict.http.post(f"/v1/jobs/{told['job_id']}/upload-urls", json={"files": [{"file_id": text}]})
    assert [one["file_id"] for one in page.json()["uploads"]] == [text]
    entries = await strict.house.batches.entries(await strict.house.jobs.get(told["job_id"]))
    assert [entry.reference for entry in entries] == [text, "other"]
    found = await strict.house.jobs.page(strict.account.account_id, reference=text)
    assert [job.job_id for job in found] == [told["job_id"]]
    seen("kept")


NUMBERS = {
    "more files than any number": {"file_count": HUGE},
    "2^63 files": {"file_count": 1 << 63},
    "2^64 files": {"file_count": 1 << 64},
}


@pytest.mark.parametrize(
    "more",
    [hostile(42, f"declared: {what}", more, expected="taken: its batch fails") for what, more in NUMBERS.items()],
)
async def test_a_number_that_no_column_holds_is_only_a_wrong_number(
    strict: Api, seen: Note, more: dict[str, int]
) -> None:
    """The batch is read again as it was declared; it is checked when all of it is there."""
    told = await created(strict, {"type": "batch", "files": [{"reference_id": "a"}, {}], **more})
    page = await strict.http.post(f"/v1/jobs/{told['job_id']}/upload-urls", json={"files": [{"file_id": "a"}]})
    seen(str(page.status_code))
    assert page.status_code == 200


REFUSED = {
    "a negative number of bytes beyond all": ({"type": "big_file", "size_bytes": -HUGE}, "invalid_job_request"),
    "bytes beyond all": ({"type": "big_file", "size_bytes": HUGE}, "batch_too_large"),
    "bytes as a text of digits": ({"type": "big_file", "size_bytes": "9" * 400}, "invalid_job_request"),
    "a total beyond all": ({"type": "batch", "files": [{}], "total_size_bytes": HUGE}, "batch_too_large"),
    "10,000 files of 10 GB": ({"type": "batch", "files": [{"size_bytes": 10 << 30}] * 10_000}, "batch_too_large"),
    "10,001 files that are none": ({"type": "batch", "files": [0] * 10_001}, "too_many_files"),
    "10,000 of one name": ({"type": "batch", "files": [{"file_id": "a"}] * 10_000}, "invalid_file_metadata"),
    "a name that is numbered already": (
        {"type": "batch", "files": [{}, {"reference_id": "file_000001"}]},
        "invalid_file_metadata",
    ),
    "a prompt of 1 MB": (
        {"type": "big_file", "size_bytes": 1, "initial_prompt": "p" * 1_000_000},
        "invalid_job_request",
    ),
    "a prompt of 1,025 signs of four bytes": (
        {"type": "big_file", "size_bytes": 1, "initial_prompt": "\U0001f600" * 1025},
        "invalid_job_request",
    ),
    "a language of 500 characters": (
        {"type": "big_file", "size_bytes": 1, "language": "e" * 500},
        "invalid_job_request",
    ),
    "a language that looks like one": (
        {"type": "big_file", "size_bytes": 1, "language": "\uff45\uff4e"},
        "invalid_job_request",
    ),
    "100,000 things to leave out": (
        {"type": "big_file", "size_bytes": 1, "exclude": "vtt,x" * 100_000},
        "invalid_job_request",
    ),
    "what to leave out as a list": ({"type": "big_file", "size_bytes": 1, "exclude": ["text"]}, "invalid_job_request"),
    "a model that is a path": ({"type": "big_file", "size_bytes": 1, "model": "../../models/x"}, "invalid_job_request"),
    "a reference of 129": (
        {"type": "big_file", "size_bytes": 1, "reference_id": "\U0001f600" * 129},
        "invalid_job_request",
    ),
    "a file name of 5,000": ({"files": [{"filename": "a" * 5000}]}, "invalid_file_metadata"),
    "an ending of 1,000": ({"files": [{"filename": "a." + "mp3" * 330}]}, "invalid_file_metadata"),
    "a type of 100,000": ({"files": [{"content_type": "audio/" + "x" * 100_000}]}, "invalid_file_metadata"),
    "a type with a line feed": ({"files": [{"content_type": "audio/mpeg\r\nX: y"}]}, "invalid_file_metadata"),
    "a type with NUL": ({"files": [{"content_type": "audio/mpeg\x00"}]}, "invalid_json"),
    "a source that is a list": ({"type": "big_file", "source": [{"url": "https://x.example"}]}, "invalid_job_request"),
}


@pytest.mark.parametrize(
    ("body", "code"),
    [hostile(42, what, body, code, expected=f"400 {code}") for what, (body, code) in REFUSED.items()],
)
async def test_what_makes_no_job_is_refused_by_its_code(strict: Api, seen: Note, body: Any, code: str) -> None:
    """And leaves neither a row nor an object."""
    before = len(await strict.house.jobs.page(None, limit=1000)), len(list(strict.house.blobs.list("jobs/")))
    answer = await strict.http.post("/v1/jobs", json=body)
    seen("{} {}".format(*coded(answer)))
    assert coded(answer) == (400, code)
    assert len(answer.content) < 500
    assert (len(await strict.house.jobs.page(None, limit=1000)), len(list(strict.house.blobs.list("jobs/")))) == before


def _addresses() -> Iterator[tuple[int, str, str]]:
    for number, table in ((44, ODD), (45, NAMED), (46, CLOSED)):
        yield from ((number, url, reason) for url, reason in table.items())


@pytest.mark.hostile_input(46, "jobs: every address of inputs 44 to 46, in a batch and as webhook", "400")
async def test_every_address_that_is_refused_elsewhere_is_refused_of_a_file_and_of_a_webhook(
    lasting: Api, seen: Note
) -> None:
    """Between files that are in order, too; none is repeated, in full or in part."""
    fine = {"url": "https://93.184.215.14/a.mp3"}
    tried = 0
    for number, url, reason in _addresses():
        if not url and reason != "accepted":
            continue  # an address that is sent empty: the tests of the dialect have it
        bodies: list[dict[str, Any]] = [{"type": "batch", "files": [fine, {"url": url}, fine]}]
        if number != 46:
            bodies.append({"type": "big_file", "size_bytes": 1, "webhook_url": url})
        for body in bodies:
            answer = await lasting.http.post("/v1/jobs", json=body)
            if reason == "accepted":
                assert answer.status_code == 200, (url, answer.text)
            else:
                assert coded(answer) == JOB, (url, body)
                assert "sesame" not in answer.text
                assert url not in answer.text or len(url) < 3
            tried += 1
    seen(f"400, {tried} times")
    assert tried > 100


@pytest.mark.hostile_input(30, "jobs: the key of another upload to resume-upload", "400 invalid_upload")
async def test_an_upload_is_resumed_by_its_own_key_alone(strict: Api, seen: Note) -> None:
    """Not by that of another job, of another account's, of a file of a batch, nor by a way around."""
    mine, other = await big_file(strict, size_bytes=PUT_BELOW_BYTES + 1), await big_file(strict)
    account, key = await strict.account_with_key()
    await strict.house.wallets.credit(account.account_id, 1_000_000, "for the test")
    async with httpx2.AsyncClient(base_url=strict.url, headers=strict.bearer(key), trust_env=False) as http:
        foreign = (await http.post("/v1/jobs", json={"type": "big_file", "size_bytes": PUT_BELOW_BYTES + 1})).json()
    batch = await created(strict, {"files": [{}, {}]})
    own = mine["uploads"][0]["upload"]
    uploads = _other_uploads(own, foreign["uploads"][0]["upload"], (other, foreign, batch))
    for upload in uploads:
        answer = await strict.http.post(f"/v1/jobs/{mine['job_id']}/resume-upload", json={"upload": upload})
        assert coded(answer) == (400, "invalid_upload"), upload
    seen(f"400, {len(uploads)} times")
    right = {name: own[name] for name in ("type", "key", "upload_id")}
    assert (
        await strict.http.post(f"/v1/jobs/{mine['job_id']}/resume-upload", json={"upload": right})
    ).status_code == 200


def _other_uploads(own: dict[str, Any], theirs: dict[str, Any], jobs: tuple[Any, ...]) -> list[dict[str, str]]:
    """What names one, and is not this."""
    key, upload_id = own["key"], own["upload_id"]
    keys = [one["uploads"][0]["key"] for one in jobs]
    keys += [f"{key}/", f"./{key}", f"{key}/../source", key.upper(), f"{key}%00", "jobs/../jobs", "/etc/passwd"]
    keys += [key.replace("/source", "/manifest/index.json"), "\U0001f600" * 4000]
    ids = [
        theirs["upload_id"],
        f"{upload_id}/",
        upload_id[:-1],
        "..",
        "../../x",
        "%2e%2e",
        ".",
        "/",
        "\U0001f600",
        "a" * 300,
    ]
    return [
        *({"type": "multipart", "key": one, "upload_id": upload_id} for one in keys),
        *({"type": "multipart", "key": key, "upload_id": one} for one in ids),
    ]


FUNDS = {
    "a dollar less": {"amount": 4},
    "a dollar more": {"amount": 101},
    "a cent more": {"amount": 5.01},
    "a hair more": {"amount": 5.000000000000001},
    "less than nothing": {"amount": -5},
    "beyond all": {"amount": HUGE},
    "1e308": {"amount": 1e308},
    "a denormal": {"amount": 5e-324},
    "a text": {"amount": "10"},
    "a truth": {"amount": True},
    "a list": {"amount": [10]},
    "nothing": {},
    "a bound that is a text": {"amount": 5, "if_balance_below": "5"},
    "a bound of 400 digits": {"amount": 5, "if_balance_below": 10**400},
}


@pytest.mark.parametrize(
    "body", [hostile(38, f"add-funds: {what}", body, expected="400") for what, body in FUNDS.items()]
)
async def test_an_odd_amount_adds_nothing(strict: Api, seen: Note, body: dict[str, Any]) -> None:
    balance = await strict.house.wallets.balance(strict.account.account_id)
    answer = await strict.http.post("/v1/add-funds", json=body)
    seen("{} {}".format(*coded(answer)))
    assert coded(answer) == (400, "invalid_request_options")
    assert await strict.house.wallets.balance(strict.account.account_id) == balance


@pytest.mark.parametrize(
    "bound",
    [hostile(38, f"add-funds: only below {one:g}", one, expected="200") for one in (1e308, -1e308, 5e-324, -0.0)],
)
async def test_an_odd_bound_is_a_bound(strict: Api, seen: Note, bound: float) -> None:
    """Larger than any purse: always added; nothing or less: never."""
    before = (await strict.house.wallets.balance(strict.account.account_id)).free_micros
    answer = await strict.http.post("/v1/add-funds", json={"amount": 9, "if_balance_below": bound})
    seen(str(answer.status_code))
    added = 9_000_000 if bound == 1e308 else 0
    assert answer.json() == {"ok": True, "remaining_balance": (before + added) / 1_000_000}


@pytest.mark.parametrize(
    "text", [hostile(40, f"id: {what}", text, expected="404 job_not_found") for what, text in IDS.items()]
)
async def test_an_odd_id_is_an_unknown_job_on_every_route(strict: Api, seen: Note, text: str) -> None:
    """Whatever comes with it. A file of a batch has no id of its own here."""
    batch = (await created(strict, {"files": [{}, {}]}))["job_id"]
    told = set()
    paths = (await strict.http.get("/openapi/transcribe.json")).json()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() if "{" in path for method in methods]
    assert len(routes) >= 6
    for method, path in routes:
        for odd in (text.format(prefix="job"), f"{batch}.00000"):
            answer = await strict.http.request(method, path.format(job_id=odd))
            # an address with an empty segment is nobody's, and told in the words of the first dialect
            said = answer.json()
            told.add((answer.status_code, said.get("code", said["error"])))
    seen(str(told))
    assert told <= {(404, "job_not_found"), (404, "not_found")}


@pytest.mark.hostile_input(58, "jobs: a host, and what proxies say of it, that is not ours", "links lead to us")
async def test_links_lead_where_the_operator_says_and_nowhere_else(lasting: Api, seen: Note) -> None:
    """Whatever the request says of its host."""
    said = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil",
    }
    body = {"type": "big_file", "size_bytes": PUT_BELOW_BYTES + 1}
    answer = await lasting.http.post("/v1/jobs", json=body, headers=said)
    upload = answer.json()["uploads"][0]["upload"]
    links = [upload["complete_url"], upload["abort_url"], *(part["url"] for part in upload["parts"])]
    seen("ours")
    assert all(link.startswith(f"{PUBLIC_URL}/files/") for link in links)


async def test_lone_surrogates_and_nul_never_get_so_far(lasting: Api) -> None:
    """In a reference, a name, a key, an id: what no store could keep is no JSON here."""
    job_id = (await big_file(lasting))["job_id"]
    fields = ("reference_id", "filename", "initial_prompt", "webhook_url")
    for field in fields:
        for odd in (b"\\ud800", b"\\udc00x", b"x\\u0000"):
            body = b'{"type": "big_file", "size_bytes": 5, "%b": "%b"}' % (field.encode(), odd)
            answer = await lasting.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
            assert coded(answer) == (400, "invalid_json")
    for path, body in (
        (f"/v1/jobs/{job_id}/upload-urls", b'{"files": [{"file_id": "\\ud800"}]}'),
        (f"/v1/jobs/{job_id}/resume-upload", b'{"upload": {"type": "put", "key": "\\u0000"}}'),
    ):
        answer = await lasting.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert coded(answer) == (400, "invalid_json")


async def test_an_entry_is_its_place_whatever_its_file_says(strict: Api) -> None:
    """Fields that are the server's own are nobody's to send."""
    file = {
        "reference_id": "a",
        "index": 7,
        "sealed_url": "x",
        "job_id": "job_x",
        "state": "completed",
        "__proto__": {},
    }
    told = await created(strict, {"files": [file, {}], "job_id": "job_x", "account_id": "x", "status": "completed"})
    entries = await strict.house.batches.entries(await strict.house.jobs.get(told["job_id"]))
    assert entries == [ManifestEntry(index=0, reference="a"), ManifestEntry(index=1, reference="file_000002")]
