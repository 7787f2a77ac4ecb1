"""When has a batch begun? Once a server may have taken something, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.batch.command import batch
from commands.batch.journal import Asked, Journal
from tests.servers.scripted_http import ScriptedHttp, Visit

REFUSED = b'{"error":"The API key is not valid.","code":"invalid_api_key"}'


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commands.batch.client._WAITS_S", (0.01,))


@pytest.fixture
def there() -> Iterator[ScriptedHttp]:
    """A server that takes no key."""
    with ScriptedHttp({"/v1/jobs": lambda visit: visit.answer(401, REFUSED)}) as there:
        yield there


@pytest.fixture
def gone() -> str:
    """The address of a server that has ended."""
    with ScriptedHttp({}) as there:
        return there.url("")


def call(folder: Path, server: str, *more: str, key: str = "k") -> Result:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in/a.wav").write_bytes(b"sound")
    words = [str(folder / "in"), "--out", str(folder / "out"), "--server", server, "--key", key]
    return CliRunner().invoke(batch, [*words, "--data", str(folder / "data"), *more])


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_after_a_server_that_was_not_there_the_next_call_begins_anew_anywhere(
    there: ScriptedHttp, gone: str, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """The same words again, or another server: with --resume or without, the server is asked."""
    for _ in range(2):
        assert "does not answer" in call(tmp_path, gone, *more).output
    assert "Check --key" in call(tmp_path, there.url(""), *more).output
    assert len(there.visits) == 1


def test_after_a_key_that_was_not_taken_another_one_is(there: ScriptedHttp, tmp_path: Path) -> None:
    for key in ("one", "other"):
        assert "Check --key" in call(tmp_path, there.url(""), key=key).output
    assert [visit.headers["authorization"] for visit in there.visits] == ["Bearer one", "Bearer other"]


def test_what_a_server_may_have_taken_has_begun_there(there: ScriptedHttp, gone: str, tmp_path: Path) -> None:
    """Its answer was lost: it is handed over again neither by accident nor elsewhere, and a later refusal says nothing of then."""

    def lost(visit: Visit) -> None:
        visit.sock.close()

    there.scripts["/v1/jobs"] = lost
    assert "does not answer" in call(tmp_path, there.url("")).output
    assert "was begun before" in call(tmp_path, there.url("")).output
    assert "was begun at" in call(tmp_path, gone, "--resume").output
    there.scripts["/v1/jobs"] = lambda visit: visit.answer(401, REFUSED)
    assert "Check --key" in call(tmp_path, there.url(""), "--resume").output
    assert len({visit.headers["idempotency-key"] for visit in there.visits}) == 1
    assert "was begun before" in call(tmp_path, there.url("")).output


def test_a_call_that_died_while_it_asked_may_have_begun(gone: str, tmp_path: Path) -> None:
    with Journal(tmp_path / "out").held() as journal:
        journal.add(Asked("1", {"a.wav": "5:1"}))
    assert "was begun before" in call(tmp_path, gone).output
