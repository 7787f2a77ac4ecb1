"""Bytes on their way to and from a server that stumbles, refuses or goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from commands.batch.client import BatchClient, Refused
from commands.batch.journal import Handover, Journal
from commands.batch.manifest import Entry
from commands.batch.uploads import Uploads
from commands.server import Server
from tests.servers.scripted_http import Script, ScriptedHttp, Visit
from tests.unit.commands.batch.handed import hand_over

PAGE = "/v1/jobs/job_1/upload-urls"


class Stumbling:
    """Answers the first visits with these statuses, and the rest with 200."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)

    def __call__(self, visit: Visit) -> None:
        status = self._statuses.pop(0) if self._statuses else 200
        visit.answer(status, b"{}", {"ETag": '"x"'})


@pytest.fixture
def there() -> Iterator[ScriptedHttp]:
    with ScriptedHttp({}) as there:
        yield there


@pytest.fixture
async def client(there: ScriptedHttp) -> AsyncIterator[BatchClient]:
    client = BatchClient(Server(there.url("").rstrip("/"), "secret-key", local=True))
    yield client
    await client.close()


async def bring(
    client: BatchClient, there: ScriptedHttp, folder: Path, script: Script, content: bytes = b"sound"
) -> Journal:
    """One file of five bytes is handed over; `content` is what it holds by then."""
    file = folder / "a.wav"
    file.write_bytes(content)
    entry = Entry(reference="a", file=file, size_bytes=5, stamp="5:1")
    upload = {"type": "put", "key": "k", "url": there.url("/put"), "headers": {"X-Told": "this"}}
    page = {
        "job_id": "job_1",
        "uploads": [{"reference_id": "a", "file_id": "a", "filename": None, "key": "k", "upload": upload}],
    }
    there.scripts[PAGE] = lambda visit: visit.answer(200, msgspec.json.encode(page))
    there.scripts["/put"] = script
    with Journal(folder / "out").held() as journal:
        hand_over(journal, "1", entry, started=False)
        handover: Handover = journal.handovers["1"]
        await Uploads(client, journal, handover, lambda size: None).run([entry])
        return journal


async def test_an_upload_is_tried_again_while_that_can_help(
    client: BatchClient, there: ScriptedHttp, tmp_path: Path
) -> None:
    journal = await bring(client, there, tmp_path, Stumbling(503, 500))
    puts = [visit for visit in there.visits if visit.method == "PUT"]
    assert [visit.body for visit in puts] == [b"sound"] * 3
    assert journal.handovers["1"].brought == {"a"}


async def test_an_upload_address_is_shown_its_headers_and_not_the_key(
    client: BatchClient, there: ScriptedHttp, tmp_path: Path
) -> None:
    await bring(client, there, tmp_path, Stumbling())
    page, put = there.visits
    assert page.headers["authorization"] == "Bearer secret-key"
    assert "authorization" not in put.headers
    assert (put.headers["x-told"], put.headers["content-length"]) == ("this", "5")
    assert "transfer-encoding" not in put.headers


@pytest.mark.parametrize(("content", "script", "code"), [
    (b"sound", Stumbling(403), "upload_refused"),
    (b"so", Stumbling(), "file_unreadable"),
])  # fmt: skip
async def test_one_file_that_cannot_be_brought_is_noted_and_keeps_no_other_back(
    client: BatchClient, there: ScriptedHttp, tmp_path: Path, content: bytes, script: Script, code: str
) -> None:
    journal = await bring(client, there, tmp_path, script, content)
    assert (journal.results["a"].state, journal.results["a"].code) == ("failed", code)
    assert journal.handovers["1"].brought == set()


async def test_a_server_that_is_gone_ends_the_call_with_what_to_do(
    client: BatchClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.batch.client._WAITS_S", (0.01,))
    with ScriptedHttp({}) as gone:
        address = gone.url("/put")
    with pytest.raises(Refused, match="is the server running"):
        await client.put(address, {}, 0, lambda: b"")


async def test_a_result_that_broke_off_goes_on_where_it_was(
    client: BatchClient, there: ScriptedHttp, tmp_path: Path
) -> None:
    def result(visit: Visit) -> None:
        if "range" not in visit.headers:
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
            visit.sock.close()
            return
        assert visit.headers["range"] == "bytes=5-"
        visit.answer(206, b"56789")

    there.scripts["/result"] = result
    await client.fetch(there.url("/result"), tmp_path / "d.json")
    assert (tmp_path / "d.json").read_bytes() == b"0123456789"


async def test_what_answers_and_is_no_tiro_is_told_apart(client: BatchClient, there: ScriptedHttp) -> None:
    there.scripts["/v1/transcribe/job_1"] = lambda visit: visit.answer(200, b"<html>")
    with pytest.raises(Refused, match="is not a Tiro server"):
        await client.look("job_1")
    there.scripts["/v1/transcribe/job_2"] = lambda visit: visit.answer(401, b'{"error":"No.","code":"invalid_api_key"}')
    with pytest.raises(Refused, match="Check --key"):
        await client.look("job_2")


async def test_what_a_server_has_certainly_not_taken_is_known(
    client: BatchClient, there: ScriptedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is certain; an answer that never came, or that a proxy may have given, is not, whatever comes later."""
    monkeypatch.setattr("commands.batch.client._WAITS_S", (0.01,))
    for number, (statuses, perhaps) in enumerate([((402,), False), ((429, 401), False), ((503, 401), True)]):
        there.scripts["/v1/jobs"] = Stumbling(*statuses)
        with pytest.raises(Refused):
            await client.create(str(number), [], None)
        assert client.perhaps_taken(str(number)) is perhaps
    there.scripts["/v1/jobs"] = lambda visit: visit.sock.close()
    with pytest.raises(Refused):
        await client.create("broken off", [], None)
    assert client.perhaps_taken("broken off")
