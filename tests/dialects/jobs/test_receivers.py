"""The receivers of docs/dialects/jobs.md, cut out of it and run: what our courier brings they take, what was altered they refuse."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import msgspec
import pytest

from tests.acceptance.processes import Child
from tests.servers.api import Api, ApiMaker
from tiro.sign import SCHEMES

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/dialects/jobs.md").read_text()
HEADER = "X-Transcription-Signature"


def snippet(language: str, holding: str) -> str:
    """The one block of that language that holds these words."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) if holding in code]
    return str(found)


def express_modules() -> str:
    """Where scripts/servers put Express."""
    lock = hashlib.sha256((ROOT / "tests/data/express/package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"tiro/express-{lock}/node_modules"
    assert folder.is_dir(), "Express is not here: scripts/servers express"
    return str(folder)


@contextlib.asynccontextmanager
async def running(framework: str, secret: str, folder: Path) -> AsyncIterator[str]:
    """The receiver as a process of its own; its address."""
    environ = {"PATH": os.environ["PATH"], "SECRET": secret, "PORT": "0"}
    if framework == "fastapi":
        (folder / "receiver.py").write_text(snippet("python", "from fastapi"))
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "receiver:app", "--port", "0"]
    else:
        (folder / "receiver.js").write_text(snippet("js", "express"))
        environ["NODE_PATH"] = express_modules()
        command = ["node", str(folder / "receiver.js")]
    child = Child(command, environ, folder / "receiver.log")
    try:
        port = (await child.says(r"(?:running on http://127\.0\.0\.1:|listening on port )(\d+)"))[1]
        yield f"http://127.0.0.1:{port}/hooks/transcription"
    finally:
        child.kill()


async def ended_job(api: Api, webhook_url: str) -> str:
    """The event of a job that is completed."""
    job_id = await api.submit(webhook_url=webhook_url)
    await api.complete(job_id)
    (events,) = (await api.house.jobs.events([await api.house.jobs.get(job_id)])).values()
    return events[0].event_id


@pytest.mark.parametrize("framework", ["fastapi", "express"])
@pytest.mark.promise("J35", "J46")
async def test_the_receiver_takes_what_is_true(make_api: ApiMaker, tmp_path: Path, framework: str) -> None:
    """A job's own event, signed and brought by us, is answered with a 2xx; altered, unsigned or parsed and written anew with 401."""
    api = await make_api(environ={"TIRO_EGRESS_ALLOW": "127.0.0.0/8"})
    secret = await api.house.accounts.webhook_secret(api.account.account_id)
    async with running(framework, secret, tmp_path) as url, httpx2.AsyncClient(trust_env=False) as http:
        event_id = await ended_job(api, url)
        tried = await api.house.hooks.attempt(event_id, 1, None)
        assert (tried.state, tried.status) == ("delivered", {"fastapi": 200, "express": 204}[framework])
        async with api.house.records.begin() as tx:
            delivery = await tx.hooks.get(event_id)
        assert delivery is not None
        body = api.house.blobs.get(delivery.body.key)
        signature = SCHEMES["jobs"](secret, body, datetime.now(UTC), None)[HEADER]
        statuses = {}
        for what, sent, signed in (
            ("true", body, signature),
            ("tampered", body.replace(b"completed", b"cancelled"), signature),
            ("written anew", msgspec.json.format(body, indent=1), signature),
            ("unsigned", body, ""),
            ("another's", body, SCHEMES["jobs"]("whsec_other", body, datetime.now(UTC), None)[HEADER]),
        ):
            headers = {"Content-Type": "application/json", HEADER: signed}
            statuses[what] = (await http.post(url, content=sent, headers=headers)).status_code
    assert statuses.pop("true") == tried.status
    assert set(statuses.values()) == {401}


@pytest.mark.promise("J46")
def test_the_verify_snippet_verifies() -> None:
    """The lines as they stand in a handler, on a body that we signed; one byte more and it aborts."""

    class Aborted(Exception):
        pass

    class Request:
        headers: dict[str, str]

    def abort(status: int) -> None:
        raise Aborted(status)

    code = snippet("python", "abort(401)")
    request, body = Request(), b'{"id":"evt_1"}'
    request.headers = SCHEMES["jobs"]("whsec_x", body, datetime(2026, 1, 1, tzinfo=UTC), None)
    handler = {"secret": "whsec_x", "request": request, "abort": abort}
    exec(code, {**handler, "raw_body": body})
    with pytest.raises(Aborted, match="401"):
        exec(code, {**handler, "raw_body": body + b" "})
